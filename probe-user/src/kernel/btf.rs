//! Reads BTF, the kernel's description of its own types: offsets, enumerators, tracepoint prototypes.
//!
//! Names are looked up through an index made in one pass. Nothing here trusts the bytes: cut or garbage
//! input is an error or a missing name, never a panic.

mod error;
mod format;
#[cfg(test)]
mod tests;

use std::{fs, hash::Hasher as _, ops::Range, path::Path};

use rustc_hash::FxHasher;

pub use self::error::BtfError;
use self::format::{Sections, Type, kind};

/// Longest chain of typedefs and anonymous members that is followed. Garbage may hold cycles.
const MAX_DEPTH: usize = 32;
/// Most members that one lookup visits, so that garbage cannot make it run for ages. The largest
/// struct of a real kernel has some hundred.
const MAX_MEMBERS: usize = 100_000;

/// The types of a kernel.
#[derive(Debug)]
pub struct Btf {
    bytes: Vec<u8>,
    strings: Range<usize>,
    /// Offset of each type in the file; ids start at 1.
    types: Vec<u32>,
    /// Hash of the name and id of all structs, unions, enums and typedefs, sorted.
    names: Vec<(u32, u32)>,
}

impl Btf {
    /// Reads a file such as `/sys/kernel/btf/vmlinux`.
    ///
    /// # Errors
    ///
    /// [`BtfError::Read`] if there is no such file, else as [`Btf::parse`].
    pub fn from_file(path: &Path) -> Result<Self, BtfError> {
        let bytes = fs::read(path).map_err(|source| BtfError::Read {
            path: path.into(),
            source,
        })?;
        Self::parse(bytes)
    }

    /// Takes the bytes of such a file and indexes them.
    ///
    /// # Errors
    ///
    /// If this is not BTF of this machine's byte order, is cut, or holds an unknown kind of type.
    pub fn parse(bytes: impl Into<Vec<u8>>) -> Result<Self, BtfError> {
        let bytes = bytes.into();
        let Sections {
            types: section,
            strings,
        } = Sections::read(&bytes)?;
        let mut btf = Self {
            bytes,
            strings,
            types: Vec::new(),
            names: Vec::new(),
        };
        // Most types of a kernel are 12 to 40 bytes long.
        btf.types.reserve(section.len() / 32);
        let mut at = section.start;
        while at < section.end {
            let cut = BtfError::Cut { offset: at };
            let Some(ty) = Type::read(&btf.bytes, at) else {
                return Err(cut);
            };
            let Some(tail) = ty.tail_len() else {
                return Err(BtfError::UnknownKind { kind: ty.kind });
            };
            let (end, Ok(offset)) = (ty.tail + tail, u32::try_from(at)) else {
                return Err(cut);
            };
            if end > section.end {
                return Err(cut);
            }
            btf.types.push(offset);
            if ty.is_record() || ty.is_enum() || ty.kind == kind::TYPEDEF {
                let id = btf.types.len() as u32;
                match btf.string(ty.name) {
                    Some([]) | None => {}
                    Some(name) => btf.names.push((hash(name), id)),
                }
            }
            at = end;
        }
        btf.names.sort_unstable();
        Ok(btf)
    }

    /// Offset in bytes of a member in a struct or union (or a typedef of one), also where it stands inside
    /// anonymous members.
    ///
    /// # Errors
    ///
    /// If there is no such struct or member, or if it is a bitfield.
    pub fn field_offset(&self, record: &str, field: &str) -> Result<u32, BtfError> {
        let found = self.find(record, field)?;
        if found.width.is_some() {
            return Err(BtfError::Bitfield {
                record: record.into(),
                field: field.into(),
            });
        }
        Ok(found.bits / 8)
    }

    /// Where a small member stands that may be a bitfield, as [`Btf::field_offset`] finds it. One that is none is a whole byte.
    ///
    /// # Errors
    ///
    /// If there is no such struct or member, or if its bits are in more than one byte.
    pub fn bits_in_byte(&self, record: &str, field: &str) -> Result<Bits, BtfError> {
        let found = self.find(record, field)?;
        let (shift, width) = (found.bits % 8, found.width.unwrap_or(8));
        if width == 0 || shift + width > 8 {
            return Err(BtfError::Bitfield {
                record: record.into(),
                field: field.into(),
            });
        }
        Ok(Bits {
            offset: found.bits / 8,
            shift,
            mask: 0xff >> (8 - width),
        })
    }

    fn find(&self, record: &str, field: &str) -> Result<Found, BtfError> {
        let mut exists = false;
        for ty in self.records(record) {
            exists = true;
            let mut budget = MAX_MEMBERS;
            if let Some(found) = self.member(ty, field.as_bytes(), 0, &mut budget) {
                return Ok(found);
            }
        }
        Err(if exists {
            BtfError::NoField {
                record: record.into(),
                field: field.into(),
            }
        } else {
            BtfError::NoRecord {
                record: record.into(),
            }
        })
    }

    /// Value of an enumerator, in one enum or, with `None`, in the first enum that has it.
    pub fn enum_value(&self, enum_name: Option<&str>, enumerator: &str) -> Option<i64> {
        let wanted = enumerator.as_bytes();
        let value_in = |ty: Type| {
            (0..ty.len)
                .filter_map(|i| ty.enumerator(&self.bytes, i))
                .find(|(name, _)| self.string(*name) == Some(wanted))
                .map(|(_, value)| value)
        };
        match enum_name {
            Some(name) => self
                .named(name)
                .filter_map(|ty| self.resolve(ty))
                .filter(Type::is_enum)
                .find_map(value_in),
            None => (1..=self.types.len() as u32)
                .filter_map(|id| self.type_at(id))
                .filter(Type::is_enum)
                .find_map(value_in),
        }
    }

    /// All enumerators of an enum and their values; none where there is no such enum.
    pub fn enumerators(&self, enum_name: &str) -> Vec<(String, i64)> {
        self.named(enum_name)
            .filter_map(|ty| self.resolve(ty))
            .find(Type::is_enum)
            .into_iter()
            .flat_map(|ty| (0..ty.len).filter_map(move |i| ty.enumerator(&self.bytes, i)))
            .filter_map(|(name, value)| {
                let name = String::from_utf8_lossy(self.string(name)?).into_owned();
                Some((name, value))
            })
            .collect()
    }

    /// Whether there is a struct or union of this name, or a typedef of one.
    pub fn has_struct(&self, record: &str) -> bool {
        self.records(record).next().is_some()
    }

    /// Size in bytes of a struct or union.
    pub fn type_size(&self, record: &str) -> Option<u32> {
        self.records(record).next().map(|ty| ty.size_or_type)
    }

    /// Whether the kernel has a tracepoint that BTF programs can attach to.
    pub fn has_tracepoint(&self, name: &str) -> bool {
        self.tracepoint_id(name).is_some()
    }

    /// Number of arguments of a tracepoint, as its programs see them.
    pub fn tracepoint_args(&self, name: &str) -> Option<usize> {
        let pointer = self.type_at(self.type_at(self.tracepoint_id(name)?)?.size_or_type)?;
        let proto = (pointer.kind == kind::PTR).then(|| self.type_at(pointer.size_or_type))??;
        // The first parameter is the `void *` that the tracepoint's registration carries.
        (proto.kind == kind::FUNC_PROTO).then(|| proto.len.saturating_sub(1))
    }

    /// Id of the type that a program names to attach to a tracepoint.
    pub fn tracepoint_id(&self, name: &str) -> Option<u32> {
        let name = format!("btf_trace_{name}");
        self.ids(&name)
            .find(|(_, ty)| ty.kind == kind::TYPEDEF)
            .map(|(id, _)| id)
    }

    /// Whether the kernel has a function of that name. Functions are half of all types and not indexed: this looks at all.
    pub fn has_function(&self, name: &str) -> bool {
        (1..=self.types.len() as u32)
            .filter_map(|id| self.type_at(id))
            .any(|ty| ty.kind == kind::FUNC && self.string(ty.name) == Some(name.as_bytes()))
    }

    /// Number of types.
    pub fn type_count(&self) -> usize {
        self.types.len()
    }

    fn records(&self, name: &str) -> impl Iterator<Item = Type> {
        self.named(name)
            .filter_map(|ty| self.resolve(ty))
            .filter(Type::is_record)
    }

    fn named(&self, name: &str) -> impl Iterator<Item = Type> {
        self.ids(name).map(|(_, ty)| ty)
    }

    /// All structs, unions, enums and typedefs of this name.
    fn ids(&self, name: &str) -> impl Iterator<Item = (u32, Type)> {
        let wanted = hash(name.as_bytes());
        let start = self.names.partition_point(|(hash, _)| *hash < wanted);
        self.names[start..]
            .iter()
            .take_while(move |(hash, _)| *hash == wanted)
            .filter_map(|(_, id)| Some((*id, self.type_at(*id)?)))
            .filter(move |(_, ty)| self.string(ty.name) == Some(name.as_bytes()))
    }

    /// Follows typedefs and qualifiers.
    fn resolve(&self, mut ty: Type) -> Option<Type> {
        for _ in 0..MAX_DEPTH {
            if !ty.is_alias() {
                return Some(ty);
            }
            ty = self.type_at(ty.size_or_type)?;
        }
        None
    }

    fn member(&self, ty: Type, field: &[u8], depth: usize, budget: &mut usize) -> Option<Found> {
        if depth > MAX_DEPTH {
            return None;
        }
        for index in 0..ty.len {
            *budget = budget.checked_sub(1)?;
            let member = ty.member(&self.bytes, index)?;
            match self.string(member.name)? {
                [] => {
                    let inner = self.type_at(member.type_id).and_then(|ty| self.resolve(ty));
                    let Some(inner) = inner.filter(Type::is_record) else {
                        continue;
                    };
                    if let Some(found) = self.member(inner, field, depth + 1, budget) {
                        return Some(Found {
                            bits: member.bits.checked_add(found.bits)?,
                            ..found
                        });
                    }
                }
                name if name == field => {
                    return Some(Found {
                        bits: member.bits,
                        width: member.bitfield,
                    });
                }
                _ => {}
            }
        }
        None
    }

    fn type_at(&self, id: u32) -> Option<Type> {
        let offset = *self.types.get(usize::try_from(id).ok()?.checked_sub(1)?)?;
        Type::read(&self.bytes, offset as usize)
    }

    fn string(&self, offset: u32) -> Option<&[u8]> {
        let rest = self
            .bytes
            .get(self.strings.clone())?
            .get(offset as usize..)?;
        let end = rest.iter().position(|b| *b == 0)?;
        Some(&rest[..end])
    }
}

/// Where a member of a few bits stands: `(byte >> shift) & mask`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Bits {
    /// Offset of its byte.
    pub offset: u32,
    /// Its lowest bit in that byte.
    pub shift: u32,
    /// Its bits, once shifted.
    pub mask: u32,
}

/// A member that was found.
struct Found {
    /// Offset in bits.
    bits: u32,
    /// Bits of a bitfield; 0 where they are not known.
    width: Option<u32>,
}

fn hash(name: &[u8]) -> u32 {
    let mut hasher = FxHasher::default();
    hasher.write(name);
    // The upper half is the better mixed one.
    (hasher.finish() >> 32) as u32
}
