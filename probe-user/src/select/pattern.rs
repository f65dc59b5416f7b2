//! How an operator says which containers are meant.

use std::fmt;

use crate::model::Container;

/// Fewest digits that are taken for the beginning of an id.
const MIN_ID_PREFIX: usize = 4;

/// A container as written on the command line: its name, `namespace/pod/name`, the beginning of its
/// id (at least four digits), or any of the names with `*` for any characters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern(String);

impl Pattern {
    /// Any text is a pattern.
    pub fn new(text: &str) -> Self {
        Self(text.to_owned())
    }

    /// Whether the container is meant.
    pub fn matches(&self, container: &Container) -> bool {
        self.is_id_of(container)
            || glob(&self.0, &container.name)
            || glob(&self.0, &container.display_name())
    }

    /// Whether a name by itself is meant.
    pub fn matches_text(&self, name: &str) -> bool {
        glob(&self.0, name)
    }

    fn is_id_of(&self, container: &Container) -> bool {
        self.0.len() >= MIN_ID_PREFIX
            && self.0.bytes().all(|byte| byte.is_ascii_hexdigit())
            && container
                .id
                .as_ref()
                .is_some_and(|id| id.starts_with(&self.0.to_ascii_lowercase()))
    }
}

impl fmt::Display for Pattern {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Matches text against a pattern in which `*` stands for any characters.
fn glob(pattern: &str, text: &str) -> bool {
    let Some((head, rest)) = pattern.split_once('*') else {
        return pattern == text;
    };
    let Some(mut text) = text.strip_prefix(head) else {
        return false;
    };
    let Some((middle, tail)) = rest.rsplit_once('*') else {
        return text.ends_with(rest);
    };
    // The earliest match of each part leaves the most for the others.
    for part in middle.split('*') {
        let Some(at) = text.find(part) else {
            return false;
        };
        text = &text[at + part.len()..];
    }
    text.ends_with(tail)
}

#[cfg(test)]
mod tests {
    use probe_common::id::CgroupId;
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Naming, Runtime};

    fn container() -> Container {
        Container {
            cgroup: CgroupId(7),
            cgroup_path: "/kubepods/pod1/ab12cd34".to_owned(),
            runtime: Runtime::Kubernetes,
            id: Some("ab12cd34ef".to_owned()),
            namespace: "shop".to_owned(),
            pod: "cart-0".to_owned(),
            pod_uid: "1".to_owned(),
            name: "web".to_owned(),
            naming: Naming::Named,
        }
    }

    #[test]
    fn names_full_names_id_prefixes_and_stars_are_understood() {
        let container = container();
        for text in [
            "web",
            "shop/cart-0/web",
            "ab12",
            "AB12CD",
            "ab12cd34ef",
            "w*",
            "shop/*",
            "*cart*",
            "*",
            "w**b",
        ] {
            assert!(Pattern::new(text).matches(&container), "{text}");
        }
        for text in [
            "",
            "we",
            "ab1",
            "b12c",
            "ab12cd34ef0",
            "w*x",
            "shop",
            "*cart",
            "webweb",
            "w*web",
        ] {
            assert!(!Pattern::new(text).matches(&container), "{text}");
        }
    }

    proptest! {
        #[test]
        fn a_text_with_parts_cut_out_matches_it(parts in proptest::collection::vec("[a-c]{0,3}", 2..6), cut in "[a-c]{0,3}") {
            prop_assert!(glob(&parts.join("*"), &parts.join(&cut)));
        }

        #[test]
        fn no_pattern_panics(pattern in ".{0,12}", text in ".{0,12}") {
            glob(&pattern, &text);
        }
    }
}
