//! Kernel modules in the order in which they must be loaded.
use std::collections::HashSet;

use anyhow::{Result, bail};

/// What `depmod` and the kernel's package say about modules.
pub(crate) struct Index<'a> {
    /// `modules.dep`: `FILE: NEEDED NEEDED`, the nearest need first.
    pub(crate) dependencies: &'a str,
    /// `modules.builtin`: files that are part of the kernel.
    pub(crate) builtin: &'a str,
}

impl<'a> Index<'a> {
    /// The files of the wanted modules, each once, each after what it needs. What is built in needs
    /// no file.
    pub(crate) fn order(&self, wanted: &[String]) -> Result<Vec<&'a str>> {
        let mut seen = HashSet::new();
        let mut order = Vec::new();
        for name in wanted {
            let line = self
                .dependencies
                .lines()
                .filter_map(|line| line.split_once(':'))
                .find(|(file, _)| is(file, name));
            match line {
                Some((file, needs)) => {
                    let files = needs.split_whitespace().rev().chain([file]);
                    order.extend(files.filter(|file| seen.insert(*file)));
                }
                None if self.builtin.lines().any(|file| is(file, name)) => {}
                None => bail!("this kernel has no module `{name}`"),
            }
        }
        Ok(order)
    }
}

/// Whether the file holds the module: `drivers/net/virtio_net.ko.xz` is `virtio_net` and
/// `virtio-net`.
fn is(file: &str, name: &str) -> bool {
    let stem = file
        .rsplit('/')
        .next()
        .and_then(|file| file.split(".ko").next())
        .unwrap_or_default();
    stem.replace('-', "_") == name.replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const INDEX: Index<'static> = Index {
        dependencies: "kernel/a.ko.xz:\nkernel/b.ko.xz: kernel/a.ko.xz\nkernel/c-d.ko.xz: \
                       kernel/b.ko.xz kernel/a.ko.xz\n",
        builtin: "kernel/loop.ko\n",
    };

    fn order(wanted: &[&str]) -> Result<Vec<&'static str>> {
        INDEX.order(&wanted.iter().map(|name| (*name).into()).collect::<Vec<_>>())
    }

    #[test]
    fn what_a_module_needs_comes_before_it_and_once() {
        let all = ["kernel/a.ko.xz", "kernel/b.ko.xz", "kernel/c-d.ko.xz"];
        assert_eq!(order(&["c_d", "b"]).unwrap(), all);
    }

    #[test]
    fn a_built_in_module_needs_no_file() {
        assert!(order(&["loop"]).unwrap().is_empty());
    }

    #[test]
    fn a_module_that_is_not_there_is_named() {
        assert!(order(&["veth"]).unwrap_err().to_string().contains("`veth`"));
    }
}
