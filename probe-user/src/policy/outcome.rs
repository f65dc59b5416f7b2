//! What became of a connection, as far as its end on this host can tell.

use probe_policy::audit::Outcome;

use crate::{
    flows::Event,
    model::{EndReason, Flow, Initiator, TcpFacts},
    session::FlowReport,
};

/// States of a socket whose handshake has not ended, include/net/tcp_states.h.
const HANDSHAKE: [u8; 3] = [2, 3, 12];

/// The kernel's reason for dropping what no socket waits for: it answers that nobody is there, which is no obstacle on the way.
const NO_SOCKET: &str = "no_socket";

/// What became of it; `None` while that is open.
pub(super) fn outcome(report: &FlowReport) -> Option<Outcome> {
    match &report.flow.tcp {
        Some(tcp) => connection(report, tcp),
        None => datagrams(report),
    }
}

fn connection(report: &FlowReport, tcp: &TcpFacts) -> Option<Outcome> {
    let in_handshake = HANDSHAKE.contains(&tcp.state);
    let Some(end) = report.flow.end.filter(|_| report.event == Event::End) else {
        return (!in_handshake).then_some(Outcome::Delivered);
    };
    Some(match end.reason {
        EndReason::Refused | EndReason::Unreachable | EndReason::Prohibited => Outcome::NoReply,
        // Nothing was sent.
        EndReason::NoLocalPort => Outcome::Unobserved,
        EndReason::ConnectTimeout | EndReason::Aborted => failed(&report.flow),
        EndReason::ResetReceived if in_handshake => Outcome::NoReply,
        EndReason::SocketClosed | EndReason::Shutdown | EndReason::Evicted if in_handshake => {
            Outcome::Unobserved
        }
        _ => Outcome::Delivered,
    })
}

/// An answer, or a packet that reached the local socket, is proof; silence is none.
fn datagrams(report: &FlowReport) -> Option<Outcome> {
    let flow = &report.flow;
    if flow.counters.packets_received > 0 {
        return Some(Outcome::Delivered);
    }
    let is_dropped = flow.initiator == Initiator::Local && has_dropped(flow);
    match report.event {
        Event::End if is_dropped => Some(Outcome::Dropped),
        Event::End => Some(Outcome::Unobserved),
        Event::Update if is_dropped => Some(Outcome::Dropped),
        Event::Start | Event::Update => None,
    }
}

/// An attempt that nobody answered: silence alone is no drop.
fn failed(flow: &Flow) -> Outcome {
    if has_dropped(flow) {
        Outcome::Dropped
    } else {
        Outcome::NoReply
    }
}

fn has_dropped(flow: &Flow) -> bool {
    let reasons = flow.drops.iter().flat_map(|drops| drops.by_reason());
    reasons
        .into_iter()
        .any(|(reason, packets)| packets > 0 && reason != NO_SOCKET)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::{
        flows::client,
        model::{Counters, Drops, FlowEnd},
    };

    fn report(event: Event, change: impl FnOnce(&mut Flow)) -> FlowReport {
        let mut flow = client();
        change(&mut flow);
        FlowReport {
            event,
            interval: Counters::default(),
            dropped: None,
            since: flow.start,
            peer: None,
            nat: None,
            flow,
        }
    }

    fn ended(reason: EndReason, state: u8, drop: Option<&str>) -> Option<Outcome> {
        outcome(&report(Event::End, |flow| {
            flow.tcp.as_mut().unwrap().state = state;
            flow.end = Some(FlowEnd {
                reason,
                at: Duration::from_secs(9),
                error: None,
            });
            let mut drops = Drops::default();
            if let Some(reason) = drop {
                drops.add(&reason.into(), 3, 0);
            }
            flow.drops = Some(drops);
        }))
    }

    #[test]
    fn an_attempt_is_judged_when_it_has_come_to_something() {
        let with_state = |state| {
            outcome(&report(Event::Start, |flow| {
                flow.tcp.as_mut().unwrap().state = state;
            }))
        };
        assert_eq!(with_state(2), None);
        assert_eq!(with_state(1), Some(Outcome::Delivered));
        assert_eq!(ended(EndReason::Fin, 6, None), Some(Outcome::Delivered));
        assert_eq!(
            ended(EndReason::ResetReceived, 1, None),
            Some(Outcome::Delivered)
        );
        assert_eq!(
            ended(EndReason::Shutdown, 2, None),
            Some(Outcome::Unobserved)
        );
    }

    #[test]
    fn silence_and_refusals_are_no_drops() {
        let timeout = |drop| ended(EndReason::ConnectTimeout, 2, drop);
        assert_eq!(timeout(None), Some(Outcome::NoReply));
        assert_eq!(timeout(Some("no_socket")), Some(Outcome::NoReply));
        assert_eq!(timeout(Some("netfilter_drop")), Some(Outcome::Dropped));
        assert_eq!(
            ended(EndReason::Refused, 2, Some("netfilter_drop")),
            Some(Outcome::NoReply)
        );
        assert_eq!(
            ended(EndReason::ResetReceived, 2, None),
            Some(Outcome::NoReply)
        );
    }

    #[test]
    fn datagrams_are_delivered_by_an_answer_and_otherwise_not_observed() {
        let datagrams = |event, initiator, received, drop: Option<&str>| {
            outcome(&report(event, |flow| {
                flow.tcp = None;
                flow.initiator = initiator;
                flow.counters.packets_received = received;
                let mut drops = Drops::default();
                if let Some(reason) = drop {
                    drops.add(&reason.into(), 3, 0);
                }
                flow.drops = Some(drops);
            }))
        };
        use Event::{End, Start, Update};
        use Initiator::{Local, Remote};
        let filter = Some("netfilter_drop");
        assert_eq!(datagrams(Start, Local, 0, None), None);
        assert_eq!(datagrams(Start, Local, 1, None), Some(Outcome::Delivered));
        assert_eq!(datagrams(Start, Remote, 1, None), Some(Outcome::Delivered));
        assert_eq!(datagrams(Update, Local, 0, None), None);
        assert_eq!(datagrams(Update, Local, 0, filter), Some(Outcome::Dropped));
        assert_eq!(datagrams(End, Local, 0, filter), Some(Outcome::Dropped));
        assert_eq!(datagrams(End, Local, 0, None), Some(Outcome::Unobserved));
    }
}
