//! `nodeprobe policy audit`: what policies say of the connections of this host, and what becomes of them.

use std::{collections::HashMap, time::Duration};

use probe_policy::{model::Direction, report::word_of};
use rustc_hash::FxHashMap;

use crate::{
    cli::{
        CliError, Kind,
        args::{AuditArgs, CommonArgs, OutputFormat},
        network::{Held, Stream, settings},
        policy::manifests,
        tool::{Job, Needs, Period, Processes, Tool, print},
    },
    identity::Identities,
    kernel::{Roots, clock::monotonic, host::Host},
    model::{Measurements, OwnerKind},
    policy::{Audit, AuditSettings, Auditor, Follower, Owners, Side, Sources},
    probes::Latency,
    render::{
        network::write_audit,
        view::{AuditOrder, AuditView, By},
    },
    report::Filter,
    session::{Enabled, FlowEvent, FlowReport, Parties},
};

/// Rows that are told apart; what comes above is counted.
const ROWS: usize = 10_000;

/// Runs the command.
///
/// # Errors
///
/// If the policies cannot be read, the probes cannot be attached or nothing can be written.
pub(super) fn run(args: &AuditArgs) -> Result<Kind, CliError> {
    let sources = Sources {
        manifests: args.manifests.manifests.clone(),
        pending: args.pending.clone(),
        default_namespace: args.manifests.default_namespace.clone(),
        options: manifests::options(&args.manifests),
        node: Host::read(&Roots::default()).name,
    };
    // What is wrong with the manifests is told before anything is attached.
    manifests::load(&args.manifests.manifests, &args.manifests)?;
    let mut tool = Tool::start_with(
        "policy audit",
        Needs {
            probes: HashMap::from([
                ("tcp", Enabled::Always),
                ("flows", Enabled::Always),
                ("drops", Enabled::Auto),
            ]),
            owners: OwnerKind::Cgroup,
            latency: Latency::Off,
            follow: Some(settings(&args.common)),
            translate: true,
        },
    )?;
    let (follower, first) = Follower::start(sources)?;
    let audit = AuditSettings { grace: args.grace };
    let mut found = false;
    let job = Watch {
        auditor: Auditor::new(first, audit, monotonic()),
        follower,
        order: args.sort,
        filter: tool.filter(&args.common, Processes::default()),
        held: Held::new(),
        stream: match args.common.output {
            OutputFormat::Ndjson => Some(Stream::start("audit")?),
            OutputFormat::Table | OutputFormat::Json => None,
        },
        book: Book::default(),
        found: &mut found,
        args: &args.common,
    };
    let matched = tool
        .strict(args.manifests.strict)
        .run_job(&args.common, By::Connection, job)?;
    Ok(if found { Kind::Finding } else { matched })
}

struct Watch<'a> {
    args: &'a CommonArgs,
    auditor: Auditor,
    follower: Follower,
    order: AuditOrder,
    filter: Filter,
    held: Held<Box<FlowReport>>,
    stream: Option<Stream>,
    book: Book,
    /// Whether policies and the network have disagreed.
    found: &'a mut bool,
}

impl Watch<'_> {
    fn take(&mut self, report: &FlowReport, at: Duration, identities: &Identities) {
        let parties = Parties::of(report, identities, None);
        let (local, remote) = (parties.local(), parties.remote());
        if !self.filter.admits_flow(&report.flow, local, remote) {
            return;
        }
        let (stream, book) = (&self.stream, &mut self.book);
        let owners = Owners { local, remote };
        self.auditor
            .take(report, owners, monotonic(), |audit| match stream {
                Some(stream) => stream.audit(&parties.observed(report, at), &audit.event()),
                None if audit.is_first => book.add(audit, remote.is_some()),
                None => {}
            });
    }
}

impl Job for Watch<'_> {
    fn follow(
        &mut self,
        events: Vec<FlowEvent>,
        now: Duration,
        identities: &Identities,
    ) -> Result<(), CliError> {
        if let Some(change) = self.follower.take() {
            self.auditor.replace(change, now);
        }
        for event in events {
            if let FlowEvent::Flow(report) = event {
                self.held.push(now, report.flow.cgroup, report);
            }
        }
        while let Some((at, report)) = self.held.pop(now, identities) {
            self.take(&report, at, identities);
        }
        self.stream.as_ref().map_or(Ok(()), Stream::check)
    }

    fn filter(&self) -> &Filter {
        &self.filter
    }

    fn awaits_names(&self, _: &Measurements, identities: &Identities, is_last: bool) -> bool {
        is_last && self.held.awaits_names(identities)
    }

    fn show(&mut self, mut period: Period<'_>) -> Result<(), CliError> {
        if period.is_last {
            while let Some((at, report)) = self.held.pop_any() {
                self.take(&report, at, period.identities);
            }
        }
        *self.found |= !self.auditor.sums().findings.is_empty();
        if self.follower.is_stale() {
            period.note(
                "the manifests cannot be read any more; judged by what they said before".into(),
            );
        }
        let is_stream = self.stream.is_some();
        match &self.stream {
            Some(stream) if period.is_last => {
                period.lost("audit/queue/not_written", stream.finish());
            }
            Some(_) => return Ok(()),
            None => {}
        }
        let mut rows = self.book.take(&mut period);
        rows.sort_by(|a, b| self.order.compare(a, b));
        let no_pod = self.auditor.sums().no_pod;
        if period.is_last && no_pod > 0 {
            period.note(format!(
                "{no_pod} connections of what is no pod of the manifests were not judged; docs/policy.md says how containers are found"
            ));
        }
        let report = if is_stream {
            period.end_of_stream()
        } else {
            period.report(rows)
        };
        print(self.args, &report, |out, look| {
            write_audit(out, &report, self.args.limit(), look)
        })
    }
}

/// What was judged in a period.
#[derive(Default)]
struct Book {
    rows: FxHashMap<Key, AuditView>,
    over: u64,
}

/// From, to, transport, port, verdict, outcome, assessment.
type Key = (String, String, String, u16, [String; 3]);

impl Book {
    /// Adds a connection, unless its other end is on this host and tells of it as well.
    fn add(&mut self, audit: &Audit<'_>, has_peer: bool) {
        if audit.reporter == Side::Dst && has_peer {
            return;
        }
        let judged = &audit.judged;
        let (from, to) = audit.names();
        let words = [
            word_of(&judged.verdict.combined),
            word_of(&judged.outcome),
            word_of(&judged.assessment),
        ];
        let connection = audit.connection;
        let transport = connection.protocol.to_string().to_lowercase();
        let key = (from, to, transport, connection.port, words);
        if self.rows.len() >= ROWS && !self.rows.contains_key(&key) {
            self.over += 1;
            return;
        }
        let row = self.rows.entry(key).or_insert_with_key(|key| {
            let (from, to, transport, port, [verdict, outcome, assessment]) = key.clone();
            AuditView {
                from,
                to,
                transport,
                port,
                verdict,
                outcome,
                assessment,
                ..AuditView::default()
            }
        });
        row.connections += 1;
        row.change = judged.change().map(|change| word_of(&change));
        let hits = Direction::BOTH.into_iter().flat_map(|it| judged.hits(it));
        row.policies = hits.map(|hit| hit.to_string()).collect();
        row.policies.dedup();
    }

    fn take(&mut self, period: &mut Period<'_>) -> Vec<AuditView> {
        if self.over > 0 {
            let over = self.over;
            period.note(format!(
                "{over} connections are in no row: there are {ROWS} rows"
            ));
        }
        let book = std::mem::take(self);
        book.rows.into_values().collect()
    }
}
