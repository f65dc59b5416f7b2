//! The columns of the live table.

use std::cmp::Ordering;

use crate::render::{columns::Want, text::width, view::LiveRow};

/// Widest that a name is shown: figures that are too far from their name belong to nobody.
const MAX_NAME: usize = 60;

/// A column, which is also something to sort by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Column {
    /// Name of the container.
    Container,
    /// System calls per second.
    Syscalls,
    /// Failed system calls per second.
    Errors,
    /// Median duration of system calls.
    SyscallP50,
    /// 0.99-quantile of the duration of system calls.
    SyscallP99,
    /// 0.99-quantile of the wait for a CPU.
    RunqueueP99,
    /// Share of one CPU.
    Cpu,
    /// Who takes the CPU most often.
    Preemptor,
}

impl Column {
    /// All columns from left to right; the keys `1` to `8` sort by them.
    pub const ALL: [Self; 8] = [
        Self::Container,
        Self::Syscalls,
        Self::Errors,
        Self::SyscallP50,
        Self::SyscallP99,
        Self::RunqueueP99,
        Self::Cpu,
        Self::Preemptor,
    ];

    /// Heading of the column.
    pub fn title(self) -> &'static str {
        match self {
            Self::Container => "CONTAINER",
            Self::Syscalls => "SYSCALLS/S",
            Self::Errors => "ERRORS/S",
            Self::SyscallP50 => "CALL P50",
            Self::SyscallP99 => "CALL P99",
            Self::RunqueueP99 => "WAIT P99",
            Self::Cpu => "CPU",
            Self::Preemptor => "TOP PREEMPTOR",
        }
    }

    /// One line for the help.
    pub(super) fn meaning(self) -> &'static str {
        match self {
            Self::Container => "namespace/pod/container, ~host/unit for the host",
            Self::Syscalls => "system calls per second",
            Self::Errors => "system calls per second that failed",
            Self::SyscallP50 => "median duration of system calls, sleeping included",
            Self::SyscallP99 => "99 % of the system calls were shorter",
            Self::RunqueueP99 => "99 % of the waits for a CPU were shorter",
            Self::Cpu => "CPU time, 100 % is one CPU",
            Self::Preemptor => "who took the CPU from it most often",
        }
    }

    /// Whether its cells are aligned left.
    pub(super) fn is_text(self) -> bool {
        matches!(self, Self::Container | Self::Preemptor)
    }

    /// Compares two rows, those that come first by default first: names by alphabet, numbers from
    /// large to small.
    pub(super) fn compare(self, a: &LiveRow, b: &LiveRow) -> Ordering {
        match self {
            Self::Container => a.container.display_name().cmp(&b.container.display_name()),
            _ => self.number(b).total_cmp(&self.number(a)),
        }
    }

    /// What a number is sorted by. What was not measured is less than 0.
    fn number(self, row: &LiveRow) -> f64 {
        let number = match self {
            Self::Container => None,
            Self::Syscalls => row.syscalls_per_second,
            Self::Errors => row.errors_per_second,
            Self::SyscallP50 => row.syscall_p50,
            Self::SyscallP99 => row.syscall_p99,
            Self::RunqueueP99 => row.runqueue_p99,
            Self::Cpu => row.cpu,
            Self::Preemptor => row.top_preemptor.as_ref().map(|by| by.per_second),
        };
        number.unwrap_or(-1.0)
    }

    /// How wide it would like to be, given the width of its widest cell. Columns of numbers keep
    /// their width, so that nothing jumps when figures change; a figure that is wider is never cut.
    pub(super) fn want(self, widest: usize, sorted: bool) -> Want {
        // The heading of the sorted column carries an arrow.
        let title = width(self.title()) + 2;
        let number = |width: usize, rank| (width.max(widest), width.max(widest), rank);
        let (natural, min, rank) = match self {
            Self::Container => (widest.clamp(title, MAX_NAME), 16, 0),
            Self::Syscalls => number(title, 1),
            Self::Cpu => number(7, 2),
            Self::Errors => number(title, 3),
            Self::RunqueueP99 => number(title, 4),
            Self::SyscallP99 => number(title, 5),
            Self::Preemptor => (widest.clamp(title, MAX_NAME), 16, 6),
            Self::SyscallP50 => number(title, 7),
        };
        Want {
            natural,
            min: min.min(natural),
            rank: if sorted { rank.min(1) } else { rank },
        }
    }
}
