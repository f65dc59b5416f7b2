//! How many CPUs the machine can have: per-CPU maps hold one value for each of them.

use std::{fs, io, path::PathBuf};

use super::Roots;

/// Why the number of CPUs is not known.
#[derive(Debug, thiserror::Error)]
pub enum CpusError {
    /// The list could not be read.
    #[error("cannot read {path}; is the sys file system mounted there?", path = path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// The list is not one of CPU numbers.
    #[error("`{text}` is not a list of CPUs such as `0-3,8`")]
    Malformed {
        /// What the file says.
        text: String,
    },
}

/// Most CPUs that a kernel can be built for, several times over.
const MAX_CPUS: usize = 65_536;

/// Number of CPUs that can ever be there, also those that are off: `devices/system/cpu/possible`.
///
/// # Errors
///
/// If the file cannot be read or is not a list of CPUs.
pub fn possible(roots: &Roots) -> Result<usize, CpusError> {
    let path = roots.sys.join("devices/system/cpu/possible");
    let text = fs::read_to_string(&path).map_err(|source| CpusError::Read { path, source })?;
    let text = text.trim();
    count(text).ok_or_else(|| CpusError::Malformed {
        text: text.chars().take(80).collect(),
    })
}

/// Number of CPUs in a list such as `0-3,8`.
fn count(list: &str) -> Option<usize> {
    let mut sum = 0usize;
    for range in list.split(',') {
        let (first, last) = range.split_once('-').unwrap_or((range, range));
        let (first, last): (usize, usize) = (first.parse().ok()?, last.parse().ok()?);
        let len = last.checked_sub(first)?.checked_add(1)?;
        sum = sum.checked_add(len).filter(|sum| *sum <= MAX_CPUS)?;
    }
    Some(sum)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn ranges_and_single_cpus_are_counted() {
        assert_eq!(count("0"), Some(1));
        assert_eq!(count("0-1"), Some(2));
        assert_eq!(count("0-3,8,10-11"), Some(7));
    }

    #[test]
    fn what_is_no_list_is_refused() {
        for bad in [
            "",
            "a",
            "3-1",
            "0-",
            "-",
            "0,,1",
            "0-18446744073709551615",
            "0-65535,70000",
        ] {
            assert_eq!(count(bad), None, "{bad:?}");
        }
    }

    #[test]
    fn a_missing_file_names_its_path() {
        let dir = tempfile::tempdir().unwrap();
        let roots = Roots {
            proc: dir.path().into(),
            sys: dir.path().into(),
        };
        let message = possible(&roots).unwrap_err().to_string();
        assert!(message.contains("devices/system/cpu/possible"), "{message}");
    }

    #[test]
    fn the_running_kernel_has_at_least_the_cpu_of_this_test() {
        assert!(possible(&Roots::default()).unwrap() >= 1);
    }

    proptest! {
        #[test]
        fn any_text_is_counted_or_refused(text in "[0-9,\\-]{0,40}|.{0,40}") {
            if let Some(n) = count(&text) {
                prop_assert!(n <= MAX_CPUS);
            }
        }
    }
}
