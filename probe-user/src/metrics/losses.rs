//! The page `docs/losses.md`, and that it leaves no reason out.

use std::{collections::BTreeSet, env, fmt::Write as _, fs, path::Path};

use crate::model::{LOSS_REASONS, LossReason};

fn known() -> BTreeSet<&'static str> {
    LOSS_REASONS.iter().map(|reason| reason.name).collect()
}

/// Reasons of user space are texts at the places that count them: `("stage", "reason", …)` or `reason: "…"` of a loss.
#[test]
fn every_reason_of_user_space_is_explained() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = BTreeSet::new();
    let mut folders = vec![root];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|it| it == "rs") {
                let text = fs::read_to_string(&path).unwrap();
                // Tests invent reasons.
                let code = text.split("#[cfg(test)]\nmod tests").next().unwrap();
                if !path.ends_with("tests.rs") && !path.ends_with("fixtures.rs") {
                    found.extend(reasons(code));
                }
            }
        }
    }
    for expected in [
        "recursion",
        "queue_full",
        "encode_error",
        "evicted",
        "not_written",
    ] {
        assert!(found.contains(expected), "{found:?}");
    }
    let known = known();
    let unknown: Vec<_> = found
        .iter()
        .filter(|it| !known.contains(it.as_str()))
        .collect();
    assert!(unknown.is_empty(), "not in LOSS_REASONS: {unknown:?}");
}

/// Reasons beside a stage, in tuples, fields and keys. `kernel` is also the name of folders.
fn reasons(code: &str) -> Vec<String> {
    const STAGES: [&str; 7] = [
        "kernel", "ring", "decode", "queue", "encode", "join", "export",
    ];
    let lines = code
        .lines()
        .filter(|line| !line.trim_start().starts_with("//"));
    let code: String = lines.flat_map(str::split_whitespace).collect();
    let mut found = Vec::new();
    let mut take = |rest: &str| {
        let name: String = (rest.chars())
            .take_while(|char| char.is_ascii_lowercase() || *char == '_')
            .collect();
        found.push(name);
    };
    for stage in STAGES {
        let shapes = [
            format!("(\"{stage}\",\""),
            format!("stage:\"{stage}\",reason:\""),
            format!("\"{stage}:"),
            format!("/{stage}/"),
        ];
        for shape in shapes.iter().filter(|shape| shape.as_str() != "/kernel/") {
            for (at, _) in code.match_indices(shape.as_str()) {
                take(&code[at + shape.len()..]);
            }
        }
    }
    found.retain(|name| !name.is_empty());
    found
}

fn page() -> String {
    let mut page = String::from(
        "# Losses\n\n\
         nodeprobe counts what it could not record, by stream (the probe or the log), stage and reason:\n\n\
         - on `/metrics`: `nodeprobe_records_lost_total{stream,stage,reason}`, a series for each probe and reason from the \
         start, at 0;\n\
         - in the flow log: records of type `loss`;\n\
         - in the tools: the line `LOST: stream/stage/reason COUNT` below a table, the object `lost` in JSON.\n\n\
         Totals per container are exact unless the reason says otherwise.\n\n\
         | Reason | What is missing | What to do |\n|---|---|---|\n",
    );
    for LossReason {
        name,
        missing,
        advice,
    } in LOSS_REASONS
    {
        writeln!(page, "| `{name}` | {missing} | {advice} |").unwrap();
    }
    page.push_str("\nThis page is made from `probe-user/src/model/loss.rs`.\n");
    page
}

#[test]
fn the_page_of_losses_is_what_the_reasons_say() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/losses.md");
    if env::var_os("UPDATE_GOLDEN").is_some() {
        fs::write(&path, page()).unwrap();
    }
    let written = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        written == page(),
        "docs/losses.md is out of date; UPDATE_GOLDEN=1 accepts"
    );
}
