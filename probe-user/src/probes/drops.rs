//! The `drops` probe: packets that the kernel dropped, by its own reason, by container and by flow.

mod by_flow;
mod reasons;

use std::sync::Arc;

use probe_common::drops::DropKey;

pub use self::by_flow::DropsReader;
use self::reasons::Reasons;
use super::{Attached, Collector, Options, ProbeSpec, table::Table};
use crate::{
    loader::{self, Globals, Kernel, LoadError},
    maps::MapError,
    model::{DropRow, FeatureState, FreedRow, MapFill, Measurements, OwnerId},
};

pub(super) const SPEC: ProbeSpec = ProbeSpec {
    name: "drops",
    about: "packets that the kernel dropped, by its own reason, by container where a socket is known, and by flow",
    hooks: |_| &[HOOK],
    attach,
};

const HOOK: &str = "kfree_skb";
const OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/drops"));

fn attach(kernel: &Kernel, options: &Options) -> Result<Attached, LoadError> {
    let arguments = kernel.types.tracepoint_args(HOOK).unwrap_or_default();
    if arguments < 3 {
        return Err(LoadError::Unsupported(
            "the kernel gives no reason for a dropped packet (Linux 5.17)".into(),
        ));
    }
    let mut globals = Globals::new();
    globals
        .set_log_level(super::log_level(options))
        .set_socket(kernel)?
        .set_offset(kernel, "SKB_SK", &[("sk_buff", "sk")])?
        .set_offset(kernel, "SKB_PROTOCOL", &[("sk_buff", "protocol")])?
        .set("HAS_RX_SOCKET", u32::from(arguments > 3));
    by_flow::set(&mut globals, kernel)?;
    let sizes = options.sizes;
    let mut ebpf = loader::load(
        OBJECT,
        &globals,
        &[("DROPS", sizes.drops), ("FLOW_DROPS", sizes.flow_drops)],
    )?;
    let drops = Table::open(&mut ebpf, "DROPS", sizes.drops)?;
    let reasons = Arc::new(Reasons::of(kernel));
    let reader = DropsReader::open(&mut ebpf, reasons.clone())?;
    loader::attach(&mut ebpf, kernel, HOOK)?;
    let mut attached = Attached::new(SPEC.name, FeatureState::On, ebpf);
    attached.collector = Some(Box::new(DropsCollector { drops, reasons }));
    attached.readers.drops = Some(reader);
    Ok(attached)
}

struct DropsCollector {
    drops: Table<DropKey, u64>,
    reasons: Arc<Reasons>,
}

impl Collector for DropsCollector {
    fn collect(&mut self, into: &mut Measurements) -> Result<(), MapError> {
        for (key, packets) in self.drops.read()? {
            let reason = self.reasons.name(key.reason).to_string();
            if key.freed == 1 {
                into.freed.push(FreedRow { reason, packets });
            } else {
                into.drops.push(DropRow {
                    owner: (key.cgroup != 0).then_some(OwnerId(key.cgroup)),
                    reason,
                    packets,
                });
            }
        }
        Ok(())
    }

    fn release(&mut self, owners: &[OwnerId]) -> Result<(), MapError> {
        self.drops
            .release(|key| owners.contains(&OwnerId(key.cgroup)))
    }

    fn fill(&self) -> Vec<MapFill> {
        vec![self.drops.fill(SPEC.name)]
    }
}
