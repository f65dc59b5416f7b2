//! What rows about the network are sorted by.

use std::cmp::Ordering;

use super::{AuditView, DnsView, FlowView, TcpView};

/// What rows of flows are sorted by, largest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum FlowOrder {
    /// Payload in both directions
    #[default]
    Bytes,
    /// Packets in both directions
    Packets,
    /// Flows of the row
    Flows,
    /// Segments sent again
    Retransmits,
    /// Round-trip time
    Rtt,
}

impl FlowOrder {
    /// Compares two rows, the larger first; bytes and names decide between equals.
    pub fn compare(self, a: &FlowView, b: &FlowView) -> Ordering {
        let larger_first = match self {
            Self::Bytes => b.bytes().cmp(&a.bytes()),
            Self::Packets => {
                let packets =
                    |row: &FlowView| row.packets_sent.saturating_add(row.packets_received);
                packets(b).cmp(&packets(a))
            }
            Self::Flows => b.flows.cmp(&a.flows),
            Self::Retransmits => b.retransmits.cmp(&a.retransmits),
            Self::Rtt => longer_first(a.rtt_seconds, b.rtt_seconds),
        };
        larger_first.then_with(|| FlowView::compare(a, b))
    }
}

/// What rows of `nodeprobe tcp` are sorted by, largest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum TcpOrder {
    /// New connections, as client and as server; the default without --connections
    Connections,
    /// Attempts that failed
    Failures,
    /// Dropped packets
    Drops,
    /// Segments sent again
    Retransmits,
    /// Round-trip time: its 0.99-quantile without --connections
    Rtt,
    /// Payload in both directions; with --connections, and the default there
    Bytes,
    /// Packets in both directions; with --connections
    Packets,
}

impl TcpOrder {
    /// The order of single connections; `None` where they do not have what this is about.
    pub fn of_connections(self) -> Option<FlowOrder> {
        match self {
            Self::Retransmits => Some(FlowOrder::Retransmits),
            Self::Rtt => Some(FlowOrder::Rtt),
            Self::Bytes => Some(FlowOrder::Bytes),
            Self::Packets => Some(FlowOrder::Packets),
            Self::Connections | Self::Failures | Self::Drops => None,
        }
    }

    /// Whether single connections have what this is about.
    pub fn is_of_connections(self) -> bool {
        self.of_connections().is_some()
    }

    /// Whether rows by container have what this is about.
    pub fn is_of_containers(self) -> bool {
        !matches!(self, Self::Bytes | Self::Packets)
    }

    /// Compares two rows by container, the larger first; new connections and names decide between equals.
    pub fn compare(self, a: &TcpView, b: &TcpView) -> Ordering {
        let larger_first = |key: fn(&TcpView) -> u64| key(b).cmp(&key(a));
        match self {
            Self::Connections | Self::Bytes | Self::Packets => Ordering::Equal,
            Self::Failures => larger_first(|row| row.failed.values().sum()),
            Self::Drops => larger_first(|row| row.drops.iter().flat_map(|it| it.values()).sum()),
            Self::Retransmits => larger_first(|row| {
                row.retransmits_syn + row.retransmits_data + row.retransmits_probe
            }),
            Self::Rtt => longer_first(a.rtt.p99_seconds, b.rtt.p99_seconds),
        }
        .then_with(|| TcpView::compare(a, b))
    }
}

/// What rows of lookups are sorted by, largest first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum DnsOrder {
    /// Lookups
    #[default]
    Lookups,
    /// Responses with an error
    Errors,
    /// Lookups without a response
    Timeouts,
    /// 0.99-quantile of the latency
    P99,
}

impl DnsOrder {
    /// Compares two rows, the larger first; lookups and names decide between equals.
    pub fn compare(self, a: &DnsView, b: &DnsView) -> Ordering {
        let errors = |row: &DnsView| -> u64 {
            let failed = row.rcodes.iter().filter(|(code, _)| *code != "NOERROR");
            failed.map(|(_, n)| n).sum()
        };
        match self {
            Self::Lookups => Ordering::Equal,
            Self::Errors => errors(b).cmp(&errors(a)),
            Self::Timeouts => b.timeouts.cmp(&a.timeouts),
            Self::P99 => longer_first(a.latency.p99_seconds, b.latency.p99_seconds),
        }
        .then_with(|| DnsView::compare(a, b))
    }
}

/// What rows of `nodeprobe policy audit` are sorted by.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum AuditOrder {
    /// Enforcement gaps and unexpected drops first, then the number of connections
    #[default]
    Findings,
    /// The number of connections, largest first
    Connections,
}

impl AuditOrder {
    /// Compares two rows; names decide between equals.
    pub fn compare(self, a: &AuditView, b: &AuditView) -> Ordering {
        match self {
            Self::Findings => Ordering::Equal,
            Self::Connections => b.connections.cmp(&a.connections),
        }
        .then_with(|| AuditView::compare(a, b))
    }
}

/// Rows without a time come last.
fn longer_first(a: Option<f64>, b: Option<f64>) -> Ordering {
    let key = |seconds: Option<f64>| seconds.unwrap_or(-1.0);
    key(b).total_cmp(&key(a))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn flow(bytes_sent: u64, packets_sent: u64, rtt_seconds: Option<f64>) -> FlowView {
        FlowView {
            bytes_sent,
            packets_sent,
            rtt_seconds,
            retransmits: Some(packets_sent / 10),
            ..FlowView::default()
        }
    }

    /// Positions of the rows after sorting.
    fn sorted<R>(rows: &[R], compare: impl Fn(&R, &R) -> Ordering) -> Vec<usize> {
        let mut order: Vec<usize> = (0..rows.len()).collect();
        order.sort_by(|a, b| compare(&rows[*a], &rows[*b]));
        order
    }

    #[test]
    fn flows_are_sorted_by_what_is_named_and_rows_without_it_come_last() {
        let rows = [
            flow(30, 10, None),
            flow(10, 20, Some(0.5)),
            flow(20, 5, Some(0.1)),
        ];
        let by = |order: FlowOrder| sorted(&rows, |a, b| order.compare(a, b));
        assert_eq!(by(FlowOrder::Bytes), [0, 2, 1]);
        assert_eq!(by(FlowOrder::Packets), [1, 0, 2]);
        assert_eq!(by(FlowOrder::Retransmits), [1, 0, 2]);
        assert_eq!(by(FlowOrder::Rtt), [1, 2, 0]);
    }

    #[test]
    fn each_order_of_tcp_is_one_of_connections_or_of_containers() {
        use clap::ValueEnum as _;
        for order in TcpOrder::value_variants() {
            assert!(
                order.is_of_containers() || order.of_connections().is_some(),
                "{order:?}"
            );
        }
        let row = |attempts, refused, data| TcpView {
            attempts,
            failed: [("refused".to_owned(), refused)].into(),
            retransmits_data: data,
            ..TcpView::default()
        };
        let rows = [row(9, 0, 1), row(5, 2, 3), row(1, 1, 2)];
        let by = |order: TcpOrder| sorted(&rows, |a, b| order.compare(a, b));
        assert_eq!(by(TcpOrder::Connections), [0, 1, 2]);
        assert_eq!(by(TcpOrder::Failures), [1, 2, 0]);
        assert_eq!(by(TcpOrder::Retransmits), [1, 2, 0]);
    }

    #[test]
    fn errors_of_lookups_are_responses_other_than_noerror() {
        let row = |noerror, nxdomain, timeouts| DnsView {
            lookups: noerror + nxdomain + timeouts,
            rcodes: [
                ("NOERROR".to_owned(), noerror),
                ("NXDOMAIN".to_owned(), nxdomain),
            ]
            .into(),
            timeouts,
            ..DnsView::default()
        };
        let rows = [row(9, 0, 1), row(1, 3, 0), row(1, 0, 2)];
        let by = |order: DnsOrder| sorted(&rows, |a, b| order.compare(a, b));
        assert_eq!(by(DnsOrder::Lookups), [0, 1, 2]);
        assert_eq!(by(DnsOrder::Errors), [1, 0, 2]);
        assert_eq!(by(DnsOrder::Timeouts), [2, 0, 1]);
    }
}
