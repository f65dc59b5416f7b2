//! Rows of `nodeprobe tcp`.

use std::collections::{BTreeMap, HashMap};

use probe_common::tcp::{
    FAILED_ABORTED, FAILED_NO_LOCAL_PORT, FAILED_PROHIBITED, FAILED_REFUSED, FAILED_RESET,
    FAILED_TIMEOUT, FAILED_UNREACHABLE, FAILURES, RETRANSMIT_DATA, RETRANSMIT_PROBE,
    RETRANSMIT_SYN, Totals,
};

use crate::{
    identity::Identities,
    model::{Measurements, OwnerId, OwnerKind, add_totals},
    render::view::{ContainerRef, HistogramView, TcpView},
    report::{
        Filter,
        owner::{GroupKey, Resolved, tell_apart},
    },
};

/// Names of the reasons of failed attempts; those that flow records have for the same, where there is one.
const FAILED: [(usize, &str); FAILURES] = [
    (FAILED_REFUSED, "refused"),
    (FAILED_TIMEOUT, "timeout"),
    (FAILED_UNREACHABLE, "unreachable"),
    (FAILED_RESET, "reset"),
    (FAILED_ABORTED, "aborted"),
    (FAILED_PROHIBITED, "prohibited"),
    (FAILED_NO_LOCAL_PORT, "no_local_port"),
];

struct Group {
    totals: Totals,
    listen_drops: BTreeMap<u16, u64>,
    drops: BTreeMap<String, u64>,
    owner: Option<Resolved>,
}

/// One row per container that the filter admits. The measurements are those of a period, see [`Measurements::since`].
///
/// `drops` says whether dropped packets were measured. Those without a socket are in a row of nobody, which no filter admits.
pub fn tcp_rows(
    measurements: &Measurements,
    identities: &Identities,
    filter: &Filter,
    drops: bool,
) -> Vec<TcpView> {
    let find = |owner| Resolved::find(owner, OwnerKind::Cgroup, measurements, identities);
    let mut groups: HashMap<Option<GroupKey>, Group> = HashMap::new();
    let mut group = |owner: Option<OwnerId>, enter: &mut dyn FnMut(&mut Group)| {
        let owner = owner.map(find);
        let container = owner.as_ref().and_then(|owner| owner.container.as_deref());
        if filter.admits(container, None) {
            let key = owner.as_ref().map(|owner| owner.key);
            enter(groups.entry(key).or_insert_with(|| Group {
                totals: Totals::ZERO,
                listen_drops: BTreeMap::new(),
                drops: BTreeMap::new(),
                owner,
            }));
        }
    };
    for row in &measurements.tcp {
        group(Some(row.owner), &mut |group| {
            add_totals(&mut group.totals, &row.totals)
        });
    }
    for row in &measurements.listen_drops {
        group(Some(row.owner), &mut |group| {
            *group.listen_drops.entry(row.port).or_default() += row.drops;
        });
    }
    for row in &measurements.drops {
        // The root is the owner of what sockets nobody made.
        let owner = row.owner.map(|owner| OwnerId::of_socket(owner.0));
        group(owner, &mut |group| {
            *group.drops.entry(row.reason.clone()).or_default() += row.packets;
        });
    }
    let mut rows: Vec<TcpView> = groups
        .into_values()
        .map(|group| view(group, drops))
        .collect();
    tell_apart(rows.iter_mut().map(|row| &mut row.container));
    rows.sort_by(TcpView::compare);
    rows
}

fn view(group: Group, drops: bool) -> TcpView {
    let container = match &group.owner {
        Some(owner) => owner.names().0,
        None => ContainerRef {
            name: "~no socket".into(),
            ..ContainerRef::default()
        },
    };
    let totals = &group.totals;
    let failed = FAILED.into_iter().filter_map(|(index, name)| {
        let count = totals.failed[index];
        (count > 0).then(|| (name.to_owned(), count))
    });
    TcpView {
        container,
        attempts: totals.attempts,
        connected: totals.connected,
        accepted: totals.accepted,
        closed: totals.closed,
        failed: failed.collect(),
        retransmits_syn: totals.retransmits[RETRANSMIT_SYN],
        retransmits_data: totals.retransmits[RETRANSMIT_DATA],
        retransmits_probe: totals.retransmits[RETRANSMIT_PROBE],
        segments_sent: totals.segments_sent,
        segments_retransmitted: totals.segments_retransmitted,
        listen_drops: totals.listen_drops,
        listen_drops_by_port: (group.listen_drops.into_iter())
            .map(|(port, drops)| (port.to_string(), drops))
            .collect(),
        resets_sent: totals.resets_sent,
        resets_received: totals.resets_received,
        connect: HistogramView::from(&totals.connect),
        accept: HistogramView::from(&totals.accept),
        rtt: HistogramView::from(&totals.rtt),
        drops: drops.then_some(group.drops),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use probe_common::id::CgroupId;

    use super::*;
    use crate::{
        identity::Limits,
        model::{DropRow, ListenDropRow, TcpRow},
    };

    fn measurements() -> Measurements {
        let totals = Totals {
            attempts: 5,
            failed: [2, 1, 0, 0, 0, 0, 0],
            segments_sent: 200,
            segments_retransmitted: 10,
            listen_drops: 6,
            retransmits: [4, 9, 3],
            ..Totals::ZERO
        };
        let dropped = |owner, packets| DropRow {
            owner,
            reason: "no_socket".into(),
            packets,
        };
        Measurements {
            tcp: vec![TcpRow {
                owner: OwnerId(7),
                totals,
            }],
            listen_drops: vec![ListenDropRow {
                owner: OwnerId(7),
                port: 8080,
                drops: 6,
            }],
            drops: vec![dropped(Some(OwnerId(7)), 3), dropped(None, 8)],
            ..Measurements::default()
        }
    }

    fn identities() -> Identities {
        let identities = Identities::new(Limits::default());
        identities.appeared(CgroupId(7), "/system.slice/web.service", Instant::now());
        identities
    }

    #[test]
    fn connections_and_drops_of_a_container_are_one_row() {
        let rows = tcp_rows(&measurements(), &identities(), &Filter::default(), true);
        assert_eq!(rows.len(), 2);
        assert_eq!(rows[0].container.name, "web.service");
        assert_eq!(
            rows[0].failed,
            BTreeMap::from([("refused".into(), 2), ("timeout".into(), 1)])
        );
        let again = &rows[0];
        assert_eq!((again.retransmits_syn, again.retransmits_data), (4, 9));
        assert_eq!(again.retransmits_probe, 3);
        assert_eq!(
            (again.segments_sent, again.segments_retransmitted),
            (200, 10)
        );
        assert_eq!(again.listen_drops, 6);
        assert_eq!(
            again.listen_drops_by_port,
            BTreeMap::from([("8080".into(), 6)])
        );
        assert_eq!(rows[0].drops.as_ref().unwrap()["no_socket"], 3);
        assert_eq!(rows[1].container.name, "~no socket");
        assert_eq!(rows[1].drops.as_ref().unwrap()["no_socket"], 8);
    }

    #[test]
    fn a_filter_leaves_out_what_has_no_socket_and_absent_drops_are_absent() {
        let filter = Filter {
            cgroups: vec!["/system.slice".into()],
            ..Filter::default()
        };
        let rows = tcp_rows(&measurements(), &identities(), &filter, false);
        assert_eq!(rows.len(), 1);
        assert_eq!(rows[0].drops, None);
    }
}
