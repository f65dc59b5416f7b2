//! What the kernel itself says about a process or a cgroup, to compare measurements with.

use std::{
    fs,
    ops::Sub,
    path::{Path, PathBuf},
    time::Duration,
};

use anyhow::{Context as _, Result};

/// Scheduling of all threads of a process that still exist.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Scheduling {
    /// Time on a CPU, from `schedstat`.
    pub oncpu: Duration,
    /// Time runnable and waiting, from `schedstat`.
    pub waiting: Duration,
    /// Times a CPU was given, from `schedstat`.
    pub slices: u64,
    /// Voluntary context switches, from `status`.
    pub voluntary: u64,
    /// Involuntary context switches, from `status`.
    pub involuntary: u64,
}

impl Sub for Scheduling {
    type Output = Self;

    fn sub(self, earlier: Self) -> Self {
        Self {
            oncpu: self.oncpu.saturating_sub(earlier.oncpu),
            waiting: self.waiting.saturating_sub(earlier.waiting),
            slices: self.slices.saturating_sub(earlier.slices),
            voluntary: self.voluntary.saturating_sub(earlier.voluntary),
            involuntary: self.involuntary.saturating_sub(earlier.involuntary),
        }
    }
}

/// Reads the scheduling of a process, thread by thread. Exact only while all of them sleep, and
/// none ends.
///
/// # Errors
///
/// If the process is gone or the kernel has no scheduler statistics.
pub fn scheduling(pid: i32) -> Result<Scheduling> {
    let mut sum = Scheduling::default();
    for thread in
        fs::read_dir(format!("/proc/{pid}/task")).with_context(|| format!("threads of {pid}"))?
    {
        let thread = thread?.path();
        match add_thread(&mut sum, &thread) {
            // It ended between being listed and being read.
            Err(_) if !thread.exists() => {}
            outcome => outcome?,
        }
    }
    Ok(sum)
}

fn add_thread(sum: &mut Scheduling, thread: &Path) -> Result<()> {
    let schedstat = read(thread.join("schedstat"))?;
    let numbers: Vec<u64> = schedstat
        .split_whitespace()
        .filter_map(|number| number.parse().ok())
        .collect();
    let [oncpu, waiting, slices] = numbers[..] else {
        anyhow::bail!("`{schedstat}` is not a schedstat");
    };
    sum.oncpu += Duration::from_nanos(oncpu);
    sum.waiting += Duration::from_nanos(waiting);
    sum.slices += slices;
    let status = read(thread.join("status"))?;
    sum.voluntary += field(&status, "voluntary_ctxt_switches:")?;
    sum.involuntary += field(&status, "nonvoluntary_ctxt_switches:")?;
    Ok(())
}

/// CPU time of a cgroup v2, from `cpu.stat`.
///
/// # Errors
///
/// If the cgroup is gone.
pub fn cgroup_cpu_time(cgroup: &Path) -> Result<Duration> {
    Ok(Duration::from_micros(field(
        &read(cgroup.join("cpu.stat"))?,
        "usage_usec",
    )?))
}

/// Time that interrupts and a hypervisor took from a CPU since the boot, from `/proc/stat`, in steps of 10 ms. The kernel
/// leaves it out of the times of tasks, and a clock does not.
///
/// # Errors
///
/// If there is no such CPU.
pub fn taken_from(cpu: usize) -> Result<Duration> {
    /// `USER_HZ` of every architecture that nodeprobe runs on.
    const TICK: Duration = Duration::from_millis(10);
    taken(&read("/proc/stat".into())?, cpu)
        .map(|ticks| TICK * u32::try_from(ticks).unwrap_or(u32::MAX))
        .with_context(|| format!("no CPU {cpu} in /proc/stat"))
}

/// Ticks of the fields `irq`, `softirq` and `steal` (proc_stat(5)).
fn taken(stat: &str, cpu: usize) -> Option<u64> {
    let name = format!("cpu{cpu} ");
    let line = stat.lines().find_map(|line| line.strip_prefix(&name))?;
    let fields: Vec<u64> = line
        .split_whitespace()
        .filter_map(|field| field.parse().ok())
        .collect();
    Some(fields.get(5..8)?.iter().sum())
}

/// The number after a word at the beginning of a line.
fn field(text: &str, name: &str) -> Result<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    line.with_context(|| format!("no {name}"))?
        .trim()
        .parse()
        .with_context(|| format!("{name} is no number"))
}

fn read(path: PathBuf) -> Result<String> {
    fs::read_to_string(&path).with_context(|| format!("read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_process_has_run_and_has_switched() {
        let truth = scheduling(std::process::id().cast_signed()).unwrap();
        assert!(truth.oncpu > Duration::ZERO && truth.slices > 0);
    }

    #[test]
    fn threads_that_end_meanwhile_are_left_out() {
        let pid = std::process::id().cast_signed();
        std::thread::scope(|scope| {
            let churn = scope.spawn(|| {
                for _ in 0..2000 {
                    std::thread::spawn(|| {}).join().unwrap();
                }
            });
            while !churn.is_finished() {
                scheduling(pid).unwrap();
            }
        });
    }

    #[test]
    fn interrupts_and_the_hypervisor_take_time_from_one_cpu() {
        let stat =
            "cpu  9 9 9 9 9 9 9 9 9 9\ncpu0 1 2 3 4 5 6 7 8 9 0\ncpu10 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(taken(stat, 0), Some(21));
        assert_eq!(taken(stat, 1), None);
        taken_from(0).unwrap();
    }

    #[test]
    fn a_field_is_the_number_after_its_name() {
        let text = "a_x: 1\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n";
        assert_eq!(field(text, "voluntary_ctxt_switches:").unwrap(), 12);
        assert!(field(text, "missing").is_err());
    }
}
