//! The standard `process_…` metrics of the agent itself, from procfs.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use super::{Registry, families};

/// Why the agent could not measure itself.
#[derive(Debug, thiserror::Error)]
pub enum ProcessError {
    /// A file cannot be read.
    #[error("cannot read {}", path.display())]
    Read {
        /// The file or directory.
        path: PathBuf,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// A file does not look as it should.
    #[error("{} has no {what}; is it procfs?", path.display())]
    Format {
        /// The file.
        path: PathBuf,
        /// What was looked for.
        what: &'static str,
    },
}

/// Reads what the kernel counts of this process.
#[derive(Clone, Debug)]
pub struct ProcessReader {
    proc: PathBuf,
    ticks_per_second: u64,
    page_size: u64,
}

impl ProcessReader {
    /// A reader for the procfs that is mounted at `proc`.
    pub fn new(proc: &Path) -> Self {
        let ticks_per_second = rustix::param::clock_ticks_per_second().max(1);
        Self {
            proc: proc.into(),
            ticks_per_second,
            page_size: rustix::param::page_size() as u64,
        }
    }

    /// Brings the `process_…` families up to date.
    ///
    /// # Errors
    ///
    /// If procfs cannot be read; what was read before the fault is in the registry.
    pub fn update(&self, registry: &mut Registry) -> Result<(), ProcessError> {
        let path = self.proc.join("self/stat");
        let stat = read(&path)?;
        // The name in parentheses may hold blanks and parentheses; fields count from 3 behind it.
        let fields = stat.rsplit_once(')').map_or("", |(_, rest)| rest);
        let field = |number: usize, what| {
            let value = fields
                .split_ascii_whitespace()
                .nth(number - 3)
                .and_then(|v| v.parse::<u64>().ok());
            value.ok_or_else(|| ProcessError::Format {
                path: path.clone(),
                what,
            })
        };
        let cpu_ticks = field(14, "utime")?.saturating_add(field(15, "stime")?);
        let cpu_ns = u128::from(cpu_ticks) * 1_000_000_000 / u128::from(self.ticks_per_second);
        registry.raise(
            &families::PROCESS_CPU,
            &[],
            u64::try_from(cpu_ns).unwrap_or(u64::MAX),
        );
        let resident = field(24, "rss")?.saturating_mul(self.page_size);
        registry.set(&families::PROCESS_RESIDENT_MEMORY, &[], resident as f64);
        let started = field(22, "starttime")? as f64 / self.ticks_per_second as f64;
        registry.set(
            &families::PROCESS_START_TIME,
            &[],
            self.boot_time()? + started,
        );
        registry.set(&families::PROCESS_OPEN_FDS, &[], self.open_fds()? as f64);
        Ok(())
    }

    /// Unix time of the boot in seconds.
    fn boot_time(&self) -> Result<f64, ProcessError> {
        let path = self.proc.join("stat");
        let stat = read(&path)?;
        let line = stat.lines().find_map(|line| line.strip_prefix("btime "));
        let time = line.and_then(|time| time.trim().parse().ok());
        time.ok_or(ProcessError::Format {
            path,
            what: "btime",
        })
    }

    fn open_fds(&self) -> Result<usize, ProcessError> {
        let path = self.proc.join("self/fd");
        let entries = fs::read_dir(&path).map_err(|source| ProcessError::Read { path, source })?;
        // One of them is the directory that is being read.
        Ok(entries.count().saturating_sub(1))
    }
}

fn read(path: &Path) -> Result<String, ProcessError> {
    fs::read_to_string(path).map_err(|source| ProcessError::Read {
        path: path.into(),
        source,
    })
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::metrics::{Budgets, Format, SharedRegistry};

    const STAT: &str = "7 (a (b) c) S 1 7 7 0 -1 4194560 100 0 0 0 250 150 0 0 20 0 5 0 1000 900000 25 18446744073 1\n";

    fn fixture(stat: &str) -> tempfile::TempDir {
        let proc = tempfile::tempdir().unwrap();
        fs::create_dir_all(proc.path().join("self/fd")).unwrap();
        for fd in 0..4 {
            fs::write(proc.path().join(format!("self/fd/{fd}")), "").unwrap();
        }
        fs::write(proc.path().join("self/stat"), stat).unwrap();
        fs::write(proc.path().join("stat"), "cpu 1 2\nbtime 1700000000\n").unwrap();
        proc
    }

    #[test]
    fn fields_are_found_behind_an_unpleasant_name() {
        let proc = fixture(STAT);
        let reader = ProcessReader {
            proc: proc.path().into(),
            ticks_per_second: 100,
            page_size: 4096,
        };
        let metrics = SharedRegistry::new("n", Budgets::default());
        reader.update(&mut metrics.lock()).unwrap();
        let text =
            String::from_utf8(metrics.render(Format::Text, Instant::now()).unwrap()).unwrap();
        for line in [
            "process_cpu_seconds_total 4.0",
            "process_resident_memory_bytes 102400.0",
            "process_start_time_seconds 1700000010.0",
            "process_open_fds 3.0",
        ] {
            assert!(text.lines().any(|l| l == line), "{line} is not in\n{text}");
        }
    }

    #[test]
    fn a_broken_file_is_named() {
        let proc = fixture("7 (a) S 1");
        let reader = ProcessReader::new(proc.path());
        let fault = reader
            .update(&mut Registry::new("n", Budgets::default()))
            .unwrap_err();
        assert!(
            matches!(&fault, ProcessError::Format { what: "utime", .. }),
            "{fault}"
        );
        fs::remove_file(proc.path().join("self/stat")).unwrap();
        let fault = reader
            .update(&mut Registry::new("n", Budgets::default()))
            .unwrap_err();
        assert!(fault.to_string().contains("self/stat"), "{fault}");
    }

    #[test]
    fn the_real_procfs_can_be_read() {
        let mut registry = Registry::new("n", Budgets::default());
        ProcessReader::new(Path::new("/proc"))
            .update(&mut registry)
            .unwrap();
    }
}
