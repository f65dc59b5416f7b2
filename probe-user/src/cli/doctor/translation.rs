//! The row about translated addresses: whether connection tracking can be asked, and why not.

use super::{Check, Facts, State};
use crate::{
    config::FlowTarget,
    kernel::conntrack::{self, AskError, Conntrack},
    logs::chain,
    privileges::{Need, names},
    session::TranslationScope,
};

const AREA: &str = "translated addresses";
const NAME: &str = "connection tracking";

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    vec![row(facts)]
}

/// Who is to be asked.
pub(super) fn scope(facts: &Facts) -> Option<TranslationScope> {
    let flows = &facts.config.flows;
    TranslationScope::new(flows.translation, flows.log != FlowTarget::Off)
}

fn row(facts: &Facts) -> Check {
    let ok = |detail: String| Check::new(AREA, NAME, State::Ok, detail);
    if !conntrack::is_loaded(&facts.roots.proc) {
        return ok("not on this host at the moment: it translates nothing".into());
    }
    let wanted = scope(facts);
    let missing =
        Need::of(wanted.unwrap_or(TranslationScope::Host).task()).missing_from(facts.held);
    let lacking = |detail: String| {
        // What nobody asks for lacks nothing.
        let state = if wanted.is_some() {
            State::Degraded
        } else {
            State::Ok
        };
        Check::new(AREA, NAME, state, detail)
    };
    if !missing.is_empty() {
        let missing = names(missing);
        return lacking(format!(
            "lacks {missing}: flows show the service's address only"
        ))
        .with_remedy(format!("run as root, or grant {missing}"));
    }
    match entries() {
        Ok(count) => {
            let used = match wanted {
                Some(TranslationScope::Host) => "asked",
                Some(TranslationScope::All) => "asked, and that of containers",
                None => "can be asked; it is with a flow log, see `flows.translation`",
            };
            ok(format!("{used}; {count} entries in this network namespace"))
        }
        Err(error) => {
            let check = lacking(chain(&error));
            match error.remedy() {
                Some(remedy) => check.with_remedy(remedy),
                None => check,
            }
        }
    }
}

fn entries() -> Result<u32, AskError> {
    Conntrack::open().map_err(AskError::Socket)?.entries()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{config::FlowTranslation, kernel::Roots};

    #[test]
    fn a_host_without_connection_tracking_lacks_nothing() {
        let empty = tempfile::tempdir().unwrap();
        let roots = Roots {
            proc: empty.path().into(),
            sys: empty.path().into(),
        };
        let facts = Facts::gather(roots, crate::config::Config::default());
        let row = row(&facts);
        assert_eq!(row.state, State::Ok);
        assert!(row.detail.contains("translates nothing"), "{row:?}");
    }

    #[test]
    fn what_is_not_asked_for_is_not_degraded() {
        let mut facts = Facts::gather(Roots::default(), crate::config::Config::default());
        if !conntrack::is_loaded(&facts.roots.proc) {
            test_skip::skip("conntrack", "the kernel has not loaded connection tracking");
            return;
        }
        facts.held = rustix::thread::CapabilitySet::empty();
        assert_eq!(row(&facts).state, State::Ok);
        facts.config.flows.translation = FlowTranslation::All;
        let row = row(&facts);
        assert_eq!(row.state, State::Degraded);
        let remedy = row.remedy.unwrap();
        assert!(remedy.contains("CAP_NET_ADMIN, CAP_SYS_PTRACE"), "{remedy}");
    }
}
