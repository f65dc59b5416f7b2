//! What the commands need of the machine, in one place: a program or package, and what needs it.
use std::path::Path;

use anyhow::Result;

use crate::{debian, process::find};

/// How to tell that a requirement is met.
enum Sign {
    /// A program, whoever installed it: `dockerd` may come from Debian or from Docker.
    Program(&'static str),
    File(&'static str),
    /// Nothing but the package itself tells.
    Package,
}

/// A Debian package, unless its sign is there already.
pub(crate) struct Requirement {
    sign: Sign,
    package: &'static str,
}

const fn program(name: &'static str, package: &'static str) -> Requirement {
    Requirement {
        sign: Sign::Program(name),
        package,
    }
}

/// Containers and their networks.
pub(crate) const CONTAINERS: &[Requirement] = &[
    program("containerd", "containerd"),
    program("runc", "runc"),
    Requirement {
        sign: Sign::File("/usr/lib/cni/bridge"),
        package: "containernetworking-plugins",
    },
    // Container images are made of it: it needs no libraries.
    Requirement {
        sign: Sign::Package,
        package: "busybox-static",
    },
    program("ip", "iproute2"),
    program("iptables", "iptables"),
    program("nft", "nftables"),
    program("conntrack", "conntrack"),
];

/// The integration tests, besides [`CONTAINERS`]: other runtimes, a real Prometheus, peers to compare with.
pub(crate) const TESTS: &[Requirement] = &[
    program("dockerd", "docker.io"),
    program("podman", "podman"),
    program("tcpdump", "tcpdump"),
    program("promtool", "prometheus"),
    program("curl", "curl"),
    program("systemd-analyze", "systemd"),
    program("syscount", "libbpf-tools"),
    // A 32-bit program, for calls through the compat entry.
    Requirement {
        sign: Sign::Package,
        package: "gcc-multilib",
    },
];

/// The scenarios, besides [`CONTAINERS`] and [`TESTS`]: programs that make problems, and what is compared with.
pub(crate) const SCENARIOS: &[Requirement] = &[
    program("stress-ng", "stress-ng"),
    program("sysbench", "sysbench"),
    program("iperf3", "iperf3"),
    program("fio", "fio"),
    program("dnsmasq", "dnsmasq-base"),
    program("dig", "bind9-dnsutils"),
    program("dnsperf", "dnsperf"),
    program("strace", "strace"),
];

/// A cluster, besides [`CONTAINERS`]: what builds Kubernetes, and what runs beside it.
pub(crate) const KUBERNETES: &[Requirement] = &[
    Requirement {
        sign: Sign::File("/usr/lib/go-1.19/bin/go"),
        package: "golang-1.19-go",
    },
    program("make", "make"),
    program("gcc", "gcc"),
    program("rsync", "rsync"),
    program("jq", "jq"),
    program("dpkg-source", "dpkg-dev"),
    program("etcd", "etcd-server"),
    program("kubectl", "kubernetes-client"),
    program("ipset", "ipset"),
    program("ebtables", "ebtables"),
    program("ethtool", "ethtool"),
    program("socat", "socat"),
    program("openssl", "openssl"),
    program("curl", "curl"),
    program("bpftool", "bpftool"),
];

/// The benchmarks: the tools we stand beside.
pub(crate) const BENCH: &[Requirement] = &[
    program("syscount", "libbpf-tools"),
    program("bpftrace", "bpftrace"),
    program("bpftool", "bpftool"),
    program("ip", "iproute2"),
    program("tcpdump", "tcpdump"),
    program("softflowd", "softflowd"),
    program("argus", "argus-server"),
    program("ra", "argus-client"),
    program("pmacctd", "pmacct"),
];

/// The Debian package.
pub(crate) const PACKAGE: &[Requirement] = &[
    program("dpkg-deb", "dpkg"),
    program("dpkg-shlibdeps", "dpkg-dev"),
];

/// Installs what is missing, or says how to.
pub(crate) fn install(requirements: &[&[Requirement]]) -> Result<()> {
    debian::install(&missing(requirements, |name| find(name).is_some()))
}

fn missing(
    requirements: &[&[Requirement]],
    has_program: impl Fn(&str) -> bool,
) -> Vec<&'static str> {
    requirements
        .iter()
        .copied()
        .flatten()
        .filter(|r| !met(r, &has_program))
        .map(|requirement| requirement.package)
        .collect()
}

fn met(requirement: &Requirement, has_program: &impl Fn(&str) -> bool) -> bool {
    match requirement.sign {
        Sign::Program(name) => has_program(name),
        Sign::File(path) => Path::new(path).exists(),
        Sign::Package => debian::look_up(requirement.package) == debian::Package::Installed,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_program_of_another_origin_meets_a_requirement() {
        let wanted = [program("dockerd", "docker.io"), program("podman", "podman")];
        assert_eq!(missing(&[&wanted], |name| name == "dockerd"), ["podman"]);
    }
}
