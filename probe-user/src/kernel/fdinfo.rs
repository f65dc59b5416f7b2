//! What the kernel says of a file descriptor in `/proc/self/fdinfo` and nowhere else.

use std::{
    fs,
    os::fd::{AsFd, AsRawFd as _},
};

/// How often the kernel skipped a program because it was already running on that CPU (Linux 5.12).
///
/// 0 where the kernel does not say, or `/proc` is not there.
pub fn recursion_misses(program: impl AsFd) -> u64 {
    let path = format!("/proc/self/fdinfo/{}", program.as_fd().as_raw_fd());
    fs::read_to_string(path).map_or(0, |text| field(&text, "recursion_misses"))
}

fn field(text: &str, name: &str) -> u64 {
    text.lines()
        .filter_map(|line| line.split_once(':'))
        .find(|(key, _)| *key == name)
        .and_then(|(_, value)| value.trim().parse().ok())
        .unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::field;

    #[test]
    fn a_field_is_found_by_its_whole_name() {
        let text = "prog_type:\t26\nrecursion_misses:\t12\nverified_insns:\t7\n";
        assert_eq!(field(text, "recursion_misses"), 12);
        assert_eq!(field(text, "misses"), 0);
    }
}
