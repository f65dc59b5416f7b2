//! Bodies of the `syscalls` programs: calls, errors and durations by owner and system call.
//!
//! A call is counted when it returns, by the number that the kernel still holds then, so that calls which were in
//! flight at attach, and those that seccomp answered without letting them in, are counted too. `sys_enter` is needed
//! for durations only. What never returns (`exit`, a thread killed inside a call) is not counted; its state goes with
//! the task. A call belongs to the cgroup in which it returns.

use aya_ebpf::{
    EbpfContext, Global,
    bindings::BPF_NOEXIST,
    btf_maps::{Array, HashMap},
    helpers::{bpf_get_prandom_u32, bpf_get_smp_processor_id, bpf_ktime_get_ns},
    macros::btf_map,
    programs::BtfTracePointContext,
};
use aya_log_ebpf::debug;
use probe_common::{
    hist,
    loss::{CLOCK_BACKWARDS, DETAIL_FULL, ERRNO_FULL, MAP_MISSING, OWNERS_FULL},
    owner::OVERFLOW,
    syscalls::{
        ABI_COMPAT, ABI_NATIVE, ErrnoKey, NAMED_WORDS, NR_LIMIT, NR_OTHER, SyscallKey,
        SyscallStats, named_bit,
    },
};

use probe_ebpf::{
    count::{add_banked, add_shared},
    loss::count_loss,
    offsets::{ABSENT, Reader},
    owner::{self, Processes},
    pool::{self, FreeList},
    table_share::{CommonUsed, Shared, Shares},
    task::{TaskTable, Zeroed},
};

/// Offset in `task_struct` of the word that says whether the task is inside a 32-bit call.
#[unsafe(no_mangle)]
static TASK_COMPAT: Global<u32> = Global::new(ABSENT);
/// Bits of that word which say so.
#[unsafe(no_mangle)]
static COMPAT_MASK: Global<u32> = Global::new(0);
/// One call in this many is timed; 1 times all.
#[unsafe(no_mangle)]
static SAMPLE_EVERY: Global<u32> = Global::new(1);
/// Native and compat numbers of `fork`, `vfork`, `clone` and `clone3`, which return twice.
#[unsafe(no_mangle)]
static FORKS: Global<[u16; 8]> = Global::new([NR_LIMIT; 8]);
/// Number of `rt_sigreturn`, which leaves no number behind.
#[unsafe(no_mangle)]
static NR_SIGRETURN: Global<u32> = Global::new(NR_OTHER as u32);

/// Calls that each CPU lets pass before it times one.
#[btf_map]
static COUNTDOWN: Array<u32, 1> = Array::new();
/// Counters: banks of entries.
#[btf_map]
static CALLS: Array<SyscallStats, 1, { aya_ebpf::bindings::BPF_F_MMAPABLE as usize }> =
    Array::new();
/// Owner and call to entry.
#[btf_map]
static CALL_ENTRIES: HashMap<SyscallKey, u32, 1> = HashMap::new();
/// Free entries.
#[btf_map]
static CALLS_FREE: FreeList = FreeList::new();
/// Free entries kept for an owner's calls that find no entry of their own.
#[btf_map]
static CALLS_RESERVE: FreeList = FreeList::new();
/// What each container has taken of the entries and of the table of errors.
#[btf_map]
static CALL_SHARES: Shares = Shares::new();
/// What of that is common.
#[btf_map]
static CALL_COMMON: CommonUsed = CommonUsed::new();
/// Bitmap of the calls that have a name, see `probe_common::syscalls::named_bit`.
#[btf_map]
static NAMED: Array<u64, NAMED_WORDS> = Array::new();
/// Processes by thread group id, where owners are processes.
#[btf_map]
static PROCESSES: Processes = Processes::new();
/// Errors by owner, call and errno.
#[btf_map]
static ERRNOS: HashMap<ErrnoKey, u64, 1> = HashMap::new();

/// Entries, as a table that is shared out.
type Entries = Shared<0>;
/// Counts of errors, as such a table.
type Errnos = Shared<1>;

const CACHE: usize = 8;

/// What is remembered of a task between its calls.
#[repr(C)]
pub(crate) struct Task {
    /// When the call in flight began, or 0.
    start_ns: u64,
    /// Whose entries `cache` holds.
    owner: u64,
    /// Entries of the calls that this task made last.
    cache: [Cached; CACHE],
}

#[derive(Clone, Copy)]
#[repr(C)]
struct Cached {
    /// The call's number and ABI plus one; 0 for none.
    tag: u32,
    entry: u32,
}

impl Zeroed for Task {
    const ZERO: Self = Self {
        start_ns: 0,
        owner: 0,
        cache: [Cached { tag: 0, entry: 0 }; CACHE],
    };
}

/// Notes when a call began.
#[inline(always)]
pub(crate) fn enter<R: Reader>(tasks: &impl TaskTable<Task>) {
    if !is_sampled() {
        return;
    }
    // SAFETY: the pointer is that of the current task.
    if let Some(task) = unsafe { tasks.state_of_current(R::current()) } {
        // SAFETY: the table gave a pointer to live state, which only its own task writes here.
        unsafe { (*task).start_ns = bpf_ktime_get_ns() };
    }
}

/// Whether to time this call.
///
/// A CPU counts down and times the call at which it arrives at zero, then draws the next number of calls between 1 and
/// twice the wanted mean less one. Every call is equally likely to be timed, whatever its rhythm, and the random number
/// is drawn once per timed call. Two programs that interrupt one another may both count as one; that shifts nothing.
#[inline(always)]
fn is_sampled() -> bool {
    let every = SAMPLE_EVERY.load();
    if every <= 1 {
        return true;
    }
    // SAFETY: the helper has no requirement.
    let Some(left) = COUNTDOWN.get_ptr_mut(unsafe { bpf_get_smp_processor_id() }) else {
        count_loss(MAP_MISSING);
        return false;
    };
    // SAFETY: `left` points to this CPU's element of the array.
    unsafe {
        if *left > 1 {
            *left -= 1;
            return false;
        }
        *left = 1 + bpf_get_prandom_u32() % (2 * every - 1);
    }
    true
}

/// Counts a call that returns: the number that the kernel holds of it, and its result.
#[inline(always)]
pub(crate) fn exit<R: Reader>(
    ctx: &impl EbpfContext,
    tasks: &impl TaskTable<Task>,
    nr: i64,
    ret: i64,
) {
    let current = R::current();
    let (nr, abi) = identify::<R>(nr, ret, current);
    // SAFETY: the pointer is that of the current task.
    let task = unsafe { tasks.state_of_current(current) };
    if ret == 0 && returns_twice(nr, abi) {
        // The child's side of a fork. The parent's return counts the call.
        return;
    }
    // SAFETY: the current task is a task.
    let owner = unsafe { owner::of::<R>(current) };
    let (entry, duration) = match task {
        // SAFETY: the table gave a pointer to live state, which only its own task uses.
        Some(task) => unsafe {
            (
                cached_entry::<R>(ctx, &mut *task, owner, nr, abi),
                take_duration(&mut *task),
            )
        },
        None => (find_entry::<R>(ctx, owner, nr, abi), None),
    };
    let Some(stats) = CALLS.get_ptr_mut(pool::position(entry)) else {
        count_loss(MAP_MISSING);
        return;
    };
    // SAFETY: `stats` points to an entry of the array. Where banks belong to one CPU each, the loader has made sure that
    // no other task's program can run here between a load and its store.
    unsafe {
        match duration {
            Some(ns) => {
                add_banked(
                    &raw mut (*stats).buckets[hist::bucket(ns) % hist::BUCKETS],
                    1,
                );
                add_banked(&raw mut (*stats).sum_ns, ns);
            }
            None => add_banked(&raw mut (*stats).untimed, 1),
        }
        if (-4095..0).contains(&ret) {
            add_banked(&raw mut (*stats).errors, 1);
            count_errno::<R>(ErrnoKey {
                owner,
                nr,
                abi,
                errno: -ret as u32,
            });
        }
    }
}

/// The call's number and ABI, folded into what keys can hold.
///
/// A number without a name that is answered with `ENOSYS` is none of this kernel's calls. A program can try them all, so they
/// share one number. A call that is newer than the table of names answers something else, and keeps its number.
#[inline(always)]
fn identify<R: Reader>(nr: i64, ret: i64, current: *const u8) -> (u16, u16) {
    /// Bit that x86-64 adds to numbers of the x32 ABI, which shares the native table.
    const X32: i64 = 0x4000_0000;
    /// include/uapi/asm-generic/errno.h
    const ENOSYS: i64 = 38;
    let mut abi = ABI_NATIVE;
    if TASK_COMPAT.load() != ABSENT {
        // SAFETY: the current task is a task.
        let word: u32 = unsafe { R::field(current, &TASK_COMPAT) };
        if word & COMPAT_MASK.load() != 0 {
            abi = ABI_COMPAT;
        }
    }
    // The register is 64 bits wide and the number 32.
    let nr = i64::from(nr as i32);
    if nr == -1 && abi == ABI_NATIVE {
        return (NR_SIGRETURN.load() as u16, abi);
    }
    let nr = nr & !X32;
    if !(0..i64::from(NR_LIMIT)).contains(&nr) || (ret == -ENOSYS && !is_named(nr as u16, abi)) {
        return (NR_OTHER, ABI_NATIVE);
    }
    (nr as u16, abi)
}

#[inline(always)]
fn is_named(nr: u16, abi: u16) -> bool {
    let (word, bit) = named_bit(nr, abi);
    match NAMED.get(word) {
        Some(named) => *named & bit != 0,
        None => {
            count_loss(MAP_MISSING);
            false
        }
    }
}

#[inline(always)]
fn returns_twice(nr: u16, abi: u16) -> bool {
    let forks = FORKS.load();
    if abi == ABI_COMPAT {
        nr == forks[4] || nr == forks[5] || nr == forks[6] || nr == forks[7]
    } else {
        nr == forks[0] || nr == forks[1] || nr == forks[2] || nr == forks[3]
    }
}

/// How long the call took, where its beginning was noted.
#[inline(always)]
fn take_duration(task: &mut Task) -> Option<u64> {
    let start = task.start_ns;
    if start == 0 {
        return None;
    }
    task.start_ns = 0;
    // SAFETY: the helper has no requirement.
    let now = unsafe { bpf_ktime_get_ns() };
    if now < start {
        count_loss(CLOCK_BACKWARDS);
        return Some(0);
    }
    Some(now - start)
}

/// The entry of a call, from the task's own memory where it made the same call before.
#[inline(always)]
fn cached_entry<R: Reader>(
    ctx: &impl EbpfContext,
    task: &mut Task,
    owner: u64,
    nr: u16,
    abi: u16,
) -> u32 {
    if task.owner != owner {
        task.owner = owner;
        for cached in &mut task.cache {
            cached.tag = 0;
        }
    }
    let tag = (u32::from(abi) << 16 | u32::from(nr)) + 1;
    let cached = &mut task.cache[usize::from(nr) % CACHE];
    if cached.tag != tag {
        cached.entry = find_entry::<R>(ctx, owner, nr, abi);
        cached.tag = tag;
    }
    cached.entry
}

/// The entry of a call; gives it one if it has none and there is one to be had.
#[inline(never)]
fn find_entry<R: Reader>(ctx: &impl EbpfContext, owner: u64, nr: u16, abi: u16) -> u32 {
    let key = SyscallKey {
        owner,
        nr,
        abi,
        pad: 0,
    };
    // SAFETY: the current task is a task of the owner.
    let account = unsafe { owner::account::<R>(owner, R::current()) };
    if let Some(entry) = claim::<R>(ctx, &key, account) {
        return entry;
    }
    count_loss(DETAIL_FULL);
    let key = SyscallKey {
        owner: owner::overflow(owner, account),
        nr: NR_OTHER,
        abi: ABI_NATIVE,
        pad: 0,
    };
    claim_reserved(&key).unwrap_or_else(|| {
        count_loss(OWNERS_FULL);
        OVERFLOW
    })
}

/// The entry of a call, or a free one if its container may take another.
#[inline(always)]
fn claim<R: Reader>(ctx: &impl EbpfContext, key: &SyscallKey, account: u64) -> Option<u32> {
    // SAFETY: entries are removed only after their owner is gone; the value is copied out at once.
    if let Some(entry) = unsafe { CALL_ENTRIES.get(key) } {
        return Some(*entry);
    }
    if !Entries::may_take(&CALL_SHARES, &CALL_COMMON, account) {
        return None;
    }
    let entry = pool::take(&CALLS_FREE)?;
    if !Entries::take(&CALL_SHARES, &CALL_COMMON, account) {
        pool::give_back(&CALLS_FREE, entry);
        return None;
    }
    if CALL_ENTRIES
        .insert(key, entry, u64::from(BPF_NOEXIST))
        .is_err()
    {
        // Another CPU was quicker, or the table is full although an entry was free.
        Entries::give_back(&CALL_SHARES, &CALL_COMMON, account);
        pool::give_back(&CALLS_FREE, entry);
        // SAFETY: as above.
        return unsafe { CALL_ENTRIES.get(key) }.copied();
    }
    // SAFETY: the current task is a task.
    unsafe { owner::remember::<R>(&PROCESSES, key.owner, R::current()) };
    debug!(
        ctx,
        "syscalls: owner {} call {} has entry {}", key.owner, key.nr, entry
    );
    Some(entry)
}

/// The entry of an owner for the calls that find none of their own.
#[inline(always)]
fn claim_reserved(key: &SyscallKey) -> Option<u32> {
    // SAFETY: as in `claim`.
    if let Some(entry) = unsafe { CALL_ENTRIES.get(key) } {
        return Some(*entry);
    }
    let entry = pool::take(&CALLS_RESERVE)?;
    if CALL_ENTRIES
        .insert(key, entry, u64::from(BPF_NOEXIST))
        .is_ok()
    {
        return Some(entry);
    }
    pool::give_back(&CALLS_RESERVE, entry);
    // SAFETY: as in `claim`.
    unsafe { CALL_ENTRIES.get(key) }.copied()
}

#[inline(never)]
fn count_errno<R: Reader>(key: ErrnoKey) {
    if let Some(count) = ERRNOS.get_ptr_mut(key) {
        // SAFETY: `count` points to a value of the map.
        unsafe { add_shared(count, 1) };
        return;
    }
    // SAFETY: the current task is a task of the owner.
    let account = unsafe { owner::account::<R>(key.owner, R::current()) };
    if !Errnos::may_take(&CALL_SHARES, &CALL_COMMON, account)
        || !Errnos::take(&CALL_SHARES, &CALL_COMMON, account)
    {
        count_loss(ERRNO_FULL);
        return;
    }
    // Starts at 0 and is found again below, so that a CPU which inserts the same key at the same time loses nothing.
    if ERRNOS.insert(key, 0, u64::from(BPF_NOEXIST)).is_err() {
        Errnos::give_back(&CALL_SHARES, &CALL_COMMON, account);
    }
    match ERRNOS.get_ptr_mut(key) {
        // SAFETY: as above.
        Some(count) => unsafe { add_shared(count, 1) },
        None => count_loss(ERRNO_FULL),
    }
}

/// `task_rename`: a thread is about to be called otherwise. Attached where owners are processes.
#[inline(always)]
pub(crate) fn renamed(ctx: &BtfTracePointContext) {
    // SAFETY: both are arguments of the tracepoint.
    unsafe { owner::rename(&PROCESSES, ctx.arg(0), ctx.arg(1)) };
}
