//! Finds the paths that a file uses, without a parser: `use` items and paths in code look the same
//! to the rules.
use super::code::code;

/// Every path in the code that starts with one of our roots or names a crate: `crate::http`,
/// `std::fs::File`, `aya`.
///
/// Groups are taken apart one level at a time, so `crate::{http, model::Flow}` is `crate::http` and
/// `crate::model::Flow`.
pub(super) fn paths(text: &str) -> Vec<(usize, String)> {
    let code = code(text);
    let mut found = Vec::new();
    for (at, path) in code
        .match_indices("::")
        .filter_map(|(at, _)| Some((start_of(&code, at)?, at)))
    {
        let line = code[..at].matches('\n').count() + 1;
        found.extend(
            expand(&code[at..], &code[at..path])
                .into_iter()
                .map(|path| (line, path)),
        );
    }
    found
}

/// Where the path begins whose first `::` stands at `at`; nothing for a later `::` of the same
/// path.
fn start_of(code: &str, at: usize) -> Option<usize> {
    let head = code[..at].trim_end_matches(is_word);
    (head.len() < at && !head.ends_with(':')).then_some(head.len())
}

/// The paths that begin with the text, of which `root` is the first word.
fn expand(text: &str, root: &str) -> Vec<String> {
    let rest = &text[root.len() + 2..];
    if let Some(group) = rest.strip_prefix('{') {
        return members(group)
            .into_iter()
            .map(|member| format!("{root}::{member}"))
            .collect();
    }
    let length = rest
        .find(|c: char| !is_word(c) && c != ':')
        .unwrap_or(rest.len());
    vec![format!("{root}::{}", rest[..length].trim_end_matches(':'))]
}

/// The first path of each member of a group, up to a group inside it.
fn members(group: &str) -> Vec<&str> {
    let mut depth = 0_usize;
    let mut members = Vec::new();
    let mut start = 0;
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            ',' | '}' if depth == 0 => {
                members.push(&group[start..at]);
                start = at + 1;
                if c == '}' {
                    break;
                }
            }
            '}' => depth -= 1,
            _ => {}
        }
    }
    let path = |member: &'_ str| -> usize {
        member
            .find(|c: char| !is_word(c) && c != ':')
            .unwrap_or(member.len())
    };
    members
        .into_iter()
        .map(str::trim)
        .map(|member| member[..path(member)].trim_end_matches(':'))
        .filter(|member| !member.is_empty())
        .collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    fn found(text: &str) -> Vec<String> {
        paths(text).into_iter().map(|(_, path)| path).collect()
    }

    #[test]
    fn a_use_and_a_path_in_code_are_found() {
        assert_eq!(found("use crate::http;\n"), ["crate::http"]);
        assert_eq!(
            found("let x = crate::model::Flow::new(std::fs::read(p));"),
            ["crate::model::Flow::new", "std::fs::read"]
        );
    }

    #[test]
    fn groups_are_taken_apart() {
        let text = "use crate::{\n    http,\n    model::{Flow, x::Y},\n    metrics as m,\n};\n";
        let all = found(text);
        for path in ["crate::http", "crate::model", "crate::metrics"] {
            assert!(all.iter().any(|found| found == path), "{path} in {all:?}");
        }
    }

    #[test]
    fn comments_and_visibility_are_no_paths() {
        assert!(found("// use crate::http;\npub(crate) fn f() {} // std::fs\n").is_empty());
    }

    #[test]
    fn a_path_comes_with_its_line() {
        assert_eq!(paths("\n\nuse aya::Pod;")[0].0, 3);
    }
}
