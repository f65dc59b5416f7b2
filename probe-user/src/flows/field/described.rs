//! What the schema and the documentation say of fields, which tests write.

/// Form of a field in JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::flows) enum Kind {
    Text,
    Address,
    Time,
    Id,
    Unsigned,
    Signed,
    Bool,
    List,
    Counts,
}

/// What a type says of its fields.
pub(in crate::flows) trait Form {
    const KIND: Kind;
    /// Whether the field may be missing.
    const OPTIONAL: bool = false;
}

impl<T: Form> Form for Option<T> {
    const KIND: Kind = T::KIND;
    const OPTIONAL: bool = true;
}

/// A field of a record.
pub(in crate::flows) struct Described {
    pub(in crate::flows) name: &'static str,
    pub(in crate::flows) kind: Kind,
    pub(in crate::flows) optional: bool,
    pub(in crate::flows) meaning: &'static str,
}
