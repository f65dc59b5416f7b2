//! Rules in both directions.

use super::Rule;
use crate::model::{Container, Flow};

/// Which flows are wanted: those that meet any rule of `include`, where there are some, and none of `exclude`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules {
    /// What is wanted; all if there is no rule.
    pub include: Vec<Rule>,
    /// What of that is not.
    pub exclude: Vec<Rule>,
}

impl Rules {
    /// Whether a flow between these owners is wanted, see [`Rule::matches`].
    pub fn admit(&self, flow: &Flow, owners: [Option<&Container>; 2]) -> bool {
        let met = |rule: &Rule| rule.matches(flow, owners);
        (self.include.is_empty() || self.include.iter().any(met)) && !self.exclude.iter().any(met)
    }

    /// Whether a flow may be wanted, by what is in its packets: for who does not know its owners yet.
    pub fn may_admit(&self, flow: &Flow) -> bool {
        let met = |rule: &Rule| rule.matches_packets(flow);
        let surely_met = |rule: &Rule| !rule.asks_owners() && met(rule);
        (self.include.is_empty() || self.include.iter().any(met))
            && !self.exclude.iter().any(surely_met)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::select::rule::tests::flow;

    fn rules(include: &[&str], exclude: &[&str]) -> Rules {
        let read = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect();
        Rules {
            include: read(include),
            exclude: read(exclude),
        }
    }

    #[test]
    fn what_is_excluded_is_out_even_where_it_is_included() {
        let flow = flow();
        let admit = |include: &[&str], exclude: &[&str]| {
            let rules = rules(include, exclude);
            let admitted = rules.admit(&flow, [None, None]);
            assert!(!admitted || rules.may_admit(&flow));
            admitted
        };
        assert!(admit(&[], &[]));
        assert!(admit(&["transport=tcp"], &[]));
        assert!(admit(&["transport=udp", "transport=tcp"], &[]));
        assert!(!admit(&["transport=udp"], &[]));
        assert!(!admit(&["transport=tcp"], &["transport=tcp,udp"]));
        assert!(admit(&[], &["transport=udp"]));
    }

    #[test]
    fn what_an_unknown_owner_may_exclude_may_be_wanted() {
        let rules = rules(&[], &["transport=tcp container=web"]);
        assert!(rules.may_admit(&flow()));
        assert!(rules.admit(&flow(), [None, None]));
    }
}
