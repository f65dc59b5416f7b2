//! Every unsafe block or impl says why it is sound. Clippy says so too, where the compiler of the
//! kernel side has it.
use super::Source;

/// How far above the unsafe line the reason may begin.
const LINES_ABOVE: usize = 6;

pub(super) fn faults(source: &Source) -> Vec<String> {
    let lines: Vec<_> = source.text.lines().collect();
    let is_unsafe = |line: &str| {
        let code = line.split("//").next().unwrap_or_default();
        // Written apart, so that this file does not find itself.
        [concat!("unsafe", " {"), concat!("unsafe", " impl")]
            .iter()
            .any(|start| code.contains(start))
    };
    let bare = |at: usize| {
        !lines[at.saturating_sub(LINES_ABOVE)..=at]
            .iter()
            .any(|line| line.contains("SAFETY:"))
    };
    (0..lines.len())
        .filter(|at| is_unsafe(lines[*at]) && bare(*at))
        .map(|at| {
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
        assert_eq!(count(concat!("// SAFETY: checked\nunsafe", " { f() }")), 0);
        assert_eq!(
            count(concat!(
                "// SAFETY: integers only\n#[cfg(x)]\nunsafe",
                " impl Pod for X {}"
            )),
            0
        );
    }

    #[test]
    fn none_is_a_fault() {
        assert_eq!(count(concat!("let x = unsafe", " { f() };")), 1);
        assert_eq!(count("// an unsafe thing {"), 0);
    }
}
