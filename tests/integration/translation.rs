//! Service addresses: a router translates them, and records have both sides.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};
use serde_json::Value;
use tests::{
    cgroup::Cgroup,
    lock::alone,
    network::Namespace,
    nodeprobe::{Agent, Tool, command},
    skip::{skip, unless_available},
    wait::{LONG, poll},
    workload::{Running, Workload},
};

const CLIENT: &str = "10.77.1.2";
const BACKEND: &str = "10.77.2.2";
const SERVICE: &str = "10.96.0.10";
const CLIENT6: &str = "fd77:1::2";
const BACKEND6: &str = "fd77:2::2";
/// Of a rule in the client's own network.
const MESH: &str = "10.96.0.99";
const SERVICE6: &str = "fd96::10";

/// What the router does: a service address becomes a backend, and who asks becomes the router.
fn rules() -> String {
    let chains = |family: &str, service: &str, backend: &str| {
        format!(
            "table {family} np {{
                chain before {{
                    type nat hook prerouting priority -100;
                    {family} daddr {service} tcp dport 80 dnat to {backend}:8080
                    {family} daddr {service} tcp dport 81 dnat to {backend}:8081
                    {family} daddr {service} udp dport 53 dnat to {backend}:5353
                }}
                chain after {{ type nat hook postrouting priority 100; masquerade
                }}
            }}\n"
        )
    };
    chains("ip", SERVICE, BACKEND) + &chains("ip6", SERVICE6, &format!("[{BACKEND6}]"))
}

/// A backend that does not answer at a port: the client's socket is all there is of a connection, as with a backend on another
/// host.
const SILENT: &str = "table ip np {
    chain in { type filter hook input priority 0; tcp dport 8081 drop
    }
}\n";

/// A client, a router that stands for the host, and a backend, each with its network; client and backend in cgroups.
struct Rig {
    workload: Workload,
    client: (Namespace, Cgroup),
    router: Namespace,
    backend: (Namespace, Cgroup),
}

impl Rig {
    fn new() -> Result<Self> {
        let client = Cgroup::new("asking")?;
        let backend = Cgroup::new("behind")?;
        let workload = Workload::new()?;
        let rig = Self {
            client: (Namespace::new(&workload)?, client),
            router: Namespace::new(&workload)?,
            backend: (Namespace::new(&workload)?, backend),
            workload,
        };
        for (end, near, far) in [
            (&rig.client.0, "10.77.1.1", CLIENT),
            (&rig.backend.0, "10.77.2.1", BACKEND),
        ] {
            rig.router
                .join(end, &format!("{near}/24"), &format!("{far}/24"))?;
            end.route_by(near)?;
        }
        rig.backend.0.rules(SILENT)?;
        rig.router.forward()?;
        rig.router.rules(&rules())?;
        Ok(rig)
    }

    /// Starts a workload at the backend that is ready to answer.
    fn answering(&self, args: &str) -> Result<Running> {
        let (namespace, cgroup) = &self.backend;
        let command = namespace.workload(&self.workload, cgroup)?;
        let running = self.workload.ready_as(command, args)?;
        running.task.go()?;
        Ok(running)
    }

    fn asking(&self) -> Result<Command> {
        let (namespace, cgroup) = &self.client;
        namespace.workload(&self.workload, cgroup)
    }

    /// Runs a workload at the client to its end.
    fn ask(&self, args: &str) -> Result<Value> {
        self.workload.start_as(self.asking()?, args)?.result()
    }

    /// Tries to connect to a backend that does not answer, and returns while it tries.
    fn trying(&self, address: &str, port: u16) -> Result<Running> {
        let args = format!("connect --connections 1 --host {address} --port {port}");
        let running = self.workload.start_as(self.asking()?, &args)?;
        let sockets = format!("/proc/{}/net/tcp", self.client.0.pid());
        // SYN_SENT of include/net/tcp_states.h.
        poll(LONG, "an attempt to connect", || {
            let sockets = fs::read_to_string(&sockets).ok()?;
            let mut states = sockets.lines().map(|line| line.split_whitespace().nth(3));
            states.any(|state| state == Some("02")).then_some(())
        })?;
        Ok(running)
    }

    /// Follows flows from the router, as a host would.
    fn follow(&self) -> Result<Option<Tool>> {
        let (code, said, _) = tests::nodeprobe::run("doctor -o json", command())?;
        let doctor: Value = serde_json::from_str(&said)
            .with_context(|| format!("doctor ended with {code} and said `{said}`"))?;
        for probe in ["flows", "tcp"] {
            let checks = doctor["checks"].as_array().context("doctor has checks")?;
            let check = checks
                .iter()
                .find(|check| check["area"] == "probes" && check["name"] == probe);
            if check.is_none_or(|check| check["state"] == "missing") {
                skip(
                    probe,
                    "the probe does not work here; `nodeprobe doctor` says why",
                );
                return Ok(None);
            }
        }
        let command = self.router.inside(command())?;
        Tool::attach_as("flows -o ndjson", command).map(Some)
    }
}

/// Records of flows, as they were printed.
fn records(text: &str) -> Result<Vec<Value>> {
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| format!("read `{line}`")))
        .filter(|record| {
            record
                .as_ref()
                .map_or(true, |it: &Value| it["type"] == "flow")
        })
        .collect()
}

/// The last record of a flow with these fields.
fn last<'a>(records: &'a [Value], fields: &[(&str, Value)]) -> Result<&'a Value> {
    records
        .iter()
        .rfind(|record| fields.iter().all(|(name, value)| record[*name] == *value))
        .with_context(|| format!("no record has {fields:?} in {records:#?}"))
}

/// Of records of the client about what it asked for.
fn from(rig: &Rig, service: &str) -> [(&'static str, Value); 3] {
    [
        ("src_container", rig.client.1.path().into()),
        ("direction", "egress".into()),
        ("dst_ip", service.into()),
    ]
}

fn assert_fields(record: &Value, fields: &[(&str, Value)]) {
    for (name, value) in fields {
        assert_eq!(record[*name], *value, "{name} of {record:#}");
    }
}

fn datagrams_have_both_sides(client: &str, service: &str, backend: &str) -> Result<()> {
    let _alone = alone();
    let Some(rig) = unless_available("translation", Rig::new()) else {
        return Ok(());
    };
    if service == SERVICE6 {
        let router = &rig.router;
        for (end, near, far) in [
            (&rig.client.0, "fd77:1::1", CLIENT6),
            (&rig.backend.0, "fd77:2::1", BACKEND6),
        ] {
            router.address(end, &format!("{near}/64"), &format!("{far}/64"))?;
            end.route_by(near)?;
        }
    }
    let Some(tool) = rig.follow()? else {
        return Ok(());
    };
    let echo = rig.answering(&format!("echo --port 5353 --packets 20 --host {backend}"))?;
    rig.ask(&format!("ask --port 53 --packets 20 --host {service}"))?;
    let records = records(&tool.end()?)?;
    drop(echo);
    let asked = [
        ("src_container", Value::from(rig.client.1.path())),
        ("dst_ip", service.into()),
        ("dst_port", 53.into()),
        ("packets_fwd_total", 20.into()),
    ];
    let (backend_path, client_path) = (rig.backend.1.path(), rig.client.1.path());
    assert_fields(
        last(&records, &asked)?,
        &[
            ("src_ip", client.into()),
            ("nat_dst_ip", backend.into()),
            ("nat_dst_port", 5353.into()),
            // Both ends are on this host, and meet by the translation.
            ("dst_container", backend_path.clone().into()),
            ("dst_confidence", "likely".into()),
        ],
    );
    let answered = [
        ("dst_container", Value::from(backend_path)),
        ("dst_ip", backend.into()),
        ("dst_port", 5353.into()),
        ("packets_rev_total", 20.into()),
    ];
    assert_fields(
        last(&records, &answered)?,
        &[
            ("nat_src_ip", client.into()),
            ("nat_dst_ip", service.into()),
            ("nat_dst_port", 53.into()),
            ("src_container", client_path.into()),
        ],
    );
    let ids = |record: &Value| {
        (
            record["community_id"].clone(),
            record["nat_community_id"].clone(),
        )
    };
    let (asking, answering) = (
        ids(last(&records, &asked)?),
        ids(last(&records, &answered)?),
    );
    assert_eq!(asking.0, answering.1, "each has the other's id");
    assert_eq!(asking.1, answering.0, "each has the other's id");
    Ok(())
}

#[test]
fn datagrams_to_a_service_have_the_backend_and_the_client() -> Result<()> {
    datagrams_have_both_sides(CLIENT, SERVICE, BACKEND)
}

#[test]
fn datagrams_to_a_service_over_ipv6_do_too() -> Result<()> {
    datagrams_have_both_sides(CLIENT6, SERVICE6, BACKEND6)
}

#[test]
fn a_connection_to_a_backend_that_no_socket_shows_has_its_address() -> Result<()> {
    let _alone = alone();
    let Some(rig) = unless_available("translation", Rig::new()) else {
        return Ok(());
    };
    let Some(tool) = rig.follow()? else {
        return Ok(());
    };
    drop(rig.trying(SERVICE, 81)?);
    let records = records(&tool.end()?)?;
    assert_fields(
        last(&records, &from(&rig, SERVICE))?,
        &[
            ("tcp_state", "syn_sent".into()),
            ("dst_port", 81.into()),
            ("nat_src_ip", "10.77.2.1".into()),
            ("nat_dst_ip", BACKEND.into()),
            ("nat_dst_port", 8081.into()),
            ("dst_attribution", "none".into()),
        ],
    );
    Ok(())
}

/// Nobody saw the sequence numbers with which it began.
#[test]
fn a_connection_that_was_there_before_has_both_sides_too() -> Result<()> {
    let _alone = alone();
    let Some(rig) = unless_available("translation", Rig::new()) else {
        return Ok(());
    };
    let serving = rig.answering(&format!(
        "serve --port 8080 --connections 1 --answer 500 --host {BACKEND}"
    ))?;
    let client = rig.workload.ready_as(
        rig.asking()?,
        &format!("connect --port 80 --connections 1 --send 700 --open --host {SERVICE}"),
    )?;
    let Some(tool) = rig.follow()? else {
        return Ok(());
    };
    client.work()?;
    let records = records(&tool.end()?)?;
    drop((client, serving));
    assert_fields(
        last(&records, &from(&rig, SERVICE))?,
        &[
            ("taken_over", true.into()),
            ("src_ip", CLIENT.into()),
            ("dst_ip", SERVICE.into()),
            ("nat_dst_ip", BACKEND.into()),
            ("nat_dst_port", 8080.into()),
            ("dst_container", rig.backend.1.path().into()),
        ],
    );
    Ok(())
}

/// By sequence numbers, without a question.
#[test]
fn a_connection_whose_ends_are_both_seen_needs_no_question() -> Result<()> {
    let _alone = alone();
    let Some(rig) = unless_available("translation", Rig::new()) else {
        return Ok(());
    };
    let Some(tool) = rig.follow()? else {
        return Ok(());
    };
    let serving = rig.answering(&format!(
        "serve --port 8080 --connections 1 --answer 500 --host {BACKEND}"
    ))?;
    rig.ask(&format!(
        "connect --port 80 --connections 1 --send 700 --host {SERVICE}"
    ))?;
    let records = records(&tool.end()?)?;
    drop(serving);
    assert_fields(
        last(&records, &from(&rig, SERVICE))?,
        &[
            ("nat_dst_ip", BACKEND.into()),
            ("nat_dst_port", 8080.into()),
            ("dst_container", rig.backend.1.path().into()),
            ("dst_confidence", "exact".into()),
        ],
    );
    Ok(())
}

/// Rules in the client's own network, as those of a service mesh or of Docker's name server, which only `all` asks for.
#[test]
fn an_agent_asks_in_the_sockets_network_and_keeps_no_more_than_it_needs() -> Result<()> {
    let _alone = alone();
    let Some(rig) = unless_available("translation", Rig::new()) else {
        return Ok(());
    };
    let redirected = unless_available(
        "translation",
        rig.client.0.rules(&format!(
            "table ip mesh {{ chain out {{ type nat hook output priority -100;
                ip daddr {MESH} tcp dport 80 dnat to {BACKEND}:8081
            }}
            }}"
        )),
    );
    if redirected.is_none() {
        return Ok(());
    }
    let folder = tempfile::tempdir()?;
    let log = folder.path().join("flows.ndjson");
    let agent = Agent::start(&format!(
        "flows.log = \"{}\"\nflows.sweep = \"1s\"\nflows.translation = \"all\"\nlimits.naming_deadline = \"0s\"\n",
        log.display()
    ))?;
    assert_eq!(
        capabilities(agent.pid(), "translation")?,
        1 << 12 | 1 << 19 | 1 << 21,
        "CAP_NET_ADMIN, CAP_SYS_PTRACE, CAP_SYS_ADMIN"
    );
    for thread in ["flows", "lifecycle"] {
        let held = capabilities(agent.pid(), thread)?;
        assert_eq!(held & !(1 << 39), 0, "{thread} has at most CAP_BPF");
    }
    drop(rig.trying(MESH, 80)?);
    agent.scrape_until(LONG, |scrape| {
        let labels = [("result", "translated")];
        scrape.sum("nodeprobe_flow_translations_total", &labels) >= 1.0
    })?;
    let (status, _, said) = agent.terminate()?;
    assert!(status.success(), "{said}");
    let records = records(&fs::read_to_string(&log)?)?;
    assert_fields(
        last(&records, &from(&rig, MESH))?,
        &[
            ("nat_dst_ip", BACKEND.into()),
            ("nat_dst_port", 8081.into()),
        ],
    );
    Ok(())
}

/// What a thread may do.
fn capabilities(pid: i32, thread: &str) -> Result<u64> {
    let tasks = format!("/proc/{pid}/task");
    let find = || {
        let name = |task: &Path| fs::read_to_string(task.join("comm")).unwrap_or_default();
        let tasks = fs::read_dir(&tasks).ok()?.flatten().map(|task| task.path());
        tasks.into_iter().find(|task| name(task).trim() == thread)
    };
    let task = poll(LONG, &format!("the thread {thread}"), find)?;
    let status = fs::read_to_string(task.join("status"))?;
    let held = status
        .lines()
        .find_map(|line| line.strip_prefix("CapPrm:"))
        .context("a thread has capabilities")?;
    Ok(u64::from_str_radix(held.trim(), 16)?)
}
