//! Understands a guest's console: `@@` lines of its init, results of tests, complaints of the
//! kernel.
use crate::tally::Tally;

/// What kernels print when something went wrong inside them.
const FAULTS: &[&str] = &[
    "Kernel panic",
    "BUG:",
    "Oops",
    "general protection fault",
    "verifier bug",
    "WARNING: CPU",
];
/// A busy host is no fault of the kernel.
const SLOW_HOST: &[&str] = &[
    "soft lockup",
    "rcu_sched self-detected stall",
    "rcu_preempt self-detected stall",
];

/// What a console has told so far.
#[derive(Debug, Default)]
pub(crate) struct Console {
    /// Version of the kernel. There once init runs.
    pub(crate) release: Option<String>,
    /// Exit code of the tests. There once they ended.
    pub(crate) status: Option<i32>,
    pub(crate) faults: Vec<String>,
    pub(crate) tally: Tally,
}

impl Console {
    pub(crate) fn line(&mut self, line: &str) {
        if let Some(words) = line.strip_prefix("@@init ") {
            self.release = words.split(' ').next().map(str::to_owned);
        } else if let Some(words) = line.strip_prefix("@@done ") {
            self.status = words
                .split(' ')
                .next()
                .and_then(|status| status.parse().ok());
        } else if let Some(module) = line.strip_prefix("@@module ") {
            self.faults.push(format!("module {module} did not load"));
        } else if FAULTS.iter().any(|fault| line.contains(fault))
            && !SLOW_HOST.iter().any(|slow| line.contains(slow))
        {
            self.faults.push(line.to_owned());
        } else {
            self.tally.line(line);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn console(text: &str) -> Console {
        let mut console = Console::default();
        text.lines().for_each(|line| console.line(line));
        console
    }

    #[test]
    fn a_good_run_tells_version_status_and_counts() {
        let seen = console(
            "@@init 6.1.0-56 3.20\ntest a ... ok\ntest result: ok. 1 passed; 0 failed\n@@done 0 \
             4.0\n",
        );
        assert_eq!(seen.release.as_deref(), Some("6.1.0-56"));
        assert_eq!(seen.status, Some(0));
        assert!(seen.faults.is_empty());
        assert!(seen.tally.good());
    }

    #[test]
    fn complaints_of_the_kernel_are_faults() {
        let panic = "[    1.0] Kernel panic - not syncing: Attempted to kill init!";
        let bug = "@@dmesg [    2.0] BUG: unable to handle page fault";
        assert_eq!(console(&format!("{panic}\n{bug}\n")).faults, [panic, bug]);
    }

    #[test]
    fn a_slow_host_is_no_fault() {
        assert!(
            console("watchdog: BUG: soft lockup - CPU#0 stuck for 22s!")
                .faults
                .is_empty()
        );
    }
}
