//! Reads what the one-shot tools print with `-o json`.

use std::collections::BTreeMap;

use serde::{Deserialize, Deserializer};
use serde_json::Value;

/// What a tool found out.
#[derive(Clone, Debug, Deserialize)]
pub struct Report {
    /// How long it measured.
    #[serde(rename = "duration_ns", deserialize_with = "seconds")]
    pub duration_seconds: f64,
    /// What it found.
    pub rows: Vec<Row>,
    /// What it could not record, by stage and reason.
    #[serde(default)]
    pub lost: BTreeMap<String, Value>,
}

/// One owner, or one system call of one owner. Fields of the other tools keep their defaults.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Row {
    /// Whose row it is.
    pub container: Container,
    /// The process, when measured by process.
    pub process: Option<Process>,
    /// The system call.
    pub syscall: String,
    /// Calls that returned.
    pub calls: u64,
    /// Calls that returned an error.
    pub errors: u64,
    /// Errors by errno.
    pub errnos: BTreeMap<String, u64>,
    /// Durations of the calls.
    pub latency: Histogram,
    /// Waits for a CPU.
    pub runqueue: Histogram,
    /// Time on a CPU.
    #[serde(rename = "oncpu_ns", deserialize_with = "seconds")]
    pub oncpu_seconds: f64,
    /// Voluntary switches.
    pub voluntary_switches: u64,
    /// Involuntary switches.
    pub involuntary_switches: u64,
    /// Times off the CPU after voluntary switches.
    pub offcpu_voluntary: Histogram,
    /// Times off the CPU after involuntary switches.
    pub offcpu_involuntary: Histogram,
    /// Time in uninterruptible sleep.
    pub uninterruptible_seconds: f64,
    /// Who took the CPU, the most frequent first.
    pub preempted_by: Vec<Preemptor>,
}

/// A container or a part of the host. What is unknown is empty.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(default)]
pub struct Container {
    /// Name, short id or path.
    pub name: String,
    /// Kubernetes namespace, `~host`, or empty.
    pub namespace: String,
    /// Kubernetes pod.
    pub pod: String,
    /// The runtime's id.
    pub id: String,
    /// Who made it.
    pub runtime: String,
    /// Its path in its hierarchy.
    pub cgroup: String,
}

/// A process.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Process {
    /// Its process id.
    pub pid: i32,
    /// Its name.
    pub comm: String,
}

/// Who took the CPU from another.
#[derive(Clone, Debug, Default, Deserialize)]
pub struct Preemptor {
    /// Whose task it was.
    pub container: Container,
    /// How often.
    pub count: u64,
}

/// Durations by bucket.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub struct Histogram {
    /// Number of durations.
    pub count: u64,
    /// Their sum.
    #[serde(rename = "sum_ns", deserialize_with = "seconds")]
    pub sum_seconds: f64,
    /// Those per bucket, not cumulative.
    pub buckets: Vec<Bucket>,
}

/// One bucket.
#[derive(Clone, Debug, Deserialize)]
pub struct Bucket {
    /// Upper bound in seconds; none in the bucket above the highest bound.
    #[serde(rename = "le_ns", default, deserialize_with = "some_seconds")]
    pub le: Option<f64>,
    /// Durations in it.
    pub count: u64,
}

/// Nanoseconds, as seconds.
fn seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
    f64::deserialize(deserializer).map(|nanoseconds| nanoseconds / 1e9)
}

fn some_seconds<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<f64>, D::Error> {
    seconds(deserializer).map(Some)
}

impl Histogram {
    /// How many durations are in buckets that lie between two bounds, which must be bounds of
    /// buckets.
    pub fn between(&self, above: f64, up_to: f64) -> u64 {
        let inside = |bucket: &&Bucket| {
            bucket
                .le
                .is_some_and(|le| le > above * 1.001 && le <= up_to * 1.001)
        };
        self.buckets
            .iter()
            .filter(inside)
            .map(|bucket| bucket.count)
            .sum()
    }
}

/// The sum of what some rows say.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Calls {
    /// Calls that returned.
    pub calls: u64,
    /// Calls that returned an error.
    pub errors: u64,
    /// Errors by errno.
    pub errnos: BTreeMap<String, u64>,
}

impl Calls {
    /// What is expected of a workload that makes `errors` errors of these kinds.
    pub fn expected(calls: u64, errnos: &[(&str, u64)]) -> Self {
        let errnos: BTreeMap<_, _> = errnos
            .iter()
            .filter(|(_, n)| *n > 0)
            .map(|(name, n)| ((*name).to_owned(), *n))
            .collect();
        Self {
            calls,
            errors: errnos.values().sum(),
            errnos,
        }
    }
}

impl Report {
    /// The rows of the cgroup with this path and of those below it.
    pub fn of<'a>(&'a self, cgroup: &'a str) -> impl Iterator<Item = &'a Row> {
        self.rows
            .iter()
            .filter(move |row| row.container.is_at(cgroup))
    }

    /// What one cgroup, with those below it, did of one system call.
    pub fn calls(&self, cgroup: &str, syscall: &str) -> Calls {
        sum(self.of(cgroup).filter(|row| row.syscall == syscall))
    }

    /// What everybody else did of one system call: other than these cgroups and those below them.
    pub fn calls_elsewhere(&self, cgroups: &[&str], syscall: &str) -> Calls {
        let elsewhere = |row: &&Row| !cgroups.iter().any(|cgroup| row.container.is_at(cgroup));
        sum(self
            .rows
            .iter()
            .filter(|row| row.syscall == syscall)
            .filter(elsewhere))
    }

    /// What the tool lost, in all.
    pub fn lost_total(&self) -> u64 {
        self.lost.values().filter_map(Value::as_u64).sum()
    }
}

impl Container {
    /// Whether this is the cgroup with this path or one below it.
    pub fn is_at(&self, cgroup: &str) -> bool {
        self.cgroup
            .strip_prefix(cgroup)
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    }
}

fn sum<'a>(rows: impl Iterator<Item = &'a Row>) -> Calls {
    let mut sum = Calls::default();
    for row in rows {
        sum.calls += row.calls;
        sum.errors += row.errors;
        for (name, count) in &row.errnos {
            *sum.errnos.entry(name.clone()).or_default() += count;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = r#"{"tool":"syscalls","duration_ns":1500000000,"lost":{"syscalls/kernel/errno_full":2},"rows":[
        {"container":{"name":"a","cgroup":"/x/a"},"syscall":"read","calls":3,"errors":1,"errnos":{"EBADF":1},
         "latency":{"count":3,"sum_ns":300000000,"buckets":[{"le_ns":125000000,"count":2},{"count":1}]}},
        {"container":{"name":"ab","cgroup":"/x/ab"},"syscall":"read","calls":5,"errors":0,"errnos":{}}]}"#;

    #[test]
    fn rows_belong_to_a_cgroup_and_not_to_one_whose_name_begins_alike() {
        let report: Report = serde_json::from_str(TEXT).unwrap();
        assert_eq!(
            report.calls("/x/a", "read"),
            Calls::expected(3, &[("EBADF", 1)])
        );
        assert_eq!(
            report.calls_elsewhere(&["/x/a"], "read"),
            Calls::expected(5, &[])
        );
        assert_eq!(report.calls("/x", "read").calls, 8);
        assert_eq!(report.lost_total(), 2);
    }

    #[test]
    fn buckets_are_found_by_their_bounds() {
        let report: Report = serde_json::from_str(TEXT).unwrap();
        assert_eq!(report.rows[0].latency.between(0.0625, 0.125), 2);
        assert_eq!(report.rows[0].latency.between(0.125, 16.0), 0);
    }
}
