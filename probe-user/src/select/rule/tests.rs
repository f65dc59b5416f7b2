use std::time::Duration;

use probe_common::id::CgroupId;
use proptest::prelude::*;

use super::*;
use crate::model::{Counters, Initiator, Naming, Runtime, Tuple};

/// A connection that `10.0.0.1:40000` made to `192.0.2.7:443`, as its client sees it.
pub(in crate::select) fn flow() -> Flow {
    Flow {
        id: 1,
        tuple: Tuple {
            transport: Transport::TCP,
            local: "10.0.0.1".parse().unwrap(),
            local_port: 40_000,
            remote: "192.0.2.7".parse().unwrap(),
            remote_port: 443,
        },
        cgroup: CgroupId(7),
        netns: None,
        initiator: Initiator::Local,
        guessed: false,
        taken_over: false,
        start: Duration::ZERO,
        last: Duration::ZERO,
        counters: Counters::default(),
        drops: None,
        tcp: None,
        process: None,
        remote_name: None,
        sampling: 1,
        end: None,
    }
}

fn container(namespace: &str, name: &str) -> Container {
    Container {
        cgroup: CgroupId(7),
        cgroup_path: "/a".to_owned(),
        runtime: Runtime::Kubernetes,
        id: None,
        namespace: namespace.to_owned(),
        pod: "p".to_owned(),
        pod_uid: String::new(),
        name: name.to_owned(),
        naming: Naming::Named,
    }
}

fn rule(text: &str) -> Rule {
    text.parse().unwrap()
}

fn matches(text: &str, flow: &Flow) -> bool {
    rule(text).matches(flow, [None, None])
}

#[test]
fn a_flow_meets_all_conditions_by_any_value_of_each() {
    let flow = flow();
    for met in [
        "transport=tcp",
        "transport=udp,tcp",
        "transport=6",
        "port=443",
        "port=40000",
        "port=80,400-500",
        "cidr=10.0.0.0/8",
        "cidr=198.51.100.0/24,192.0.2.7",
        "src=10.0.0.0/8 dst=192.0.2.0/24",
        " transport=tcp\tport=443  cidr=192.0.2.0/24 ",
        "port=1 port=443",
    ] {
        assert!(matches(met, &flow), "{met}");
    }
    for missed in [
        "transport=udp port=443",
        "transport=tcp port=80",
        "transport=tcp port=443 cidr=198.51.100.0/24",
        "src=192.0.2.0/24",
        "dst=10.0.0.0/8",
        "cidr=::/0",
    ] {
        assert!(!matches(missed, &flow), "{missed}");
    }
}

#[test]
fn who_began_is_the_source_at_both_ends() {
    let mut other = flow();
    other.tuple = other.tuple.turned();
    other.initiator = Initiator::Remote;
    for flow in [flow(), other] {
        assert!(matches("src=10.0.0.0/8 dst=192.0.2.7", &flow));
        assert!(!matches("dst=10.0.0.0/8", &flow));
    }
}

#[test]
fn ipv4_addresses_of_an_ipv6_socket_are_what_they_are() {
    let mut flow = flow();
    flow.tuple.remote = "::ffff:192.0.2.7".parse().unwrap();
    assert!(matches("cidr=192.0.2.0/24", &flow));
    assert!(matches("cidr=::ffff:192.0.2.0/120", &flow));
}

#[test]
fn what_stands_in_place_of_a_port_is_none() {
    let mut ping = flow();
    ping.tuple.transport = Transport::ICMP;
    assert!(!matches("transport=icmp port=443", &ping));
    assert!(matches("transport=icmp", &ping));
}

#[test]
fn owners_of_either_end_are_looked_at_and_an_unknown_one_meets_nothing() {
    let (web, db) = (container("shop", "web"), container("data", "db"));
    let matches = |text: &str, owners| rule(text).matches(&flow(), owners);
    for text in [
        "container=web",
        "container=db",
        "container=shop/p/w*",
        "namespace=data",
        "namespace=s*,none container=web",
    ] {
        assert!(matches(text, [Some(&web), Some(&db)]), "{text}");
        assert!(matches(text, [Some(&db), Some(&web)]), "{text}");
        assert!(!matches(text, [None, None]), "{text}");
    }
    assert!(!matches("container=db", [Some(&web), None]));
    assert!(!matches("namespace=sho", [Some(&web), None]));
    assert!(!matches(
        "container=web transport=udp",
        [Some(&web), Some(&db)]
    ));
}

#[test]
fn all_faults_of_a_rule_are_named() {
    let why = "port=80,x,99999 cidr=10.0.0.0/40 colour=red udp container="
        .parse::<Rule>()
        .unwrap_err();
    for part in [
        "`x` is no port",
        "`99999` is no port",
        "`10.0.0.0/40` is no address or network",
        "`colour` is no condition; there are cidr, src, dst, port",
        "`udp` is no condition such as port=53",
        "a name is missing",
    ] {
        assert!(why.contains(part), "{part}: {why}");
    }
    assert!(
        "transport=http"
            .parse::<Rule>()
            .unwrap_err()
            .contains("`http` is no transport")
    );
    assert!(" ".parse::<Rule>().unwrap_err().contains("a rule is empty"));
    let many = format!("port={}", vec!["1"; 65].join(","));
    assert!(
        many.parse::<Rule>()
            .unwrap_err()
            .contains("more than 64 values")
    );
}

proptest! {
    #[test]
    fn any_text_is_a_rule_or_refused(text in "([a-z]{2,9}=)?[\\PC ,=/-]{0,40}") {
        if let Ok(rule) = text.parse::<Rule>() {
            prop_assert_eq!(rule.to_string().parse(), Ok(rule));
        }
    }

    #[test]
    fn a_rule_reads_back_as_written(
        a in any::<std::net::Ipv4Addr>(), length in 0u8..=32, port: u16, transport: u8, name in "[a-z*/~]{1,9}"
    ) {
        let text = format!(
            "cidr={a}/{length} dst={a} port={port} transport={transport} namespace={name} container={name}"
        );
        let rule: Rule = text.parse().unwrap();
        prop_assert_eq!(rule.to_string().parse(), Ok(rule));
    }
}
