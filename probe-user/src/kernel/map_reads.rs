//! Whether maps can still be read once `CAP_BPF` is gone.

use std::{io, os::fd::AsFd as _, thread};

use rustix::thread::{CapabilitySet, CapabilitySets, set_capabilities};

use super::bpf::{Map, look_up_batch, map_type};

/// Capabilities that this kernel wants to see for reading a map whose descriptor one already has.
///
/// Where `kernel.unprivileged_bpf_disabled` is set, kernels before 5.19 refuse every bpf(2) call of others. Asks
/// on a thread that ends afterwards; in doubt the answer is `CAP_BPF`.
pub fn capabilities_for_map_reads() -> CapabilitySet {
    match thread::spawn(read_without_privilege).join() {
        Ok(Ok(())) => CapabilitySet::empty(),
        _ => CapabilitySet::BPF,
    }
}

fn read_without_privilege() -> io::Result<()> {
    let none = CapabilitySet::empty();
    let map = Map {
        kind: map_type::HASH,
        key_size: 4,
        value_size: 8,
        entries: 1,
        flags: 0,
        btf: None,
    };
    let map = map.create()?;
    let sets = CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    set_capabilities(None, sets)?;
    look_up_batch(map.as_fd(), 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn asking_costs_the_asking_thread_nothing() {
        let before = rustix::thread::capabilities(None).unwrap();
        let needed = capabilities_for_map_reads();
        eprintln!("needed for map reads: {needed:?}");
        assert!(CapabilitySet::BPF.contains(needed));
        assert_eq!(rustix::thread::capabilities(None).unwrap(), before);
    }
}
