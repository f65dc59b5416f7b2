//! The `flows` probe: datagrams by socket and address pair, and name look-ups.

use std::{fs::File, os::fd::AsFd as _, sync::Arc, time::Duration};

use aya::{
    Ebpf,
    maps::{Map, MapData, RingBuf},
    programs::{CgroupAttachMode, CgroupSkb, CgroupSkbAttachType},
};
use probe_common::{
    dns::{AnswerKey, EVERYONE, Latency, MessageHeader, Pending, PendingKey, Waiting},
    flows::{FlowKey, FlowStats, UntrackedStats},
};

use rustc_hash::FxHashMap;

use super::{
    Attached, Collector, Options, ProbeSpec,
    narrow::{FatesReader, Tables},
    records,
    table::Table,
};
use crate::{
    kernel::clock::monotonic,
    limits,
    loader::{self, Globals, Kernel, LoadError, require_v2},
    logs::chain,
    maps::{self, MapError},
    model::{AnswerRow, FeatureState, LookupRow, MapFill, Measurements, OwnerId, UntrackedRow},
};

pub(super) const SPEC: ProbeSpec = ProbeSpec {
    name: "flows",
    about: "datagrams of every socket by address pair, and name look-ups, by container",
    hooks: |_| &["flows_egress", "flows_ingress"],
    attach,
};

const OBJECT: &[u8] = aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/flows"));

fn attach(kernel: &Kernel, options: &Options) -> Result<Attached, LoadError> {
    require_v2(kernel)?;
    let sizes = options.sizes;
    let left_out = Tables::new(&options.flow_ignore);
    let mut globals = Globals::new();
    left_out.set(&mut globals, options);
    globals
        .set_log_level(super::log_level(options))
        .set("ENABLED", u32::from(options.dns))
        .set("ROOM", sizes.lookups)
        .set("UNSURE_UNTIL", unsure_until(monotonic()))
        .set(
            "HAS_COARSE_CLOCK",
            u32::from(kernel.types.has_function("bpf_ktime_get_coarse_ns")),
        );
    let mut ebpf = loader::load(
        OBJECT,
        &globals,
        &[
            &[
                ("FLOWS", sizes.flows),
                ("UNTRACKED", sizes.socket_owners),
                ("PENDING", sizes.lookups),
                ("WAITING", sizes.socket_owners),
                ("GIVEN_UP", sizes.socket_owners),
                ("UNPAIRED", sizes.socket_owners),
                ("ANSWERS", sizes.socket_owners),
                ("LOOKUPS", sizes.socket_owners),
            ],
            &left_out.sizes()[..],
        ]
        .concat(),
    )?;
    left_out.fill(&mut ebpf)?;
    let given_up = Arc::new(Table::open(&mut ebpf, "GIVEN_UP", sizes.socket_owners)?);
    let collector = FlowsCollector::open(&mut ebpf, options, given_up.clone())?;
    let reader = FlowsReader::open(&mut ebpf, options, given_up)?;
    let root = File::open(&kernel.cgroups.mount).map_err(LoadError::CgroupRoot)?;
    for (program, direction) in [
        // Answers first: a question of which only the question is seen would be one that nobody answered.
        ("flows_ingress", CgroupSkbAttachType::Ingress),
        ("flows_egress", CgroupSkbAttachType::Egress),
    ] {
        attach_to_root(&mut ebpf, program, direction, &root)?;
    }
    let mut attached = Attached::new(SPEC.name, FeatureState::On, ebpf);
    attached.collector = Some(Box::new(collector));
    attached.readers.flows = Some(reader);
    Ok(attached)
}

/// When an answer is no longer one to a question that was asked before the program was attached, in seconds.
fn unsure_until(now: Duration) -> u32 {
    u32::try_from((now + limits::DNS_TIMEOUT).as_secs() + 1).unwrap_or(u32::MAX)
}

fn attach_to_root(
    ebpf: &mut Ebpf,
    program: &'static str,
    direction: CgroupSkbAttachType,
    root: &File,
) -> Result<(), LoadError> {
    let failed = |action| move |source| LoadError::program(action, program, source);
    let loaded: &mut CgroupSkb = ebpf
        .program_mut(program)
        .ok_or(LoadError::NoProgram(program))?
        .try_into()
        .map_err(failed("load"))?;
    loaded.load().map_err(failed("load"))?;
    // From Linux 5.7 on this makes a link, which stands beside those of others and takes no flags.
    loaded
        .attach(root.as_fd(), direction, CgroupAttachMode::Single)
        .map_err(failed("attach"))?;
    Ok(())
}

struct FlowsCollector {
    untracked: Table<u64, UntrackedStats>,
    answers: Table<AnswerKey, u64>,
    lookups: Table<u64, Latency>,
    waiting: Table<u64, Waiting>,
    given_up: Arc<GivenUp>,
    unpaired: Table<u64, u64>,
    seen: FatesReader,
}

/// Questions that were given up, by cgroup.
type GivenUp = Table<u64, Waiting>;

impl FlowsCollector {
    fn open(ebpf: &mut Ebpf, options: &Options, given_up: Arc<GivenUp>) -> Result<Self, MapError> {
        const NOTHING: UntrackedStats = UntrackedStats {
            bytes_sent: 0,
            bytes_received: 0,
            packets_sent: 0,
            packets_received: 0,
        };
        let owners = options.sizes.socket_owners;
        let untracked = Table::open(ebpf, "UNTRACKED", owners)?;
        untracked.put(&OwnerId::KERNEL_OVERFLOW.0, &NOTHING)?;
        Ok(Self {
            untracked,
            answers: Table::open(ebpf, "ANSWERS", owners)?,
            lookups: Table::open(ebpf, "LOOKUPS", owners)?,
            waiting: Table::open(ebpf, "WAITING", owners)?,
            given_up,
            unpaired: Table::open(ebpf, "UNPAIRED", owners)?,
            seen: FatesReader::open(ebpf)?,
        })
    }
}

impl Collector for FlowsCollector {
    fn collect(&mut self, into: &mut Measurements) -> Result<(), MapError> {
        into.seen = Some(self.seen.read()?);
        for (cgroup, stats) in self.untracked.read()? {
            into.untracked.push(UntrackedRow {
                owner: OwnerId::of_socket(cgroup),
                counters: stats.into(),
            });
        }
        for (key, count) in self.answers.read()? {
            into.answers.push(AnswerRow {
                owner: OwnerId::of_socket(key.cgroup),
                rcode: key.rcode as u8,
                count,
            });
        }
        for (cgroup, latency) in self.lookups.read()? {
            into.lookups.push(LookupRow {
                owner: OwnerId::of_socket(cgroup),
                latency,
            });
        }
        Ok(())
    }

    fn release(&mut self, owners: &[OwnerId]) -> Result<(), MapError> {
        let gone = |cgroup: u64| owners.contains(&OwnerId(cgroup));
        self.untracked.release(|cgroup| gone(*cgroup))?;
        self.answers.release(|key| gone(key.cgroup))?;
        self.lookups.release(|cgroup| gone(*cgroup))?;
        // First what was given up: the other way round the kernel side would see more room than there is.
        self.given_up.release(|cgroup| gone(*cgroup))?;
        self.waiting.release(|cgroup| gone(*cgroup))?;
        self.unpaired.release(|cgroup| gone(*cgroup))
    }

    fn fill(&self) -> Vec<MapFill> {
        vec![
            self.untracked.fill(SPEC.name),
            self.answers.fill(SPEC.name),
            self.lookups.fill(SPEC.name),
        ]
    }
}

/// Reads flows while they last, and messages of name look-ups.
pub struct FlowsReader {
    flows: Map,
    pending: Map,
    given_up: Arc<GivenUp>,
    messages: RingBuf<MapData>,
    capacity: u32,
    sampling: u32,
    undecoded: u64,
}

impl FlowsReader {
    fn open(ebpf: &mut Ebpf, options: &Options, given_up: Arc<GivenUp>) -> Result<Self, MapError> {
        let messages =
            RingBuf::try_from(maps::take(ebpf, "MESSAGES")?).map_err(|source| MapError::Aya {
                map: "MESSAGES",
                source,
            })?;
        Ok(Self {
            flows: maps::take(ebpf, "FLOWS")?,
            pending: maps::take(ebpf, "PENDING")?,
            given_up,
            messages,
            capacity: options.sizes.flows,
            sampling: options.flow_sampling.max(1),
            undecoded: 0,
        })
    }

    /// Shows each flow that is in the table.
    ///
    /// # Errors
    ///
    /// If the table cannot be read.
    pub fn each_flow(&self, mut with: impl FnMut(&FlowKey, &FlowStats)) -> Result<(), MapError> {
        maps::lookup_each(&self.flows, "FLOWS", |key, stats| with(&key, &stats))
    }

    /// How many flows the table holds.
    pub fn capacity(&self) -> u32 {
        self.capacity
    }

    /// One flow in this many is counted.
    pub fn sampling(&self) -> u32 {
        self.sampling
    }

    /// Takes a flow out of the table, with its last counters.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn take(&self, key: &FlowKey) -> Result<Option<FlowStats>, MapError> {
        maps::take_entry(&self.flows, "FLOWS", key)
    }

    /// Questions that wait for their answer.
    ///
    /// # Errors
    ///
    /// If the table cannot be read.
    pub fn pending(&self) -> Result<Vec<(PendingKey, Pending)>, MapError> {
        maps::lookup_all(&self.pending, "PENDING")
    }

    /// Gives up on questions; answers which of them were still waiting.
    ///
    /// # Errors
    ///
    /// If the kernel refuses.
    pub fn give_up(
        &self,
        questions: Vec<(PendingKey, Pending)>,
    ) -> Result<Vec<(PendingKey, Pending)>, MapError> {
        let mut gone = Vec::new();
        let mut left: FxHashMap<u64, u64> = FxHashMap::default();
        for (key, pending) in questions {
            if maps::remove(&self.pending, "PENDING", &key)? {
                *left.entry(pending.cgroup).or_default() += 1;
                *left.entry(EVERYONE).or_default() += 1;
                gone.push((key, pending));
            }
        }
        if !left.is_empty() {
            let known: FxHashMap<u64, Waiting> = self.given_up.entries()?.into_iter().collect();
            for (cgroup, more) in left {
                let mut waiting = known.get(&cgroup).copied().unwrap_or_default();
                waiting.left += more;
                // Where there is no room the cgroup seems to hold what it does not, and gets less than its share.
                if let Err(error) = self.given_up.put(&cgroup, &waiting) {
                    tracing::debug!(cgroup, error = %chain(&error), "questions that were given up are not noted");
                }
            }
        }
        Ok(gone)
    }

    /// Passes the next captured message on, if there is one; answers whether there was. What cannot be decoded is counted
    /// and skipped.
    pub fn next_message(&mut self, mut with: impl FnMut(&MessageHeader, &[u8])) -> bool {
        while let Some(item) = self.messages.next() {
            let message = records::decode::<MessageHeader>(&item).and_then(|header| {
                let bytes = item.get(size_of::<MessageHeader>()..)?;
                Some((header, bytes.get(..usize::from(header.captured))?))
            });
            match message {
                Some((header, bytes)) => {
                    with(&header, bytes);
                    return true;
                }
                None => self.undecoded += 1,
            }
        }
        false
    }

    /// Messages that could not be decoded.
    pub fn undecoded(&self) -> u64 {
        self.undecoded
    }
}

impl From<&FlowStats> for crate::model::Counters {
    fn from(stats: &FlowStats) -> Self {
        Self {
            bytes_sent: stats.bytes_sent,
            bytes_received: stats.bytes_received,
            packets_sent: stats.packets_sent,
            packets_received: stats.packets_received,
        }
    }
}

impl From<UntrackedStats> for crate::model::Counters {
    fn from(stats: UntrackedStats) -> Self {
        Self {
            bytes_sent: stats.bytes_sent,
            bytes_received: stats.bytes_received,
            packets_sent: stats.packets_sent,
            packets_received: stats.packets_received,
        }
    }
}
