//! What a flow log says, read and summed up.

use std::{collections::HashSet, path::Path};

use anyhow::{Context as _, Result, ensure};
use probe_user::flows::{BalanceRecord, FlowRecord, LossRecord, Reader, Record};

use crate::skip::not_in_vm;

/// All records of a log, in their order.
#[derive(Debug, Default)]
pub struct FlowLog {
    /// Of flows.
    pub flows: Vec<FlowRecord<'static>>,
    /// Of losses.
    pub losses: Vec<LossRecord<'static>>,
    /// Of both sides of the sum.
    pub balances: Vec<BalanceRecord<'static>>,
    /// Numbers of all records.
    pub numbers: Vec<u64>,
}

/// What some flows exchanged: their payload and packets from and to the initiator.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sums {
    /// Flows that have ended.
    pub flows: u64,
    /// Payload from the initiators.
    pub bytes_fwd: u64,
    /// Payload to them.
    pub bytes_rev: u64,
    /// Packets from the initiators.
    pub packets_fwd: u64,
    /// Packets to them.
    pub packets_rev: u64,
}

impl FlowLog {
    /// Reads a log.
    ///
    /// # Errors
    ///
    /// If there is none, or a line is no record.
    pub fn read(path: &Path) -> Result<Self> {
        let reader = Reader::open(path).with_context(|| format!("open {}", path.display()))?;
        let mut log = Self::default();
        for record in reader {
            log.push(record.map_err(|fault| anyhow::anyhow!("{fault:?}"))?)?;
        }
        Ok(log)
    }

    fn push(&mut self, record: Record) -> Result<()> {
        self.numbers.push(match &record {
            Record::Flow(flow) => flow.seq,
            Record::Loss(loss) => loss.seq,
            Record::Gap(gap) => gap.seq,
            Record::Balance(balance) => balance.seq,
            Record::Hubble(line) => anyhow::bail!("`{line:?}` is no record that we write"),
            Record::Other { kind } => anyhow::bail!("`{kind}` is no record that we write"),
        });
        match record {
            Record::Flow(flow) => self.flows.push(*flow),
            Record::Loss(loss) => self.losses.push(loss),
            Record::Balance(balance) => self.balances.push(balance),
            Record::Gap(_) | Record::Hubble(_) | Record::Other { .. } => {}
        }
        Ok(())
    }

    /// The flows of the sockets of a container.
    pub fn of(&self, container: &str) -> impl Iterator<Item = &FlowRecord<'static>> {
        self.flows
            .iter()
            .filter(move |flow| local(flow) == Some(container))
    }

    /// That nothing is missing: no hole in the numbers, no loss, and both sides of the last balance are equal.
    ///
    /// # Errors
    ///
    /// What is missing.
    pub fn is_whole(&self) -> Result<()> {
        ensure!(self.holes() == 0, "{} records are missing", self.holes());
        // What an interrupt meets at work is skipped, which is no rare thing where the processor is emulated.
        let is_lost = |loss: &&LossRecord<'_>| not_in_vm().is_ok() || loss.reason != "recursion";
        let lost: Vec<_> = self.losses.iter().filter(is_lost).collect();
        ensure!(lost.is_empty(), "{lost:?}");
        let balance = self.balanced()?;
        ensure!(balance.lost.is_empty(), "{balance:?}");
        Ok(())
    }

    /// The last balance of packets. The sides of this and all others are equal.
    ///
    /// # Errors
    ///
    /// If there is none, or they are not.
    pub fn balanced(&self) -> Result<&BalanceRecord<'static>> {
        for balance in &self.balances {
            let lost: u64 = balance.lost.values().sum();
            ensure!(
                balance.error == 0
                    && balance.seen == balance.exported + balance.open + balance.filtered + lost,
                "{balance:?}"
            );
        }
        let packets = self.balances.iter().rfind(|it| it.unit == "packets");
        packets.context("there is no balance of packets")
    }

    /// Numbers that no record has, between the first and the last one.
    pub fn holes(&self) -> u64 {
        let there: HashSet<_> = self.numbers.iter().collect();
        let last = self.numbers.iter().max().copied().unwrap_or(0);
        last - there.len() as u64
    }
}

/// The container of the local socket.
pub fn local<'a>(flow: &'a FlowRecord<'static>) -> Option<&'a str> {
    if flow.direction == "egress" {
        flow.src_container.as_deref()
    } else {
        flow.dst_container.as_deref()
    }
}

/// Sums up flows. Counters are added up by interval, and must be those that the ends say.
///
/// # Panics
///
/// If they are not.
pub fn sums<'a>(flows: impl Iterator<Item = &'a FlowRecord<'static>>) -> Sums {
    let (mut intervals, mut ends) = (Sums::default(), Sums::default());
    for flow in flows {
        intervals.bytes_fwd += flow.bytes_fwd;
        intervals.bytes_rev += flow.bytes_rev;
        intervals.packets_fwd += flow.packets_fwd;
        intervals.packets_rev += flow.packets_rev;
        if flow.event == "end" {
            ends.flows += 1;
            ends.bytes_fwd += flow.bytes_fwd_total;
            ends.bytes_rev += flow.bytes_rev_total;
            ends.packets_fwd += flow.packets_fwd_total;
            ends.packets_rev += flow.packets_rev_total;
        }
    }
    intervals.flows = ends.flows;
    assert_eq!(intervals, ends, "intervals add up to what the ends say");
    ends
}
