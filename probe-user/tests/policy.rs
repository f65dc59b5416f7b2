//! `nodeprobe policy` as a shell sees it.
#![expect(clippy::unwrap_used, reason = "helpers of a test may panic")]

use std::{
    fs,
    io::Write as _,
    process::{Command, Output, Stdio},
};

use serde_json::Value;

const SHOP: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/fixtures/policies/shop"
);
const PROPOSED: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/fixtures/policies/proposed"
);
const FLOWS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../tests/fixtures/flows/records.ndjson"
);

fn policy(args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_nodeprobe"));
    command.arg("policy").args(args);
    command
}

fn with_input(mut command: Command, input: &str) -> Output {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child
        .stdin
        .take()
        .unwrap()
        .write_all(input.as_bytes())
        .unwrap();
    child.wait_with_output().unwrap()
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn lines(output: &Output) -> Vec<Value> {
    let text = text(&output.stdout);
    text.lines()
        .map(|line| serde_json::from_str(line).unwrap())
        .collect()
}

#[test]
fn a_connection_is_explained_by_the_rule_that_allows_it_or_comes_nearest() {
    let ask = |port: &str| {
        let cart = "shop/cart-7d9f8b6c5-x2x4z";
        let args = [
            "explain",
            "--manifests",
            SHOP,
            "--from",
            cart,
            "--to",
            "db/pg-0",
            "--port",
            port,
        ];
        policy(&args).output().unwrap()
    };
    let allowed = ask("5432");
    assert_eq!(allowed.status.code(), Some(0), "{}", text(&allowed.stderr));
    let said = text(&allowed.stdout);
    assert!(said.contains("TCP 5432: allowed\n"), "{said}");
    assert!(
        said.contains("NetworkPolicy db/pg-in allows it\n      spec.ingress[0]\n"),
        "{said}"
    );
    assert!(said.contains("ports TCP \"pg\"\n"), "{said}");
    assert!(
        said.contains("out of shop/cart-7d9f8b6c5-x2x4z: allowed, because no policy is about it"),
        "{said}"
    );
    let denied = ask("5433");
    assert_eq!(denied.status.code(), Some(4));
    let said = text(&denied.stdout);
    assert!(said.contains("TCP 5433: denied\n"), "{said}");
    assert!(
        said.contains("whose peer matches and whose port does not"),
        "{said}"
    );
}

#[test]
fn questions_in_bulk_have_a_line_each_and_broken_ones_say_why() {
    let questions = r#"{"from":"shop/cart-7d9f8b6c5-x2x4z","to":"db/pg-0","port":5432}
{"from":"192.0.2.7","to":"10.0.2.9","port":5432,"protocol":"TCP"}

{"from":"shop/nobody","to":"db/pg-0","port":1}
{"from":"a","to":"b","prot":1}
{"from":"#;
    let output = with_input(
        policy(&["explain", "--manifests", SHOP, "--queries", "-"]),
        questions,
    );
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("3 of the questions have no answer"));
    let lines = lines(&output);
    assert_eq!(lines.len(), 5);
    let words = |line: &Value| {
        ["egress", "ingress", "combined"].map(|key| line[key].as_str().unwrap().to_owned())
    };
    assert_eq!(words(&lines[0]), ["no_policy", "allowed", "allowed"]);
    assert_eq!(lines[0]["policies"][1]["name"], "pg-in");
    assert_eq!(words(&lines[1]), ["no_policy", "would_deny", "would_deny"]);
    assert_eq!(
        lines[1]["policies"][1]["reason"],
        "rule 0: the port matches, the peer does not"
    );
    let errors = [&lines[2], &lines[3], &lines[4]].map(|line| {
        (
            line["line"].as_u64().unwrap(),
            line["error"].as_str().unwrap().to_owned(),
        )
    });
    assert_eq!(
        errors[0],
        (
            4,
            "`shop/nobody` is no pod and no workload of the manifests".to_owned()
        )
    );
    assert!(errors[1].1.contains("unknown field `prot`"), "{errors:?}");
    assert_eq!(errors[2].0, 6);
}

#[test]
fn a_recorded_log_is_judged_and_a_proposal_shows_what_it_would_change() {
    let now = policy(&["replay", "--manifests", SHOP, "--flows", FLOWS])
        .output()
        .unwrap();
    assert_eq!(now.status.code(), Some(0), "{}", text(&now.stderr));
    let said = text(&now.stdout);
    assert!(
        said.contains("6 connections: 4 allowed, 0 denied, 2 undefined, 0 unknown"),
        "{said}"
    );
    assert!(said.contains("1 more were not judged"), "{said}");
    let args = [
        "replay",
        "--manifests",
        SHOP,
        "--proposed",
        PROPOSED,
        "--flows",
        FLOWS,
    ];
    let then = policy(&args).output().unwrap();
    assert_eq!(then.status.code(), Some(4));
    let said = text(&then.stdout);
    let rows: Vec<Vec<&str>> = said
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    let denied = |from: &str, to: &str, by: &str| {
        let row = rows
            .iter()
            .find(|row| row.first() == Some(&from) && row.get(1) == Some(&to));
        let row = row.unwrap_or_else(|| panic!("{from} {to} in {said}"));
        assert_eq!(row[5..], ["would", "newly", "be", "denied", "by", by]);
    };
    denied("shop/cart", "db/pg-0", "db/pg-in");
    denied("172.17.0.2", "shop/cart", "shop/cart-in");
    let all = policy(&[&args[..], &["-o", "ndjson"]].concat())
        .output()
        .unwrap();
    let changes: Vec<_> = lines(&all)
        .iter()
        .map(|row| row["change"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(
        changes
            .iter()
            .filter(|change| *change == "allow_to_deny")
            .count(),
        2,
        "{changes:?}"
    );
}

#[test]
fn a_log_with_torn_lines_is_judged_as_far_as_it_can_be_read() {
    let log = fs::read_to_string(FLOWS).unwrap();
    let torn = format!("{{\"type\":\n{}", &log[..log.len() * 3 / 4]);
    let args = ["replay", "--manifests", SHOP, "--flows", "-", "-o", "json"];
    let output = with_input(policy(&args), &torn);
    let whole: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert!(whole["broken_lines"].as_u64().unwrap() >= 1, "{whole}");
    assert!(whole["connections"].as_u64().unwrap() >= 3, "{whole}");
    assert!(
        text(&output.stderr).contains("(stdin):1: no record"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn what_is_wrong_with_manifests_is_told_with_its_place_and_strict_refuses_it() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().to_str().unwrap();
    let ask = |more: &[&str]| {
        let args = [
            "explain",
            "--manifests",
            path,
            "--from",
            "shop/web",
            "--to",
            "192.0.2.1",
            "--port",
            "80",
        ];
        policy(&[&args[..], more].concat()).output().unwrap()
    };
    let nothing = ask(&[]);
    assert_eq!(nothing.status.code(), Some(2));
    assert!(text(&nothing.stderr).contains("has no file that ends in .yaml"));
    let manifests = "apiVersion: v1\nkind: Pod\nmetadata: {name: web, namespace: shop}\n---\n\
        a: [1,\n---\n\
        apiVersion: networking.k8s.io/v1\nkind: NetworkPolicy\nmetadata: {name: out, namespace: shop}\n\
        spec: {policyTypes: [Egress], egress: [{to: [{ipBlock: {cidr: everywhere}}]}]}\n";
    fs::write(folder.path().join("all.yaml"), manifests).unwrap();
    let output = ask(&[]);
    assert_eq!(output.status.code(), Some(4));
    let (said, complaints) = (text(&output.stdout), text(&output.stderr));
    assert!(said.contains("TCP 80: not known"), "{said}");
    assert!(
        said.contains("NetworkPolicy shop/out is not valid"),
        "{said}"
    );
    assert!(
        complaints.contains(
            "all.yaml (document 3): spec.egress[0].to[0].ipBlock.cidr: `everywhere` is no CIDR"
        ),
        "{complaints}"
    );
    assert!(complaints.contains("all.yaml (document 2)"), "{complaints}");
    let strict = ask(&["--strict"]);
    assert_eq!(strict.status.code(), Some(4));
    assert_eq!(text(&strict.stdout), "");
}

#[test]
fn a_check_tells_what_is_doubtful_and_what_is_not_as_expected() {
    let check = |more: &[&str], input: &str| {
        with_input(
            policy(&[&["check", "--manifests", SHOP], more].concat()),
            input,
        )
    };
    let plain = check(&[], "");
    assert_eq!(plain.status.code(), Some(4), "{}", text(&plain.stderr));
    let said = text(&plain.stdout);
    assert!(said.contains("not isolated: Namespace shop: no policy isolates 1 of 1 workloads against ingress: cart\n"), "{said}");
    let reach: Vec<Vec<&str>> = said
        .lines()
        .map(|line| line.split_whitespace().collect())
        .collect();
    assert!(
        reach.contains(&vec!["shop/cart", "db/pg-0", "TCP", "5432"]),
        "{said}"
    );
    let tolerated = ["--allow", "not-isolated", "--expect", "-"];
    let good = r#"{"from":"shop/cart-7d9f8b6c5-x2x4z","to":"db/pg-0","port":5432,"allowed":true}
{"from":"192.0.2.1","to":"db/pg-0","port":5432,"protocol":"tcp","allowed":false}
"#;
    let output = check(&tolerated, good);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stdout));
    assert!(text(&output.stdout).contains("2 of 2 connections are as expected"));
    let bad = good.replace("true", "false");
    let output = check(&tolerated, &bad);
    assert_eq!(output.status.code(), Some(4));
    let said = text(&output.stdout);
    assert!(said.contains("not as expected: line 1: shop/cart-7d9f8b6c5-x2x4z to db/pg-0, TCP 5432: allowed, and should not be allowed"), "{said}");
    let nonsense = check(&tolerated, "{\"from\":\"x\"}\n");
    assert_eq!(nonsense.status.code(), Some(2));
    assert!(
        text(&nonsense.stderr).contains("-:1: missing field"),
        "{}",
        text(&nonsense.stderr)
    );
    let with_flows = check(&["--flows", FLOWS, "-o", "json"], "");
    let json: Value = serde_json::from_slice(&with_flows.stdout).unwrap();
    let unused = json["problems"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|problem| problem["doubt"] == "unused")
        .count();
    assert_eq!(
        unused, 0,
        "the log has a connection for the only rule: {json}"
    );
    let graph = text(&check(&["-o", "dot"], "").stdout);
    assert!(
        graph.contains("\"shop/cart\" -> \"db/pg-0\" [label=\"TCP 5432\"];"),
        "{graph}"
    );
}

#[test]
fn what_is_suggested_is_what_a_replay_allows() {
    let suggest = || {
        policy(&["suggest", "--manifests", SHOP, "--flows", FLOWS])
            .output()
            .unwrap()
    };
    let output = suggest();
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    let yaml = text(&output.stdout);
    assert_eq!(yaml, text(&suggest().stdout), "it is the same each time");
    assert!(yaml.contains("# Deployment shop/cart\n"), "{yaml}");
    assert!(!yaml.contains("pod-template-hash"), "{yaml}");
    assert!(
        yaml.contains("    - protocol: TCP\n      port: \"pg\"\n"),
        "{yaml}"
    );
    assert!(
        yaml.contains("            \"kubernetes.io/metadata.name\": \"db\"\n")
            || yaml.contains("\"kubernetes.io/metadata.name\": \"db\""),
        "{yaml}"
    );
    assert!(
        text(&output.stderr).contains("4 connections of the log are allowed and 0 are not"),
        "{}",
        text(&output.stderr)
    );
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("suggested.yaml"), yaml).unwrap();
    let proposed = folder.path().to_str().unwrap();
    let args = [
        "replay",
        "--manifests",
        SHOP,
        "--proposed",
        proposed,
        "--flows",
        FLOWS,
        "-o",
        "ndjson",
    ];
    let replayed = policy(&args).output().unwrap();
    assert!(
        lines(&replayed)
            .iter()
            .all(|row| row["change"] != "allow_to_deny"),
        "{}",
        text(&replayed.stdout)
    );
}

/// Lines of Hubble: a connection with an answer, seen at both ends, one that began elsewhere, a loss, and half a line.
fn hubble() -> String {
    let line = |from: (&str, &str), to: (&str, &str), port: u16, direction: &str, reply: &str| {
        format!(
            r#"{{"flow":{{"verdict":"FORWARDED","IP":{{"source":"10.0.9.1","destination":"10.0.9.2","ipVersion":"IPv4"}},"l4":{{"TCP":{{"source_port":40000,"destination_port":{port}}}}},"source":{{"namespace":"{}","pod_name":"{}"}},"destination":{{"namespace":"{}","pod_name":"{}"}},"Type":"L3_L4","traffic_direction":"{direction}","is_reply":{reply}}},"node_name":"n1"}}"#,
            from.0, from.1, to.0, to.1
        )
    };
    let (web, cart) = (("shop", "web"), ("shop", "cart"));
    [
        line(web, cart, 8080, "EGRESS", "false"),
        line(web, cart, 8080, "INGRESS", "false"),
        line(web, cart, 8080, "EGRESS", "false"),
        line(cart, web, 40_000, "EGRESS", "true"),
        line(cart, web, 22, "EGRESS", "null"),
        r#"{"lost_events":{"num_events_lost":"7"}}"#.to_owned(),
        "{\"flow\":".to_owned(),
        String::new(),
    ]
    .join("\n")
}

#[test]
fn flows_of_hubble_are_judged_as_those_of_our_own_log() {
    let args = ["replay", "--manifests", SHOP, "--flows", "-", "-o", "json"];
    let output = with_input(policy(&args), &hubble());
    let found: Value = serde_json::from_slice(&output.stdout).unwrap();
    let rows = found["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 1, "{found}");
    let row = &rows[0];
    assert_eq!(
        (&row["from"], &row["to"]),
        (&"shop/web".into(), &"shop/cart".into())
    );
    let seen = ["connections", "seen_by_source", "seen_by_destination"].map(|it| row[it].clone());
    assert_eq!(seen, [1, 1, 1].map(Value::from));
    let counts = ["initiator_guessed", "broken_lines", "lost_events"].map(|it| found[it].clone());
    assert_eq!(
        counts,
        [1, 1, 7].map(Value::from),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn a_name_that_steers_a_terminal_is_shown_and_does_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let name = "a\\u001b[31mb";
    let manifests =
        format!("{{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{{\"name\":\"{name}\"}}}}");
    fs::write(folder.path().join("a.json"), manifests).unwrap();
    let path = folder.path().to_str().unwrap();
    let output = policy(&["check", "--manifests", path]).output().unwrap();
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(said.contains("31mb"), "{said}");
    assert!(!said.contains('\u{1b}'), "{said:?}");
}

#[test]
fn who_may_talk_with_whom_is_drawn() {
    let output = policy(&["check", "--manifests", SHOP, "-o", "svg"])
        .output()
        .unwrap();
    let svg = text(&output.stdout);
    assert!(
        svg.contains("<svg") && svg.trim_end().ends_with("</svg>"),
        "{svg}"
    );
    assert!(svg.contains("shop/cart"), "{svg}");
}

#[test]
fn names_that_mean_something_in_a_picture_are_names() {
    let folder = tempfile::tempdir().unwrap();
    let pods = [
        "<b>&amp;",
        "q\\\"q",
        "new\\nline",
        "\\u001b[31m",
        "]]>",
        "-> ;",
        "é",
    ];
    let pod = |name: &&str| {
        format!(
            "{{\"apiVersion\":\"v1\",\"kind\":\"Pod\",\"metadata\":{{\"name\":\"{name}\"}}}}\n---\n"
        )
    };
    let manifests: String = pods.iter().map(pod).collect();
    fs::write(folder.path().join("a.yaml"), manifests).unwrap();
    let path = folder.path().to_str().unwrap();
    for format in ["svg", "dot"] {
        let output = policy(&["check", "--manifests", path, "-o", format])
            .output()
            .unwrap();
        let picture = text(&output.stdout);
        assert!(!picture.is_empty(), "{}", text(&output.stderr));
        assert!(
            !text(&output.stderr).contains("panicked"),
            "{}",
            text(&output.stderr)
        );
        assert!(!picture.contains('\u{1b}'), "{picture}");
        let bold = if format == "svg" {
            "&lt;b&gt;&amp;amp;"
        } else {
            "<b>&amp;"
        };
        assert!(picture.contains(bold), "{picture}");
    }
}
