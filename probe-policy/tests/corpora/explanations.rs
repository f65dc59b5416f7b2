//! Explanations of connections: which policies and rules allow, deny or pass on, in both directions.

use std::{collections::BTreeSet, fs, net::IpAddr};

use probe_policy::{
    engine::{Connection, End, Engine},
    model::{Direction, Protocol},
    report::Entry,
};

use crate::{
    corpus,
    np_guard::{self, UNMENTIONED, workloads},
    read,
};

/// A port of no manifest beside [`UNMENTIONED`].
const LAST: u16 = u16::MAX;

/// Connections of two ends that are explained in the same way.
struct Case {
    from: String,
    to: String,
    ports: Vec<(Protocol, u16)>,
    egress: Side,
    ingress: Side,
}

struct Side {
    is_allowed: bool,
    reasons: BTreeSet<Reason>,
}

impl Default for Side {
    /// Where nothing is said.
    fn default() -> Self {
        Self {
            is_allowed: true,
            reasons: BTreeSet::new(),
        }
    }
}

/// Kind and name of a policy, and what it does: by which rule, where one has a say.
type Reason = (String, String, Does);

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Does {
    /// It allows or denies by this rule: its number from 0, or its name.
    Decide(String),
    /// It passes on by this rule.
    Pass(String),
    /// It isolates, and none of its rules allows.
    Isolate,
}

#[test]
fn all_explanations_name_the_same_policies_and_rules() {
    let Some(folder) = corpus("np-guard") else {
        return;
    };
    let (mut files, mut points, mut differences) = (0, 0, Vec::new());
    for row in read(&folder.join("index.tsv")).lines().skip(1) {
        let columns: Vec<_> = row.split('\t').collect();
        let (name, host_network) = (columns[0], columns[7] != "0");
        let file = folder.join(format!("test_outputs/connlist/{name}_explain_output.txt"));
        if !file.exists() {
            continue;
        }
        files += 1;
        let engine = np_guard::engine(&folder.join("tests").join(name), host_network);
        for case in cases(&read(&file)) {
            points += case.compare(&engine, name, &mut differences);
        }
    }
    let in_folder = fs::read_dir(folder.join("test_outputs/connlist"))
        .expect("a folder")
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name.ends_with("_explain_output.txt"));
    assert_eq!(files, in_folder.count());
    assert!(
        differences.is_empty(),
        "{} of {points}: {:#?}",
        differences.len(),
        &differences[..differences.len().min(20)]
    );
    assert!(points > 500, "{points}");
}

/// All cases of a file. What is allowed because nothing is said has no reasons.
fn cases(text: &str) -> Vec<Case> {
    let mut cases: Vec<Case> = Vec::new();
    let mut pair = None;
    let mut direction = None;
    for line in text.lines() {
        let words = line.trim();
        if let Some(ends) = line.strip_prefix("Connections between ") {
            let ends = ends.trim_end_matches(':').split_once(" => ");
            pair = ends.map(|(from, to)| (from.to_owned(), to.to_owned()));
        } else if let Some(spec) = words.split_once(" due to ").map(|(spec, _)| spec)
            && let Some(spec) = spec
                .strip_prefix("Allowed ")
                .or(spec.strip_prefix("Denied "))
            && let Some((from, to)) = pair.clone()
        {
            cases.push(Case {
                from,
                to,
                ports: ports(spec),
                egress: Side::default(),
                ingress: Side::default(),
            });
        } else if let Some(case) = cases.last_mut() {
            if let Some((side, rest)) = words.split_once(" (")
                && ["Egress", "Ingress"].contains(&side)
            {
                let of = if side == "Egress" {
                    Direction::Egress
                } else {
                    Direction::Ingress
                };
                direction = Some(of);
                case.side(of).is_allowed = rest.starts_with("Allowed");
            } else if let Some(of) = direction
                && let Some(reason) = reason(words.trim_start_matches("- "))
            {
                case.side(of).reasons.insert(reason);
            }
        }
    }
    cases
}

/// Such as `NetworkPolicy 'a/b' allows connections by Ingress rule #1`.
fn reason(line: &str) -> Option<Reason> {
    let (kind, rest) = line.split_once(" '")?;
    let (name, rest) = rest.split_once("' ")?;
    let rule = || {
        let (_, rule) = rest.rsplit_once(" rule ").expect("a rule");
        match rule.strip_prefix('#') {
            Some(number) => {
                let number: u16 = number.parse().expect("a number");
                (number - 1).to_string()
            }
            None => rule.to_owned(),
        }
    };
    let does = match rest.split(' ').next()? {
        "allows" | "denies" => Does::Decide(rule()),
        "passes" => Does::Pass(rule()),
        "selects" => Does::Isolate,
        word => panic!("{word} in {line}"),
    };
    Some((kind.to_owned(), name.to_owned(), does))
}

/// Ports at the edges of all ranges of a text such as `TCP:[1-79,81-65535], UDP, SCTP`.
fn ports(text: &str) -> Vec<(Protocol, u16)> {
    let mut ports = Vec::new();
    for part in text.split(", ") {
        let (protocol, ranges) = part.split_once(":[").unwrap_or((part, ""));
        let protocol = Protocol::in_policy(protocol).unwrap_or_else(|| panic!("{text}"));
        let ranges = ranges.trim_end_matches(']');
        if ranges.is_empty() {
            ports.extend([UNMENTIONED, LAST].map(|number| (protocol, number)));
            continue;
        }
        for range in ranges.split(',') {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let numbers = [first, last].map(|number| number.parse().expect("a number"));
            ports.extend(numbers.map(|number| (protocol, number)));
        }
    }
    ports
}

impl Case {
    fn side(&mut self, direction: Direction) -> &mut Side {
        match direction {
            Direction::Egress => &mut self.egress,
            Direction::Ingress => &mut self.ingress,
        }
    }

    fn compare(&self, engine: &Engine, name: &str, differences: &mut Vec<String>) -> u64 {
        let workloads = workloads(engine);
        let end = |text: &str| match text.strip_suffix("[External]") {
            None => workloads[text],
            Some("0.0.0.0-255.255.255.255") => End::Address(IpAddr::from([8, 8, 8, 8])),
            Some(range) => {
                let (first, _) = range.split_once('-').expect("a range");
                End::Address(first.parse().expect("an address"))
            }
        };
        for (protocol, port) in &self.ports {
            let connection = Connection {
                from: end(&self.from),
                to: end(&self.to),
                protocol: *protocol,
                port: *port,
            };
            let verdict = engine.judge(&connection);
            let entries = engine.entries(&verdict);
            for (direction, word, side) in [
                (Direction::Egress, verdict.egress.word, &self.egress),
                (Direction::Ingress, verdict.ingress.word, &self.ingress),
            ] {
                let of_it = entries.iter().filter(|entry| entry.direction == direction);
                let found: BTreeSet<_> = of_it.filter_map(found).collect();
                if word.allows() != Some(side.is_allowed) || found != side.reasons {
                    differences.push(format!(
                        "{name}: {} => {} {protocol} {port} {}: expected {} {:?}, found {word:?} {found:?}",
                        self.from,
                        self.to,
                        direction.list(),
                        side.is_allowed,
                        side.reasons
                    ));
                }
            }
        }
        self.ports.len() as u64
    }
}

fn found(entry: &Entry<'_>) -> Option<Reason> {
    let name = match entry.namespace {
        Some(namespace) => format!("{namespace}/{}", entry.name?),
        None => entry.name?.to_owned(),
    };
    let rule = entry.rule.map(|index| {
        let index = index.to_string();
        entry.rule_name.map_or(index, str::to_owned)
    });
    let does = match rule {
        Some(rule) if entry.passed => Does::Pass(rule),
        Some(rule) => Does::Decide(rule),
        None => Does::Isolate,
    };
    Some((entry.kind?.to_string(), name, does))
}
