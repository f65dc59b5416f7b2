//! Every unsafe block or impl says why it is sound. Clippy says so too, where the compiler of the
//! kernel side has it.
use super::{Source, code::code};

/// How far above the unsafe line the reason may begin.
const LINES_ABOVE: usize = 6;

pub(super) fn faults(source: &Source) -> Vec<String> {
    let lines: Vec<_> = source.text.lines().collect();
    let has_reason = |at: usize| {
        lines[at.saturating_sub(LINES_ABOVE)..=at]
            .iter()
            .any(|line| line.contains("SAFETY:"))
    };
    code(&source.text)
        .lines()
        .enumerate()
        .filter(|(_, line)| line.contains("unsafe {") || line.contains("unsafe impl"))
        .filter(|(at, _)| !has_reason(*at))
        .map(|(at, _)| {
            format!(
                "{}:{}: unsafe without a `// SAFETY:` line",
                source.path,
                at + 1
            )
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(text: &str) -> usize {
        faults(&Source {
            path: "a.rs".into(),
            text: text.into(),
        })
        .len()
    }

    #[test]
    fn a_reason_above_or_beside_is_enough() {
        assert_eq!(count("// SAFETY: checked\nunsafe { f() }"), 0);
        assert_eq!(
            count("// SAFETY: integers\n#[cfg(x)]\nunsafe impl Pod for X {}"),
            0
        );
    }

    #[test]
    fn none_is_a_fault() {
        assert_eq!(count("let x = unsafe { f() };"), 1);
        assert_eq!(count("// unsafe { is a word here"), 0);
    }
}
