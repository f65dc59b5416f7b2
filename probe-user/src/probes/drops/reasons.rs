//! What the running kernel calls its reasons.

use std::sync::Arc;

use crate::loader::Kernel;

/// Reasons and their names.
pub(super) struct Reasons(Vec<(u32, Arc<str>)>);

impl Reasons {
    pub(super) fn of(kernel: &Kernel) -> Self {
        const PREFIX: &str = "SKB_DROP_REASON_";
        let reasons = kernel.types.enumerators("skb_drop_reason");
        Self(
            reasons
                .into_iter()
                .filter_map(|(name, value)| {
                    let name = name.strip_prefix(PREFIX).unwrap_or(&name);
                    Some((u32::try_from(value).ok()?, name.to_ascii_lowercase().into()))
                })
                .collect(),
        )
    }

    /// The kernel's own name in lower case, or the number in hexadecimal: its upper half tells the subsystem.
    pub(super) fn name(&self, reason: u32) -> Arc<str> {
        self.0
            .iter()
            .find(|(value, _)| *value == reason)
            .map_or_else(|| format!("{reason:#x}").into(), |(_, name)| name.clone())
    }
}
