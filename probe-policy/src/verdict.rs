//! What policies say of a connection.

use serde::{Deserialize, Serialize};

/// The word of a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// A rule allows it.
    Allowed,
    /// No policy has anything to do with it, so that it is allowed.
    NoPolicy,
    /// It is allowed whatever policies say.
    Exempt,
    /// Policies isolate the pod and no rule of theirs allows it.
    WouldDeny,
    /// A rule denies it.
    Denied,
    /// The API leaves it open.
    Undefined,
    /// What is known does not suffice.
    Unknown,
}

impl Word {
    /// Whether it may pass; `None` where that is open or not known.
    pub fn allows(self) -> Option<bool> {
        match self {
            Self::Allowed | Self::NoPolicy | Self::Exempt => Some(true),
            Self::WouldDeny | Self::Denied => Some(false),
            Self::Undefined | Self::Unknown => None,
        }
    }
}

/// Why it is exempt, undefined or unknown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// Exempt: a pod talks to itself.
    Loopback,
    /// Exempt: the pod's own node may always reach it.
    LocalNode,
    /// Undefined: NetworkPolicies speak of TCP, UDP and SCTP only.
    Protocol,
    /// Undefined: a pod talks to itself through a service.
    Hairpin,
    /// Undefined: the API's documentation contradicts itself about the pod's own node.
    EgressToLocalNode,
    /// Undefined: policies of the same priority say different things.
    PriorityTie,
    /// Unknown: the pod has ended, or is not known.
    NoPodData,
    /// Unknown: the ends of a service differ, or there are none.
    UnresolvedService,
    /// Unknown: a policy that is not valid may have a say.
    InvalidPolicy,
    /// Unknown: it is denied unless a rule by domain names accepts it, and the name is not known.
    DomainName,
    /// Unknown: nobody saw who began the connection.
    GuessedInitiator,
}

/// What rides along and does not change the word.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Caveat {
    /// A pod is allowed by its address only, which not every network plug-in does.
    IpblockMatchedPod,
    /// Policies of the same priority say the same.
    PriorityTieSameResult,
    /// The service was resolved by its endpoint slices.
    ServiceByEndpointslice,
    /// A rule by domain names was not judged, because the name is not known.
    DomainNameUnknown,
    /// Policies changed so short before that they may not have been in force everywhere, and would have said another thing before.
    WithinGrace,
    /// It is judged by the policies that were in force when it began, and these have changed since.
    PolicyChangedSinceStart,
    /// It began before the policies were read: which were in force then is not known.
    StartedBeforePolicies,
}

/// How near an isolating policy came to allowing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Miss {
    /// It has no rule of this direction.
    NoRule,
    /// No rule's peer matched, nor its port.
    Both,
    /// A rule's port matched and its peer did not.
    Peer,
    /// A rule's peer matched and its port did not.
    Port,
    /// A rule's peer matched, and the destination has no port of the name.
    NamedPort,
}

/// A part of a policy that has a say. Indices begin at 0.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Hit {
    /// Which of the cluster's policies.
    pub policy: u32,
    /// Which of its rules in the direction; of a policy that isolates, the one that missed by least.
    pub rule: Option<u16>,
    /// Which of the rule's peers matched; `None` if it matches all.
    pub peer: Option<u16>,
    /// Which of the rule's ports matched; `None` if it matches all.
    pub port: Option<u16>,
    /// Of a policy that isolates and does not allow, how nearly.
    pub miss: Option<Miss>,
}

/// The verdict of one direction.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Side {
    /// The word.
    pub word: Word,
    /// Why, where the word has a reason.
    pub reason: Option<Reason>,
    /// Of what is undefined or unknown, the word that the rules would give.
    pub lean: Option<Word>,
    /// All rules that allow, the rule that denies, or all policies that isolate.
    pub hits: Vec<Hit>,
    /// Rules that passed it on to the next tier, in their order.
    pub passed: Vec<Hit>,
    /// In order, each once.
    pub caveats: Vec<Caveat>,
}

impl Side {
    /// A word without anything to add.
    pub fn plain(word: Word) -> Self {
        Self {
            word,
            reason: None,
            lean: None,
            hits: Vec::new(),
            passed: Vec::new(),
            caveats: Vec::new(),
        }
    }

    /// A word with its reason.
    pub fn because(word: Word, reason: Reason) -> Self {
        Self {
            reason: Some(reason),
            ..Self::plain(word)
        }
    }

    pub(crate) fn caveat(&mut self, caveat: Caveat) {
        if let Err(at) = self.caveats.binary_search(&caveat) {
            self.caveats.insert(at, caveat);
        }
    }
}

/// The verdict of a connection: both directions, and what they come to.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Verdict {
    /// Whether its source may.
    pub egress: Side,
    /// Whether its destination lets it.
    pub ingress: Side,
    /// What both come to.
    pub combined: Word,
    /// Why, where the word has a reason.
    pub reason: Option<Reason>,
}

impl Verdict {
    /// Of both directions. Denials come first, then what is not known, then what is open.
    pub fn new(egress: Side, ingress: Side) -> Self {
        let both = [egress.word, ingress.word];
        let first = [
            Word::Denied,
            Word::WouldDeny,
            Word::Unknown,
            Word::Undefined,
        ];
        let combined = first
            .into_iter()
            .find(|word| both.contains(word))
            .unwrap_or(if both == [Word::NoPolicy; 2] {
                Word::NoPolicy
            } else if both.contains(&Word::Exempt) && !both.contains(&Word::Allowed) {
                Word::Exempt
            } else {
                Word::Allowed
            });
        let reason = [&egress, &ingress]
            .into_iter()
            .find(|side| side.word == combined);
        Self {
            reason: reason.and_then(|side| side.reason),
            egress,
            ingress,
            combined,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_denial_outweighs_what_is_open_and_that_what_is_allowed() {
        use Word::{Allowed, Denied, Exempt, NoPolicy, Undefined, Unknown, WouldDeny};
        for (egress, ingress, expected) in [
            (Allowed, Denied, Denied),
            (Denied, WouldDeny, Denied),
            (Unknown, WouldDeny, WouldDeny),
            (Undefined, Unknown, Unknown),
            (Allowed, Undefined, Undefined),
            (NoPolicy, NoPolicy, NoPolicy),
            (NoPolicy, Allowed, Allowed),
            (NoPolicy, Exempt, Exempt),
            (Allowed, Exempt, Allowed),
        ] {
            for (one, other) in [(egress, ingress), (ingress, egress)] {
                let verdict = Verdict::new(Side::plain(one), Side::plain(other));
                assert_eq!(verdict.combined, expected, "{one:?} {other:?}");
            }
        }
    }
}
