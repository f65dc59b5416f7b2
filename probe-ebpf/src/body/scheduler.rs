//! Bodies of the `scheduler` programs: run-queue latency, time on and off the CPU, switches and preemptions by owner.
//!
//! A task is in one of four states, kept beside it: running, queued (runnable, waiting for a CPU), blocked, or unknown
//! because nothing was seen of it since attach. Only the moves between those states that the kernel really makes are
//! counted: a wake-up of a task that runs or is queued already moves nothing, migration while queued goes on
//! waiting, the idle task belongs to nobody. Time belongs to the owner that the task has when it leaves the state.

use aya_ebpf::{
    Global,
    bindings::{BPF_F_MMAPABLE, BPF_NOEXIST},
    btf_maps::{Array, HashMap},
    helpers::{bpf_get_smp_processor_id, bpf_ktime_get_ns},
    macros::btf_map,
    programs::BtfTracePointContext,
};
use aya_log_ebpf::debug;
use probe_common::{
    hist::{self, Histogram},
    loss::{CLOCK_BACKWARDS, DETAIL_FULL, MAP_MISSING, OWNERS_FULL, PAIRS_FULL},
    owner::OVERFLOW,
    scheduler::{PreemptionKey, Running, SchedStats, is_uninterruptible},
};
use probe_ebpf::{
    count::{add_banked, add_shared},
    loss::count_loss,
    offsets::{ABSENT, Reader as _, Trusted},
    owner::{self, Processes, TASK_PID},
    pool::{self, FreeList},
    table_share::{CommonUsed, Shared, Shares},
    task::{TaskTable, Zeroed},
};

/// Offset of `task_struct.__state`, `state` before Linux 5.14. Used where `sched_switch` does not pass the state.
#[unsafe(no_mangle)]
static TASK_STATE: Global<u32> = Global::new(ABSENT);
/// Offset of `task_struct.on_cpu`: 0 or 1, in an `int` before Linux 7.2 and in one byte since. The first byte has it in both,
/// for all that we build for is little-endian; to read more is to read past the member, which the verifier refuses.
#[unsafe(no_mangle)]
static TASK_ON_CPU: Global<u32> = Global::new(ABSENT);
/// 1 if `sched_switch` passes the state of the previous task (Linux 5.18, fa2c3254d7cf).
#[unsafe(no_mangle)]
static HAS_PREV_STATE: Global<u32> = Global::new(0);

/// Counters: banks of entries, one entry per owner.
#[btf_map]
static SCHED: Array<SchedStats, 1, { BPF_F_MMAPABLE as usize }> = Array::new();
/// Owner to entry.
#[btf_map]
static SCHED_ENTRIES: HashMap<u64, u32, 1> = HashMap::new();
/// Free entries.
#[btf_map]
static SCHED_FREE: FreeList = FreeList::new();
/// Free entries kept for the processes of a container that find no entry of their own.
#[btf_map]
static SCHED_RESERVE: FreeList = FreeList::new();
/// What each container has taken of the entries and of the pairs.
#[btf_map]
static SCHED_SHARES: Shares = Shares::new();
/// What of that is common.
#[btf_map]
static SCHED_COMMON: CommonUsed = CommonUsed::new();
/// What runs on each CPU.
#[btf_map]
static RUNNING: Array<Running, 1, { BPF_F_MMAPABLE as usize }> = Array::new();
/// Preemptions by victim and preemptor.
#[btf_map]
static PREEMPTIONS: HashMap<PreemptionKey, u64, 1> = HashMap::new();
/// Processes by thread group id, where owners are processes.
#[btf_map]
static PROCESSES: Processes = Processes::new();

/// `TASK_DEAD` of include/linux/sched.h: the task's last switch.
const DEAD: u64 = 0x80;

/// Entries, as a table that is shared out. Only where owners are processes: a container has one entry.
type Entries = Shared<0>;
/// Who took the CPU, where the pair found no room.
const OTHERS: u64 = 0;
/// Pairs of victim and preemptor, as such a table.
type Pairs = Shared<1>;

const UNKNOWN: u32 = 0;
const RUNNING_NOW: u32 = 1;
const QUEUED: u32 = 2;
const BLOCKED: u32 = 3;

/// How a task left the CPU.
const NOT_SEEN: u32 = 0;
const INVOLUNTARY: u32 = 1;
const VOLUNTARY: u32 = 2;
const VOLUNTARY_UNINTERRUPTIBLE: u32 = 3;

/// What is remembered of a task between its switches.
#[repr(C)]
pub(crate) struct Task {
    /// When it became runnable; meant in state `QUEUED`.
    queued_ns: u64,
    /// When it left the CPU; meant unless `left` is `NOT_SEEN`.
    left_ns: u64,
    /// When it got the CPU; meant in state `RUNNING_NOW`.
    running_ns: u64,
    /// Whose entry `entry` is; 0 for nobody's.
    owner: u64,
    entry: u32,
    state: u32,
    left: u32,
    pad: u32,
}

impl Zeroed for Task {
    const ZERO: Self = Self {
        queued_ns: 0,
        left_ns: 0,
        running_ns: 0,
        owner: 0,
        entry: 0,
        state: UNKNOWN,
        left: NOT_SEEN,
        pad: 0,
    };
}

/// `sched_wakeup`: the task is runnable again.
#[inline(always)]
pub(crate) fn wakeup(tasks: &impl TaskTable<Task>, p: *const u8) {
    // SAFETY: `p` is an argument of the tracepoint, which the verifier trusts.
    let Some(task) = (unsafe { state_of(tasks, p) }) else {
        return;
    };
    // SAFETY: the table gave a pointer to live state. The run-queue lock of the task orders this hook and the switches.
    let task = unsafe { &mut *task };
    let was_waiting = match task.state {
        BLOCKED => true,
        // Seen for the first time: it may be running, woken by an interrupt before it had gone to sleep.
        // SAFETY: as above.
        UNKNOWN => unsafe { Trusted::field::<u8>(p, &TASK_ON_CPU) == 0 },
        _ => false,
    };
    if was_waiting {
        task.state = QUEUED;
        // SAFETY: the helper has no requirement.
        task.queued_ns = unsafe { bpf_ktime_get_ns() };
    }
}

/// `sched_wakeup_new`: the task has just been created.
#[inline(always)]
pub(crate) fn wakeup_new(tasks: &impl TaskTable<Task>, p: *const u8) {
    // SAFETY: `p` is an argument of the tracepoint, which the verifier trusts.
    let Some(task) = (unsafe { state_of(tasks, p) }) else {
        return;
    };
    // SAFETY: as in `wakeup`. Written whole: in a table by thread id the state may be that of a task that ended unseen.
    unsafe {
        *task = Task {
            state: QUEUED,
            queued_ns: bpf_ktime_get_ns(),
            ..Task::ZERO
        };
    }
}

/// `sched_switch`: one task leaves the CPU, another gets it.
#[inline(always)]
pub(crate) fn switch(ctx: &BtfTracePointContext, tasks: &impl TaskTable<Task>) {
    let preempted = ctx.arg::<u32>(0) & 1 != 0;
    let prev: *const u8 = ctx.arg(1);
    let next: *const u8 = ctx.arg(2);
    // SAFETY: both tasks are arguments of the tracepoint, which the verifier trusts; the helpers have no requirement.
    unsafe {
        let prev_pid: u32 = Trusted::field(prev, &TASK_PID);
        let next_pid: u32 = Trusted::field(next, &TASK_PID);
        let now = bpf_ktime_get_ns();
        let next_owner = if next_pid == 0 {
            0
        } else {
            owner::of::<Trusted>(next)
        };
        if prev_pid != 0 {
            let state = if HAS_PREV_STATE.load() == 1 {
                // `unsigned int`; the register's upper half is not specified.
                ctx.arg::<u64>(3) & 0xffff_ffff
            } else {
                u64::from(Trusted::field::<u32>(prev, &TASK_STATE))
            };
            leave(
                ctx,
                tasks,
                prev,
                prev_pid,
                now,
                if preempted { 0 } else { state },
                next_owner,
            );
        }
        if next_pid != 0 {
            arrive(ctx, tasks, next, next_pid, now, next_owner);
        }
        if let Some(running) = RUNNING.get_ptr_mut(bpf_get_smp_processor_id()) {
            (*running).owner = next_owner;
            (*running).since_ns = now;
        } else {
            count_loss(MAP_MISSING);
        }
    }
}

/// The previous task leaves the CPU. `state` is 0 where it could have gone on running.
///
/// # Safety
///
/// `prev` must be a task that the verifier trusts, and `pid` its `pid`.
#[inline(always)]
unsafe fn leave(
    ctx: &BtfTracePointContext,
    tasks: &impl TaskTable<Task>,
    prev: *const u8,
    pid: u32,
    now: u64,
    state: u64,
    next_owner: u64,
) {
    // SAFETY: passed on to the caller.
    let owner = unsafe { owner::of::<Trusted>(prev) };
    // SAFETY: passed on to the caller.
    let task = unsafe { tasks.state_of(prev, pid) };
    // SAFETY: the table gave a pointer to live state; this CPU holds the run-queue lock, so nobody else writes it.
    let task = task.map(|task| unsafe { &mut *task });
    let entry = match &task {
        Some(task) if task.owner == owner => task.entry,
        // SAFETY: passed on to the caller.
        _ => unsafe { find_entry(ctx, owner, prev) },
    };
    let Some(stats) = SCHED.get_ptr_mut(pool::position(entry)) else {
        count_loss(MAP_MISSING);
        return;
    };
    let involuntary = state == 0;
    // SAFETY: `stats` points to an entry of the array; interrupts are off in this hook, so a plain add is whole.
    unsafe {
        if involuntary {
            add_banked(&raw mut (*stats).involuntary, 1);
        } else {
            add_banked(&raw mut (*stats).voluntary, 1);
        }
    }
    if involuntary && next_owner != 0 {
        // SAFETY: passed on to the caller.
        let account = unsafe { owner::account::<Trusted>(owner, prev) };
        count_preemption(owner, next_owner, account);
    }
    let Some(task) = task else { return };
    if task.state == RUNNING_NOW {
        let ran = elapsed(task.running_ns, now);
        // SAFETY: as above.
        unsafe { add_banked(&raw mut (*stats).oncpu_ns, ran) };
    }
    if state & DEAD != 0 {
        tasks.forget(pid);
        return;
    }
    task.owner = owner;
    task.entry = entry;
    task.left_ns = now;
    if involuntary {
        task.state = QUEUED;
        task.queued_ns = now;
        task.left = INVOLUNTARY;
    } else {
        task.state = BLOCKED;
        task.left = if is_uninterruptible(state) {
            VOLUNTARY_UNINTERRUPTIBLE
        } else {
            VOLUNTARY
        };
    }
}

/// The next task gets the CPU.
///
/// # Safety
///
/// As for [`leave`].
#[inline(always)]
unsafe fn arrive(
    ctx: &BtfTracePointContext,
    tasks: &impl TaskTable<Task>,
    next: *const u8,
    pid: u32,
    now: u64,
    owner: u64,
) {
    // SAFETY: passed on to the caller.
    let Some(task) = (unsafe { tasks.state_of(next, pid) }) else {
        return;
    };
    // SAFETY: as in `leave`.
    let task = unsafe { &mut *task };
    if task.owner != owner {
        task.owner = owner;
        // SAFETY: passed on to the caller.
        task.entry = unsafe { find_entry(ctx, owner, next) };
    }
    let Some(stats) = SCHED.get_ptr_mut(pool::position(task.entry)) else {
        count_loss(MAP_MISSING);
        return;
    };
    // SAFETY: `stats` points to an entry of the array; interrupts are off in this hook, so a plain add is whole.
    unsafe {
        if task.state == QUEUED {
            observe(&raw mut (*stats).runqueue, elapsed(task.queued_ns, now));
        }
        let away = elapsed(task.left_ns, now);
        match task.left {
            INVOLUNTARY => observe(&raw mut (*stats).offcpu_involuntary, away),
            VOLUNTARY => observe(&raw mut (*stats).offcpu_voluntary, away),
            VOLUNTARY_UNINTERRUPTIBLE => {
                observe(&raw mut (*stats).offcpu_voluntary, away);
                add_banked(&raw mut (*stats).uninterruptible_ns, away);
            }
            _ => {}
        }
    }
    task.state = RUNNING_NOW;
    task.running_ns = now;
    task.left = NOT_SEEN;
}

/// Adds one duration to a histogram in a bank.
///
/// # Safety
///
/// `histogram` must point into an entry of a pool.
#[inline(always)]
unsafe fn observe(histogram: *mut Histogram, ns: u64) {
    // SAFETY: the caller vouches for the pointer, and `bucket` answers below the number of buckets.
    unsafe {
        add_banked(
            &raw mut (*histogram).buckets[hist::bucket(ns) % hist::BUCKETS],
            1,
        );
        add_banked(&raw mut (*histogram).sum_ns, ns);
    }
}

/// Time between two readings of the clock, which may be those of two CPUs.
#[inline(always)]
fn elapsed(since: u64, now: u64) -> u64 {
    if now < since {
        count_loss(CLOCK_BACKWARDS);
        return 0;
    }
    now - since
}

/// The state of a task that is an argument of a wake-up.
///
/// # Safety
///
/// `p` must be a task that the verifier trusts.
#[inline(always)]
unsafe fn state_of(tasks: &impl TaskTable<Task>, p: *const u8) -> Option<*mut Task> {
    // SAFETY: passed on to the caller.
    unsafe { tasks.state_of(p, Trusted::field(p, &TASK_PID)) }
}

/// The entry of an owner; gives it one if it has none and there is one to be had.
///
/// # Safety
///
/// `task` must be a task of the owner that the verifier trusts.
#[inline(always)]
unsafe fn find_entry(ctx: &BtfTracePointContext, owner: u64, task: *const u8) -> u32 {
    // SAFETY: entries are removed only after their owner is gone; the value is copied out at once.
    if let Some(entry) = unsafe { SCHED_ENTRIES.get(owner) } {
        return *entry;
    }
    // SAFETY: passed on to the caller.
    unsafe { new_entry(ctx, owner, task) }
}

/// The entry of an owner that has none yet.
///
/// # Safety
///
/// As for [`find_entry`].
#[inline(never)]
unsafe fn new_entry(ctx: &BtfTracePointContext, owner: u64, task: *const u8) -> u32 {
    // SAFETY: passed on to the caller.
    let account = unsafe { owner::account::<Trusted>(owner, task) };
    if let Some(entry) = claim(owner, account) {
        // SAFETY: passed on to the caller.
        unsafe { owner::remember::<Trusted>(&PROCESSES, owner, task) };
        debug!(ctx, "scheduler: owner {} has entry {}", owner, entry);
        return entry;
    }
    let overflow = owner::overflow(owner, account);
    let entry = if overflow == owner {
        None
    } else {
        claim_reserved(overflow)
    };
    entry.unwrap_or_else(|| {
        count_loss(OWNERS_FULL);
        OVERFLOW
    })
}

/// A free entry for an owner, if its container may take another.
#[inline(always)]
fn claim(owner: u64, account: u64) -> Option<u32> {
    let is_shared = owner != account;
    if is_shared && !Entries::may_take(&SCHED_SHARES, &SCHED_COMMON, account) {
        return None;
    }
    let entry = pool::take(&SCHED_FREE)?;
    if is_shared && !Entries::take(&SCHED_SHARES, &SCHED_COMMON, account) {
        pool::give_back(&SCHED_FREE, entry);
        return None;
    }
    insert(&SCHED_FREE, owner, entry, || {
        if is_shared {
            Entries::give_back(&SCHED_SHARES, &SCHED_COMMON, account);
        }
    })
}

/// The entry of a container's other processes.
#[inline(always)]
fn claim_reserved(owner: u64) -> Option<u32> {
    count_loss(DETAIL_FULL);
    // SAFETY: as in `find_entry`.
    if let Some(entry) = unsafe { SCHED_ENTRIES.get(owner) } {
        return Some(*entry);
    }
    let entry = pool::take(&SCHED_RESERVE)?;
    insert(&SCHED_RESERVE, owner, entry, || {})
}

/// Enters an entry that was taken from a list. Where another CPU was quicker, or the table is full although an entry was free, it
/// goes back.
#[inline(always)]
fn insert(free: &FreeList, owner: u64, entry: u32, undo: impl FnOnce()) -> Option<u32> {
    if SCHED_ENTRIES
        .insert(owner, entry, u64::from(BPF_NOEXIST))
        .is_ok()
    {
        return Some(entry);
    }
    undo();
    pool::give_back(free, entry);
    // SAFETY: as in `find_entry`.
    unsafe { SCHED_ENTRIES.get(owner) }.copied()
}

#[inline(never)]
fn count_preemption(victim: u64, by: u64, account: u64) {
    let key = PreemptionKey { victim, by };
    if let Some(count) = PREEMPTIONS.get_ptr_mut(key) {
        // SAFETY: `count` points to a value of the map.
        unsafe { add_shared(count, 1) };
        return;
    }
    let is_counted = Pairs::may_take(&SCHED_SHARES, &SCHED_COMMON, account)
        && Pairs::take(&SCHED_SHARES, &SCHED_COMMON, account);
    // Starts at 0 and is found again below, so that a CPU which inserts the same key at the same time loses nothing.
    if is_counted && PREEMPTIONS.insert(key, 0, u64::from(BPF_NOEXIST)).is_err() {
        Pairs::give_back(&SCHED_SHARES, &SCHED_COMMON, account);
    }
    if let Some(count) = PREEMPTIONS.get_ptr_mut(key) {
        // SAFETY: as above.
        unsafe { add_shared(count, 1) };
        return;
    }
    count_loss(PAIRS_FULL);
    let key = PreemptionKey {
        victim: owner::overflow(victim, account),
        by: OTHERS,
    };
    _ = PREEMPTIONS.insert(key, 0, u64::from(BPF_NOEXIST));
    if let Some(count) = PREEMPTIONS.get_ptr_mut(key) {
        // SAFETY: as above.
        unsafe { add_shared(count, 1) };
    }
}

/// `task_rename`: a thread is about to be called otherwise. Attached where owners are processes.
#[inline(always)]
pub(crate) fn renamed(ctx: &BtfTracePointContext) {
    // SAFETY: both are arguments of the tracepoint.
    unsafe { owner::rename(&PROCESSES, ctx.arg(0), ctx.arg(1)) };
}
