//! How many time series a family and the whole target may show.

use std::collections::HashMap;

use super::Desc;

/// Time series of the whole target.
pub const TOTAL: usize = 20_000;

/// Part of the total that is set aside for the probe's own families: container series never take it, so what tells
/// of an overflow is there during one.
pub const SELF_RESERVE: usize = 808;

/// Caps, as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Budgets {
    /// Time series of the target. What container families may use is this less [`SELF_RESERVE`].
    pub total: usize,
    /// Caps that replace those of the families, by name with or without the prefix. 0 folds everything together.
    pub families: HashMap<String, usize>,
}

impl Budgets {
    pub(super) fn of(&self, desc: &Desc) -> usize {
        let short = desc.name.strip_prefix(super::PREFIX).unwrap_or(desc.name);
        let configured = self
            .families
            .get(desc.name)
            .or_else(|| self.families.get(short));
        configured.copied().unwrap_or(desc.budget)
    }

    pub(super) fn for_containers(&self) -> usize {
        self.total.saturating_sub(SELF_RESERVE)
    }
}

impl Default for Budgets {
    fn default() -> Self {
        Self {
            total: TOTAL,
            families: HashMap::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::metrics::families;

    #[test]
    fn configured_caps_replace_those_of_the_family_by_either_name() {
        let caps = [("syscalls_total", 7), ("nodeprobe_syscall_errors_total", 8)];
        let families = caps.map(|(name, cap)| (name.to_owned(), cap)).into();
        let budgets = Budgets {
            families,
            ..Budgets::default()
        };
        assert_eq!(budgets.of(&families::SYSCALLS), 7);
        assert_eq!(budgets.of(&families::SYSCALL_ERRORS), 8);
        assert_eq!(budgets.of(&families::SCHED_ONCPU), 200);
    }
}
