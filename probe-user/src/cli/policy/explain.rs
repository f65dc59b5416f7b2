//! `nodeprobe policy explain`: one question for people, rule by rule, or many for programs.

use std::fmt::Write as _;

use probe_policy::{
    engine::Engine,
    model::{Direction, Protocol},
    report::word_of,
    verdict::{Hit, Miss, Reason, Side, Verdict, Word},
};

use super::{
    answer::{Answer, Question, caveats},
    manifests, queries,
};
use crate::{
    cli::{
        CliError, Kind,
        args::{ExplainArgs, PolicyFormat},
        print,
    },
    render::json,
};

/// Runs the command.
///
/// # Errors
///
/// If files cannot be read, or an end is not known.
pub(super) fn run(args: &ExplainArgs) -> Result<Kind, CliError> {
    let engine = manifests::engine(&args.manifests)?;
    if let Some(path) = &args.queries {
        return queries::run(&engine, path);
    }
    let question = Question {
        from: args.ask.from.clone().unwrap_or_default(),
        to: args.ask.to.clone().unwrap_or_default(),
        port: args.ask.port.unwrap_or_default(),
        protocol: args.ask.protocol.unwrap_or(Protocol::Tcp),
    };
    let connection = question.connection(&engine).map_err(CliError::usage)?;
    let verdict = engine.judge(&connection);
    let text = match args.output {
        PolicyFormat::Table => told(&engine, &question, &verdict),
        PolicyFormat::Json | PolicyFormat::Ndjson => {
            let answer = Answer::new(&engine, &question, &verdict);
            let mut text = Vec::new();
            match args.output {
                PolicyFormat::Ndjson => json::write_row(&mut text, &answer)?,
                _ => json::write_json(&mut text, &answer)?,
            }
            String::from_utf8_lossy(&text).into_owned()
        }
    };
    print(&text)?;
    Ok(match verdict.combined.allows() {
        Some(true) => Kind::Fine,
        Some(false) | None => Kind::Finding,
    })
}

/// The whole answer for people.
fn told(engine: &Engine, question: &Question, verdict: &Verdict) -> String {
    let Question {
        from,
        to,
        protocol,
        port,
    } = question;
    let mut text = format!(
        "{from} to {to}, {protocol} {port}: {}\n",
        headline(verdict.combined)
    );
    side(&mut text, engine, Direction::Egress, from, &verdict.egress);
    side(&mut text, engine, Direction::Ingress, to, &verdict.ingress);
    for caveat in caveats(&verdict.egress, &verdict.ingress) {
        // Writing to a string cannot fail, here and below.
        let _written = writeln!(text, "\n  note: {}", word_of(&caveat));
    }
    text
}

fn headline(word: Word) -> &'static str {
    match word {
        Word::Allowed | Word::NoPolicy | Word::Exempt => "allowed",
        Word::WouldDeny | Word::Denied => "denied",
        Word::Undefined => "the API leaves it open",
        Word::Unknown => "not known",
    }
}

fn side(text: &mut String, engine: &Engine, direction: Direction, end: &str, side: &Side) {
    let heading = match direction {
        Direction::Egress => "out of",
        Direction::Ingress => "in to",
    };
    let _written = writeln!(text, "\n  {heading} {end}: {}", sentence(side));
    for hit in &side.passed {
        policy(text, engine, direction, hit, "passes it on");
    }
    for hit in &side.hits {
        let does = match (side.word, hit.miss) {
            (_, Some(miss)) => missed(miss),
            (Word::Allowed, None) => "allows it",
            (Word::Denied, None) => "denies it",
            (Word::Unknown, None) => "is not valid",
            (Word::Undefined, None) => "has a say",
            (Word::NoPolicy | Word::Exempt | Word::WouldDeny, None) => "is about it",
        };
        policy(text, engine, direction, hit, does);
    }
}

fn sentence(side: &Side) -> String {
    let reason = side.reason.map(because).unwrap_or_default();
    let lean = side
        .lean
        .map(|lean| format!("; the rules alone would say: {}", headline(lean)));
    let word = match side.word {
        Word::Allowed => "allowed",
        Word::NoPolicy => "allowed, because no policy is about it",
        Word::Exempt => "allowed, whatever policies say",
        Word::WouldDeny => {
            "denied, because policies isolate the pod and none of their rules allows it"
        }
        Word::Denied => "denied by a rule",
        Word::Undefined => "the API leaves it open",
        Word::Unknown => "not known",
    };
    format!("{word}{reason}{}", lean.unwrap_or_default())
}

fn because(reason: Reason) -> &'static str {
    match reason {
        Reason::Loopback => ": a pod may always talk to itself",
        Reason::LocalNode => ": its own node may always reach a pod",
        Reason::Protocol => ": policies speak of TCP, UDP and SCTP only",
        Reason::Hairpin => ": a pod talks to itself through a service",
        Reason::EgressToLocalNode => ": whether a pod may always reach its own node",
        Reason::PriorityTie => ": policies of the same priority say different things",
        Reason::NoPodData => ": the pod has ended",
        Reason::UnresolvedService => {
            ": nothing is behind the service, or what is behind it differs"
        }
        Reason::DomainName => ": a rule by domain names may allow it, and the name is not known",
        Reason::GuessedInitiator => ": nobody saw who began the connection",
        Reason::InvalidPolicy => ": a policy that is not valid may have a say",
    }
}

fn missed(miss: Miss) -> &'static str {
    match miss {
        Miss::NoRule => "has no rule that allows anything",
        Miss::Both => "comes nearest by a rule of which neither the peer nor the port matches",
        Miss::Peer => "comes nearest by a rule whose port matches and whose peer does not",
        Miss::Port => "comes nearest by a rule whose peer matches and whose port does not",
        Miss::NamedPort => {
            "comes nearest by a rule whose peer matches, and whose port is a name that the destination does not have"
        }
    }
}

/// A policy, and the rule of it that has a say, in words.
fn policy(text: &mut String, engine: &Engine, direction: Direction, hit: &Hit, does: &str) {
    let _written = writeln!(text, "    {} {does}", engine.policy(hit.policy));
    let Some((rule, index)) = engine.rule(direction, hit).zip(hit.rule) else {
        return;
    };
    let (list, ends) = (direction.list(), direction.ends());
    let name = rule
        .name
        .as_ref()
        .map(|name| format!(" \"{name}\""))
        .unwrap_or_default();
    let _written = writeln!(
        text,
        "      spec.{list}[{index}]{name}\n        {ends:5} {}\n        ports {}",
        rule.describe_peers(),
        rule.describe_ports()
    );
}
