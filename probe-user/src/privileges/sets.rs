//! Reading capability sets and naming what is in them.

use rustix::thread::{CapabilitySet, capabilities};

/// The capabilities in force for the calling thread; none where they cannot be read.
pub fn effective() -> CapabilitySet {
    capabilities(None).map_or(CapabilitySet::empty(), |sets| sets.effective)
}

/// `CAP_BPF, CAP_PERFMON`; `none` for the empty set.
pub fn names(set: CapabilitySet) -> String {
    if set.is_empty() {
        return "none".into();
    }
    let names: Vec<_> = set
        .iter_names()
        .map(|(name, _)| format!("CAP_{name}"))
        .collect();
    names.join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_those_of_the_kernel() {
        assert_eq!(
            names(CapabilitySet::BPF | CapabilitySet::SYS_ADMIN),
            "CAP_SYS_ADMIN, CAP_BPF"
        );
        assert_eq!(names(CapabilitySet::empty()), "none");
    }
}
