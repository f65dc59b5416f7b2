//! Context switches of a process as `/proc` counts them.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

/// Voluntary and involuntary context switches of all threads of a process that exist now (proc_pid_status(5)).
///
/// # Errors
///
/// If the process cannot be read. A thread that ends meanwhile is left out.
pub fn of_process(proc: &Path, pid: u32) -> io::Result<u64> {
    let threads = fs::read_dir(proc.join(pid.to_string()).join("task"))?;
    let status = |thread: io::Result<fs::DirEntry>| -> Option<String> {
        let path: PathBuf = thread.ok()?.path();
        fs::read_to_string(path.join("status")).ok()
    };
    Ok(threads.filter_map(status).map(|text| count(&text)).sum())
}

fn count(status: &str) -> u64 {
    let counts = status
        .lines()
        .filter_map(|line| line.split_once("voluntary_ctxt_switches:"));
    counts
        .filter_map(|(_, count)| count.trim().parse::<u64>().ok())
        .sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_kinds_of_switches_add_up() {
        let status = "Name:\tx\nvoluntary_ctxt_switches:\t12\nnonvoluntary_ctxt_switches:\t3\n";
        assert_eq!(count(status), 15);
        assert_eq!(count("Name:\tx\n"), 0);
    }

    #[test]
    fn this_process_has_switched() {
        std::thread::sleep(std::time::Duration::from_millis(1));
        assert!(of_process(Path::new("/proc"), std::process::id()).unwrap() > 0);
        of_process(Path::new("/proc"), u32::MAX).unwrap_err();
    }
}
