//! Names of the parts of the program in log lines and in `RUST_LOG`.
//!
//! Events carry the path of a Rust module. A line shows the part of the program instead, such as `agent` or `http`, and a
//! filter names it in the same way.

/// Path of our own modules.
const CRATE: &str = "probe_user";

/// What stands for the whole program.
const PROGRAM: &str = "nodeprobe";

/// Modules of the crate, each of which is a part of the program.
const COMPONENTS: [&str; 22] = [
    "agent",
    "cli",
    "config",
    "flows",
    "http",
    "identity",
    "kernel",
    "kubernetes",
    "limits",
    "loader",
    "logs",
    "maps",
    "metrics",
    "model",
    "policy",
    "privileges",
    "probes",
    "render",
    "report",
    "select",
    "session",
    "sinks",
];

/// The part of the program, or the library, that an event comes from.
pub(super) fn component(module: &str) -> &str {
    let mut parts = module.split("::");
    match (parts.next(), parts.next()) {
        (Some(CRATE), Some(own)) => own,
        (Some(CRATE), None) => PROGRAM,
        (Some(library), _) => library,
        (None, _) => module,
    }
}

/// Directives of a filter by modules, from those of an operator by parts of the program: `agent=debug,http=warn`.
///
/// Paths of modules and names of libraries stay as they are.
pub(super) fn by_module(directives: &str) -> String {
    let translated: Vec<String> = directives.split(',').map(directive).collect();
    translated.join(",")
}

fn directive(text: &str) -> String {
    let text = text.trim();
    let (target, rest) = text.split_at(text.find(['=', '[']).unwrap_or(text.len()));
    if target == PROGRAM {
        format!("{CRATE}{rest}")
    } else if COMPONENTS.contains(&target) {
        format!("{CRATE}::{target}{rest}")
    } else {
        text.to_owned()
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;

    #[test]
    fn lines_name_the_part_of_the_program_and_no_module() {
        for (module, shown) in [
            ("probe_user::agent::run", "agent"),
            ("probe_user::http::server", "http"),
            ("probe_user", "nodeprobe"),
            ("nodeprobe", "nodeprobe"),
            ("aya::bpf", "aya"),
            ("syscalls_hash::body", "syscalls_hash"),
            ("from_kernel", "from_kernel"),
            ("", ""),
        ] {
            assert_eq!(component(module), shown, "{module}");
        }
    }

    #[test]
    fn a_filter_takes_the_names_that_lines_show() {
        for (given, meant) in [
            ("debug", "debug"),
            ("agent=debug", "probe_user::agent=debug"),
            (
                "nodeprobe=trace, http=warn",
                "probe_user=trace,probe_user::http=warn",
            ),
            ("flows", "probe_user::flows"),
            (
                "info,kubernetes[watch]=debug",
                "info,probe_user::kubernetes[watch]=debug",
            ),
            (
                "probe_user::http=warn,aya=debug",
                "probe_user::http=warn,aya=debug",
            ),
        ] {
            assert_eq!(by_module(given), meant);
        }
    }

    #[test]
    fn every_module_of_the_crate_is_a_component() {
        let library = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/lib.rs");
        let library = fs::read_to_string(library).unwrap();
        let modules: BTreeSet<&str> = library
            .lines()
            .filter_map(|line| line.trim_start_matches("pub ").strip_prefix("mod "))
            .filter_map(|rest| rest.strip_suffix(';'))
            .collect();
        assert_eq!(modules, BTreeSet::from(COMPONENTS));
    }
}
