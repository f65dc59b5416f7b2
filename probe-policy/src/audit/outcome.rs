//! Verdict against reality.

use serde::{Deserialize, Serialize};

use crate::verdict::Word;

/// What became of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was made, or its first packet reached the destination's socket.
    Delivered,
    /// It was not made, and a packet of it is known to have been dropped.
    Dropped,
    /// It was not made: refused, or nobody answered. Silence is no drop.
    NoReply,
    /// Nobody can tell, as of datagrams without an answer.
    Unobserved,
}

/// What verdict and outcome come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Assessment {
    /// They agree. Of a denial no proof that a policy was the cause.
    Consistent,
    /// It is denied and was delivered: policies are not enforced here, or are understood in another way.
    Gap,
    /// It is allowed and was dropped, by something else.
    Breakage,
    /// They need not agree.
    Indeterminate,
    /// There is no verdict to compare with.
    NotEvaluated,
}

impl Assessment {
    /// Of a connection whose verdict is settled.
    pub fn of(word: Word, outcome: Outcome) -> Self {
        match (word.allows(), outcome) {
            (None, _) => Self::NotEvaluated,
            (Some(_), Outcome::Unobserved) | (Some(true), Outcome::NoReply) => Self::Indeterminate,
            (Some(true), Outcome::Delivered)
            | (Some(false), Outcome::Dropped | Outcome::NoReply) => Self::Consistent,
            (Some(true), Outcome::Dropped) => Self::Breakage,
            (Some(false), Outcome::Delivered) => Self::Gap,
        }
    }

    /// Of one that another verdict may have met: nothing is wrong for certain.
    #[must_use]
    pub fn unsettled(self) -> Self {
        match self {
            Self::Gap | Self::Breakage => Self::Indeterminate,
            other => other,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_meets_every_outcome() {
        use Assessment::{Breakage, Consistent, Gap, Indeterminate, NotEvaluated};
        use Outcome::{Delivered, Dropped, NoReply, Unobserved};
        let outcomes = [Delivered, Dropped, NoReply, Unobserved];
        for (words, expected) in [
            (
                &[Word::Allowed, Word::NoPolicy, Word::Exempt][..],
                [Consistent, Breakage, Indeterminate, Indeterminate],
            ),
            (
                &[Word::WouldDeny, Word::Denied],
                [Gap, Consistent, Consistent, Indeterminate],
            ),
            (&[Word::Undefined, Word::Unknown], [NotEvaluated; 4]),
        ] {
            for word in words {
                let found = outcomes.map(|outcome| Assessment::of(*word, outcome));
                assert_eq!(found, expected, "{word:?}");
            }
        }
    }

    #[test]
    fn what_is_not_settled_raises_no_alarm() {
        assert_eq!(Assessment::Gap.unsettled(), Assessment::Indeterminate);
        assert_eq!(Assessment::Breakage.unsettled(), Assessment::Indeterminate);
        assert_eq!(Assessment::Consistent.unsettled(), Assessment::Consistent);
    }
}
