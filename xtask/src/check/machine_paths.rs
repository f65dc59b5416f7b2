//! No tracked file names a folder of the machine that it was written on.
use super::Source;
use crate::workspace;

/// Where people keep their files.
const HOMES: &[&str] = &[
    concat!("/ho", "me/"),
    concat!("/Us", "ers/"),
    concat!("/ro", "ot/."),
];

pub(super) fn faults(sources: &[Source]) -> Vec<String> {
    let root = workspace::root().to_string_lossy().into_owned();
    sources
        .iter()
        .flat_map(|source| in_file(source, &root))
        .collect()
}

fn in_file(source: &Source, root: &str) -> Vec<String> {
    let names_a_machine =
        |line: &str| line.contains(root) || HOMES.iter().any(|home| line.contains(home));
    source
        .text
        .lines()
        .enumerate()
        .filter(|(_, line)| names_a_machine(line))
        .map(|(at, _)| format!("{}:{}: path of a developer's machine", source.path, at + 1))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_home_folder_and_the_clone_itself_are_found() {
        let text = concat!("/usr/bin\n/ho", "me/me/x\n/src/clone/target\n");
        let source = Source {
            path: "a".into(),
            text: text.into(),
        };
        assert_eq!(in_file(&source, "/src/clone").len(), 2);
    }
}
