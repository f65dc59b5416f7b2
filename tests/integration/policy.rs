//! Containers whose connections policies allow and deny, with a filter that does what the policies say, and with one that does not.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::Path,
};

use anyhow::{Context as _, Result};
use probe_user::metrics::families;
use serde_json::Value;
use tests::{
    cgroup::Cgroup,
    lock::alone,
    netns::Netns,
    network::Namespace,
    nodeprobe::{Agent, Tool},
    runtime::{Container, docker::Docker},
    scrape::{Sample, Scrape},
    skip::{skip, unless_available},
    wait::LONG,
    workload::Workload,
};

/// Where the database is, and anybody may connect as far as the network is concerned.
const OPEN: u16 = 7000;
/// What policies allow and a filter drops.
const DROPPED: u16 = 7001;
/// What policies allow and nobody serves.
const UNSERVED: u16 = 7002;
/// Connections of whom policies allow them.
const MANY: u64 = 10_000;
/// Attempts of everybody else.
const FEW: u64 = 3;

/// Who connects, and what is expected of it.
struct Client {
    /// Label `app` of its pod.
    app: &'static str,
    name: &'static str,
    /// How the workload connects to the database.
    connects: String,
    connections: u64,
    verdict: &'static str,
    outcome: &'static str,
    assessment: &'static str,
}

impl Client {
    fn all(database: &str) -> [Self; 5] {
        let visit = |connections| {
            format!("visit --port {OPEN} --to {database} --connections {connections} --send 10")
        };
        let attempts =
            |port| format!("attempts --host {database} --port {port} --connections {FEW}");
        let client = |app, name, connects, connections, verdict, outcome, assessment| Self {
            app,
            name,
            connects,
            connections,
            verdict,
            outcome,
            assessment,
        };
        let (yes, no) = ("allowed", "would_deny");
        [
            client(
                "web",
                "web",
                visit(MANY),
                MANY,
                yes,
                "delivered",
                "consistent",
            ),
            client(
                "web",
                "broken",
                attempts(DROPPED),
                FEW,
                yes,
                "dropped",
                "breakage",
            ),
            client(
                "web",
                "refused",
                attempts(UNSERVED),
                FEW,
                yes,
                "no_reply",
                "indeterminate",
            ),
            client(
                "other",
                "blocked",
                attempts(OPEN),
                FEW,
                no,
                "dropped",
                "consistent",
            ),
            client("other", "intruder", visit(FEW), FEW, no, "delivered", "gap"),
        ]
    }
}

fn manifest(name: &str, app: &str) -> String {
    format!(
        "{{apiVersion: v1, kind: Pod, metadata: {{name: {name}, namespace: shop, labels: {{app: {app}}}}}}}\n---\n"
    )
}

const POLICY: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: db-in, namespace: shop}
spec:
  podSelector: {matchLabels: {app: db}}
  policyTypes: [Ingress]
  ingress:
  - from: [{podSelector: {matchLabels: {app: web}}}]
    ports: [{port: 7000, endPort: 7002}]
";

/// The same, and nobody may connect.
fn closed() -> String {
    POLICY[..POLICY.find("  ingress:").unwrap_or_default()].to_owned()
}

/// Nothing of `web` may go out, once this is in force.
const PENDING: &str = "
apiVersion: networking.k8s.io/v1
kind: NetworkPolicy
metadata: {name: web-out, namespace: shop, annotations: {nodeprobe.io/pending: 'true'}}
spec: {podSelector: {matchLabels: {app: web}}, policyTypes: [Egress]}
";

/// What the audit events of a log say of each client: how often which verdict, outcome and assessment.
type Said = BTreeMap<(String, String), BTreeMap<[String; 3], u64>>;

fn events(path: &Path) -> Result<Vec<Value>> {
    let text = fs::read_to_string(path).context("read the event log")?;
    text.lines()
        .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
        .filter(|event: &Result<Value>| event.as_ref().map_or(true, |it| it["type"] == "audit"))
        .collect()
}

fn said(events: &[Value]) -> Said {
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    let mut said = Said::new();
    for event in events.iter().filter(|event| event["transport"] == "tcp") {
        let who = (text(&event["src_container"]), text(&event["reporter"]));
        let what = [
            text(&event["policy_combined"]["verdict"]),
            text(&event["policy_outcome"]),
            text(&event["policy_assessment"]),
        ];
        *said.entry(who).or_default().entry(what).or_default() += 1;
    }
    said
}

/// What should be said. Only what is delivered has a socket at the other end.
fn expected(clients: &[Client]) -> Said {
    let mut said = Said::new();
    for client in clients {
        let what = [client.verdict, client.outcome, client.assessment].map(str::to_owned);
        let reporters: &[&str] = if client.outcome == "delivered" {
            &["src", "dst"]
        } else {
            &["src"]
        };
        for reporter in reporters {
            let who = (client.name.to_owned(), (*reporter).to_owned());
            let of = BTreeMap::from([(what.clone(), client.connections)]);
            said.insert(who, of);
        }
    }
    said
}

/// Drops at the database what the policies do not allow, but for the intruder, and a port that they do allow.
fn enforce(database: &Container, blocked: &str) -> Result<()> {
    let netns = Netns::of(database.task.pid())?;
    let nft = |args: &str| netns.run("nft", "nftables", args);
    nft("add table inet np")?;
    nft("add chain inet np in { type filter hook input priority 0 ; }")?;
    nft(&format!("add rule inet np in ip saddr {blocked} drop"))?;
    nft(&format!("add rule inet np in tcp dport {DROPPED} drop")).map(drop)
}

fn count(scrape: &Scrape, family: &str, labels: &[(&str, &str)]) -> u64 {
    scrape.sum(&format!("nodeprobe_policy_{family}_total"), labels) as u64
}

#[test]
fn every_connection_is_judged_and_only_what_is_not_enforced_is_a_gap() -> Result<()> {
    let _alone = alone();
    let Some(docker) = unless_available("docker", Docker::start_with_bridge()) else {
        return Ok(());
    };
    let site = docker.start_workload("db", &format!("site --port {OPEN} --answer 10"))?;
    let [database, _] = docker.addresses(&site.name)?;
    let clients = Client::all(&database.to_string());
    let folder = tempfile::tempdir()?;
    let (manifests, log) = (folder.path().join("m"), folder.path().join("events.ndjson"));
    fs::create_dir(&manifests)?;
    let pods: String = clients.iter().map(|it| manifest(it.name, it.app)).collect();
    fs::write(
        manifests.join("pods.yaml"),
        pods + &manifest("db", "db") + PENDING,
    )?;
    fs::write(manifests.join("policy.yaml"), POLICY)?;
    let agent = Agent::start(&format!(
        "policy.manifests = {manifests:?}\npolicy.log = {log:?}\nflows.log_size = \"1GiB\"\nflows.sweep = \"1s\"\nflows.period = \"2s\"\nruntimes.docker = [{:?}]\n",
        docker.socket()
    ))?;
    let containers = clients
        .iter()
        .map(|client| docker.start_workload(client.name, &client.connects))
        .collect::<Result<Vec<_>>>()?;
    for container in &containers {
        let netns = Netns::of(container.task.pid())?;
        netns.set("ipv4/tcp_syn_retries", "1")?;
        // A kernel without it has no attempts that are that close.
        _ = netns.set("ipv4/tcp_syn_linear_timeouts", "0");
        if container.name == "blocked" {
            enforce(&site, &docker.addresses(&container.name)?[0].to_string())?;
        }
    }
    site.task.go()?;
    containers.iter().try_for_each(|it| it.task.go())?;
    containers.iter().try_for_each(|it| it.task.wait_done())?;

    let gaps = [("namespace", "shop"), ("direction", "ingress")];
    let rule = [("policy", "db-in"), ("direction", "ingress")];
    let scrape = agent.scrape_until(LONG, |scrape| {
        count(scrape, "enforcement_gaps", &gaps) == FEW
            && count(scrape, "breakages", &[]) == FEW
            && count(scrape, "rule_matches", &rule) == MANY + FEW
    })?;
    assert_eq!(count(&scrape, "enforcement_gaps", &[]), FEW);
    assert_eq!(count(&scrape, "breakages", &[]), FEW);
    let of_rule = |rule| {
        count(
            &scrape,
            "rule_matches",
            &[("policy", "db-in"), ("rule", rule)],
        )
    };
    assert_eq!((of_rule("0"), of_rule("~none")), (MANY, FEW));
    let labels = [
        ("container", "db"),
        ("direction", "ingress"),
        ("verdict", "allowed"),
    ];
    assert_eq!(count(&scrape, "verdicts", &labels), MANY);

    let labels = [("namespace", "shop"), ("change", "allow_to_deny")];
    assert_eq!(count(&scrape, "pending_changes", &labels), MANY + 2 * FEW);
    let of_policies = |name: &str| {
        name.starts_with("nodeprobe_policy_") || name.starts_with("nodeprobe_event_log_")
    };
    let families = families::ALL.iter().filter(|desc| of_policies(desc.name));
    for desc in families {
        let has_labels =
            |sample: &Sample| desc.labels.iter().all(|it| sample.labels.contains_key(*it));
        assert!(scrape.has(desc.name), "{}", desc.name);
        assert!(scrape.with(desc.name, &[]).all(has_labels), "{}", desc.name);
    }

    // A change is judged by without a restart.
    fs::write(manifests.join("policy.yaml"), closed())?;
    agent.scrape_until(LONG, |scrape| {
        scrape.sum("nodeprobe_policy_generation", &[]) == 2.0
    })?;
    let (status, _, said_at_the_end) = agent.terminate()?;
    assert!(status.success(), "{said_at_the_end}");
    let events = events(&log)?;
    assert_eq!(said(&events), expected(&clients));
    let gap = events
        .iter()
        .find(|event| event["policy_assessment"] == "gap");
    let gap = gap.context("there is a gap")?;
    let denies = &gap["policy_enforced"][1];
    assert_eq!(denies["name"], "db-in", "{gap}");
    assert_eq!(
        denies["reason"],
        "rule 0: the port matches, the peer does not"
    );
    assert_eq!(gap["initiator"]["how"], "syn");
    Ok(())
}

const WEB: &str = "10.77.5.1";
const DB: &str = "10.77.5.2";

/// Without containers and without a filter: cgroups stand for pods.
#[test]
fn the_tool_tells_gaps_of_cgroups_that_manifests_name() -> Result<()> {
    let _alone = alone();
    let Some((server, client)) = unless_available("netns", ends()) else {
        return Ok(());
    };
    let folder = tempfile::tempdir()?;
    let pod = |name: &str, cgroup: &Cgroup| {
        let annotation = format!("annotations: {{nodeprobe.io/cgroup: {:?}}}", cgroup.path());
        manifest(name, name).replace("labels:", &format!("{annotation}, labels:"))
    };
    let policy = POLICY.replace("7000, endPort: 7002", "7001");
    let text = pod("web", &client.1) + &pod("db", &server.1) + &policy;
    fs::write(folder.path().join("all.yaml"), text)?;
    let path = folder.path().display();
    let tool = match Tool::attach(&format!("policy audit --manifests {path}")) {
        Ok(tool) => tool,
        Err(error) if format!("{error:#}").contains("probe `tcp`") => {
            skip(
                "tcp",
                "the probe is not attached here; `nodeprobe doctor` says why",
            );
            return Ok(());
        }
        Err(error) => return Err(error),
    };
    let workload = Workload::new()?;
    let at = |end: &(Namespace, Cgroup)| end.0.workload(&workload, &end.1);
    let serve = format!("serve --host {DB} --port {OPEN} --connections 40");
    let serving = workload.ready_as(at(&server)?, &serve)?;
    serving.task.go()?;
    for args in [
        format!("connect --host {DB} --port {OPEN} --connections 40"),
        format!("refused --host {DB} --port {DROPPED} --connections 3"),
    ] {
        workload.start_as(at(&client)?, &args)?.result()?;
    }
    let report: Value = serde_json::from_str(&tool.end_with(4)?)?;
    let rows = report["rows"].as_array().context("there are rows")?;
    let found: Vec<_> = rows
        .iter()
        .map(|row| {
            [
                "from",
                "to",
                "port",
                "verdict",
                "outcome",
                "assessment",
                "connections",
            ]
            .map(|field| row[field].to_string().replace('"', ""))
            .join(" ")
        })
        .collect();
    let expected = [
        format!("shop/web shop/db {OPEN} would_deny delivered gap 40"),
        format!("shop/web shop/db {DROPPED} allowed no_reply indeterminate 3"),
    ];
    assert_eq!(
        BTreeSet::from_iter(found),
        BTreeSet::from_iter(expected),
        "{report:#}"
    );
    Ok(())
}

/// Two networks that are joined, and a cgroup in each.
fn ends() -> Result<((Namespace, Cgroup), (Namespace, Cgroup))> {
    let workload = Workload::new()?;
    let end = |name| Ok::<_, anyhow::Error>((Namespace::new(&workload)?, Cgroup::new(name)?));
    let (server, client) = (end("db")?, end("web")?);
    client
        .0
        .join(&server.0, &format!("{WEB}/24"), &format!("{DB}/24"))?;
    Ok((server, client))
}
