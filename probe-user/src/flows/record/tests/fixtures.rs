//! Flows and records with known numbers.

use std::time::UNIX_EPOCH;

use probe_common::id::CgroupId;

use super::*;
use crate::model::{
    Container, Counters, Drops, EndReason, FlagSet, Flow, FlowEnd, FlowProcess, Initiator, Naming,
    Runtime, TcpFacts, TcpFlags, Transport, Tuple,
};

pub(in crate::flows) fn origin() -> Origin {
    Origin {
        node: "node-1".into(),
        boot_id: "6f1c0c4e-7d0a-4c36-9a49-0d7a3f6f0c11".into(),
        run_id: "b2f0".into(),
    }
}

/// The host was started on 2026-01-02 at 03:00:00.
pub(in crate::flows) fn clock() -> WallClock {
    WallClock::new(
        Duration::ZERO,
        UNIX_EPOCH + Duration::from_secs(1_767_322_800),
    )
}

pub(in crate::flows) fn envelope<'a>(
    origin: &'a Origin,
    clock: &'a WallClock,
    seq: u64,
) -> Envelope<'a> {
    Envelope {
        seq,
        origin,
        clock,
        at: ms(70_000),
    }
}

fn ms(ms: u64) -> Duration {
    Duration::from_millis(ms)
}

fn tuple(
    transport: Transport,
    local: &str,
    local_port: u16,
    remote: &str,
    remote_port: u16,
) -> Tuple {
    Tuple {
        transport,
        local: local.parse().unwrap(),
        local_port,
        remote: remote.parse().unwrap(),
        remote_port,
    }
}

/// A flow that asked for a name and got an answer.
pub(in crate::flows) fn udp() -> Flow {
    Flow {
        id: 90_412,
        tuple: tuple(Transport::UDP, "10.0.1.7", 40_112, "10.96.0.10", 53),
        cgroup: CgroupId(4711),
        netns: Some(4_026_532_281),
        initiator: Initiator::Local,
        guessed: false,
        taken_over: false,
        start: ms(10_000),
        last: ms(10_020),
        counters: Counters {
            bytes_sent: 64,
            bytes_received: 180,
            packets_sent: 2,
            packets_received: 2,
        },
        drops: None,
        tcp: None,
        process: Some(FlowProcess {
            pid: 3021,
            comm: "cart".into(),
            is_elsewhere: false,
        }),
        remote_name: None,
        sampling: 1,
        end: None,
    }
}

fn drops() -> Drops {
    let mut drops = Drops::default();
    drops.add(&"netfilter_drop".into(), 2, 0);
    drops.add(&"tcp_csum".into(), 1, 4);
    drops
}

/// A connection that was closed.
pub(in crate::flows) fn tcp() -> Flow {
    Flow {
        id: u64::MAX,
        tuple: tuple(Transport::TCP, "10.0.1.7", 40_113, "10.96.3.4", 5432),
        last: ms(69_900),
        counters: Counters {
            bytes_sent: 812,
            bytes_received: 1490,
            packets_sent: 7,
            packets_received: 6,
        },
        drops: Some(drops()),
        tcp: Some(TcpFacts {
            state: 4,
            handshake: Some(Duration::from_micros(412)),
            srtt: Some(Duration::from_micros(390)),
            min_rtt: Some(Duration::from_micros(201)),
            retransmits: 1,
            bytes_retransmitted: 406,
            data_segments_sent: 3,
            data_segments_received: 2,
            reset_sent: false,
            reset_received: true,
            flags: Some(TcpFlags {
                sent: FlagSet::SYN.with(FlagSet::ACK),
                received: FlagSet(0x17),
            }),
            closed_by: Some(Initiator::Remote),
            fingerprint: Some((1, 2)),
        }),
        remote_name: Some("pg.db.svc.cluster.local".into()),
        end: Some(FlowEnd {
            reason: EndReason::ResetReceived,
            at: ms(69_950),
            error: Some(104),
        }),
        ..udp()
    }
}

/// A connection of which this is the other end, by a process that had looked up who called.
fn served() -> Flow {
    Flow {
        id: 90_450,
        initiator: Initiator::Remote,
        tuple: tuple(Transport::TCP, "10.0.1.7", 8080, "172.17.0.2", 40_500),
        ..tcp()
    }
}

/// A connection that was refused.
fn refused() -> Flow {
    Flow {
        id: 90_500,
        tuple: tuple(Transport::TCP, "fd00::7", 40_114, "2001:db8::1", 443),
        last: ms(10_001),
        counters: Counters {
            packets_sent: 1,
            packets_received: 1,
            ..Counters::default()
        },
        tcp: Some(TcpFacts {
            state: 2,
            reset_received: true,
            flags: Some(TcpFlags {
                sent: FlagSet::SYN,
                received: FlagSet::RST.with(FlagSet::ACK),
            }),
            ..TcpFacts::default()
        }),
        end: Some(FlowEnd {
            reason: EndReason::Refused,
            at: ms(10_001),
            error: Some(111),
        }),
        ..udp()
    }
}

/// A connection of a process that is in no container, and was there before the probe.
fn taken_over() -> Flow {
    Flow {
        id: 12,
        tuple: tuple(
            Transport::TCP,
            "::ffff:192.0.2.1",
            22,
            "::ffff:192.0.2.9",
            50_000,
        ),
        cgroup: CgroupId(0),
        netns: None,
        initiator: Initiator::Remote,
        guessed: true,
        taken_over: true,
        tcp: Some(TcpFacts {
            state: 1,
            ..TcpFacts::default()
        }),
        process: None,
        remote_name: None,
        end: None,
        ..tcp()
    }
}

fn ping() -> Flow {
    Flow {
        id: 77,
        tuple: tuple(Transport::ICMP, "10.0.1.7", 9, "10.0.2.9", 8 << 8),
        process: None,
        ..udp()
    }
}

/// Of a protocol without a name, by a process whose name would turn a terminal around.
fn odd() -> Flow {
    Flow {
        id: 78,
        tuple: tuple(Transport(200), "10.0.1.7", 0, "10.0.2.9", 0),
        process: Some(FlowProcess {
            pid: 1,
            comm: "a\u{202e}b\n".into(),
            is_elsewhere: false,
        }),
        sampling: 10,
        ..udp()
    }
}

fn cart() -> Container {
    Container {
        cgroup: CgroupId(4711),
        cgroup_path: "/kubepods.slice/x".into(),
        runtime: Runtime::Kubernetes,
        id: Some("3f".repeat(32)),
        namespace: "shop".into(),
        pod: "cart-7d9f8b6c5-x2x4z".into(),
        pod_uid: "0b0c6d0e-54a2-4d6c-8a27-d2f6e8c1a001".into(),
        name: "cart".into(),
        naming: Naming::Named,
    }
}

fn postgres() -> Container {
    Container {
        cgroup: CgroupId(4800),
        cgroup_path: "/system.slice/docker-x.scope".into(),
        runtime: Runtime::Docker,
        id: Some("4e".repeat(32)),
        namespace: String::new(),
        pod: String::new(),
        pod_uid: String::new(),
        name: "pg".into(),
        naming: Naming::Named,
    }
}

/// An observation of a flow that nothing else is known of.
pub(in crate::flows) fn observed(flow: &Flow) -> Observed<'_> {
    Observed {
        event: if flow.end.is_some() {
            Event::End
        } else {
            Event::Start
        },
        flow,
        interval: flow.counters,
        dropped: flow.drops.as_ref(),
        since: ms(10_000),
        at: ms(70_000),
        local: None,
        remote: None,
        surroundings: Surroundings::default(),
        nat: None,
        complete: None,
    }
}

pub(in crate::flows) fn balance() -> Balance {
    Balance {
        stream: "flow",
        unit: "packets",
        seen: 10,
        exported: 4,
        open: 3,
        filtered: 1,
        lost: [("kernel:flow_table_full".into(), 2)].into(),
    }
}

/// A line for each kind of record and of flow.
pub(super) fn by_hand(origin: &Origin, clock: &WallClock) -> Vec<Vec<u8>> {
    let mut lines = Vec::new();
    let gap = Gap {
        cause: "restart",
        from: ms(1000),
        to: ms(2400),
        probes: vec!["flows", "dns"],
    };
    lines.push(line(&GapRecord::new(&envelope(origin, clock, 1), &gap)).unwrap());
    let (cart, postgres, udp, tcp) = (cart(), postgres(), udp(), tcp());
    let (served, refused, ping) = (served(), refused(), ping());
    let mut flow = |observed: &Observed<'_>, lost: ByName<'static>| {
        let envelope = envelope(origin, clock, lines.len() as u64 + 1);
        lines.push(
            line(&FlowRecord::new(
                &envelope,
                observed,
                observed.complete,
                lost,
            ))
            .unwrap(),
        );
    };
    let known = |flow| Observed {
        local: Some(&cart),
        complete: Some(true),
        ..observed(flow)
    };
    let none = ByName::new;
    flow(&known(&udp), none());
    let workload = |kind, name| Some(WorkloadName { kind, name });
    let service = Observed {
        remote: Some(Owner {
            container: &postgres,
            sureness: Sureness::Exact,
        }),
        surroundings: Surroundings {
            local_workload: workload("Deployment", "cart"),
            remote_workload: workload("StatefulSet", "postgres"),
            service: Some(("db", "postgres")),
            ..Surroundings::default()
        },
        nat: Some(Tuple {
            remote: [10, 0, 2, 9].into(),
            ..tcp.tuple
        }),
        ..known(&tcp)
    };
    let running = Observed {
        event: Event::Update,
        interval: Counters {
            bytes_sent: 12,
            packets_sent: 1,
            ..Counters::default()
        },
        since: ms(60_000),
        complete: Some(false),
        ..service
    };
    flow(&running, [("kernel".into(), 1830)].into());
    flow(&service, none());
    flow(
        &Observed {
            remote: Some(Owner {
                container: &postgres,
                sureness: Sureness::Likely,
            }),
            ..known(&served)
        },
        none(),
    );
    let elsewhere = Observed {
        surroundings: Surroundings {
            remote_pod: Some(PodName {
                namespace: "db",
                name: "postgres-1",
                uid: "0b0c",
            }),
            remote_workload: workload("StatefulSet", "postgres"),
            ..Surroundings::default()
        },
        ..known(&refused)
    };
    flow(&elsewhere, none());
    flow(&observed(&taken_over()), none());
    flow(&known(&ping), none());
    flow(&observed(&odd()), none());
    let loss = Loss {
        stream: "flow",
        stage: "kernel",
        reason: "flow_table_full",
        unit: "packets",
        count: 1830,
        exact: true,
        first: ms(60_100),
        last: ms(60_900),
        cpu: Some(3),
    };
    let seq = lines.len() as u64 + 1;
    lines.push(line(&LossRecord::new(&envelope(origin, clock, seq), &loss)).unwrap());
    let balance = balance();
    lines.push(
        line(&BalanceRecord::new(
            &envelope(origin, clock, seq + 1),
            &balance,
        ))
        .unwrap(),
    );
    lines
}
