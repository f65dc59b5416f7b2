//! Which flags the segments of a connection had, told from what its socket went through.

use probe_common::tcp::{
    Connection, ESTABLISHED, RESET_RECEIVED, RESET_SENT, SocketStats, UNTRACKED,
};

use crate::model::{FlagSet, TcpFlags};

/// The flags of both sides; `None` where it is not known what happened before the end.
pub(super) fn of(known: &Connection, stats: &SocketStats) -> Option<TcpFlags> {
    let is = |flag| known.flags & flag != 0;
    if is(UNTRACKED) {
        return None;
    }
    let mut flags = TcpFlags::default();
    if is(ESTABLISHED) {
        // Each side has sent its SYN, and acknowledged the other's.
        let handshake = FlagSet::SYN.with(FlagSet::ACK);
        flags = TcpFlags {
            sent: handshake,
            received: handshake,
        };
    } else {
        // An attempt may end before anything is sent.
        let attempted = stats.segments_sent > 0;
        flags.sent = flags.sent.with_if(attempted, FlagSet::SYN);
        // A socket takes a reset to its SYN only if that acknowledges the SYN (RFC 9293, section 3.10.7.3).
        let refused = is(RESET_RECEIVED);
        flags.received = flags.received.with_if(refused, FlagSet::ACK);
    }
    flags.sent = flags
        .sent
        .with_if(sent_fin(stats), FlagSet::FIN)
        .with_if(is(RESET_SENT), FlagSet::RST);
    flags.received = flags
        .received
        .with_if(stats.fin_received == 1, FlagSet::FIN)
        .with_if(is(RESET_RECEIVED), FlagSet::RST);
    Some(flags)
}

/// Whether the socket has sent its FIN: one that waits behind data is not.
pub(super) fn sent_fin(stats: &SocketStats) -> bool {
    /// States of a connection whose side has closed, include/net/tcp_states.h: the first and second wait for the other side's
    /// FIN, the last acknowledgement after it, and both at once.
    const CLOSED: [u8; 4] = [4, 5, 9, 11];
    CLOSED.contains(&stats.state) && stats.sequence_next == stats.sequence_end
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flows::convert::tests::NOTHING;

    fn names(flags: u32, stats: SocketStats) -> Option<[String; 2]> {
        let known = Connection { flags, ..NOTHING };
        let text = |set: FlagSet| set.names().collect::<Vec<_>>().join(" ");
        of(&known, &stats).map(|flags| [text(flags.sent), text(flags.received)])
    }

    fn told(sent: &str, received: &str) -> Option<[String; 2]> {
        Some([sent.to_owned(), received.to_owned()])
    }

    #[test]
    fn an_attempt_has_what_was_sent_and_what_answered_it() {
        let nothing = SocketStats::default();
        let once = SocketStats {
            segments_sent: 1,
            ..nothing
        };
        assert_eq!(names(0, nothing), told("", ""));
        assert_eq!(names(0, once), told("SYN", ""));
        assert_eq!(names(RESET_RECEIVED, once), told("SYN", "RST ACK"));
    }

    #[test]
    fn an_end_has_what_each_side_ended_it_by() {
        let stats = |state, fin_received| SocketStats {
            state,
            fin_received,
            ..SocketStats::default()
        };
        assert_eq!(names(ESTABLISHED, stats(1, 0)), told("SYN ACK", "SYN ACK"));
        assert_eq!(
            names(ESTABLISHED, stats(5, 0)),
            told("FIN SYN ACK", "SYN ACK")
        );
        assert_eq!(
            names(ESTABLISHED | RESET_SENT, stats(8, 1)),
            told("SYN RST ACK", "FIN SYN ACK")
        );
        assert_eq!(
            names(ESTABLISHED | RESET_RECEIVED, stats(9, 1)),
            told("FIN SYN ACK", "FIN SYN RST ACK")
        );
        let waiting = SocketStats {
            sequence_end: 7,
            ..stats(4, 0)
        };
        assert_eq!(names(ESTABLISHED, waiting), told("SYN ACK", "SYN ACK"));
    }

    #[test]
    fn what_found_no_room_has_no_flags_rather_than_some() {
        assert_eq!(names(UNTRACKED | ESTABLISHED, SocketStats::default()), None);
    }
}
