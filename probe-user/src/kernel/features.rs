//! What this kernel can do, each found out by trying it with a tiny map or program.

mod probe;

use std::io;

use super::{btf::Btf, host::Lockdown};

/// An answer of the kernel. Only the first two are sure; the third is worth asking again.
#[derive(Debug)]
pub enum Support {
    /// It works.
    Yes,
    /// The kernel cannot do it, for this reason.
    No(String),
    /// The question itself failed: a missing privilege says nothing about the kernel.
    Unknown(io::Error),
}

impl Support {
    /// Whether it is sure to work.
    pub fn is_yes(&self) -> bool {
        matches!(self, Self::Yes)
    }

    /// Sorts the outcome of a trial. Errors by which the kernel refuses what it does not know are a sure no;
    /// `EPERM` and `EACCES` also come from lockdown and security modules.
    fn from_trial<T>(outcome: io::Result<T>) -> Self {
        /// `ENOTSUPP`, which the kernel uses for itself and lets out here.
        const ENOTSUPP: i32 = 524;
        match outcome {
            Ok(_) => Self::Yes,
            Err(error) => match error.raw_os_error() {
                Some(libc::EINVAL | libc::E2BIG | libc::ENOSYS | libc::EOPNOTSUPP | ENOTSUPP) => {
                    Self::No("the kernel refuses it".into())
                }
                _ => Self::Unknown(error),
            },
        }
    }
}

/// Something that only some kernels can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Feature {
    /// Typed tracepoint programs, `tp_btf`.
    BtfTracepoint,
    /// Per-task memory that the kernel frees with the task, from a typed tracepoint program.
    TaskStorage,
    /// Ring buffer maps.
    RingBuffer,
    /// Arrays that user space reads without system calls.
    MmapableArray,
    /// Reading many entries of a hash table by one system call.
    HashBatch,
    /// Counting what each program costs.
    RunStatistics,
}

impl Feature {
    /// All of them, in the order in which they are shown.
    pub const ALL: [Self; 6] = [
        Self::BtfTracepoint,
        Self::TaskStorage,
        Self::RingBuffer,
        Self::MmapableArray,
        Self::HashBatch,
        Self::RunStatistics,
    ];

    /// Asks this kernel, which takes some hundred microseconds; nothing stays loaded. Without
    /// BTF, typed programs are a sure no.
    pub fn probe(self, btf: Option<&Btf>) -> Support {
        probe::probe(self, btf)
    }

    /// Short name for tables and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::BtfTracepoint => "typed tracepoints",
            Self::TaskStorage => "task storage",
            Self::RingBuffer => "ring buffer",
            Self::MmapableArray => "mapped arrays",
            Self::HashBatch => "batch reads, hash",
            Self::RunStatistics => "run statistics",
        }
    }

    /// What happens without it.
    pub fn without(self) -> &'static str {
        match self {
            Self::BtfTracepoint => "no probe can run",
            Self::TaskStorage => "a hash table keeps what is in flight, at a higher cost",
            Self::RingBuffer => "the lifecycle probe cannot run",
            Self::MmapableArray | Self::HashBatch => "system calls and scheduling are not measured",
            Self::RunStatistics => "the cost of programs is not exported",
        }
    }
}

/// The answers of one kernel.
#[derive(Debug)]
pub struct Features {
    answers: Vec<(Feature, Support)>,
}

impl Features {
    /// Asks for everything. Takes some milliseconds; nothing stays loaded. Without
    /// BTF, typed programs are a sure no.
    pub fn probe(btf: Option<&Btf>) -> Self {
        Self {
            answers: Feature::ALL.map(|f| (f, f.probe(btf))).into(),
        }
    }

    /// The answer for one feature.
    pub fn get(&self, feature: Feature) -> &Support {
        const NOT_ASKED: &Support = &Support::No(String::new());
        self.answers
            .iter()
            .find(|(f, _)| *f == feature)
            .map_or(NOT_ASKED, |(_, answer)| answer)
    }

    /// All answers, in the order of [`Feature::ALL`].
    pub fn iter(&self) -> impl Iterator<Item = (Feature, &Support)> {
        self.answers
            .iter()
            .map(|(feature, answer)| (*feature, answer))
    }
}

/// Whether tracing programs may read kernel memory under this lockdown mode.
pub fn tracing_allowed(lockdown: Lockdown) -> bool {
    lockdown != Lockdown::Confidentiality
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_refusals_of_the_kernel_are_a_sure_no() {
        let trial = |errno| Support::from_trial::<()>(Err(io::Error::from_raw_os_error(errno)));
        assert!(matches!(trial(libc::EINVAL), Support::No(_)));
        assert!(matches!(trial(524), Support::No(_)));
        assert!(matches!(trial(libc::EPERM), Support::Unknown(_)));
        assert!(matches!(trial(libc::EACCES), Support::Unknown(_)));
        assert!(matches!(trial(libc::ENOMEM), Support::Unknown(_)));
        assert!(Support::from_trial(Ok(())).is_yes());
    }

    #[test]
    fn without_btf_typed_programs_are_a_sure_no() {
        let features = Features::probe(None);
        assert!(matches!(
            features.get(Feature::BtfTracepoint),
            Support::No(_)
        ));
        assert_eq!(features.iter().count(), Feature::ALL.len());
    }

    #[test]
    fn the_running_kernel_gives_an_answer_to_each_question() {
        let roots = crate::kernel::Roots::default();
        let btf = Btf::from_file(&roots.btf()).ok();
        let features = Features::probe(btf.as_ref());
        for (feature, answer) in features.iter() {
            eprintln!("{}: {answer:?}", feature.name());
        }
        // A kernel of the support matrix has ring buffers; without the privilege nobody can tell.
        assert!(!matches!(features.get(Feature::RingBuffer), Support::No(_)));
    }
}
