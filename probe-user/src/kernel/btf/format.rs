//! The bytes of BTF: header, type records and their tails, read without trusting any of them.
//!
//! Layout as in the kernel's `include/uapi/linux/btf.h` and `Documentation/bpf/btf.rst`.

use std::ops::Range;

use super::BtfError;

const MAGIC: u16 = 0xeb9f;
const VERSION: u8 = 1;
/// Length of the first version of the header; longer ones only add fields.
const HEADER_LEN: usize = 24;

/// `BTF_KIND_*`, as far as a lookup by name needs to tell them apart.
pub(super) mod kind {
    pub(in super::super) const PTR: u8 = 2;
    pub(in super::super) const STRUCT: u8 = 4;
    pub(in super::super) const UNION: u8 = 5;
    pub(in super::super) const ENUM: u8 = 6;
    pub(in super::super) const TYPEDEF: u8 = 8;
    pub(in super::super) const VOLATILE: u8 = 9;
    pub(in super::super) const CONST: u8 = 10;
    pub(in super::super) const RESTRICT: u8 = 11;
    pub(in super::super) const FUNC: u8 = 12;
    pub(in super::super) const FUNC_PROTO: u8 = 13;
    pub(in super::super) const TYPE_TAG: u8 = 18;
    pub(in super::super) const ENUM64: u8 = 19;
}

/// Where types and strings lie in the file.
pub(super) struct Sections {
    pub(super) types: Range<usize>,
    pub(super) strings: Range<usize>,
}

impl Sections {
    pub(super) fn read(bytes: &[u8]) -> Result<Self, BtfError> {
        let magic = bytes.first_chunk::<2>().ok_or(BtfError::NotBtf)?;
        match u16::from_ne_bytes(*magic) {
            MAGIC => {}
            swapped if swapped.swap_bytes() == MAGIC => return Err(BtfError::ForeignByteOrder),
            _ => return Err(BtfError::NotBtf),
        }
        let version = *bytes.get(2).ok_or(BtfError::Cut { offset: 2 })?;
        if version != VERSION {
            return Err(BtfError::UnknownVersion { version });
        }
        let field = |offset| read_u32(bytes, offset).ok_or(BtfError::Cut { offset });
        let header = field(4)? as usize;
        if header < HEADER_LEN {
            return Err(BtfError::Cut { offset: 4 });
        }
        let section = |offset| {
            let start = header.checked_add(field(offset)? as usize);
            let end =
                start.and_then(|s| Some((s, s.checked_add(field(offset + 4).ok()? as usize)?)));
            match end {
                Some((start, end)) if end <= bytes.len() => Ok(start..end),
                _ => Err(BtfError::Cut { offset }),
            }
        };
        Ok(Self {
            types: section(8)?,
            strings: section(16)?,
        })
    }
}

/// The fixed head of a type, `struct btf_type`, and where its tail starts.
#[derive(Clone, Copy)]
pub(super) struct Type {
    pub(super) name: u32,
    pub(super) kind: u8,
    /// What the kind makes of it: bitfields present, or signed.
    pub(super) flag: bool,
    /// Number of members, enumerators or parameters.
    pub(super) len: usize,
    /// Size in bytes, or the type referred to.
    pub(super) size_or_type: u32,
    /// Offset of the members, enumerators or parameters in the file.
    pub(super) tail: usize,
}

impl Type {
    pub(super) const HEAD: usize = 12;

    pub(super) fn read(bytes: &[u8], offset: usize) -> Option<Self> {
        let info = read_u32(bytes, offset.checked_add(4)?)?;
        Some(Self {
            name: read_u32(bytes, offset)?,
            kind: (info >> 24) as u8 & 0x1f,
            flag: info >> 31 != 0,
            len: (info & 0xffff) as usize,
            size_or_type: read_u32(bytes, offset.checked_add(8)?)?,
            tail: offset.checked_add(Self::HEAD)?,
        })
    }

    /// Bytes that follow the head; `None` for a kind that this reader does not know.
    pub(super) fn tail_len(&self) -> Option<usize> {
        Some(match self.kind {
            1 | 14 | 17 => 4,
            2 | 7..=12 | 16 | 18 => 0,
            3 => 12,
            kind::STRUCT | kind::UNION | 15 | kind::ENUM64 => 12 * self.len,
            kind::ENUM | kind::FUNC_PROTO => 8 * self.len,
            _ => return None,
        })
    }

    /// Whether this only gives another name or a qualifier to the type that it refers to.
    pub(super) fn is_alias(&self) -> bool {
        use kind::{CONST, RESTRICT, TYPE_TAG, TYPEDEF, VOLATILE};
        matches!(self.kind, TYPEDEF | VOLATILE | CONST | RESTRICT | TYPE_TAG)
    }

    pub(super) fn is_record(&self) -> bool {
        matches!(self.kind, kind::STRUCT | kind::UNION)
    }

    pub(super) fn is_enum(&self) -> bool {
        matches!(self.kind, kind::ENUM | kind::ENUM64)
    }

    /// Member `index` of a struct or union.
    pub(super) fn member(&self, bytes: &[u8], index: usize) -> Option<Member> {
        let at = self.tail.checked_add(index.checked_mul(12)?)?;
        let raw = read_u32(bytes, at.checked_add(8)?)?;
        let (bitfield, bits) = if self.flag {
            (raw >> 24, raw & 0xff_ffff)
        } else {
            (0, raw)
        };
        Some(Member {
            name: read_u32(bytes, at)?,
            type_id: read_u32(bytes, at.checked_add(4)?)?,
            bits,
            bitfield: (bitfield != 0 || bits % 8 != 0).then_some(bitfield),
        })
    }

    /// Name and value of enumerator `index`.
    pub(super) fn enumerator(&self, bytes: &[u8], index: usize) -> Option<(u32, i64)> {
        let wide = self.kind == kind::ENUM64;
        let at = self
            .tail
            .checked_add(index.checked_mul(if wide { 12 } else { 8 })?)?;
        let low = read_u32(bytes, at.checked_add(4)?)?;
        let value = if wide {
            let high = read_u32(bytes, at.checked_add(8)?)?;
            (u64::from(high) << 32 | u64::from(low)) as i64
        } else if self.flag {
            i64::from(low as i32)
        } else {
            i64::from(low)
        };
        Some((read_u32(bytes, at)?, value))
    }
}

/// A member of a struct or union.
pub(super) struct Member {
    pub(super) name: u32,
    pub(super) type_id: u32,
    /// Offset in bits.
    pub(super) bits: u32,
    /// Bits of a bitfield; 0 where they are not known.
    pub(super) bitfield: Option<u32>,
}

fn read_u32(bytes: &[u8], offset: usize) -> Option<u32> {
    let chunk = bytes.get(offset..)?.first_chunk::<4>()?;
    Some(u32::from_ne_bytes(*chunk))
}
