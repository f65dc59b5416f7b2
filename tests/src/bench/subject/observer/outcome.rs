//! How many packets of the workload a tool says that it counted.

use std::{fs, path::Path, process::Command};

use anyhow::{Context as _, Result};
use tempfile::TempDir;

use super::Observer;
use crate::{bench::workload::packets::SENDER, guard, skip::program};

impl Observer {
    /// Asks one that tells while it runs; `None` for those that tell when they end.
    pub(super) fn ask(self, folder: &TempDir) -> Result<Option<u64>> {
        let client = |name, package, args: &[&str]| {
            guard::run(
                Command::new(program(name, package)?)
                    .args(args)
                    .current_dir(folder.path()),
            )
        };
        let count = match self {
            Self::Softflowd => softflowd(&client(
                "softflowctl",
                "softflowd",
                &["-c", "control", "statistics"],
            )?),
            Self::Pmacctd => pmacctd(&client(
                "pmacct",
                "pmacct",
                &["-s", "-O", "json", "-p", "pipe"],
            )?),
            Self::Tcpdump | Self::Argus | Self::Bpftrace => return Ok(None),
        };
        count.map(Some).with_context(|| self.unclear())
    }

    /// Reads what one that has ended has left behind.
    pub(super) fn read(self, folder: &TempDir) -> Result<u64> {
        let output = folder.path().join("output");
        let text = |path: &Path| {
            fs::read_to_string(path).with_context(|| format!("read {}", path.display()))
        };
        let count = match self {
            Self::Argus => argus(&guard::run(
                Command::new(program("ra", "argus-client")?)
                    .args([
                        "-n", "-r", "records", "-L", "-1", "-c", ",", "-s", "spkts", "-",
                    ])
                    .args(["udp", "or", "tcp"])
                    .current_dir(folder.path()),
            )?),
            Self::Bpftrace => bpftrace(&text(&output)?),
            Self::Tcpdump | Self::Softflowd | Self::Pmacctd => tcpdump(&text(&output)?),
        };
        count.with_context(|| self.unclear())
    }

    fn unclear(self) -> String {
        format!("{} does not say what it counted", self.name())
    }
}

/// The number in front of ` packets captured`.
fn tcpdump(text: &str) -> Option<u64> {
    let count = |line: &str| line.strip_suffix(" packets captured")?.trim().parse().ok();
    text.lines().find_map(count)
}

/// The number behind `Packets processed:`.
fn softflowd(text: &str) -> Option<u64> {
    let count = |line: &str| line.strip_prefix("Packets processed:")?.trim().parse().ok();
    text.lines().find_map(count)
}

/// The sum of a column of numbers.
fn argus(text: &str) -> Option<u64> {
    let lines = text.lines().filter(|line| !line.trim().is_empty());
    lines
        .map(|line| line.trim().trim_matches(',').parse::<u64>().ok())
        .sum()
}

/// The sum of `packets` over JSON objects, one a line, of what the workload's sender sent.
fn pmacctd(text: &str) -> Option<u64> {
    let sender = SENDER.ip().to_string();
    let mut sum = 0;
    for line in text.lines().filter(|line| line.starts_with('{')) {
        let row: serde_json::Value = serde_json::from_str(line).ok()?;
        if row["ip_src"] == sender.as_str() {
            sum += row["packets"].as_u64()?;
        }
    }
    Some(sum)
}

/// Half the sum of the map `packets` for what the workload's sender sent: each packet passes two hooks.
fn bpftrace(text: &str) -> Option<u64> {
    let sender = u32::from_ne_bytes(SENDER.ip().octets());
    let prefix = format!("@packets[{sender},");
    let rows = text.lines().filter(|line| line.starts_with(&prefix));
    let counts = rows.map(|line| line.rsplit_once(' ')?.1.parse::<u64>().ok());
    Some(counts.sum::<Option<u64>>()? / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_tools_print_is_understood() {
        let text =
            "tcpdump: listening on lo\n99452 packets captured\n200000 packets received by filter\n";
        assert_eq!(tcpdump(text), Some(99_452));
        assert_eq!(tcpdump("tcpdump: lo: No such device"), None);
        let text = "Number of active flows: 1\nPackets processed: 99916\nFragments: 0\n";
        assert_eq!(softflowd(text), Some(99_916));
        assert_eq!(argus("99755,\n5\n"), Some(99_760));
        assert_eq!(argus("ra: no such file"), None);
        let text = "{\"ip_src\": \"127.77.0.1\", \"packets\": 44861}\n{\"ip_src\": \"10.0.0.1\", \"packets\": 3}\n";
        assert_eq!(pmacctd(text), Some(44_861));
        let text = "@bytes[16797055, 33574271, 16540, 16796, 17]: 27000000\n\
                    @packets[16797055, 33574271, 16540, 16796, 17]: 200000\n@packets[1, 2, 3, 4, 17]: 9\n";
        assert_eq!(bpftrace(text), Some(100_000));
    }
}
