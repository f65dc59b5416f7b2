//! Records of what is not in the log: losses, gaps, and the balance that proves it.

use std::{borrow::Cow, collections::BTreeMap, time::Duration};

use super::{ByName, Envelope, nanoseconds};
use crate::flows::field::{Time, record};

/// Something that was lost inside the probe.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// What it belongs to: `flow`, `dns` and so on.
    pub stream: &'static str,
    /// Where on its way: `kernel`, `ring`, `queue`, `encode`, `export`.
    pub stage: &'static str,
    /// Why.
    pub reason: &'static str,
    /// What is counted: `packets`, `bytes`, `records`, `connections`.
    pub unit: &'static str,
    /// How much.
    pub count: u64,
    /// Whether it is exactly that much. If not, it is at least that much.
    pub exact: bool,
    /// Monotonic time from which on it may have happened.
    pub first: Duration,
    /// Monotonic time until which.
    pub last: Duration,
    /// The CPU, where it was only one.
    pub cpu: Option<u32>,
}

/// A time in which nobody watched.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Gap {
    /// Why: `attach` before the first run of a log, `restart` between two runs.
    pub cause: &'static str,
    /// Monotonic time of its beginning.
    pub from: Duration,
    /// Monotonic time of its end.
    pub to: Duration,
    /// The probes that did not watch.
    pub probes: Vec<&'static str>,
}

/// Both sides of the sum since the start of the run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Balance {
    /// What it belongs to.
    pub stream: &'static str,
    /// What is counted.
    pub unit: &'static str,
    /// What the kernel side saw.
    pub seen: u64,
    /// What is in records.
    pub exported: u64,
    /// What belongs to flows of which no record has told yet.
    pub open: u64,
    /// What was left out on purpose.
    pub filtered: u64,
    /// What was lost, by `stage:reason`.
    pub lost: BTreeMap<String, u64>,
}

impl Balance {
    /// What is seen and nowhere else; less than nothing if it is counted twice.
    pub fn error(&self) -> i64 {
        let known = [self.exported, self.open, self.filtered];
        let sum: i128 = known
            .iter()
            .chain(self.lost.values())
            .map(|it| i128::from(*it))
            .sum();
        let error = i128::from(self.seen) - sum;
        i64::try_from(error).unwrap_or(if error < 0 { i64::MIN } else { i64::MAX })
    }
}

record! {
    /// Something was lost inside the probe. At most one record a second for each stream, stage, reason and unit.
    LossRecord<'a> {
        /// `loss`.
        r#type: Cow<'a, str>,
        /// `nodeprobe.loss/1.0`.
        schema: Cow<'a, str>,
        /// As in `flow`, and counted together with these.
        seq: u64,
        /// As in `flow`.
        boot_id: Cow<'a, str>,
        /// As in `flow`.
        run_id: Cow<'a, str>,
        /// As in `flow`.
        node: Cow<'a, str>,
        /// Time of the record.
        ts: Time,
        /// The same by the monotonic clock.
        mono_ns: u64,
        /// What it belongs to: `flow`, `dns` and so on.
        stream: Cow<'a, str>,
        /// Where on its way: `kernel`, `ring`, `queue`, `encode`, `export`.
        stage: Cow<'a, str>,
        /// Why: `flow_table_full`, `ring_full`, `queue_full` and so on.
        reason: Cow<'a, str>,
        /// What is counted: `packets`, `bytes`, `records`, `connections`.
        unit: Cow<'a, str>,
        /// How much since the last such record.
        count: u64,
        /// Whether it is exactly that much. If not, it is at least that much.
        exact: bool,
        /// From when on it may have happened.
        first: Time,
        /// Until when.
        last: Time,
        /// The CPU, where it was only one.
        cpu: Option<u32>,
    }
}

record! {
    /// Nobody watched.
    GapRecord<'a> {
        /// `gap`.
        r#type: Cow<'a, str>,
        /// `nodeprobe.gap/1.0`.
        schema: Cow<'a, str>,
        /// As in `flow`, and counted together with these.
        seq: u64,
        /// As in `flow`.
        boot_id: Cow<'a, str>,
        /// As in `flow`.
        run_id: Cow<'a, str>,
        /// As in `flow`.
        node: Cow<'a, str>,
        /// Time of the record.
        ts: Time,
        /// The same by the monotonic clock.
        mono_ns: u64,
        /// Why: `attach`: no run wrote this log before; from the boot of the host. `restart`: between two runs.
        cause: Cow<'a, str>,
        /// Its beginning.
        from: Time,
        /// Its end.
        to: Time,
        /// The probes that did not watch.
        probes: Vec<Cow<'a, str>>,
    }
}

record! {
    /// Both sides of the sum since the start of the run: `seen` = `exported` + `open` + `filtered` + all of `lost` + `error`.
    BalanceRecord<'a> {
        /// `balance`.
        r#type: Cow<'a, str>,
        /// `nodeprobe.balance/1.0`.
        schema: Cow<'a, str>,
        /// As in `flow`, and counted together with these.
        seq: u64,
        /// As in `flow`.
        boot_id: Cow<'a, str>,
        /// As in `flow`.
        run_id: Cow<'a, str>,
        /// As in `flow`.
        node: Cow<'a, str>,
        /// Time of the record.
        ts: Time,
        /// The same by the monotonic clock.
        mono_ns: u64,
        /// What it belongs to: `flow`, `dns` and so on.
        stream: Cow<'a, str>,
        /// What is counted: `packets`, `bytes`, `records`, `connections`.
        unit: Cow<'a, str>,
        /// What the kernel side saw.
        seen: u64,
        /// What is in records.
        exported: u64,
        /// What belongs to flows of which no record has told yet.
        open: u64,
        /// What was left out on purpose.
        filtered: u64,
        /// What was lost, by `stage:reason`.
        lost: BTreeMap<Cow<'a, str>, u64>,
        /// The difference. Other than 0 it is a bug of the probe.
        error: i64,
    }
}

impl<'a> LossRecord<'a> {
    pub(in crate::flows) fn new(envelope: &Envelope<'a>, loss: &Loss) -> Self {
        Self {
            r#type: "loss".into(),
            schema: "nodeprobe.loss/1.0".into(),
            seq: envelope.seq,
            boot_id: envelope.origin.boot_id.as_str().into(),
            run_id: envelope.origin.run_id.as_str().into(),
            node: envelope.origin.node.as_str().into(),
            ts: envelope.time(envelope.at),
            mono_ns: nanoseconds(envelope.at),
            stream: loss.stream.into(),
            stage: loss.stage.into(),
            reason: loss.reason.into(),
            unit: loss.unit.into(),
            count: loss.count,
            exact: loss.exact,
            first: envelope.time(loss.first),
            last: envelope.time(loss.last),
            cpu: loss.cpu,
        }
    }
}

impl<'a> GapRecord<'a> {
    pub(in crate::flows) fn new(envelope: &Envelope<'a>, gap: &Gap) -> Self {
        Self {
            r#type: "gap".into(),
            schema: "nodeprobe.gap/1.0".into(),
            seq: envelope.seq,
            boot_id: envelope.origin.boot_id.as_str().into(),
            run_id: envelope.origin.run_id.as_str().into(),
            node: envelope.origin.node.as_str().into(),
            ts: envelope.time(envelope.at),
            mono_ns: nanoseconds(envelope.at),
            cause: gap.cause.into(),
            from: envelope.time(gap.from),
            to: envelope.time(gap.to),
            probes: gap.probes.iter().map(|probe| (*probe).into()).collect(),
        }
    }
}

impl<'a> BalanceRecord<'a> {
    pub(in crate::flows) fn new(envelope: &Envelope<'a>, balance: &'a Balance) -> Self {
        Self {
            r#type: "balance".into(),
            schema: "nodeprobe.balance/1.0".into(),
            seq: envelope.seq,
            boot_id: envelope.origin.boot_id.as_str().into(),
            run_id: envelope.origin.run_id.as_str().into(),
            node: envelope.origin.node.as_str().into(),
            ts: envelope.time(envelope.at),
            mono_ns: nanoseconds(envelope.at),
            stream: balance.stream.into(),
            unit: balance.unit.into(),
            seen: balance.seen,
            exported: balance.exported,
            open: balance.open,
            filtered: balance.filtered,
            lost: by_name(&balance.lost),
            error: balance.error(),
        }
    }
}

fn by_name(counts: &BTreeMap<String, u64>) -> ByName<'_> {
    counts
        .iter()
        .map(|(name, count)| (name.as_str().into(), *count))
        .collect()
}
