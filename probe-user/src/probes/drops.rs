//! The `drops` probe: packets that the kernel dropped, by its own reason and by container.

use probe_common::drops::DropKey;

use super::{Attached, Collector, Options, ProbeSpec, table::Table};
use crate::{
    loader::{self, Globals, Kernel, LoadError},
    maps::MapError,
    model::{DropRow, FeatureState, MapFill, Measurements, OwnerId},
};

pub(super) const SPEC: ProbeSpec = ProbeSpec {
    name: "drops",
    about: "packets that the kernel dropped, by its own reason, and by container where a socket is known",
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
    let sizes = options.sizes;
    let mut ebpf = loader::load(OBJECT, &globals, &[("DROPS", sizes.drops)])?;
    let drops = Table::open(&mut ebpf, "DROPS", sizes.drops)?;
    loader::attach(&mut ebpf, kernel, HOOK)?;
    let mut attached = Attached::new(SPEC.name, FeatureState::On, ebpf);
    attached.collector = Some(Box::new(DropsCollector {
        drops,
        reasons: Reasons::of(kernel),
    }));
    Ok(attached)
}

/// What the running kernel calls its reasons.
struct Reasons(Vec<(u32, String)>);

impl Reasons {
    fn of(kernel: &Kernel) -> Self {
        const PREFIX: &str = "SKB_DROP_REASON_";
        let reasons = kernel.types.enumerators("skb_drop_reason");
        Self(
            reasons
                .into_iter()
                .filter_map(|(name, value)| {
                    let name = name.strip_prefix(PREFIX).unwrap_or(&name);
                    Some((u32::try_from(value).ok()?, name.to_ascii_lowercase()))
                })
                .collect(),
        )
    }

    /// The kernel's own name in lower case, or the number in hexadecimal: its upper half tells the subsystem.
    fn name(&self, reason: u32) -> String {
        self.0
            .iter()
            .find(|(value, _)| *value == reason)
            .map_or_else(|| format!("{reason:#x}"), |(_, name)| name.clone())
    }
}

struct DropsCollector {
    drops: Table<DropKey, u64>,
    reasons: Reasons,
}

impl Collector for DropsCollector {
    fn collect(&mut self, into: &mut Measurements) -> Result<(), MapError> {
        for (key, packets) in self.drops.read()? {
            into.drops.push(DropRow {
                owner: (key.cgroup != 0).then_some(OwnerId(key.cgroup)),
                reason: self.reasons.name(key.reason),
                packets,
            });
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
