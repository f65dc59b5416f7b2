//! Flows that are left out, by rules and by sampling, see `probe_common::narrow`; and how much of what was seen.
//!
//! Where neither is asked for, the verifier removes all of it: the globals are constants to it.

use aya_ebpf::{
    Global,
    btf_maps::{Array, LpmTrie, PerCpuArray, lpm_trie::Key},
    macros::btf_map,
};
use probe_common::{
    flows::{SEEN, SEEN_COUNTED, SEEN_IGNORED, SEEN_UNSAMPLED},
    loss::MAP_MISSING,
    narrow::{Address, Tuple, port_index},
};
use probe_ebpf::{count::add_shared, loss::count_loss};

/// 1 if there are rules.
#[unsafe(no_mangle)]
static HAS_RULES: Global<u32> = Global::new(0);
/// One flow in this many is counted; 1 counts all.
#[unsafe(no_mangle)]
static FLOW_SAMPLING: Global<u32> = Global::new(1);

/// Rules that an address in a network satisfies. Holds the network of all addresses, so that every look-up finds one.
#[btf_map]
static NETWORKS: LpmTrie<Address, u64, 1> = LpmTrie::new();
/// Rules that a port satisfies.
#[btf_map]
static PORTS: Array<u64, 1> = Array::new();
/// Rules that a protocol satisfies.
#[btf_map]
static PROTOCOLS: Array<u64, 1> = Array::new();
/// How much was seen, by what became of it: `SEEN_COUNTED` and so on. Packets in one object, connections in the other.
#[btf_map]
static FATES: PerCpuArray<u64, SEEN> = PerCpuArray::new();

/// What becomes of a flow: `SEEN_COUNTED`, or why it is left out.
#[inline(always)]
pub(crate) fn fate(flow: impl FnOnce() -> Tuple) -> u32 {
    let every = FLOW_SAMPLING.load();
    let has_rules = HAS_RULES.load() == 1;
    if !has_rules && every <= 1 {
        return SEEN_COUNTED;
    }
    let flow = flow();
    if has_rules && meets_a_rule(&flow) {
        SEEN_IGNORED
    } else if is_sampled(&flow, every) {
        SEEN_COUNTED
    } else {
        SEEN_UNSAMPLED
    }
}

/// Counts what became of packets or of a connection.
#[inline(always)]
pub(crate) fn seen(fate: u32, units: u64) {
    if let Some(counter) = FATES.get_ptr_mut(fate) {
        // SAFETY: the pointer is that of a map value; a packet program can interrupt another on the same CPU.
        unsafe { add_shared(counter, units) };
    }
}

#[inline(never)]
fn is_sampled(flow: &Tuple, every: u32) -> bool {
    flow.is_sampled(every)
}

#[inline(never)]
fn meets_a_rule(flow: &Tuple) -> bool {
    let by_network =
        of_address(flow.ip_version, &flow.local) | of_address(flow.ip_version, &flow.remote);
    let by_port = entry(PORTS.get(port_index(flow.protocol, flow.local_port)))
        | entry(PORTS.get(port_index(flow.protocol, flow.remote_port)));
    let by_protocol = entry(PROTOCOLS.get(u32::from(flow.protocol)));
    by_network & by_port & by_protocol != 0
}

#[inline(always)]
fn of_address(ip_version: u8, address: &[u8; 16]) -> u64 {
    entry(NETWORKS.get(&Key::new(Address::BITS, Address::new(ip_version, *address))))
}

/// Tables without an entry for everything are not of this build.
#[inline(always)]
fn entry(rules: Option<&u64>) -> u64 {
    rules.copied().unwrap_or_else(|| {
        count_loss(MAP_MISSING);
        0
    })
}
