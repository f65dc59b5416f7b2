//! Control bits of TCP segments.

/// A set of control bits, each where the header has it (RFC 9293, section 3.1), and `tcpControlBits` of IPFIX too.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FlagSet(pub u8);

impl FlagSet {
    /// The sender will send no more.
    pub const FIN: Self = Self(1);
    /// Begins a connection.
    pub const SYN: Self = Self(1 << 1);
    /// Ends it at once.
    pub const RST: Self = Self(1 << 2);
    /// Acknowledges something.
    pub const ACK: Self = Self(1 << 4);

    /// Names of the bits that a socket tells of, in the order of their numbers.
    const NAMES: [(Self, &'static str); 4] = [
        (Self::FIN, "FIN"),
        (Self::SYN, "SYN"),
        (Self::RST, "RST"),
        (Self::ACK, "ACK"),
    ];

    /// What either has.
    #[must_use]
    pub const fn with(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// As [`with`](Self::with) under a condition.
    #[must_use]
    pub const fn with_if(self, condition: bool, other: Self) -> Self {
        if condition { self.with(other) } else { self }
    }

    /// Whether all of the other are in this one.
    pub const fn has(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Names of what is in it.
    pub fn names(self) -> impl Iterator<Item = &'static str> {
        Self::NAMES
            .into_iter()
            .filter(move |(flag, _)| self.has(*flag))
            .map(|(_, name)| name)
    }
}

/// The union of the flags of all segments that a socket sent and took, as far as the socket tells.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct TcpFlags {
    /// Of the local socket's segments.
    pub sent: FlagSet,
    /// Of the other side's.
    pub received: FlagSet,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_set_names_what_is_in_it() {
        let set = FlagSet::SYN.with(FlagSet::ACK).with_if(false, FlagSet::RST);
        assert_eq!(set.names().collect::<Vec<_>>(), ["SYN", "ACK"]);
        assert!(set.has(FlagSet::ACK) && !set.has(FlagSet::FIN));
        assert_eq!(FlagSet::default().names().count(), 0);
    }
}
