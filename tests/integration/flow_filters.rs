//! Flows that are left out of the log or not followed at all, of traffic of known size; and that nothing is lost from the sums.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use probe_user::flows::{Reader, Record};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;
use tests::{
    cgroup::Cgroup,
    exempt::Missing,
    lock::alone,
    nodeprobe::{Agent, free_port},
    scrape::Scrape,
    skip::{not_in_vm, skip, unless_available},
    wait::LONG,
    workload::Workload,
};

use crate::{faults::missing, traffic::has_probe};

const CONNECTIONS: usize = 40;
const PACKETS: u64 = 200;

/// An agent that writes a flow log, and two cgroups to make traffic between.
struct Rig {
    agent: Agent,
    server: Cgroup,
    client: Cgroup,
    workload: Workload,
    log: PathBuf,
    _folder: TempDir,
}

impl Rig {
    /// `None` after saying what this kernel or host lacks.
    fn start(more: &str) -> Result<Option<Self>> {
        let Some(server) = unless_available("cgroup", Cgroup::new("filtered-server")) else {
            return Ok(None);
        };
        let client = Cgroup::new("filtered-client")?;
        let folder = tempfile::tempdir()?;
        let log = folder.path().join("flows.ndjson");
        let agent = Agent::start(&config(&log, more))?;
        let scrape = agent.scrape()?;
        for probe in ["flows", "tcp"] {
            if !has_probe(&scrape, probe) {
                skip(
                    probe,
                    "the probe is not attached here; `nodeprobe doctor` says why",
                );
                return Ok(None);
            }
        }
        Ok(Some(Self {
            agent,
            server,
            client,
            workload: Workload::new()?,
            log,
            _folder: folder,
        }))
    }

    /// Connections and datagrams at these ports, and ends of all of these.
    fn traffic(&self, tcp: u16, udp: u16) -> Result<()> {
        let serving = self.workload.ready(
            &self.server,
            &format!("serve --port {tcp} --connections {CONNECTIONS} --answer 700"),
        )?;
        serving.task.go()?;
        self.workload.run(
            &self.client,
            &format!("connect --port {tcp} --connections {CONNECTIONS} --send 3000"),
        )?;
        let echo = self.workload.ready(
            &self.server,
            &format!("echo --port {udp} --packets {PACKETS}"),
        )?;
        echo.task.go()?;
        self.workload.run(
            &self.client,
            &format!("ask --port {udp} --packets {PACKETS} --bytes 100"),
        )?;
        // Held until here, so that their cgroup is not empty while it is asked for its names.
        serving.finish()?;
        echo.finish()?;
        Ok(())
    }

    /// Waits until the client made so many connections, by a metric that no filter changes.
    fn wait_for_connects(&self, count: usize) -> Result<Scrape> {
        let path = self.client.path();
        let connects =
            |scrape: &Scrape| scrape.sum("nodeprobe_tcp_connects_total", &[("container", &path)]);
        let scrape = self.agent.scrape_until(LONG, |scrape| {
            connects(scrape) + skipped(scrape) >= count as f64
        })?;
        let least = count as f64 - skipped(&scrape);
        let found = connects(&scrape);
        assert!(
            least <= found && found <= count as f64,
            "{found} of {count}"
        );
        Ok(scrape)
    }

    /// Ends the agent, and answers what it wrote.
    fn end(self) -> Result<Log> {
        let (status, _, said) = self.agent.terminate()?;
        assert!(status.success(), "{said}");
        let log = Log::read(&self.log)?;
        log.is_balanced(&said);
        Ok(log)
    }
}

/// Runs of the programs for connections that the kernel has skipped, because another one was at work on the same CPU.
fn skipped(scrape: &Scrape) -> f64 {
    let labels = [("stream", "tcp"), ("reason", "recursion")];
    scrape.sum("nodeprobe_records_lost_total", &labels)
}

fn config(log: &Path, more: &str) -> String {
    format!(
        "limits.naming_deadline = \"0s\"\n[flows]\nlog = \"{}\"\nsweep = \"1s\"\nperiod = \"1s\"\n{more}",
        log.display()
    )
}

/// Records of a log, as objects.
struct Log {
    flows: Vec<Value>,
    balances: Vec<Value>,
}

impl Log {
    /// A broken record is a failure.
    fn read(path: &Path) -> Result<Self> {
        let mut log = Self {
            flows: Vec::new(),
            balances: Vec::new(),
        };
        for record in Reader::open(path).with_context(|| format!("open {}", path.display()))? {
            match record.map_err(|fault| anyhow::anyhow!("{fault}"))? {
                Record::Flow(flow) => log.flows.push(serde_json::to_value(flow)?),
                Record::Balance(balance) => log.balances.push(serde_json::to_value(balance)?),
                _ => {}
            }
        }
        Ok(log)
    }

    /// The last sum of a unit.
    fn balance(&self, unit: &str) -> &Value {
        let mut balances = self.balances.iter().rev();
        let last = balances.find(|balance| balance["unit"] == unit);
        last.unwrap_or_else(|| panic!("no balance of {unit}: {:?}", self.balances))
    }

    /// All that was seen is somewhere, and what is in the records is what the sum says.
    fn is_balanced(&self, said: &str) {
        for balance in &self.balances {
            assert_eq!(balance["error"], 0, "{balance}\n{said}");
        }
        for unit in ["packets", "connections"] {
            let last = self.balance(unit);
            let number = |name: &str| last[name].as_u64().unwrap_or_default();
            let lost: u64 = last["lost"]
                .as_object()
                .into_iter()
                .flat_map(|lost| lost.values())
                .filter_map(Value::as_u64)
                .sum();
            assert_eq!(
                number("seen"),
                number("exported") + number("open") + number("filtered") + lost,
                "{last}"
            );
            assert_eq!(number("open"), 0, "{last}");
        }
        let packets: u64 = self
            .flows
            .iter()
            .filter(|flow| flow["transport"] != "tcp")
            .flat_map(|flow| [&flow["packets_fwd"], &flow["packets_rev"]])
            .filter_map(Value::as_u64)
            .sum();
        assert_eq!(self.balance("packets")["exported"], packets);
        let closed = self.flows.iter().filter(|flow| {
            flow["transport"] == "tcp"
                && flow["event"] == "end"
                && !["shutdown", "socket_closed"]
                    .contains(&flow["end_reason"].as_str().unwrap_or(""))
        });
        assert_eq!(self.balance("connections")["exported"], closed.count());
    }

    /// Ends of flows at a port of the responder, at both of their ends.
    fn ends(&self, port: u16) -> Vec<&Value> {
        let ends = self.flows.iter();
        ends.filter(|flow| flow["event"] == "end" && flow["dst_port"] == port)
            .collect()
    }

    fn packets(&self, port: u16) -> u64 {
        let flows = self.flows.iter().filter(|flow| flow["dst_port"] == port);
        flows
            .flat_map(|flow| [&flow["packets_fwd"], &flow["packets_rev"]])
            .filter_map(Value::as_u64)
            .sum()
    }
}

fn ports<const N: usize>() -> Result<[u16; N]> {
    let mut ports = [0; N];
    for at in 0..N {
        ports[at] = loop {
            let port = free_port()?.port();
            if !ports.contains(&port) {
                break port;
            }
        };
    }
    Ok(ports)
}

#[test]
fn a_rule_leaves_flows_out_of_the_log_and_metrics_have_them() -> Result<()> {
    let _alone = alone();
    let [tcp, udp, other_tcp, other_udp] = ports()?;
    let rules = format!(
        "include = [\"container=*filtered-client*\"]\nexclude = [\"port={tcp} cidr=127.0.0.0/8\", \"port={udp}\"]\n"
    );
    let Some(rig) = Rig::start(&rules)? else {
        return Ok(());
    };
    rig.traffic(tcp, udp)?;
    rig.traffic(other_tcp, other_udp)?;
    let skipped = skipped(&rig.wait_for_connects(2 * CONNECTIONS)?);
    if skipped > 0.0 && not_in_vm().is_err() {
        let why = "this kernel skips programs that are preempted, and says so: nothing is exact";
        skip("preemption", why);
        return Ok(());
    }
    let path = rig.client.path();
    let sent = |scrape: &Scrape| {
        let labels = [
            ("container", path.as_str()),
            ("transport", "tcp"),
            ("direction", "egress"),
        ];
        scrape.sum("nodeprobe_flow_bytes_total", &labels)
    };
    let all = (2 * CONNECTIONS * 3000) as f64;
    let scrape = rig.agent.scrape_until(LONG, |scrape| sent(scrape) >= all)?;
    assert_eq!(sent(&scrape), all, "metrics have what the log has not");
    let log = rig.end()?;
    assert_eq!(log.ends(tcp).len() + log.ends(udp).len(), 0);
    // The client's container is at both ends of its flows, so each has two records.
    assert_eq!(log.ends(other_tcp).len(), 2 * CONNECTIONS);
    assert_eq!(log.packets(other_udp), 4 * PACKETS);
    let none_of_others = log.flows.iter().all(|flow| {
        ["src_container", "dst_container"].iter().any(|side| {
            flow[side]
                .as_str()
                .is_some_and(|name| name.contains("filtered-client"))
        })
    });
    assert!(none_of_others);
    let filtered = |unit| log.balance(unit)["filtered"].as_u64().unwrap_or_default();
    assert!(filtered("packets") >= 4 * PACKETS);
    assert!(filtered("connections") >= 2 * CONNECTIONS as u64);
    Ok(())
}

#[test]
fn rules_of_the_log_are_exchanged_by_a_reload() -> Result<()> {
    let _alone = alone();
    let [tcp, udp, other_tcp, other_udp] = ports()?;
    let Some(rig) = Rig::start("exclude = [\"cidr=127.0.0.0/8\"]\n")? else {
        return Ok(());
    };
    rig.traffic(tcp, udp)?;
    let path = rig.client.path();
    let sent = |scrape: &Scrape| {
        let labels = [("container", path.as_str()), ("transport", "tcp")];
        scrape.sum("nodeprobe_flow_bytes_total", &labels)
    };
    // When metrics have them all, the log has decided on them.
    let all = (CONNECTIONS * 3700) as f64;
    rig.agent.scrape_until(LONG, |scrape| sent(scrape) >= all)?;
    let rules = format!("exclude = [\"port={other_udp}\"]\n");
    std::fs::write(rig.agent.config(), config(&rig.log, &rules))?;
    rig.agent.signal(Signal::HUP)?;
    rig.agent.wait_until_said("flows.exclude", 1)?;
    rig.traffic(other_tcp, other_udp)?;
    let skipped = skipped(&rig.wait_for_connects(2 * CONNECTIONS)?) as usize;
    let log = rig.end()?;
    assert_eq!(log.ends(tcp).len(), 0);
    let ends = log.ends(other_tcp).len();
    assert!(
        ends <= 2 * CONNECTIONS && ends + skipped >= 2 * CONNECTIONS,
        "{ends}, and {skipped} skipped"
    );
    assert_eq!(log.packets(other_udp), 0);
    Ok(())
}

#[test]
fn what_the_kernel_does_not_follow_is_counted_and_in_no_record_and_no_metric() -> Result<()> {
    let _alone = alone();
    let [tcp, udp, other_tcp, other_udp] = ports()?;
    let rules = format!(
        "ignore = [\"transport=tcp port={tcp} cidr=127.0.0.0/8\", \"transport=udp port={udp}\", \"cidr=192.0.2.0/24\"]\n"
    );
    let Some(rig) = Rig::start(&rules)? else {
        return Ok(());
    };
    rig.traffic(tcp, udp)?;
    rig.traffic(other_tcp, other_udp)?;
    // What connections come to is counted for all.
    rig.wait_for_connects(2 * CONNECTIONS)?;
    let path = rig.client.path();
    let of = |scrape: &Scrape, name: &str, more: (&str, &str)| {
        scrape.sum(name, &[("container", &path), more])
    };
    let bytes = |scrape: &Scrape| {
        of(
            scrape,
            "nodeprobe_flow_bytes_total",
            ("direction", "egress"),
        )
    };
    let all = (CONNECTIONS * 3000) as f64 + (PACKETS * 100) as f64;
    // Bytes of a connection are those of its end, which no program may have seen.
    let least = |scrape: &Scrape| {
        let Missing { skipped, unseen } = missing(scrape);
        all - ((skipped + unseen) * 3000) as f64
    };
    let scrape = rig
        .agent
        .scrape_until(LONG, |scrape| bytes(scrape) >= least(scrape))?;
    let excused = missing(&scrape).excuse(2 * CONNECTIONS as u64)?;
    assert!((least(&scrape)..=all).contains(&bytes(&scrape)));
    let connections = |count: f64| {
        let all = 2 * CONNECTIONS as u64;
        assert!(excused.matches(all, count as u64), "{count} of {all}");
    };
    let egress = ("direction", "egress");
    connections(of(&scrape, "nodeprobe_tcp_connections_total", egress));
    connections(scrape.sum(
        "nodeprobe_tcp_connect_duration_seconds_count",
        &[("container", &path)],
    ));
    let left_out = |unit| {
        let labels = [("unit", unit), ("reason", "rule")];
        scrape.sum("nodeprobe_flow_left_out_total", &labels)
    };
    assert_eq!(left_out("packets"), 4.0 * PACKETS as f64);
    connections(left_out("connections"));
    let log = rig.end()?;
    assert_eq!(log.ends(tcp).len() + log.ends(udp).len(), 0);
    connections(log.ends(other_tcp).len() as f64);
    assert_eq!(log.packets(other_udp), 4 * PACKETS);
    assert_eq!(log.balance("packets")["filtered"], 4 * PACKETS);
    let filtered = log.balance("connections")["filtered"].as_f64();
    connections(filtered.context("a balance of connections")?);
    Ok(())
}

#[test]
fn a_sample_has_both_ends_of_a_flow_or_none_and_says_what_it_is() -> Result<()> {
    const ROUNDS: usize = 4;
    let _alone = alone();
    let [tcp, udp] = ports()?;
    let Some(rig) = Rig::start("sampling = 4\n")? else {
        return Ok(());
    };
    for _ in 0..ROUNDS {
        rig.traffic(tcp, udp)?;
    }
    let scrape = rig.wait_for_connects(ROUNDS * CONNECTIONS)?;
    for family in ["nodeprobe_flow_bytes_total", "nodeprobe_flow_active"] {
        let ratio = scrape.sum("nodeprobe_sampling_ratio", &[("family", family)]);
        assert_eq!(ratio, 0.25, "{family}");
    }
    let log = rig.end()?;
    assert!(log.flows.iter().all(|flow| flow["sampling"] == 4));
    let ends = log.ends(tcp);
    // A quarter of 160 connections: their spread is 5.5, so this is six of them to both sides.
    assert!((14..=146).contains(&ends.len()), "{} records", ends.len());
    for end in &ends {
        let id = &end["community_id"];
        let both = ends.iter().filter(|other| other["community_id"] == *id);
        assert_eq!(both.count() % 2, 0, "{end}");
        // Counters are those of the flow, whatever the sample is.
        assert_eq!(end["bytes_fwd_total"], 3000, "{end}");
    }
    // Of datagrams there were only a few flows: each is there whole, at both ends, or not.
    assert_eq!(log.packets(udp) % (4 * PACKETS), 0);
    let connections = log.balance("connections");
    let left_out = connections["filtered"].as_u64().unwrap_or_default() as usize;
    assert!(
        left_out + ends.len() >= 2 * ROUNDS * CONNECTIONS,
        "{connections}"
    );
    Ok(())
}
