//! What a one-shot tool found out.

use std::{
    collections::BTreeMap,
    time::{Duration, SystemTime},
};

use serde::{Serialize, Serializer};

use crate::{model::LostCount, render::json};

/// A kind of JSON object, with a schema `nodeprobe.TYPE/MAJOR.MINOR` of its own.
pub trait Row: Serialize {
    /// The `type` field of such an object, and the name of its schema.
    const TYPE: &'static str;
}

/// The findings of a one-shot tool: one JSON object.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report<R> {
    /// All but the rows.
    #[serde(flatten)]
    pub summary: Summary,
    /// One per owner, or per owner and system call.
    #[serde(serialize_with = "json::typed", bound(serialize = "R: Row"))]
    pub rows: Vec<R>,
}

impl<R: Row> Row for Report<R> {
    const TYPE: &'static str = "report";
}

impl Row for Summary {
    const TYPE: &'static str = "summary";
}

/// How the findings came to be.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Summary {
    /// Name of the tool.
    pub tool: &'static str,
    /// How long it measured.
    #[serde(rename = "duration_ns", serialize_with = "super::units::duration")]
    #[cfg_attr(test, schemars(with = "u64"))]
    pub duration: Duration,
    /// When it began to measure.
    #[serde(rename = "start", serialize_with = "super::units::time")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub started: SystemTime,
    /// What a row stands for.
    #[serde(serialize_with = "by_name")]
    #[cfg_attr(test, schemars(with = "String"))]
    pub by: By,
    /// What could not be recorded, by `stream/stage/reason`.
    pub lost: BTreeMap<String, u64>,
    /// What else the reader should know, in plain words.
    pub notes: Vec<String>,
}

/// What a row stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum By {
    /// A container.
    Container,
    /// A system call of a container.
    ContainerSyscall,
    /// A process.
    Process,
    /// A system call of a process.
    ProcessSyscall,
    /// A flow.
    Flow,
    /// An open connection.
    Connection,
    /// An address that a container talks with.
    Peer,
    /// A name that a container looks up.
    Name,
    /// A name server that a container asks.
    Server,
}

impl By {
    /// As shown in titles and JSON.
    pub fn name(self) -> &'static str {
        match self {
            Self::Container => "container",
            Self::ContainerSyscall => "container,syscall",
            Self::Process => "process",
            Self::ProcessSyscall => "process,syscall",
            Self::Flow => "flow",
            Self::Connection => "connection",
            Self::Peer => "container,peer",
            Self::Name => "container,name",
            Self::Server => "container,server",
        }
    }

    /// Whether rows name a process.
    pub fn has_process(self) -> bool {
        matches!(self, Self::Process | Self::ProcessSyscall)
    }

    /// Whether rows name a system call.
    pub fn has_syscall(self) -> bool {
        matches!(self, Self::ContainerSyscall | Self::ProcessSyscall)
    }
}

/// Losses under the keys that reports use; zero counts are left out, equal keys are added up.
pub fn lost_map(lost: &[LostCount]) -> BTreeMap<String, u64> {
    let mut map = BTreeMap::new();
    for LostCount {
        stream,
        stage,
        reason,
        count,
    } in lost.iter().filter(|lost| lost.count > 0)
    {
        let sum: &mut u64 = map.entry(format!("{stream}/{stage}/{reason}")).or_default();
        *sum = sum.saturating_add(*count);
    }
    map
}

#[expect(
    clippy::trivially_copy_pass_by_ref,
    reason = "serde passes fields by reference"
)]
fn by_name<S: Serializer>(by: &By, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(by.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn losses_of_the_same_kind_are_added_up_and_zeros_left_out() {
        let lost = |reason, count| LostCount {
            stream: "syscalls",
            stage: "kernel",
            reason,
            count,
        };
        let map = lost_map(&[
            lost("errno_full", 2),
            lost("ring_full", 0),
            lost("errno_full", 3),
        ]);
        assert_eq!(
            map,
            BTreeMap::from([("syscalls/kernel/errno_full".to_owned(), 5)])
        );
    }
}
