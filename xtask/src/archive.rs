//! Debian suites other than the machine's own, through a private apt: own sources, lists and cache,
//! no root.
//!
//! The mirror is the one that the machine's own sources name.
use std::{
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result, ensure};

use crate::{
    process::{Cmd, find},
    progress::Step,
};

const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// One set of suites, with its lists fetched.
pub(crate) struct Archive {
    dir: PathBuf,
}

impl Archive {
    /// Fetches the lists of the suites into `dir`.
    pub(crate) fn open(dir: &Path, suites: &[String]) -> Result<Self> {
        Self::open_with(dir, suites, Mirror::source)
    }

    /// The same with the sources of packages, for [`Self::source`].
    pub(crate) fn with_sources(dir: &Path, suites: &[String]) -> Result<Self> {
        Self::open_with(dir, suites, |mirror, suite| {
            let binary = mirror.source(suite);
            let source = binary.replacen("deb ", "deb-src ", 1);
            binary + &source
        })
    }

    fn open_with(
        dir: &Path,
        suites: &[String],
        lines: impl Fn(&Mirror, &str) -> String,
    ) -> Result<Self> {
        ensure!(
            find("apt-get").is_some() && find("dpkg-deb").is_some(),
            "this takes Debian packages, and this machine has no apt-get and dpkg-deb; run this on \
             Debian"
        );
        ensure!(
            Path::new(KEYRING).exists(),
            "{KEYRING} is missing; run `sudo apt-get install debian-archive-keyring`"
        );
        let mirror = Mirror::of_this_machine()?;
        fs::create_dir_all(dir.join("lists/partial"))?;
        fs::create_dir_all(dir.join("cache/archives/partial"))?;
        // No package counts as installed, so that a package's dependencies are all fetched.
        fs::write(dir.join("status"), "")?;
        let sources: Vec<_> = suites.iter().map(|suite| lines(&mirror, suite)).collect();
        fs::write(dir.join("sources.list"), sources.concat())?;
        fs::write(dir.join("apt.conf"), configuration(dir))?;
        let archive = Self {
            dir: dir.to_owned(),
        };
        let step = Step::start(format!("fetch the package lists of {}", suites.join(", ")));
        archive.apt("apt-get").args(["update", "-q"]).under(&step)?;
        step.done();
        Ok(archive)
    }

    /// The package and all that it depends on, by name.
    pub(crate) fn dependencies(&self, package: &str) -> Result<Vec<String>> {
        let without = [
            "recommends",
            "suggests",
            "conflicts",
            "breaks",
            "replaces",
            "enhances",
        ];
        let list = self
            .apt("apt-cache")
            .args(["depends", "--recurse"])
            .args(without.map(|relation| format!("--no-{relation}")))
            .arg(package)
            .read()?;
        let mut names: Vec<_> = list
            .lines()
            .filter(|line| !line.starts_with([' ', '<', '|']))
            .map(str::to_owned)
            .collect();
        names.sort();
        names.dedup();
        Ok(names)
    }

    /// Extracts the packages themselves into `to`.
    pub(crate) fn extract(&self, packages: &[String], to: &Path) -> Result<()> {
        let debs = self.dir.join("debs");
        fs::create_dir_all(&debs)?;
        let step = Step::start(format!("fetch {}", packages.join(" ")));
        self.apt("apt-get")
            .args(["download", "-q"])
            .args(packages)
            .dir(&debs)
            .under(&step)?;
        unpack(&debs, to, &step)?;
        step.done();
        Ok(())
    }

    /// Fetches the source of a package and unpacks it below `to`. Answers its folder.
    pub(crate) fn source(&self, package: &str, to: &Path) -> Result<PathBuf> {
        let step = Step::start(format!("fetch the source of {package}"));
        let fetched = to.join("source");
        fs::create_dir_all(&fetched)?;
        self.apt("apt-get")
            .args(["source", "-q", "--download-only", package])
            .dir(&fetched)
            .under(&step)?;
        let description = fs::read_dir(&fetched)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|end| end == "dsc"))
            .with_context(|| format!("apt fetched no source of {package}"))?;
        let folder = to.join(package);
        Cmd::new("dpkg-source")
            .args(["--no-check", "-x"])
            .args([&description, &folder])
            .under(&step)?;
        step.done();
        Ok(folder)
    }

    /// Extracts the packages and all that they need to run into `to`.
    pub(crate) fn extract_closure(&self, packages: &[String], to: &Path) -> Result<()> {
        let step = Step::start(format!("fetch {} and what they need", packages.join(" ")));
        self.apt("apt-get")
            .args([
                "install",
                "-y",
                "-q",
                "--download-only",
                "--no-install-recommends",
            ])
            .args(packages)
            .under(&step)?;
        unpack(&self.dir.join("cache/archives"), to, &step)?;
        step.done();
        Ok(())
    }

    fn apt(&self, program: &str) -> Cmd {
        Cmd::new(program)
            .env("APT_CONFIG", self.dir.join("apt.conf"))
            .env("LC_ALL", "C")
    }
}

/// Extracts and removes every package of a folder.
fn unpack(debs: &Path, to: &Path, step: &Step) -> Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(debs)? {
        let path = entry?.path();
        if path.extension().is_some_and(|extension| extension == "deb") {
            Cmd::new("dpkg-deb")
                .arg("-x")
                .args([&path, to])
                .under(step)?;
            fs::remove_file(path)?;
        }
    }
    Ok(())
}

fn configuration(dir: &Path) -> String {
    let dir = dir.display();
    format!(
        r#"Dir::State "{dir}";
Dir::State::Lists "{dir}/lists";
Dir::State::status "{dir}/status";
Dir::Cache "{dir}/cache";
Dir::Etc::SourceList "{dir}/sources.list";
Dir::Etc::SourceParts "/dev/null";
Dir::Etc::Preferences "/dev/null";
Dir::Etc::PreferencesParts "/dev/null";
APT::Sandbox::User "";
Acquire::Languages "none";
Acquire::IndexTargets::deb::DEP-11::DefaultEnabled "false";
// Suites that get no more updates are still served.
Acquire::Check-Valid-Until "false";
Acquire::Retries "3";
"#
    )
}

/// Where this machine gets Debian from.
#[derive(Debug, PartialEq, Eq)]
struct Mirror {
    main: String,
    security: String,
}

impl Mirror {
    fn of_this_machine() -> Result<Self> {
        let targets = Cmd::new("apt-get")
            .args([
                "indextargets",
                "--format",
                "$(REPO_URI) $(RELEASE)",
                "Created-By: Packages",
            ])
            .read()?;
        let os_release = fs::read_to_string("/etc/os-release").unwrap_or_default();
        let codename = os_release
            .lines()
            .find_map(|line| line.strip_prefix("VERSION_CODENAME="))
            .unwrap_or_default();
        Self::choose(&targets, codename).context(
            "apt's sources on this machine name no Debian mirror (`apt-get indextargets`); run \
             this on Debian",
        )
    }

    /// Of lines `URI RELEASE`, the archive of Debian itself and the one with its security updates.
    fn choose(targets: &str, codename: &str) -> Option<Self> {
        let targets: Vec<_> = targets
            .lines()
            .filter_map(|line| line.split_once(' '))
            .collect();
        let is_debian = |uri: &str| uri.trim_end_matches('/').ends_with("/debian");
        let (main, _) = targets
            .iter()
            .find(|(uri, release)| is_debian(uri) && *release == codename)
            .or_else(|| targets.iter().find(|(uri, _)| is_debian(uri)))?;
        let security = targets
            .iter()
            .find(|(_, release)| release.ends_with("-security"));
        let beside = || format!("{}-security/", main.trim_end_matches('/'));
        Some(Self {
            main: (*main).to_owned(),
            security: security.map_or_else(beside, |(uri, _)| (*uri).to_owned()),
        })
    }

    /// A line of a sources list.
    fn source(&self, suite: &str) -> String {
        let uri = if suite.ends_with("-security") {
            &self.security
        } else {
            &self.main
        };
        format!("deb [signed-by={KEYRING}] {uri} {suite} main\n")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_the_one_in_the_machines_sources() {
        let targets = "http://other/apt stable\nhttp://mirror/debian/ \
             bookworm\nhttp://safe/debian-security/ bookworm-security";
        let mirror = Mirror::choose(targets, "bookworm").unwrap();
        assert_eq!(mirror.main, "http://mirror/debian/");
        assert_eq!(mirror.security, "http://safe/debian-security/");
        assert!(
            mirror
                .source("sid")
                .ends_with(" http://mirror/debian/ sid main\n")
        );
        assert!(
            mirror
                .source("bullseye-security")
                .ends_with(" http://safe/debian-security/ bullseye-security main\n")
        );
    }

    #[test]
    fn without_security_sources_they_are_looked_for_beside_the_mirror() {
        let mirror = Mirror::choose("http://mirror/debian sid", "forky").unwrap();
        assert_eq!(mirror.security, "http://mirror/debian-security/");
    }

    #[test]
    fn a_machine_of_another_distribution_has_no_mirror() {
        assert_eq!(Mirror::choose("http://mirror/ubuntu noble", "noble"), None);
        assert_eq!(Mirror::choose("", "bookworm"), None);
    }
}
