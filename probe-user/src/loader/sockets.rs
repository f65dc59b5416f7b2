//! Where the running kernel keeps the fields of a socket.

use super::{Globals, Kernel, LoadError};
use crate::kernel::cgroupfs::Mode;

impl Globals {
    /// Sets what programs need to find ends, state, namespace and cgroup of a socket.
    ///
    /// # Errors
    ///
    /// If the kernel lacks one of the fields, or the host has no cgroup v2: a socket belongs to no other.
    pub fn set_socket(&mut self, kernel: &Kernel) -> Result<&mut Self, LoadError> {
        require_v2(kernel)?;
        let types = &kernel.types;
        for (name, record, field) in [
            ("SKC_FAMILY", "sock_common", "skc_family"),
            ("SKC_STATE", "sock_common", "skc_state"),
            ("SKC_NUM", "sock_common", "skc_num"),
            ("SKC_DPORT", "sock_common", "skc_dport"),
            ("SKC_RCV_SADDR", "sock_common", "skc_rcv_saddr"),
            ("SKC_DADDR", "sock_common", "skc_daddr"),
            ("SKC_NET", "sock_common", "skc_net"),
        ] {
            self.set_if_used(name, types.field_offset(record, field)?);
        }
        // Absent from kernels without IPv6, like the globals' own value.
        for (name, field) in [
            ("SKC_V6_RCV_SADDR", "skc_v6_rcv_saddr"),
            ("SKC_V6_DADDR", "skc_v6_daddr"),
        ] {
            if let Ok(offset) = types.field_offset("sock_common", field) {
                self.set_if_used(name, offset);
            }
        }
        let inum = types.field_offset("net", "ns")? + types.field_offset("ns_common", "inum")?;
        self.set_if_used("NET_INUM", inum);
        let cgroup = types.field_offset("sock", "sk_cgrp_data")?;
        match types.field_offset("sock_cgroup_data", "cgroup") {
            Ok(offset) => self.set_if_used("SOCK_CGROUP", cgroup + offset),
            Err(_) => self.set_if_used("SOCK_CGROUP_WORD", cgroup),
        };
        for (name, record, field) in [
            ("CGROUP_KN", "cgroup", "kn"),
            ("KERNFS_NODE_ID", "kernfs_node", "id"),
        ] {
            self.set_if_used(name, types.field_offset(record, field)?);
        }
        Ok(self)
    }
}

/// Sockets know the cgroup v2 that they were made in, and no v1.
///
/// # Errors
///
/// If the host has v1 alone.
pub fn require_v2(kernel: &Kernel) -> Result<(), LoadError> {
    match kernel.cgroups.mode {
        Mode::V2 | Mode::Hybrid => Ok(()),
        Mode::V1 { .. } => Err(LoadError::Unsupported(
            "sockets belong to a cgroup v2, which is not mounted here; mount one with `mount -t cgroup2 none \
             /sys/fs/cgroup/unified`"
                .into(),
        )),
    }
}
