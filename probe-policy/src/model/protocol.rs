//! Transport protocols.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use thiserror::Error;

/// What a connection runs over. Policies name the first three and no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub enum Protocol {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// SCTP.
    Sctp,
    /// Any other, by IANA's protocol number, such as 1 for ICMP.
    Other(u8),
}

/// A word that names no protocol.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{0}` is no protocol: TCP, UDP, SCTP, ICMP, ICMPv6 or a number")]
pub struct UnknownProtocol(String);

/// IANA's number of ICMP.
const ICMP: u8 = 1;
/// IANA's number of ICMP for IPv6.
const ICMPV6: u8 = 58;

impl Protocol {
    /// By IANA's number, as it is in the header of a packet.
    pub fn from_number(number: u8) -> Self {
        match number {
            6 => Self::Tcp,
            17 => Self::Udp,
            132 => Self::Sctp,
            other => Self::Other(other),
        }
    }

    /// As the API spells it, which is exact: the three that a policy may name.
    pub fn in_policy(word: &str) -> Option<Self> {
        match word {
            "TCP" => Some(Self::Tcp),
            "UDP" => Some(Self::Udp),
            "SCTP" => Some(Self::Sctp),
            _ => None,
        }
    }

    /// Whether policies have a say: it is one of those that they can name.
    pub fn is_policed(self) -> bool {
        !matches!(self, Self::Other(_))
    }
}

impl fmt::Display for Protocol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Tcp => f.write_str("TCP"),
            Self::Udp => f.write_str("UDP"),
            Self::Sctp => f.write_str("SCTP"),
            Self::Other(ICMP) => f.write_str("ICMP"),
            Self::Other(ICMPV6) => f.write_str("ICMPv6"),
            Self::Other(number) => write!(f, "{number}"),
        }
    }
}

impl FromStr for Protocol {
    type Err = UnknownProtocol;

    /// As people and flow records write it, in any case.
    fn from_str(word: &str) -> Result<Self, Self::Err> {
        Ok(match word.to_ascii_uppercase().as_str() {
            "TCP" => Self::Tcp,
            "UDP" => Self::Udp,
            "SCTP" => Self::Sctp,
            "ICMP" => Self::Other(ICMP),
            "ICMPV6" | "ICMP6" | "IPV6-ICMP" => Self::Other(ICMPV6),
            _ => Self::from_number(word.parse().map_err(|_| UnknownProtocol(word.to_owned()))?),
        })
    }
}

impl TryFrom<String> for Protocol {
    type Error = UnknownProtocol;

    fn try_from(word: String) -> Result<Self, Self::Error> {
        word.parse()
    }
}

impl From<Protocol> for String {
    fn from(protocol: Protocol) -> Self {
        protocol.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn protocols_are_read_in_any_case_and_by_number() {
        assert_eq!("tcp".parse(), Ok(Protocol::Tcp));
        assert_eq!("132".parse(), Ok(Protocol::Sctp));
        assert_eq!("icmpv6".parse(), Ok(Protocol::Other(58)));
        assert!("tcpp".parse::<Protocol>().is_err());
        for number in 0..=255 {
            let protocol = Protocol::from_number(number);
            assert_eq!(protocol.to_string().parse(), Ok(protocol));
        }
    }

    #[test]
    fn a_policy_spells_them_exactly() {
        assert_eq!(Protocol::in_policy("TCP"), Some(Protocol::Tcp));
        assert_eq!(Protocol::in_policy("tcp"), None);
        assert_eq!(Protocol::in_policy("ICMP"), None);
    }
}
