//! Why BTF does not answer.

use std::{io, path::PathBuf};

/// Why BTF could not be read, or does not answer.
#[derive(Debug, thiserror::Error)]
pub enum BtfError {
    /// The file could not be read.
    #[error(
        "no kernel type information at {path}: the kernel needs CONFIG_DEBUG_INFO_BTF=y",
        path = path.display()
    )]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The magic number is missing.
    #[error("not BTF: the file does not start with its magic number")]
    NotBtf,
    /// Written for a machine of the other byte order.
    #[error("BTF of the other byte order: it belongs to another machine")]
    ForeignByteOrder,
    /// Unknown version of the format.
    #[error("BTF version {version} is unknown")]
    UnknownVersion {
        /// As stated in the header.
        version: u8,
    },
    /// Something lies outside of the file.
    #[error("BTF is cut or damaged at byte {offset}")]
    Cut {
        /// Where the reference stands.
        offset: usize,
    },
    /// A kind of type that this reader cannot skip.
    #[error("BTF holds a type of kind {kind}, which this version of nodeprobe does not know")]
    UnknownKind {
        /// The `BTF_KIND_*` number.
        kind: u8,
    },
    /// There is no such struct or union.
    #[error("kernel BTF has no struct or union `{record}`")]
    NoRecord {
        /// Its name.
        record: String,
    },
    /// The struct or union exists and has no such member.
    #[error("kernel BTF has no field `{record}.{field}`")]
    NoField {
        /// Name of the struct or union.
        record: String,
        /// Name of the member.
        field: String,
    },
    /// The member has no byte offset.
    #[error("`{record}.{field}` is a bitfield and has no byte offset")]
    Bitfield {
        /// Name of the struct or union.
        record: String,
        /// Name of the member.
        field: String,
    },
}
