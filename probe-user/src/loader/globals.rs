//! Values for the read-only globals of a kernel object.

use aya::EbpfLoader;

use super::{Division, Kernel, LoadError};
use crate::kernel::{btf::BtfError, cgroupfs::Mode};

/// Globals by name, to be written into an object before it is loaded.
#[derive(Debug, Default)]
pub struct Globals {
    words: Vec<(&'static str, u32)>,
    optional: Vec<(&'static str, u32)>,
    numbers: Vec<(&'static str, [u16; 8])>,
    bytes: Vec<(&'static str, u8)>,
}

impl Globals {
    /// No globals.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets a `Global<u32>`.
    pub fn set(&mut self, name: &'static str, value: u32) -> &mut Self {
        self.words.push((name, value));
        self
    }

    /// Sets a `Global<u32>` of a shared part, which objects that do not use it lack.
    pub fn set_if_used(&mut self, name: &'static str, value: u32) -> &mut Self {
        self.optional.push((name, value));
        self
    }

    /// Sets a `Global<[u16; 8]>`.
    pub fn set_numbers(&mut self, name: &'static str, value: [u16; 8]) -> &mut Self {
        self.numbers.push((name, value));
        self
    }

    /// Sets how much the programs log: `aya_log::Level`, or 0 for nothing, in which case the verifier removes the
    /// logging altogether.
    pub fn set_log_level(&mut self, level: u8) -> &mut Self {
        self.bytes.push((aya_log::LEVEL, level));
        self
    }

    /// Sets how two tables are shared out among containers.
    pub fn set_divisions(&mut self, [first, second]: [Division; 2]) -> &mut Self {
        self.set("GUARANTEED_0", first.guaranteed)
            .set("COMMON_0", first.common)
            .set("GUARANTEED_1", second.guaranteed)
            .set("COMMON_1", second.common)
    }

    /// Sets a global to the offset of a field.
    ///
    /// # Errors
    ///
    /// If the kernel has none of the alternatives, given as record and field; the first one is named.
    pub fn set_offset(
        &mut self,
        kernel: &Kernel,
        name: &'static str,
        alternatives: &[(&str, &str)],
    ) -> Result<&mut Self, LoadError> {
        let mut first_error: Option<BtfError> = None;
        for (record, field) in alternatives {
            match kernel.types.field_offset(record, field) {
                Ok(offset) => return Ok(self.set(name, offset)),
                Err(error) => first_error = first_error.or(Some(error)),
            }
        }
        Err(first_error.map_or_else(
            || LoadError::Unsupported("no field was named".into()),
            LoadError::Btf,
        ))
    }

    /// Sets what the programs need to find the owner of a task.
    ///
    /// # Errors
    ///
    /// If the kernel lacks one of the fields, or the chosen v1 controller.
    pub fn set_owner(&mut self, kernel: &Kernel, owner_kind: u32) -> Result<&mut Self, LoadError> {
        self.set("OWNER_KIND", owner_kind)
            .set_offset(kernel, "TASK_PID", &[("task_struct", "pid")])?
            .set_process(kernel)?
            .set_cgroup(kernel)?;
        if let Mode::V1 { controller, .. } = &kernel.cgroups.mode {
            let subsys = kernel.types.field_offset("css_set", "subsys")?;
            let enumerator = format!("{controller}_cgrp_id");
            let index = kernel
                .types
                .enum_value(Some("cgroup_subsys_id"), &enumerator)
                .and_then(|index| u32::try_from(index).ok())
                .ok_or_else(|| {
                    LoadError::Unsupported(
                        format!("the kernel has no cgroup v1 controller `{controller}`").into(),
                    )
                })?;
            let pointer = size_of::<u64>() as u32;
            self.set("CSS_SET_SUBSYS", subsys + index * pointer)
                .set_offset(kernel, "CSS_CGROUP", &[("cgroup_subsys_state", "cgroup")])?;
        }
        Ok(self)
    }

    /// Sets what the programs need to find the process of a task and its cgroup v2; the id of that by [`set_cgroup`](Self::set_cgroup).
    ///
    /// # Errors
    ///
    /// If the kernel lacks one of the fields.
    pub fn set_process(&mut self, kernel: &Kernel) -> Result<&mut Self, LoadError> {
        self.set_offset(kernel, "TASK_CGROUPS", &[("task_struct", "cgroups")])?
            .set_offset(kernel, "TASK_TGID", &[("task_struct", "tgid")])?
            .set_offset(kernel, "TASK_COMM", &[("task_struct", "comm")])?
            .set_offset(
                kernel,
                "TASK_GROUP_LEADER",
                &[("task_struct", "group_leader")],
            )?
            .set_offset(kernel, "CSS_SET_DFL_CGRP", &[("css_set", "dfl_cgrp")])
    }

    /// Sets what the programs need to find the id of a cgroup.
    ///
    /// # Errors
    ///
    /// If the kernel lacks one of the fields.
    pub fn set_cgroup(&mut self, kernel: &Kernel) -> Result<&mut Self, LoadError> {
        self.set_offset(kernel, "CGROUP_KN", &[("cgroup", "kn")])?
            .set_offset(kernel, "KERNFS_NODE_ID", &[("kernfs_node", "id")])
    }

    /// Writes all values into an object that is about to be loaded.
    pub(super) fn apply<'a>(&'a self, loader: &mut EbpfLoader<'a>) {
        for (name, value) in &self.words {
            loader.override_global(name, value, true);
        }
        for (name, value) in &self.numbers {
            loader.override_global(name, value, true);
        }
        for (name, value) in &self.optional {
            loader.override_global(name, value, false);
        }
        for (name, value) in &self.bytes {
            // Absent from objects that log nothing.
            loader.override_global(name, value, false);
        }
    }
}
