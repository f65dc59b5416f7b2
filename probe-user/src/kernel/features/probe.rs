//! One trial per feature.

use std::{io, os::fd::AsFd as _};

use super::{Feature, Support};
use crate::kernel::{
    bpf::{self, Map, insn, load_program, map_flag, map_type, program_type},
    btf::Btf,
};

/// A tracepoint of every kernel with BTF.
const TRACEPOINT: &str = "sys_enter";

/// Tries one feature.
pub(super) fn probe(feature: Feature, btf: Option<&Btf>) -> Support {
    let nothing = [insn::set(0, 0), insn::EXIT];
    match feature {
        Feature::BtfTracepoint => typed(btf, |tracepoint| {
            load_program(program_type::TRACING, &nothing, Some(tracepoint))
        }),
        Feature::TaskStorage => typed(btf, task_storage),
        Feature::RingBuffer => {
            let page = rustix::param::page_size() as u32;
            let shape = Map {
                key_size: 0,
                value_size: 0,
                entries: page,
                ..ARRAY
            };
            Support::from_trial(
                Map {
                    kind: map_type::RINGBUF,
                    ..shape
                }
                .create(),
            )
        }
        Feature::MmapableArray => Support::from_trial(
            Map {
                flags: map_flag::MMAPABLE,
                ..ARRAY
            }
            .create(),
        ),
        Feature::HashBatch => Support::from_trial(batch(map_type::HASH, 8)),
        Feature::RunStatistics => Support::from_trial(bpf::enable_run_statistics()),
    }
}

const ARRAY: Map<'static> = Map {
    kind: map_type::ARRAY,
    key_size: 4,
    value_size: 8,
    entries: 1,
    flags: 0,
    btf: None,
};

fn typed(btf: Option<&Btf>, trial: impl FnOnce(u32) -> io::Result<()>) -> Support {
    let Some(btf) = btf else {
        return Support::No("the kernel has no BTF".into());
    };
    match btf.tracepoint_id(TRACEPOINT) {
        Some(tracepoint) => Support::from_trial(trial(tracepoint)),
        None => Support::No(format!("the kernel's BTF has no tracepoint `{TRACEPOINT}`")),
    }
}

fn batch(kind: u32, value_bytes: usize) -> io::Result<()> {
    let map = Map { kind, ..ARRAY }.create()?;
    bpf::look_up_batch(map.as_fd(), value_bytes)
}

/// Makes a storage map and loads a program that uses it: kernel 5.11 has the map, but lets only security
/// modules call the helper.
fn task_storage(tracepoint: u32) -> io::Result<()> {
    const TASK_STORAGE_GET: i32 = 156;
    const GET_CURRENT_TASK_BTF: i32 = 158;
    let btf = bpf::load_int_btf()?;
    let shape = Map {
        kind: map_type::TASK_STORAGE,
        value_size: 4,
        entries: 0,
        ..ARRAY
    };
    let flags = map_flag::NO_PREALLOC;
    let storage = Map {
        flags,
        btf: Some(btf.as_fd()),
        ..shape
    }
    .create()?;
    let [map_low, map_high] = insn::map(1, storage.as_fd());
    let code = [
        insn::call(GET_CURRENT_TASK_BTF),
        insn::copy(2, 0),
        map_low,
        map_high,
        insn::set(3, 0),
        insn::set(4, 1),
        insn::call(TASK_STORAGE_GET),
        insn::set(0, 0),
        insn::EXIT,
    ];
    load_program(program_type::TRACING, &code, Some(tracepoint))
}
