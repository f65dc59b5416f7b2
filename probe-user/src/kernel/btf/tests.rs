use std::path::Path;

use proptest::prelude::*;

use super::*;

/// Makes BTF by hand: strings and types in the order in which they are added.
struct Maker {
    strings: Vec<u8>,
    types: Vec<u8>,
    count: u32,
}

impl Maker {
    fn new() -> Self {
        Self {
            strings: vec![0],
            types: Vec::new(),
            count: 0,
        }
    }

    fn name(&mut self, name: &str) -> u32 {
        if name.is_empty() {
            return 0;
        }
        let at = self.strings.len() as u32;
        self.strings.extend(name.as_bytes());
        self.strings.push(0);
        at
    }

    /// Adds a type and answers its id.
    fn add(&mut self, name: &str, kind: u8, flag: bool, len: u32, size: u32, tail: &[u32]) -> u32 {
        let info = u32::from(flag) << 31 | u32::from(kind) << 24 | len;
        for word in [self.name(name), info, size].iter().chain(tail) {
            self.types.extend(word.to_ne_bytes());
        }
        self.count += 1;
        self.count
    }

    fn record(&mut self, name: &str, kind: u8, flag: bool, members: &[(&str, u32, u32)]) -> u32 {
        let tail: Vec<u32> = members
            .iter()
            .flat_map(|(n, ty, bits)| [self.name(n), *ty, *bits])
            .collect();
        self.add(name, kind, flag, members.len() as u32, 64, &tail)
    }

    fn finish(&self) -> Vec<u8> {
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let mut out = 0xeb9f_u16.to_ne_bytes().to_vec();
        out.extend([1, 0]);
        for word in [24, 0, types, types, strings] {
            out.extend(word.to_ne_bytes());
        }
        out.extend(&self.types);
        out.extend(&self.strings);
        out
    }
}

/// A little kernel: nested anonymous members, typedefs, a bitfield, enums, a tracepoint.
fn sample() -> Vec<u8> {
    let mut make = Maker::new();
    let int = make.add("int", 1, false, 0, 4, &[32]);
    let union = make.record(
        "",
        kind::UNION,
        false,
        &[("__state", int, 0), ("state", int, 0)],
    );
    let alias = make.add("", kind::CONST, false, 0, union, &[]);
    let inner = make.record("", kind::STRUCT, false, &[("pad", int, 0), ("", alias, 64)]);
    make.record(
        "task_struct",
        kind::STRUCT,
        true,
        &[
            ("flags", int, 0),
            ("one_bit", int, 1 << 24 | 32),
            ("five_bits", int, 5 << 24 | 33),
            ("across", int, 5 << 24 | 38),
            ("", inner, 64),
            ("pid", int, 256),
        ],
    );
    let unnamed = make.record("", kind::STRUCT, false, &[("counter", int, 0)]);
    make.add("atomic_t", kind::TYPEDEF, false, 0, unnamed, &[]);
    let (cpu, memory) = (make.name("cpu_cgrp_id"), make.name("memory_cgrp_id"));
    make.add(
        "cgroup_subsys_id",
        kind::ENUM,
        false,
        2,
        4,
        &[cpu, 1, memory, 4],
    );
    let (minus, wide) = (make.name("MINUS"), make.name("WIDE"));
    make.add("", kind::ENUM, true, 1, 4, &[minus, u32::MAX]);
    make.add("", kind::ENUM64, false, 1, 8, &[wide, 1, 2]);
    let proto = make.add("", kind::FUNC_PROTO, false, 3, 0, &[0, int, 0, int, 0, int]);
    let pointer = make.add("", kind::PTR, false, 0, proto, &[]);
    make.add(
        "btf_trace_cgroup_rmdir",
        kind::TYPEDEF,
        false,
        0,
        pointer,
        &[],
    );
    make.add("cgroup_rmdir", kind::FUNC, false, 0, proto, &[]);
    make.finish()
}

#[test]
fn a_function_is_found_by_its_name() {
    let btf = Btf::parse(sample()).unwrap();
    assert!(btf.has_function("cgroup_rmdir"));
    assert!(!btf.has_function("btf_trace_cgroup_rmdir") && !btf.has_function("cgroup_mkdir"));
}

#[test]
fn a_field_is_found_inside_nested_anonymous_members_and_typedefs() {
    let btf = Btf::parse(sample()).unwrap();
    assert_eq!(btf.field_offset("task_struct", "pid").unwrap(), 32);
    assert_eq!(btf.field_offset("task_struct", "state").unwrap(), 16);
    assert_eq!(btf.field_offset("task_struct", "__state").unwrap(), 16);
    assert_eq!(btf.field_offset("atomic_t", "counter").unwrap(), 0);
    assert_eq!(btf.type_size("task_struct"), Some(64));
    assert!(btf.has_struct("atomic_t") && !btf.has_struct("int"));
}

#[test]
fn bits_are_found_in_their_byte() {
    let btf = Btf::parse(sample()).unwrap();
    let bits = |field| btf.bits_in_byte("task_struct", field).unwrap();
    let found = |offset, shift, mask| Bits {
        offset,
        shift,
        mask,
    };
    assert_eq!(bits("one_bit"), found(4, 0, 1));
    assert_eq!(bits("five_bits"), found(4, 1, 31));
    assert_eq!(bits("pid"), found(32, 0, 255));
}

#[test]
fn what_has_no_byte_offset_is_refused_by_name() {
    let btf = Btf::parse(sample()).unwrap();
    let message = |record, field| btf.field_offset(record, field).unwrap_err().to_string();
    assert_eq!(
        message("task_struct", "one_bit"),
        "`task_struct.one_bit` is a bitfield and has no byte offset"
    );
    assert_eq!(
        btf.bits_in_byte("task_struct", "across")
            .unwrap_err()
            .to_string(),
        "`task_struct.across` is a bitfield and has no byte offset"
    );
    assert_eq!(
        message("task_struct", "no"),
        "kernel BTF has no field `task_struct.no`"
    );
    assert_eq!(
        message("no", "pid"),
        "kernel BTF has no struct or union `no`"
    );
}

#[test]
fn enumerators_are_found_with_and_without_the_name_of_their_enum() {
    let btf = Btf::parse(sample()).unwrap();
    assert_eq!(
        btf.enum_value(Some("cgroup_subsys_id"), "memory_cgrp_id"),
        Some(4)
    );
    assert_eq!(btf.enum_value(Some("cgroup_subsys_id"), "MINUS"), None);
    assert_eq!(btf.enum_value(None, "memory_cgrp_id"), Some(4));
    assert_eq!(btf.enum_value(None, "MINUS"), Some(-1));
    assert_eq!(btf.enum_value(None, "WIDE"), Some(2 << 32 | 1));
    assert_eq!(btf.enum_value(None, "NONE"), None);
}

#[test]
fn a_tracepoint_counts_its_arguments_without_the_leading_pointer() {
    let btf = Btf::parse(sample()).unwrap();
    assert!(btf.has_tracepoint("cgroup_rmdir") && !btf.has_tracepoint("sched_switch"));
    assert_eq!(btf.tracepoint_args("cgroup_rmdir"), Some(2));
    assert_eq!(btf.tracepoint_args("sched_switch"), None);
    // The last type is the function of the same name.
    assert_eq!(
        btf.tracepoint_id("cgroup_rmdir"),
        Some(btf.type_count() as u32 - 1)
    );
}

#[test]
fn types_that_refer_to_themselves_end_the_search() {
    let mut make = Maker::new();
    let members: Vec<_> = (0..50).map(|_| ("", 1, 0)).collect();
    make.record("cycle", kind::STRUCT, false, &members);
    make.add("alias", kind::TYPEDEF, false, 0, 2, &[]);
    let btf = Btf::parse(make.finish()).unwrap();
    assert!(matches!(
        btf.field_offset("cycle", "x"),
        Err(BtfError::NoField { .. })
    ));
    assert!(matches!(
        btf.field_offset("alias", "x"),
        Err(BtfError::NoRecord { .. })
    ));
}

#[test]
fn files_that_are_not_ours_are_refused_with_the_reason() {
    let swapped = [sample()[1], sample()[0]];
    assert!(matches!(
        Btf::parse(swapped),
        Err(BtfError::ForeignByteOrder)
    ));
    assert!(matches!(Btf::parse([]), Err(BtfError::NotBtf)));
    assert!(matches!(Btf::parse(*b"\x7fELF"), Err(BtfError::NotBtf)));
    let mut later = sample();
    later[2] = 2;
    assert!(matches!(
        Btf::parse(later),
        Err(BtfError::UnknownVersion { version: 2 })
    ));
    let mut make = Maker::new();
    make.add("", 31, false, 0, 0, &[]);
    assert!(matches!(
        Btf::parse(make.finish()),
        Err(BtfError::UnknownKind { kind: 31 })
    ));
    let missing = Btf::from_file(Path::new("/nonexistent/vmlinux"))
        .unwrap_err()
        .to_string();
    assert!(missing.contains("CONFIG_DEBUG_INFO_BTF"), "{missing}");
}

/// Asks everything; only that it returns matters.
fn ask(btf: &Btf) {
    let _: Option<_> = btf.field_offset("task_struct", "state").ok();
    let _: Option<_> = btf.enum_value(Some("cgroup_subsys_id"), "memory_cgrp_id");
    let _: Option<_> = btf.enum_value(None, "WIDE");
    let _: Option<_> = btf.tracepoint_args("cgroup_rmdir");
    let _: Option<_> = btf.type_size("atomic_t");
}

#[test]
fn every_cut_of_a_file_is_an_error() {
    let whole = sample();
    for len in 0..whole.len() {
        assert!(Btf::parse(&whole[..len]).is_err(), "cut at {len}");
    }
}

proptest! {
    #[test]
    fn changed_bytes_never_panic(changes in prop::collection::vec((0usize..2000, any::<u8>()), 1..12)) {
        let mut bytes = sample();
        for (at, value) in changes {
            let at = at % bytes.len();
            bytes[at] = value;
        }
        if let Ok(btf) = Btf::parse(bytes) {
            ask(&btf);
        }
    }

    #[test]
    fn garbage_behind_a_valid_header_never_panics(body in prop::collection::vec(any::<u8>(), 0..600)) {
        let mut bytes = sample()[..24].to_vec();
        bytes.extend(&body);
        if let Ok(btf) = Btf::parse(bytes) {
            ask(&btf);
        }
    }
}

#[test]
fn the_running_kernel_answers() {
    let path = Path::new("/sys/kernel/btf/vmlinux");
    if !path.exists() {
        test_skip::skip("btf", &format!("{} does not exist", path.display()));
        return;
    }
    let started = std::time::Instant::now();
    let btf = Btf::from_file(path).unwrap();
    eprintln!(
        "{} types indexed in {:?}",
        btf.types.len(),
        started.elapsed()
    );
    assert!(btf.field_offset("task_struct", "pid").unwrap() > 0);
    assert!(btf.type_size("task_struct").unwrap() > 1000);
    assert!(btf.tracepoint_args("sched_switch").unwrap() >= 3);
    assert_eq!(btf.tracepoint_args("sys_enter"), Some(2));
    assert!(btf.enum_value(Some("bpf_map_type"), "BPF_MAP_TYPE_HASH") == Some(1));
    assert!(btf.enum_value(None, "BPF_MAP_TYPE_RINGBUF").is_some());
}
