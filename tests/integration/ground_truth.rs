//! Containers on a bridge that exchange known amounts: the flow log, the metrics and `tcpdump` agree to the last packet.

use std::{collections::HashSet, net::IpAddr, thread};

use anyhow::{Context as _, Result};
use probe_user::flows::FlowRecord;
use tests::{
    capture::Capture,
    flowlog::{FlowLog, Sums, sums},
    lock::alone,
    netns::Netns,
    nodeprobe::Agent,
    runtime::{Container, docker::Docker},
    scrape::Scrape,
    skip::unless_available,
    wait::LONG,
};

const PORT: u16 = 7000;

/// What a visitor exchanges with each address of a site.
struct Visit {
    connections: u64,
    send: u64,
    answer: u64,
    bulk: u64,
    packets: u64,
    bytes: u64,
    pings: u64,
}

impl Visit {
    fn site(&self) -> String {
        format!("site --port {PORT} --answer {}", self.answer)
    }

    fn visitor(&self, to: &[IpAddr]) -> String {
        let to: Vec<_> = to.iter().map(IpAddr::to_string).collect();
        format!(
            "visit --port {PORT} --to {} --connections {} --send {} --bulk {} --packets {} --bytes {} --pings {}",
            to.join(","),
            self.connections,
            self.send,
            self.bulk,
            self.packets,
            self.bytes,
            self.pings,
        )
    }

    /// Payload and number of connections with so many addresses. The number of segments is the kernel's choice.
    fn tcp(&self, addresses: u64) -> Sums {
        Sums {
            flows: addresses * (self.connections + 1),
            bytes_fwd: addresses * (self.connections * self.send + self.bulk),
            bytes_rev: addresses * (self.connections + 1) * self.answer,
            ..Sums::default()
        }
    }

    /// Each address is asked by a socket of its own.
    fn udp(&self, addresses: u64) -> Sums {
        let (packets, bytes) = (
            addresses * self.packets,
            addresses * self.packets * self.bytes,
        );
        Sums {
            flows: addresses,
            bytes_fwd: bytes,
            bytes_rev: bytes,
            packets_fwd: packets,
            packets_rev: packets,
        }
    }

    /// What follows the header of the network counts: 56 bytes of each echo request.
    fn icmp(&self, addresses: u64) -> Sums {
        let (packets, bytes) = (addresses * self.pings, addresses * self.pings * 56);
        Sums {
            flows: addresses,
            bytes_fwd: bytes,
            bytes_rev: bytes,
            packets_fwd: packets,
            packets_rev: packets,
        }
    }
}

/// Pairs of a site and its visitor, in containers of Docker.
struct Town {
    docker: Docker,
    sites: Vec<Container>,
    visitors: Vec<Container>,
    addresses: Vec<[IpAddr; 2]>,
}

impl Town {
    /// As many sites as visitors, each of which visits that many sites, beginning with its own.
    fn build(docker: Docker, pairs: usize, visits: usize, visit: &Visit) -> Result<Self> {
        let sites = start(&docker, "site", (0..pairs).map(|_| visit.site()))?;
        let addresses: Vec<_> = sites
            .iter()
            .map(|site| docker.addresses(&site.name))
            .collect::<Result<_>>()?;
        let tours = (0..pairs).map(|first| {
            let to = (0..visits).flat_map(|next| addresses[(first + next) % pairs]);
            visit.visitor(&to.collect::<Vec<_>>())
        });
        let visitors = start(&docker, "visitor", tours)?;
        Ok(Self {
            docker,
            sites,
            visitors,
            addresses,
        })
    }

    /// Has all visits made, and the sites end when these are over.
    fn live(&self) -> Result<()> {
        self.sites.iter().try_for_each(|site| site.task.go())?;
        self.visitors.iter().try_for_each(|it| it.task.go())?;
        self.visitors
            .iter()
            .try_for_each(|it| it.task.wait_done())?;
        self.sites.iter().try_for_each(|site| site.task.go())?;
        self.sites.iter().try_for_each(|site| site.task.wait_done())
    }
}

/// Starts containers, two at a time: a runtime is busy with the start of one for a while.
fn start(
    docker: &Docker,
    name: &str,
    args: impl Iterator<Item = String>,
) -> Result<Vec<Container>> {
    let args: Vec<_> = args.enumerate().collect();
    let half = |of: &[(usize, String)]| -> Result<Vec<Container>> {
        of.iter()
            .map(|(number, args)| docker.start_workload(&format!("{name}-{number}"), args))
            .collect()
    };
    let (first, second) = args.split_at(args.len() / 2);
    thread::scope(|scope| {
        let other = scope.spawn(|| half(second));
        let mut containers = half(first)?;
        containers.extend(other.join().expect("the thread does not panic")?);
        Ok(containers)
    })
}

/// The records of one transport.
fn of<'a>(
    log: &'a FlowLog,
    container: &'a str,
    transports: &'static [&'static str],
) -> impl Iterator<Item = &'a FlowRecord<'static>> {
    log.of(container)
        .filter(|flow| transports.contains(&&*flow.transport))
}

/// Sums without the packets of connections, which only the kernel knows.
fn payload(sums: Sums) -> Sums {
    Sums {
        packets_fwd: 0,
        packets_rev: 0,
        ..sums
    }
}

/// Checks the records of both sides of all visits.
fn check_log(log: &FlowLog, town: &Town, visit: &Visit, addresses: u64) -> Result<()> {
    for (container, direction) in (town.visitors.iter().map(|it| (it, "egress")))
        .chain(town.sites.iter().map(|it| (it, "ingress")))
    {
        let name = &container.name;
        assert_eq!(
            payload(sums(of(log, name, &["tcp"]))),
            visit.tcp(addresses),
            "{name}"
        );
        assert_eq!(
            sums(of(log, name, &["udp"])),
            visit.udp(addresses),
            "{name}"
        );
        for flow in of(log, name, &["tcp", "udp"]) {
            assert_eq!(flow.direction, direction, "{flow:?}");
            let (from, to) = (&flow.src_container, &flow.dst_container);
            assert!(
                from.as_ref().is_some_and(|it| it.starts_with("visitor-")),
                "{flow:?}"
            );
            assert!(
                to.as_ref().is_some_and(|it| it.starts_with("site-")),
                "{flow:?}"
            );
            assert_eq!(flow.dst_port, Some(PORT), "{flow:?}");
        }
        for flow in of(log, name, &["tcp"]).filter(|flow| flow.event == "end") {
            assert_eq!(flow.end_reason.as_deref(), Some("fin"), "{flow:?}");
            assert!(!flow.initiator_guessed && !flow.taken_over, "{flow:?}");
        }
    }
    for visitor in &town.visitors {
        // The container's kernel asks for neighbours as well.
        let icmp = of(log, &visitor.name, &["icmp", "icmpv6"])
            .filter(|flow| matches!(flow.icmp_type, Some(8 | 128)));
        assert_eq!(sums(icmp), visit.icmp(addresses), "{}", visitor.name);
    }
    // Both records of a flow have the same id, and no two flows share one.
    let ids = |containers: &[Container], transport: &'static [&'static str]| -> HashSet<_> {
        let each = containers.iter();
        each.flat_map(|it| of(log, &it.name, transport))
            .map(|flow| flow.community_id.clone())
            .collect()
    };
    let both: [(&'static [&'static str], Sums); 2] = [
        (&["tcp"], visit.tcp(addresses)),
        (&["udp"], visit.udp(addresses)),
    ];
    for (transport, flows) in both {
        let (visitors, sites) = (ids(&town.visitors, transport), ids(&town.sites, transport));
        assert_eq!(visitors, sites, "{transport:?}");
        let all = flows.flows * town.visitors.len() as u64;
        // Ports are used again, so a few connections may share theirs with an earlier one.
        assert!(
            visitors.len() as u64 <= all && visitors.len() as u64 > all * 9 / 10,
            "{transport:?}"
        );
    }
    log.is_whole()
}

/// What the metrics say of a container: payload and packets that it sent and received, by transport.
fn counted(scrape: &Scrape, container: &str, transport: &str) -> Sums {
    let sum = |what: &str, direction: &str| {
        let labels = [
            ("container", container),
            ("transport", transport),
            ("direction", direction),
        ];
        scrape.sum(&format!("nodeprobe_flow_{what}_total"), &labels) as u64
    };
    Sums {
        flows: 0,
        bytes_fwd: sum("bytes", "egress"),
        bytes_rev: sum("bytes", "ingress"),
        packets_fwd: sum("packets", "egress"),
        packets_rev: sum("packets", "ingress"),
    }
}

/// Checks that the metrics of all containers have each flow once at each end.
fn check_metrics(agent: &Agent, town: &Town, visit: &Visit, addresses: u64) -> Result<()> {
    let wrong = |scrape: &Scrape| {
        let tcp = visit.tcp(addresses);
        let mut wrong = Vec::new();
        for (container, visits) in town
            .visitors
            .iter()
            .map(|it| (it, true))
            .chain(town.sites.iter().map(|it| (it, false)))
        {
            let name = &container.name;
            let turned = |sums: Sums| Sums {
                flows: 0,
                bytes_fwd: if visits {
                    sums.bytes_fwd
                } else {
                    sums.bytes_rev
                },
                bytes_rev: if visits {
                    sums.bytes_rev
                } else {
                    sums.bytes_fwd
                },
                ..sums
            };
            let is = payload(counted(scrape, name, "tcp"));
            if is != turned(tcp) {
                wrong.push(format!("{name} tcp: {is:?}"));
            }
            let is = counted(scrape, name, "udp");
            if is != turned(visit.udp(addresses)) {
                wrong.push(format!("{name} udp: {is:?}"));
            }
            let direction = if visits { "egress" } else { "ingress" };
            let labels = [("container", name.as_str()), ("direction", direction)];
            let is = scrape.sum("nodeprobe_tcp_connections_total", &labels) as u64;
            if is != tcp.flows {
                wrong.push(format!("{name} connections: {is}"));
            }
        }
        let lost = scrape.sum("nodeprobe_records_lost_total", &[]);
        if lost != 0.0 {
            wrong.push(format!("{lost} lost"));
        }
        wrong
    };
    let scrape = agent.scrape_until(LONG, |scrape| wrong(scrape).is_empty())?;
    assert_eq!(wrong(&scrape), Vec::<String>::new());
    Ok(())
}

/// Counts at the interface of a container: connections begun, datagrams, and echo requests with their answers.
fn captures(container: &Container) -> Result<[Capture; 3]> {
    let netns = Netns::of(container.task.pid())?;
    let start = |filter: &str| Capture::start(&netns, "eth0", filter);
    Ok([
        // Flags SYN without ACK.
        start("(ip and tcp[13] & 0x12 == 2) or (ip6 and ip6[6] == 6 and ip6[53] & 0x12 == 2)")?,
        start("udp port 7000")?,
        start(
            "(icmp and (icmp[0] == 8 or icmp[0] == 0)) or (icmp6 and (ip6[40] == 128 or ip6[40] == 129))",
        )?,
    ])
}

/// Has pairs of containers visit one another and compares everything.
fn everything_agrees(pairs: usize, visits: usize, visit: &Visit) -> Result<()> {
    let _alone = alone();
    let Some(docker) = unless_available("docker", Docker::start_with_bridge()) else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("flows.ndjson");
    let agent = Agent::start(&format!(
        "flows.log = {path:?}\nflows.log_size = \"1GiB\"\nflows.sweep = \"1s\"\nflows.period = \"2s\"\nruntimes.docker = [{:?}]\n",
        docker.socket()
    ))?;
    let town = Town::build(docker, pairs, visits, visit)?;
    let addresses = 2 * visits as u64;
    let watched = [&town.sites[0], &town.visitors[pairs - 1]];
    let Some(captures) = unless_available(
        "tcpdump",
        watched
            .iter()
            .map(|it| captures(it))
            .collect::<Result<Vec<_>>>(),
    ) else {
        return Ok(());
    };
    town.live()?;
    for captures in captures {
        let counts = captures
            .into_iter()
            .map(Capture::finish)
            .collect::<Result<Vec<_>>>()?;
        let (udp, icmp) = (visit.udp(addresses), visit.icmp(addresses));
        assert_eq!(
            counts,
            [
                visit.tcp(addresses).flows,
                udp.packets_fwd + udp.packets_rev,
                icmp.packets_fwd + icmp.packets_rev
            ],
            "connections, datagrams and echoes at an interface"
        );
    }
    for (site, addresses_of) in town.sites.iter().zip(&town.addresses) {
        let said = town.docker.result(&site.name)?;
        let tcp = visit.tcp(addresses);
        assert_eq!(said["connections"], tcp.flows, "{addresses_of:?}: {said}");
        assert_eq!(said["received"], tcp.bytes_fwd, "{addresses_of:?}: {said}");
    }
    check_metrics(&agent, &town, visit, addresses)?;
    let (status, _, said) = agent.terminate()?;
    assert!(status.success(), "{said}");
    let log = FlowLog::read(&path)?;
    check_log(&log, &town, visit, addresses).with_context(|| said)
}

#[test]
fn two_containers_agree_with_tcpdump_to_the_last_packet() -> Result<()> {
    everything_agrees(
        1,
        1,
        &Visit {
            connections: 5000,
            send: 700,
            answer: 300,
            bulk: 1 << 30,
            packets: 250_000,
            bytes: 100,
            pings: 500,
        },
    )
}

#[test]
fn twenty_containers_agree_with_tcpdump_to_the_last_packet() -> Result<()> {
    everything_agrees(
        10,
        2,
        &Visit {
            connections: 249,
            send: 3000,
            answer: 5000,
            bulk: 32 << 20,
            packets: 4000,
            bytes: 1400,
            pings: 50,
        },
    )
}

/// Containers with the network of their host have their own sockets all the same.
#[test]
fn containers_with_the_network_of_the_host_are_told_apart() -> Result<()> {
    const CONNECTIONS: u64 = 50;
    const SENT: u64 = 900;
    let _alone = alone();
    let Some(docker) = unless_available("docker", Docker::start_on_host_network()) else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let path = folder.path().join("flows.ndjson");
    let agent = Agent::start(&format!(
        "flows.log = {path:?}\nflows.sweep = \"1s\"\nruntimes.docker = [{:?}]\n",
        docker.socket()
    ))?;
    let site = docker.start_workload("server", &format!("site --port {PORT} --answer 0"))?;
    let visit =
        format!("visit --port {PORT} --to 127.0.0.1 --connections {CONNECTIONS} --send {SENT}");
    let visitors = ["first", "second"]
        .iter()
        .map(|name| docker.start_workload(name, &visit))
        .collect::<Result<Vec<_>>>()?;
    let netns = |it: &Container| std::fs::read_link(format!("/proc/{}/ns/net", it.task.pid()));
    assert_eq!(netns(&visitors[0])?, netns(&site)?);
    site.task.go()?;
    visitors.iter().try_for_each(|it| it.task.go())?;
    visitors.iter().try_for_each(|it| it.task.wait_done())?;
    let ended = |scrape: &Scrape| {
        let labels = [("container", "server"), ("direction", "ingress")];
        scrape.sum("nodeprobe_tcp_connections_total", &labels) as u64 == 2 * CONNECTIONS
    };
    assert!(ended(&agent.scrape_until(LONG, ended)?));
    let (status, _, said) = agent.terminate()?;
    anyhow::ensure!(status.success(), "{said}");
    let log = FlowLog::read(&path)?;
    for (name, flows) in [("first", 1), ("second", 1), ("server", 2)] {
        let sums = sums(of(&log, name, &["tcp"]));
        let expected = (flows * CONNECTIONS, flows * CONNECTIONS * SENT);
        assert_eq!((sums.flows, sums.bytes_fwd), expected, "{name}");
    }
    for flow in of(&log, "server", &["tcp"]) {
        let from = flow.src_container.as_deref();
        assert!(matches!(from, Some("first" | "second")), "{flow:?}");
    }
    log.is_whole()
}
