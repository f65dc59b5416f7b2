//! `nodeprobe policy replay`: what policies say of recorded connections, and what other ones would change.

pub(super) mod show;

use probe_policy::{
    audit::{Change, with_proposed},
    engine::Engine,
    verdict::{Verdict, Word},
};
use rustc_hash::FxHashMap;

use super::{
    log::{Log, Seen, Talk},
    manifests,
};
use crate::cli::{CliError, Kind, args::ReplayArgs};

/// Connections of one kind, and what is said of them.
struct Judged<'a> {
    talk: &'a Talk,
    seen: Seen,
    now: Verdict,
    proposed: Option<Verdict>,
}

impl Judged<'_> {
    fn change(&self) -> Option<Change> {
        let proposed = self.proposed.as_ref()?;
        Some(Change::between(self.now.combined, proposed.combined))
    }

    /// Whether someone should look at it.
    fn is_finding(&self) -> bool {
        match self.change() {
            Some(change) => change != Change::None,
            None => matches!(self.now.combined, Word::WouldDeny | Word::Denied),
        }
    }
}

/// Runs the command.
///
/// # Errors
///
/// If files cannot be read.
pub(super) fn run(args: &ReplayArgs) -> Result<Kind, CliError> {
    let engine = manifests::engine(&args.manifests)?;
    let proposed = args.proposed.as_ref().map(|path| {
        let proposal = manifests::load(path, &args.manifests)?;
        let cluster = with_proposed(engine.cluster(), proposal);
        Ok::<_, CliError>(Engine::new(cluster, manifests::options(&args.manifests)))
    });
    let proposed = proposed.transpose()?;
    let log = Log::read(&args.flows)?;
    let judged = judge(&engine, proposed.as_ref(), &log.talks);
    show::print(args, &engine, proposed.as_ref(), &log, &judged)?;
    Ok(if judged.iter().any(Judged::is_finding) {
        Kind::Finding
    } else {
        Kind::Fine
    })
}

/// In the order of who talks with whom.
fn judge<'a>(
    engine: &Engine,
    proposed: Option<&Engine>,
    talks: &'a FxHashMap<Talk, Seen>,
) -> Vec<Judged<'a>> {
    let mut judged: Vec<_> = talks
        .iter()
        .map(|(talk, seen)| Judged {
            talk,
            seen: *seen,
            now: engine.judge(&talk.connection(engine)),
            proposed: proposed.map(|proposed| proposed.judge(&talk.connection(proposed))),
        })
        .collect();
    judged.sort_by(|a, b| a.talk.cmp(b.talk));
    judged
}
