//! FINs of the other side that are awaited: who closes first and lets go of the socket has no more of the connection when
//! they come.

use rustc_hash::FxHashMap;

use crate::model::{EndReason, FlagSet, Flow, TcpFlags};

/// State of a socket whose side has closed and whose other side has not, include/net/tcp_states.h.
const FIN_WAIT2: u8 = 5;

/// Ended connections that a FIN is awaited for, by their id, and whether it has come.
#[derive(Debug, Default)]
pub(super) struct Awaited(FxHashMap<u64, bool>);

impl Awaited {
    /// Begins to wait for the FIN of the other side of an ended flow, if there is one to come.
    pub(super) fn begin(&mut self, flow: &Flow) -> bool {
        let fin = flow.end.is_some_and(|end| end.reason == EndReason::Fin);
        let awaited = fin
            && flow.tcp.is_some_and(|tcp| {
                let open = |flags: TcpFlags| !flags.received.has(FlagSet::FIN);
                tcp.state == FIN_WAIT2 && tcp.flags.is_some_and(open)
            });
        if awaited {
            self.0.insert(flow.id, false);
        }
        awaited
    }

    /// Notes that these FINs have come. Those that nobody waits for are passed over.
    pub(super) fn arrived(&mut self, cookies: &[u64]) {
        for cookie in cookies {
            if let Some(arrived) = self.0.get_mut(cookie) {
                *arrived = true;
            }
        }
    }

    /// Ends the wait for a flow, and adds the FIN to its flags if it has come.
    pub(super) fn end(&mut self, flow: &mut Flow) {
        if self.0.remove(&flow.id) != Some(true) {
            return;
        }
        if let Some(flags) = flow.tcp.as_mut().and_then(|tcp| tcp.flags.as_mut()) {
            flags.received = flags.received.with(FlagSet::FIN);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{flows::client, model::FlowEnd};

    fn closed(state: u8) -> Flow {
        let mut flow = client();
        if let Some(tcp) = &mut flow.tcp {
            tcp.state = state;
            tcp.flags = Some(TcpFlags::default());
        }
        flow.end = Some(FlowEnd {
            reason: EndReason::Fin,
            at: Duration::from_secs(3),
            error: None,
        });
        flow
    }

    fn received(flow: &Flow) -> FlagSet {
        flow.tcp.unwrap().flags.unwrap().received
    }

    #[test]
    fn a_fin_that_comes_in_time_is_among_the_flags() {
        let (mut one, mut other) = (closed(FIN_WAIT2), closed(FIN_WAIT2));
        other.id += 1;
        let mut awaited = Awaited::default();
        assert!(awaited.begin(&one) && awaited.begin(&other));
        awaited.arrived(&[one.id, 12345]);
        awaited.end(&mut one);
        awaited.end(&mut other);
        assert_eq!(
            (received(&one), received(&other)),
            (FlagSet::FIN, FlagSet::default())
        );
        assert!(awaited.0.is_empty());
    }

    #[test]
    fn only_who_closed_first_waits_and_only_for_what_is_to_come() {
        let mut awaited = Awaited::default();
        assert!(!awaited.begin(&closed(9)));
        let mut whole = closed(FIN_WAIT2);
        whole.tcp.as_mut().unwrap().flags.as_mut().unwrap().received = FlagSet::FIN;
        assert!(!awaited.begin(&whole));
        let mut reset = closed(FIN_WAIT2);
        reset.end.as_mut().unwrap().reason = EndReason::ResetReceived;
        assert!(!awaited.begin(&reset));
        assert!(!awaited.begin(&client()));
    }
}
