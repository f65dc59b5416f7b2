//! What a field of a record may be, and the macro that declares records.
//!
//! A record is declared once: the struct, its form in JSON, the schema and the table of the documentation come from it.

#[cfg(test)]
pub(super) mod described;

use std::{
    borrow::Cow,
    collections::BTreeMap,
    fmt,
    net::IpAddr,
    time::{SystemTime, UNIX_EPOCH},
};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de::Error as _};

/// A number of 64 bits that names something. In JSON decimal digits in a string, since numbers end at 2^53.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Id(pub u64);

impl Serialize for Id {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.0)
    }
}

impl<'de> Deserialize<'de> for Id {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        text.parse().map(Self).map_err(D::Error::custom)
    }
}

/// A moment. In JSON RFC 3339 with nanoseconds in UTC; what lies before 1970 is shown as its beginning.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Time(pub SystemTime);

impl fmt::Display for Time {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_rfc3339_nanos(self.0.max(UNIX_EPOCH)).fmt(f)
    }
}

impl Serialize for Time {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = Cow::<str>::deserialize(deserializer)?;
        humantime::parse_rfc3339(&text)
            .map(Self)
            .map_err(D::Error::custom)
    }
}

/// A type that a field can have.
pub(super) trait Field {
    /// Whether it is left out.
    fn is_absent(&self) -> bool {
        false
    }
}

macro_rules! fields {
    ($($kind:ident: $($type:ty),+;)+) => {
        $($(
            impl Field for $type {}

            #[cfg(test)]
            impl described::Form for $type {
                const KIND: described::Kind = described::Kind::$kind;
            }
        )+)+
    };
}

fields! {
    Text: Cow<'_, str>;
    Address: IpAddr;
    Time: Time;
    Id: Id;
    Unsigned: u8, u16, u32, u64;
    Signed: i64;
    Bool: bool;
    List: Vec<Cow<'_, str>>;
    Counts: BTreeMap<Cow<'_, str>, u64>;
}

impl<T: Field> Field for Option<T> {
    fn is_absent(&self) -> bool {
        self.is_none()
    }
}

/// Declares a record: `Name<'a> { /// Meaning. field: Type, … }`. Fields are written in this order, absent ones left out.
macro_rules! record {
    (
        $(#[$meta:meta])*
        $name:ident<$life:lifetime> {
            $($(#[doc = $doc:literal])+ $field:ident: $type:ty,)+
        }
    ) => {
        $(#[$meta])*
        #[derive(Clone, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
        pub struct $name<$life> {
            $(
                $(#[doc = $doc])+
                #[serde(skip_serializing_if = "crate::flows::field::Field::is_absent")]
                pub $field: $type,
            )+
        }

        #[cfg(test)]
        impl<$life> $name<$life> {
            pub(in crate::flows) const FIELDS: &'static [crate::flows::field::described::Described] = &[$(
                crate::flows::field::described::Described {
                    name: stringify!($field),
                    kind: <$type as crate::flows::field::described::Form>::KIND,
                    optional: <$type as crate::flows::field::described::Form>::OPTIONAL,
                    meaning: concat!($($doc),+),
                },
            )+];
        }
    };
}
pub(super) use record;
