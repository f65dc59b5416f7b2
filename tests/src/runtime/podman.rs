//! podman with its own storage. It has no daemon.

use std::{fs, path::PathBuf, process::Command};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use super::{Container, end_leftovers, folder, remove_everywhere, remove_parents};
use crate::{
    guard::run,
    image::{self, Image},
    skip::{not_in_vm, program},
};

/// A podman with the image loaded.
#[derive(Debug)]
pub struct Podman {
    podman: PathBuf,
    folder: TempDir,
    containers: std::cell::RefCell<Vec<String>>,
}

impl Podman {
    /// Loads the image into a storage of its own.
    ///
    /// # Errors
    ///
    /// [`crate::Unavailable`] if it is not installed or this is a virtual machine; else if it does
    /// not work.
    pub fn start() -> Result<Self> {
        not_in_vm()?;
        let podman = program("podman", "podman")?;
        let runc = program("runc", "runc")?;
        let image = Image::new()?;
        let folder = folder("npp")?;
        // Locks in files: those in shared memory would be shared with the machine's own podman.
        let config = format!(
            r#"[engine]
cgroup_manager = "cgroupfs"
events_logger = "none"
lock_type = "file"
runtime = "{}"
[containers]
default_ulimits = ["nofile=20000:20000", "nproc=32768:32768"]
netns = "none"
log_driver = "k8s-file"
"#,
            runc.display()
        );
        fs::write(folder.path().join("containers.conf"), config)
            .context("write the configuration")?;
        let this = Self {
            podman,
            folder,
            containers: Vec::new().into(),
        };
        run(this
            .podman()
            .arg("import")
            .arg(image.layer())
            .arg(image::NAME))?;
        Ok(this)
    }

    /// Where it keeps its containers.
    pub fn storage(&self) -> PathBuf {
        self.folder.path().join("root")
    }

    /// Starts a container with a workload that holds before and after its work, and waits until it
    /// is ready.
    ///
    /// # Errors
    ///
    /// If it does not get ready.
    pub fn start_workload(&self, name: &str, args: &str) -> Result<Container> {
        let mut command = self.podman();
        command.args(["run", "-d", "--name", name, image::NAME, image::WORKLOAD]);
        let id = run(command.args(args.split(' ')).args(["--go", "--hold"]))?;
        self.containers.borrow_mut().push(id.clone());
        let pid = run(self
            .podman()
            .args(["inspect", "-f", "{{.State.Pid}}", name]))?;
        Container::ready(&id, name, &pid)
    }

    fn podman(&self) -> Command {
        let at = |name: &str| self.folder.path().join(name);
        let mut command = Command::new(&self.podman);
        command
            .env("CONTAINERS_CONF", at("containers.conf"))
            .env("XDG_CACHE_HOME", at("cache"));
        command
            .arg("--root")
            .arg(at("root"))
            .arg("--runroot")
            .arg(at("run"))
            .arg("--tmpdir")
            .arg(at("tmp"));
        command.args(["--storage-driver", "vfs"]);
        command
    }
}

impl Drop for Podman {
    fn drop(&mut self) {
        // Errors show as left-over files at worst, and the folder goes with its guard.
        run(self.podman().args(["rm", "-f", "-a", "-t", "0"])).ok();
        end_leftovers(self.folder.path());
        for id in self.containers.borrow().iter() {
            remove_everywhere(&format!("libpod_parent/libpod-{id}"));
        }
        remove_parents(&["libpod_parent/conmon", "libpod_parent"]);
    }
}
