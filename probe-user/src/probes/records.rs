//! From the bytes of a record to its type.

use aya::Pod;

/// Reads a type from the beginning of a record; `None` where the record is shorter.
pub(super) fn decode<T: Pod>(bytes: &[u8]) -> Option<T> {
    if bytes.len() < size_of::<T>() {
        return None;
    }
    // SAFETY: the length was checked above, `Pod` accepts every bit pattern, and an unaligned read asks nothing of the
    // slice's alignment.
    Some(unsafe { bytes.as_ptr().cast::<T>().read_unaligned() })
}
