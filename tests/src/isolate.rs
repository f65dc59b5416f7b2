//! Commands that see another machine than the one they run on, by a mount namespace of their own.

use std::{
    ffi::CString,
    io,
    os::{
        fd::{AsFd as _, OwnedFd},
        unix::{ffi::OsStrExt as _, process::CommandExt as _},
    },
    path::Path,
    process::Command,
};

use rustix::{
    fs::symlink,
    mount::{MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_change, unmount},
    thread::{LinkNameSpaceType, UnshareFlags, move_into_link_name_space, unshare_unsafe},
};

const CGROUP: &std::ffi::CStr = c"/sys/fs/cgroup";

/// What a command may be made to believe.
pub trait Isolate {
    /// A host with cgroup v2 only, mounted at `/sys/fs/cgroup`.
    fn with_v2_only(&mut self) -> &mut Self;
    /// A host with the v1 hierarchies only: meant for hybrid hosts, where v2 is mounted below them.
    fn with_v1_only(&mut self) -> &mut Self;
    /// A host where no cgroup hierarchy is mounted.
    fn without_cgroups(&mut self) -> &mut Self;
    /// A host where this folder is empty.
    fn without(&mut self, folder: &str) -> &mut Self;
    /// A host where `/run` holds nothing but a link of this name to a file elsewhere.
    fn with_run(&mut self, name: &str, target: &Path) -> &mut Self;
    /// A host where tracefs is mounted, as most distributions do.
    fn with_tracefs(&mut self) -> &mut Self;
    /// Network and mounts of its own, which vanish with the command and its children.
    fn with_own_network(&mut self) -> &mut Self;
    /// The network of another process, by a handle of its namespace.
    fn with_network(&mut self, namespace: OwnedFd) -> &mut Self;
}

impl Isolate for Command {
    fn with_v2_only(&mut self) -> &mut Self {
        before_exec(self, || {
            own_mounts()?;
            unmount(CGROUP, UnmountFlags::DETACH)?;
            mount(c"cgroup2", CGROUP, c"cgroup2", MountFlags::empty(), None)
        })
    }

    fn with_v1_only(&mut self) -> &mut Self {
        before_exec(self, || {
            own_mounts()?;
            unmount(c"/sys/fs/cgroup/unified", UnmountFlags::DETACH)
        })
    }

    fn without_cgroups(&mut self) -> &mut Self {
        before_exec(self, || {
            own_mounts()?;
            // On a hybrid host this takes everything below with it.
            unmount(CGROUP, UnmountFlags::DETACH)
        })
    }

    fn without(&mut self, folder: &str) -> &mut Self {
        let folder = CString::new(folder);
        before_exec(self, move || {
            let folder = folder.as_deref().map_err(|_| rustix::io::Errno::INVAL)?;
            own_mounts()?;
            mount(c"tmpfs", folder, c"tmpfs", MountFlags::empty(), None)
        })
    }

    fn with_run(&mut self, name: &str, target: &Path) -> &mut Self {
        let link = CString::new(format!("/run/{name}"));
        let target = CString::new(target.as_os_str().as_bytes());
        before_exec(self, move || {
            let invalid = |_| rustix::io::Errno::INVAL;
            let link = link.as_deref().map_err(invalid)?;
            let target = target.as_deref().map_err(invalid)?;
            own_mounts()?;
            mount(c"tmpfs", c"/run", c"tmpfs", MountFlags::empty(), None)?;
            symlink(target, link)
        })
    }

    fn with_tracefs(&mut self) -> &mut Self {
        before_exec(self, || {
            own_mounts()?;
            mount(
                c"tracefs",
                c"/sys/kernel/tracing",
                c"tracefs",
                MountFlags::empty(),
                None,
            )
        })
    }

    fn with_own_network(&mut self) -> &mut Self {
        before_exec(self, || {
            own_mounts()?;
            // SAFETY: the child has one thread and no shared file table.
            unsafe { unshare_unsafe(UnshareFlags::NEWNET) }
        })
    }

    fn with_network(&mut self, namespace: OwnedFd) -> &mut Self {
        before_exec(self, move || {
            move_into_link_name_space(namespace.as_fd(), Some(LinkNameSpaceType::Network))
        })
    }
}

/// A mount namespace whose changes reach nobody else.
fn own_mounts() -> rustix::io::Result<()> {
    // SAFETY: the child has one thread; a mount namespace does not affect its file table.
    unsafe { unshare_unsafe(UnshareFlags::NEWNS) }?;
    mount_change(
        c"/",
        MountPropagationFlags::PRIVATE | MountPropagationFlags::REC,
    )
}

fn before_exec(
    command: &mut Command,
    change: impl Fn() -> rustix::io::Result<()> + Send + Sync + 'static,
) -> &mut Command {
    // SAFETY: the closures above make system calls with constant arguments and allocate nothing.
    unsafe { command.pre_exec(move || change().map_err(io::Error::from)) }
}
