//! The tools `flows`, `tcp` and `dns`, beside a wire that carries known amounts.

use std::{
    collections::BTreeMap,
    fs,
    io::{BufRead as _, BufReader},
    net::UdpSocket,
    process::Stdio,
    time::Duration,
};

use anyhow::{Context as _, Result};
use rustix::process::Signal;
use serde_json::Value;
use tests::{
    guard::Process,
    lock::alone,
    nodeprobe::{Tool, command, run},
    skip::{skip, unless_available},
    wait::{LONG, poll},
    wire::{FAR, Wire},
};

const PORT: u16 = 7000;
const CLOSED: u16 = 7009;
const CONNECTIONS: u64 = 30;
const SENT: u64 = 2000;
const ANSWER: u64 = 700;
const PACKETS: u64 = 90;
const BYTES: u64 = 64;

/// Starts a tool that watches one cgroup; `None` after saying why where its probe cannot be had.
fn watch(args: &str) -> Result<Option<Tool>> {
    match Tool::attach_as(args, command()) {
        Ok(tool) => Ok(Some(tool)),
        Err(error) if format!("{error:#}").contains("nodeprobe doctor") => {
            skip("network", &format!("{error:#}"));
            Ok(None)
        }
        Err(error) => Err(error),
    }
}

/// Exchanges everything between both ends.
fn live(wire: &Wire) -> Result<()> {
    let site = wire.serve(&format!("site --port {PORT} --answer {ANSWER}"))?;
    wire.run(&format!(
        "visit --to {FAR} --port {PORT} --connections {CONNECTIONS} --send {SENT} --packets {PACKETS} --bytes {BYTES}"
    ))?;
    wire.run(&format!(
        "refused --host {FAR} --port {CLOSED} --connections 4"
    ))?;
    site.close().map(drop)
}

fn rows(report: &str) -> Result<Vec<Value>> {
    let report: Value = serde_json::from_str(report).with_context(|| report.to_owned())?;
    let rows = report["rows"].as_array().context("there are rows")?;
    Ok(rows.clone())
}

fn sum(rows: &[Value], field: &str) -> u64 {
    rows.iter().filter_map(|row| row[field].as_u64()).sum()
}

#[test]
fn flows_shows_what_one_end_has_exchanged_by_transport_and_port() -> Result<()> {
    let _alone = alone();
    let Some(wire) = unless_available("wire", Wire::new()) else {
        return Ok(());
    };
    let near = wire.near.cgroup.path();
    let Some(all) = watch(&format!("flows --cgroup {near} --top 1000 -o json"))? else {
        return Ok(());
    };
    let narrow =
        format!("flows --cgroup {near} --transport udp --port {PORT} --by container -o json");
    let narrow = watch(&narrow)?.context("the first one was started")?;
    live(&wire)?;
    let flows = rows(&all.end()?)?;
    let of = |transport: &str| -> Vec<Value> {
        let flows = flows.iter().filter(|row| row["transport"] == transport);
        flows.cloned().collect()
    };
    let tcp = of("tcp");
    let expected = (CONNECTIONS * SENT, CONNECTIONS * ANSWER);
    assert_eq!(
        (sum(&tcp, "bytes_sent"), sum(&tcp, "bytes_received")),
        expected
    );
    let mut ends = BTreeMap::<String, u64>::new();
    for (end, count) in tcp
        .iter()
        .filter_map(|row| row["ends"].as_object())
        .flatten()
    {
        *ends.entry(end.clone()).or_default() += count.as_u64().unwrap_or_default();
    }
    assert_eq!(ends.get("fin"), Some(&CONNECTIONS), "{ends:?}");
    assert_eq!(ends.get("refused"), Some(&4), "{ends:?}");
    let narrow = rows(&narrow.end()?)?;
    assert_eq!(narrow.len(), 1, "{narrow:?}");
    assert_eq!(narrow[0]["container"]["name"], near);
    let found = [
        "bytes_sent",
        "packets_sent",
        "bytes_received",
        "packets_received",
    ]
    .map(|field| sum(&narrow, field));
    assert_eq!(found, [PACKETS * BYTES, PACKETS, PACKETS * BYTES, PACKETS]);
    Ok(())
}

#[test]
fn flows_writes_each_flow_as_it_ends_and_a_table_for_people() -> Result<()> {
    let _alone = alone();
    let Some(wire) = unless_available("wire", Wire::new()) else {
        return Ok(());
    };
    let near = wire.near.cgroup.path();
    let Some(stream) = watch(&format!("flows --cgroup {near} --transport tcp -o ndjson"))? else {
        return Ok(());
    };
    let table = watch(&format!("flows --cgroup {near} --by peer -o table"))?;
    let table = table.context("the first one was started")?;
    live(&wire)?;
    let stream = stream.end()?;
    let records: Vec<Value> = stream
        .lines()
        .map(|line| serde_json::from_str(line).with_context(|| line.to_owned()))
        .collect::<Result<_>>()?;
    let ended = |record: &&Value| record["type"] == "flow" && record["event"] == "end";
    let ended: Vec<_> = records.iter().filter(ended).collect();
    assert_eq!(ended.len() as u64, CONNECTIONS + 4);
    let bytes: u64 = ended
        .iter()
        .filter_map(|it| it["bytes_fwd_total"].as_u64())
        .sum();
    assert_eq!(bytes, CONNECTIONS * SENT);
    let table = table.end()?;
    assert!(table.contains("lost: nothing"), "{table}");
    assert!(table.contains(&wire.far.cgroup.name()), "{table}");
    Ok(())
}

#[test]
fn tcp_shows_attempts_failures_and_what_is_open() -> Result<()> {
    let _alone = alone();
    let Some(wire) = unless_available("wire", Wire::new()) else {
        return Ok(());
    };
    let near = wire.near.cgroup.path();
    let Some(tool) = watch(&format!("tcp --cgroup {near} -o json"))? else {
        return Ok(());
    };
    live(&wire)?;
    let found = rows(&tool.end()?)?;
    assert_eq!(found.len(), 1, "{found:?}");
    let row = &found[0];
    let counts = ["attempts", "connected", "accepted", "closed"].map(|field| row[field].clone());
    let expected = [CONNECTIONS + 4, CONNECTIONS, 0, CONNECTIONS].map(Value::from);
    assert_eq!(counts, expected, "{row}");
    assert_eq!(row["failed"]["refused"], 4, "{row}");
    assert_eq!(row["connect"]["count"], CONNECTIONS, "{row}");

    let site = wire.serve(&format!("site --port {PORT} --answer {ANSWER}"))?;
    let visit = wire.ready(&format!(
        "visit --to {FAR} --port {PORT} --bulk 5000 --keep"
    ))?;
    visit.work()?;
    let args = format!("tcp --connections --cgroup {near} --port {PORT} --duration 2s -o json");
    let (code, stdout, stderr) = run(&args, command())?;
    assert_eq!(code, 0, "{stderr}");
    let open = rows(&stdout)?;
    assert_eq!(open.len(), 1, "{stdout}");
    assert_eq!(
        (&open[0]["bytes_sent"], &open[0]["state"]),
        (&5000.into(), &"established".into())
    );
    visit.finish()?;
    site.close().map(drop)
}

/// A full accept queue, and a connection that lives on: what is at fault has a port, and a round-trip time.
#[test]
fn tcp_shows_the_port_that_drops_handshakes_and_the_round_trip_of_what_is_open() -> Result<()> {
    const FULL: u16 = 7310;
    let _alone = alone();
    let Some(wire) = unless_available("wire", Wire::new()) else {
        return Ok(());
    };
    // What the kernel counted is what the port is compared with.
    if unless_available("nstat", wire.far.nstat("TcpExtListenDrops")).is_none() {
        return Ok(());
    }
    wire.near.netns.set("ipv4/tcp_syn_retries", "1")?;
    let (near, far) = (wire.near.cgroup.path(), wire.far.cgroup.path());
    let Some(client) = watch(&format!("tcp --cgroup {near} -o json"))? else {
        return Ok(());
    };
    let server = watch(&format!("tcp --cgroup {far} -o json"))?;
    let server = server.context("the first one was started")?;
    let full = wire.serve(&format!("full --host {FAR} --port {FULL}"))?;
    let waiting = wire.ready(&format!(
        "attempts --host {FAR} --port {FULL} --connections 2"
    ))?;
    waiting.work()?;
    wire.run(&format!(
        "attempts --host {FAR} --port {FULL} --connections 3"
    ))?;
    let dropped = wire.far.nstat("TcpExtListenDrops")?;
    assert!(dropped >= 3, "{dropped}");
    let server = rows(&server.end()?)?;
    let by_port = &server[0]["listen_drops_by_port"];
    assert_eq!(server[0]["listen_drops"], dropped, "{server:?}");
    assert_eq!(by_port, &serde_json::json!({ "7310": dropped }));
    let client = rows(&client.end()?)?;
    let open = &client[0];
    assert_eq!(
        (&open["connected"], &open["closed"]),
        (&2.into(), &0.into())
    );
    assert_eq!(open["rtt"]["count"], 2, "{open}");
    let sent = open["segments_sent"].as_u64().unwrap_or_default();
    let again = open["segments_retransmitted"].as_u64().unwrap_or_default();
    assert!(again >= 3 && sent >= 2 * 2 + 3 + again, "{open}");
    waiting.finish()?;
    full.close()?;
    Ok(())
}

/// A server that was there before the tool, by its process and by one of its threads.
#[test]
fn flows_shows_the_connections_of_the_process_that_serves() -> Result<()> {
    let _alone = alone();
    let Some(wire) = unless_available("wire", Wire::new()) else {
        return Ok(());
    };
    let site = wire.serve(&format!("site --port {PORT} --answer {ANSWER}"))?;
    let pid = site.task.pid();
    let threads = std::fs::read_dir(format!("/proc/{pid}/task"))?;
    let threads = threads.filter_map(|it| it.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let thread = threads.max().context("it has threads")?;
    let mut tools = Vec::new();
    for id in [pid, thread] {
        let Some(tool) = watch(&format!("flows --transport tcp --pid {id} -o json"))? else {
            return Ok(());
        };
        tools.push(tool);
    }
    wire.run(&format!(
        "visit --to {FAR} --port {PORT} --connections {CONNECTIONS} --send {SENT}"
    ))?;
    for tool in tools {
        let rows = rows(&tool.end()?)?;
        assert_eq!(rows.len() as u64, CONNECTIONS, "{rows:?}");
        for row in &rows {
            assert_eq!(
                (&row["direction"], &row["process"]["pid"]),
                (&"ingress".into(), &pid.into()),
                "{row}"
            );
        }
        assert_eq!(sum(&rows, "bytes_received"), CONNECTIONS * SENT);
    }
    site.close().map(drop)
}

/// Whoever reads its output has stopped to read, and the tool is in a write that nobody takes.
#[test]
fn a_tool_that_nobody_reads_ends_by_a_second_signal() -> Result<()> {
    let _alone = alone();
    let mut command = command();
    command.args(["flows", "--duration", "300s", "--follow"]);
    command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    let mut tool = Process::spawn(&mut command)?;
    let mut said = BufReader::new(tool.take_stderr().context("its messages")?);
    let mut line = String::new();
    while !line.contains("attached") {
        line.clear();
        if said.read_line(&mut line)? == 0 {
            skip("network", "no probe can be attached");
            return Ok(());
        }
    }
    // More lines than a pipe holds.
    let socket = UdpSocket::bind("127.0.0.1:0")?;
    for port in 20_000..22_000 {
        socket.send_to(b"x", ("127.0.0.1", port)).ok();
    }
    let stat = format!("/proc/{}/stack", tool.pid());
    poll(LONG, "the tool to be in a write", || {
        let stack = fs::read_to_string(&stat).ok()?;
        stack.contains("pipe_write").then_some(())
    })?;
    tool.signal(Signal::INT)?;
    // The first one is enough for a tool that can still end.
    std::thread::sleep(Duration::from_millis(300));
    tool.signal(Signal::INT)?;
    let status = tool.wait(LONG)?;
    assert_eq!(status.code(), Some(130), "{status}");
    Ok(())
}

#[test]
fn dns_shows_names_that_one_end_has_looked_up() -> Result<()> {
    const LOOKUPS: u64 = 25;
    let _alone = alone();
    let Some(wire) = unless_available("wire", Wire::new()) else {
        return Ok(());
    };
    let near = wire.near.cgroup.path();
    let Some(by_server) = watch(&format!("dns --cgroup {near} --by server -o json"))? else {
        return Ok(());
    };
    let lines = watch(&format!("dns --cgroup {near} -o ndjson"))?;
    let lines = lines.context("the first one was started")?;
    let server = wire.serve(&format!(
        "name-server --host {FAR} --port 53 --packets {LOOKUPS}"
    ))?;
    wire.run(&format!(
        "look-up --host {FAR} --port 53 --packets {LOOKUPS}"
    ))?;
    server.finish()?;
    let rows = rows(&by_server.end()?)?;
    assert_eq!(rows.len(), 1, "{rows:?}");
    assert_eq!(
        (&rows[0]["server"], &rows[0]["lookups"]),
        (&FAR.into(), &LOOKUPS.into())
    );
    assert_eq!(rows[0]["rcodes"]["NXDOMAIN"], LOOKUPS, "{}", rows[0]);
    let lines = lines.end()?;
    let named = lines
        .lines()
        .filter(|line| line.contains("\"NXDOMAIN\""))
        .count();
    assert_eq!(named as u64, LOOKUPS, "{lines}");
    Ok(())
}
