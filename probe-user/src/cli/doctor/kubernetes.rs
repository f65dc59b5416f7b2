//! Rows about an API server of Kubernetes, where one is to be asked.

use tokio::runtime::Builder;

use super::{Check, Facts, State};
use crate::kubernetes::{Readable, Settings, readable};

const AREA: &str = "kubernetes";

pub(super) fn checks(facts: &Facts) -> Vec<Check> {
    let Some(settings) = Settings::of(&facts.config) else {
        return Vec::new();
    };
    match ask(&settings) {
        Ok(found) => found.into_iter().map(row).collect(),
        Err(why) => vec![
            Check::new(AREA, "API server", State::Degraded, why).with_remedy(
                "give `kubernetes.kubeconfig`, or run in a pod whose service account has a token",
            ),
        ],
    }
}

fn ask(settings: &Settings) -> Result<Vec<(&'static str, Readable)>, String> {
    let runtime = Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(readable(settings))
}

fn row((resource, answer): (&'static str, Readable)) -> Check {
    match answer {
        Readable::Yes => Check::new(AREA, resource, State::Ok, "can be read"),
        Readable::Absent => Check::new(AREA, resource, State::Ok, "the server does not have them"),
        Readable::No(why) => Check::new(AREA, resource, State::Degraded, why).with_remedy(format!(
            "check that the API server can be reached, and that the service account may get, list and watch {resource}: docs/kubernetes.md"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_may_not_be_read_has_a_remedy() {
        let check = row(("pods", Readable::No("forbidden".to_owned())));
        assert_eq!(check.state, State::Degraded);
        assert!(check.remedy.unwrap().contains("list and watch pods"));
        assert_eq!(row(("pods", Readable::Absent)).state, State::Ok);
    }
}
