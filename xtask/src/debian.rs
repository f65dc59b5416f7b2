//! Installs Debian packages, or says how to.
//!
//! Never removes a package, asks nothing, and waits for another apt to finish.
use anyhow::{Result, bail};

use crate::{process::Cmd, process::find, progress::Step, workspace};

/// What apt knows of a package.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Package {
    Installed,
    Available,
    Unknown,
}

/// What there is to do about packages that are wanted.
#[derive(Debug, PartialEq, Eq)]
enum Plan {
    Nothing,
    /// `update`: apt does not know some of them, and its lists may be old or absent.
    Install {
        packages: Vec<String>,
        update: bool,
    },
    Tell(String),
}

/// Installs those of the packages that are missing.
pub(crate) fn install(packages: &[&str]) -> Result<()> {
    match plan(
        packages,
        look_up,
        find("apt-get").is_some(),
        workspace::is_root(),
    ) {
        Plan::Nothing => Ok(()),
        Plan::Tell(remedy) => bail!(remedy),
        Plan::Install { packages, update } => {
            if update {
                update_lists()?;
                let unknown: Vec<_> = packages
                    .iter()
                    .filter(|p| look_up(p) == Package::Unknown)
                    .collect();
                if !unknown.is_empty() {
                    bail!(
                        "apt knows no package {unknown:?}; see `apt-cache policy` and the sources \
                         in /etc/apt"
                    );
                }
            }
            apt_install(&packages, !update)
        }
    }
}

/// Installs packages in the newest version that the archive has, whatever apt's lists say: old
/// lists name old versions.
pub(crate) fn install_newest(packages: &[&str]) -> Result<()> {
    let apt = find("apt-get").is_some();
    // Installed or not, they are to be brought up to date.
    match plan(packages, |_| Package::Unknown, apt, workspace::is_root()) {
        Plan::Tell(remedy) => bail!(remedy),
        Plan::Nothing => Ok(()),
        Plan::Install { packages, .. } => {
            update_lists()?;
            apt_install(&packages, false)
        }
    }
}

/// What apt knows of one package. Its lists may be absent, so `Unknown` is no proof that it does
/// not exist.
pub(crate) fn look_up(package: &str) -> Package {
    let status = Cmd::new("dpkg-query")
        .args(["-W", "-f=${db:Status-Status}", package])
        .read();
    if status.is_ok_and(|status| status == "installed") {
        return Package::Installed;
    }
    let policy = Cmd::new("apt-cache")
        .args(["policy", package])
        .env("LC_ALL", "C")
        .read()
        .unwrap_or_default();
    if candidate(&policy) {
        Package::Available
    } else {
        Package::Unknown
    }
}

/// Refreshes apt's lists.
pub(crate) fn update_lists() -> Result<()> {
    let step = Step::start("apt-get update");
    Cmd::new("apt-get")
        .args(["update", "-qq", "-o", "DPkg::Lock::Timeout=300"])
        .under(&step)?;
    step.done();
    Ok(())
}

fn candidate(policy: &str) -> bool {
    policy
        .lines()
        .filter_map(|line| line.trim().strip_prefix("Candidate: "))
        .any(|version| version != "(none)")
}

fn plan(wanted: &[&str], look_up: impl Fn(&str) -> Package, apt: bool, root: bool) -> Plan {
    if !apt {
        let packages = wanted.join(" ");
        return Plan::Tell(format!(
            "this is no Debian machine; install what gives these packages there: {packages}"
        ));
    }
    let missing: Vec<_> = wanted
        .iter()
        .map(|name| (*name, look_up(name)))
        .filter(|(_, state)| *state != Package::Installed)
        .collect();
    let packages: Vec<_> = missing.iter().map(|(name, _)| (*name).to_owned()).collect();
    let update = missing.iter().any(|(_, state)| *state == Package::Unknown);
    match (packages.is_empty(), root) {
        (true, _) => Plan::Nothing,
        (false, true) => Plan::Install { packages, update },
        (false, false) => Plan::Tell(format!("missing packages; run:\n  {}", remedy(&packages))),
    }
}

fn remedy(packages: &[String]) -> String {
    format!(
        "sudo apt-get update && sudo apt-get install --no-install-recommends {}",
        packages.join(" ")
    )
}

fn apt_install(packages: &[String], may_update: bool) -> Result<()> {
    let step = Step::start(format!("apt-get install {}", packages.join(" ")));
    let install = || {
        Cmd::new("apt-get")
            .args([
                "install",
                "-y",
                "-q",
                "--no-install-recommends",
                "--no-remove",
            ])
            .args(["-o", "DPkg::Lock::Timeout=300"])
            .args(packages)
            .env("DEBIAN_FRONTEND", "noninteractive")
    };
    if let Err(error) = install().under(&step) {
        // Old lists name versions that the mirror no longer has.
        if !may_update {
            return Err(error);
        }
        update_lists()?;
        install().under(&step)?;
    }
    step.done();
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(package: &str) -> Package {
        match package {
            "here" => Package::Installed,
            "there" => Package::Available,
            _ => Package::Unknown,
        }
    }

    #[test]
    fn packages_that_are_there_cost_nothing() {
        assert_eq!(plan(&["here"], known, true, true), Plan::Nothing);
        assert_eq!(plan(&["here"], known, true, false), Plan::Nothing);
    }

    #[test]
    fn only_what_is_missing_is_installed() {
        let install = Plan::Install {
            packages: vec!["there".into()],
            update: false,
        };
        assert_eq!(plan(&["here", "there"], known, true, true), install);
    }

    #[test]
    fn a_package_that_apt_does_not_know_asks_for_an_update_first() {
        let Plan::Install { update, .. } = plan(&["there", "nowhere"], known, true, true) else {
            panic!()
        };
        assert!(update);
    }

    #[test]
    fn without_root_the_exact_command_is_told() {
        let Plan::Tell(text) = plan(&["here", "there"], known, true, false) else {
            panic!()
        };
        assert!(
            text.contains("sudo apt-get install --no-install-recommends there"),
            "{text}"
        );
    }

    #[test]
    fn without_apt_the_packages_are_named() {
        let Plan::Tell(text) = plan(&["here", "there"], known, false, true) else {
            panic!()
        };
        assert!(text.ends_with("here there"), "{text}");
    }

    #[test]
    fn a_policy_without_candidate_is_no_package() {
        assert!(candidate("x:\n  Installed: (none)\n  Candidate: 1.2\n"));
        assert!(!candidate("x:\n  Installed: (none)\n  Candidate: (none)\n"));
        assert!(!candidate(""));
    }
}
