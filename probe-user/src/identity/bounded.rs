//! Names of a length that labels can hold.

/// Longest name in bytes, below what the registry cuts.
const MAX: usize = 250;

/// A name of at most 250 bytes. A longer one is cut and ends in a hash of the whole, so that two that begin alike stay apart.
pub(super) fn bounded(name: String) -> String {
    if name.len() <= MAX {
        return name;
    }
    let suffix = format!("~{:016x}", fnv1a(name.as_bytes()));
    let kept = &name[..name.floor_char_boundary(MAX - suffix.len())];
    format!("{kept}{suffix}")
}

/// The same for a name on every host and at every start, which the hashes of maps are not.
fn fnv1a(bytes: &[u8]) -> u64 {
    let step = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3);
    bytes.iter().fold(0xcbf2_9ce4_8422_2325, step)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_names_that_begin_alike_stay_apart() {
        let long = |end: &str| format!("/{}{end}", "\u{e4}".repeat(300));
        let (a, b) = (bounded(long("a")), bounded(long("b")));
        assert_ne!(a, b);
        assert!((MAX - 2..=MAX).contains(&a.len()), "{}", a.len());
        assert_eq!(a, bounded(long("a")));
        let fits = "x".repeat(MAX);
        assert_eq!(bounded(fits.clone()), fits);
    }
}
