//! A file system that only one program and its children see, and that a test can spoil.

use std::{
    fs::File,
    os::fd::AsRawFd as _,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use crate::{
    guard::run,
    nodeprobe,
    skip::{Unavailable, program},
};

/// Where the file system is for nodeprobe, and an empty folder for everybody else.
#[derive(Debug)]
pub struct Disk {
    folder: TempDir,
    nsenter: PathBuf,
    mount: String,
}

impl Disk {
    /// One in memory, of this size.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] where the tools to make it are missing.
    pub fn in_memory(size: &str) -> Result<Self> {
        Self::new(|_| Ok(format!("-t tmpfs -o size={size} tmpfs")))
    }

    /// One with ext4 in a file.
    ///
    /// # Errors
    ///
    /// [`Unavailable`] where the tools to make it are missing.
    pub fn in_file() -> Result<Self> {
        let mkfs = program("mkfs.ext4", "e2fsprogs")?;
        if !Path::new("/dev/loop-control").exists() {
            return Err(Unavailable("no loop devices".into()).into());
        }
        Self::new(|folder| {
            let image = folder.join("image");
            File::create(&image)
                .and_then(|file| file.set_len(16 << 20))
                .context("make the image")?;
            run(Command::new(mkfs).args(["-q", "-F"]).arg(&image))?;
            Ok(format!("-o loop {}", image.display()))
        })
    }

    fn new(mount: impl FnOnce(&Path) -> Result<String>) -> Result<Self> {
        program("unshare", "util-linux")?;
        let nsenter = program("nsenter", "util-linux")?;
        let folder = tempfile::Builder::new()
            .prefix("nodeprobe-disk")
            .tempdir()
            .context("make a folder")?;
        std::fs::create_dir(folder.path().join("disk")).context("make the mount point")?;
        Ok(Self {
            mount: mount(folder.path())?,
            folder,
            nsenter,
        })
    }

    /// Where it is mounted for the command.
    pub fn path(&self) -> PathBuf {
        self.folder.path().join("disk")
    }

    /// A command that runs nodeprobe with the file system.
    pub fn command(&self) -> Command {
        let mut command = nodeprobe::without_settings(Command::new("unshare"));
        let script = format!(
            "mount {} {} && exec \"$@\"",
            self.mount,
            self.path().display()
        );
        command
            .args(["--mount", "--propagation", "private", "sh", "-c"])
            .args([&script, "sh"])
            .arg(nodeprobe::binary());
        command
    }

    /// Runs `mount` with this file system as the last argument, where the process of the command sees it.
    ///
    /// # Errors
    ///
    /// If that fails.
    pub fn mount(&self, pid: i32, args: &str) -> Result<()> {
        let mut command = Command::new(&self.nsenter);
        command.args(["-t", &pid.to_string(), "-m", "mount"]);
        run(command.args(args.split_whitespace()).arg(self.path())).map(drop)
    }

    /// Keeps what is mounted there now for the process, so that it can be read when that has ended.
    ///
    /// # Errors
    ///
    /// If the process is gone.
    pub fn keep(&self, pid: i32) -> Result<Kept> {
        let path = format!("/proc/{pid}/root{}", self.path().display());
        let folder = File::open(&path).with_context(|| format!("open {path}"))?;
        Ok(Kept(folder))
    }
}

/// A file system that is kept.
#[derive(Debug)]
pub struct Kept(File);

impl Kept {
    /// The path of a file on it.
    pub fn file(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}/{name}", self.0.as_raw_fd()))
    }
}
