//! The section of answers: what the asked name leads to.

use std::{net::IpAddr, time::Duration};

use domain::{
    base::{
        iana::{Class, Rtype},
        message::RecordSection,
        record::ParsedRecord,
        wire::ParseError,
    },
    rdata::{A, Aaaa, Cname},
};

use super::text::name_text;

/// Records that are looked at. A captured message has room for 121.
const RECORDS: usize = 128;
/// Aliases that are followed from the asked name on; resolvers give up at about as many.
const ALIASES: usize = 16;

/// What the asked name leads to. Records of names that it does not lead to are left out.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answers {
    /// Addresses of the name or of what it is another name of.
    pub addresses: Vec<IpAddr>,
    /// Names that the asked one is another name of, in order.
    pub aliases: Vec<String>,
    /// The smallest time that one of these records may be kept.
    pub ttl: Option<Duration>,
}

/// One record, of the class Internet.
struct Found {
    owner: String,
    ttl: Duration,
    data: Data,
}

enum Data {
    Address(IpAddr),
    Alias(String),
    Other,
}

/// Reads the records that are whole; also why the reading ended before the section's end, if it did.
pub(super) fn read(asked: &str, section: RecordSection<'_, [u8]>) -> (Answers, Option<ParseError>) {
    let mut found = Vec::new();
    let mut fault = None;
    for record in section.take(RECORDS) {
        match record.and_then(|record| one(&record)) {
            Ok(record) => found.extend(record),
            Err(error) => {
                fault = Some(error);
                break;
            }
        }
    }
    (follow(asked, &found), fault)
}

fn one(record: &ParsedRecord<'_, [u8]>) -> Result<Option<Found>, ParseError> {
    if record.class() != Class::IN {
        return Ok(None);
    }
    let data = match record.rtype() {
        Rtype::A => record
            .to_record::<A>()?
            .map(|record| Data::Address(IpAddr::V4(record.data().addr()))),
        Rtype::AAAA => record
            .to_record::<Aaaa>()?
            .map(|record| Data::Address(IpAddr::V6(record.data().addr()))),
        Rtype::CNAME => record
            .to_record::<Cname<_>>()?
            .map(|record| Data::Alias(name_text(record.data().cname()))),
        _ => Some(Data::Other),
    };
    Ok(data.map(|data| Found {
        owner: name_text(&record.owner()),
        ttl: keeping(record.ttl().as_secs()),
        data,
    }))
}

/// RFC 2181 section 8: a time to live with the highest bit set is zero.
fn keeping(seconds: u32) -> Duration {
    let seconds = if seconds > i32::MAX as u32 {
        0
    } else {
        seconds
    };
    Duration::from_secs(seconds.into())
}

/// Follows aliases from the asked name on, in whatever order the records come.
fn follow(asked: &str, found: &[Found]) -> Answers {
    let mut answers = Answers::default();
    let mut name = asked;
    loop {
        let mut next = None;
        for record in found.iter().filter(|record| record.owner == name) {
            answers.ttl = Some(answers.ttl.map_or(record.ttl, |ttl| ttl.min(record.ttl)));
            match &record.data {
                Data::Address(address) => answers.addresses.push(*address),
                Data::Alias(alias) => next = next.or(Some(alias.as_str())),
                Data::Other => {}
            }
        }
        let Some(alias) = next else {
            return answers;
        };
        let seen = alias == asked || answers.aliases.iter().any(|earlier| earlier == alias);
        if seen || answers.aliases.len() == ALIASES {
            return answers;
        }
        answers.aliases.push(alias.to_owned());
        name = alias;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn alias(owner: &str, target: &str) -> Found {
        Found {
            owner: owner.to_owned(),
            ttl: Duration::from_secs(60),
            data: Data::Alias(target.to_owned()),
        }
    }

    fn address(owner: &str, last: u8) -> Found {
        Found {
            owner: owner.to_owned(),
            ttl: Duration::from_secs(30),
            data: Data::Address(IpAddr::from([192, 0, 2, last])),
        }
    }

    #[test]
    fn aliases_are_followed_in_any_order_of_records() {
        let found = [address("c", 1), alias("b", "c"), alias("a", "b")];
        let answers = follow("a", &found);
        assert_eq!(answers.aliases, ["b", "c"]);
        assert_eq!(answers.addresses, [IpAddr::from([192, 0, 2, 1])]);
        assert_eq!(answers.ttl, Some(Duration::from_secs(30)));
    }

    #[test]
    fn records_of_other_names_do_not_count() {
        let answers = follow("a", &[address("bank.example", 1), alias("x", "a")]);
        assert_eq!(answers, Answers::default());
    }

    #[test]
    fn aliases_in_a_circle_end() {
        let answers = follow("a", &[alias("a", "b"), alias("b", "a"), address("b", 1)]);
        assert_eq!(answers.aliases, ["b"]);
        assert_eq!(answers.addresses.len(), 1);
        assert_eq!(follow("a", &[alias("a", "a")]).aliases.len(), 0);
    }

    #[test]
    fn a_long_chain_is_followed_for_a_while() {
        let chain: Vec<Found> = (0..100)
            .map(|n| alias(&n.to_string(), &(n + 1).to_string()))
            .collect();
        assert_eq!(follow("0", &chain).aliases.len(), ALIASES);
    }

    #[test]
    fn a_negative_time_to_live_is_zero() {
        assert_eq!(keeping(u32::MAX), Duration::ZERO);
        assert_eq!(keeping(1 << 31), Duration::ZERO);
        assert_eq!(keeping(86_400), Duration::from_secs(86_400));
    }
}
