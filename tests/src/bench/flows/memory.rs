//! Kernel memory of the tables, as the kernel states it for each map.

use std::fs;

use anyhow::{Context as _, Result};
use probe_common::{
    flows::{FlowKey, FlowStats},
    tcp::Connection,
};
use probe_user::{loader::Kernel, probes::Options};

use crate::bench::subject::ours;

/// Bytes by entry.
pub(super) struct Memory {
    pub(super) flow_bytes: f64,
    pub(super) connection_bytes: f64,
}

/// Loads tables of this size.
pub(super) fn measure(kernel: &Kernel, entries: u32) -> Result<Memory> {
    let mut options = ours::defaults(kernel);
    options.sizes.flows = entries;
    options.sizes.connections = entries;
    Ok(Memory {
        flow_bytes: of(
            kernel,
            &options,
            "flows",
            [
                size_of::<FlowKey>(),
                size_of::<FlowStats>(),
                entries as usize,
            ],
        )?,
        connection_bytes: of(
            kernel,
            &options,
            "tcp",
            [size_of::<u64>(), size_of::<Connection>(), entries as usize],
        )?,
    })
}

/// Memory by entry of the map of this process that has this key, value and number of entries, while a probe is attached.
fn of(kernel: &Kernel, options: &Options, probe: &str, map: [usize; 3]) -> Result<f64> {
    let _attached = ours::attach(probe, kernel, options)?;
    for file in fs::read_dir("/proc/self/fdinfo").context("list the file descriptors")? {
        // One that was closed in between is none of ours.
        let text = fs::read_to_string(file?.path()).unwrap_or_default();
        let field = |name: &str| -> Option<usize> {
            let value = text.lines().find_map(|line| line.strip_prefix(name))?;
            value.trim().parse().ok()
        };
        let shape = ["key_size:", "value_size:", "max_entries:"].map(field);
        if shape == map.map(Some) {
            let bytes = field("memlock:").context("the kernel states the memory of a map")?;
            return Ok(bytes as f64 / map[2] as f64);
        }
    }
    anyhow::bail!("probe {probe} has no map with key, value and entries of {map:?}")
}
