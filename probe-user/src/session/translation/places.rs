//! The network namespaces whose connection tracking is asked.

use std::{
    collections::HashMap,
    fs::File,
    io,
    os::unix::fs::MetadataExt as _,
    path::{Path, PathBuf},
    time::{Duration, Instant},
};

use super::TranslationScope;
use crate::{
    kernel::{
        conntrack::{self, AskError, Conntrack, Tracked},
        netns,
    },
    logs::chain,
    model::Tuple,
};

/// How long it is believed that nothing is tracked in a namespace.
const EMPTY_FOR: Duration = Duration::from_millis(50);
/// How long it is believed that the kernel has no connection tracking, and how often the host's processes are looked through.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// How long a namespace that could not be asked is left alone.
const PAUSE: Duration = Duration::from_secs(10);

/// All that can be asked.
pub(super) struct Places {
    proc: PathBuf,
    /// The host's, in the order of asking, with their inode numbers.
    host: Vec<(u64, Place)>,
    /// Those of containers, where they are asked.
    visits: Option<Visits>,
    /// Whether the kernel tracks connections, and when that was looked up.
    loaded: Option<(bool, Instant)>,
}

impl Places {
    /// Opens the host's; the calling thread ends in the namespace in which it began.
    pub(super) fn open(scope: TranslationScope, proc: PathBuf) -> io::Result<Self> {
        let own = File::open(proc.join("thread-self/ns/net"))?;
        let inode = own.metadata()?.ino();
        let mut host = vec![(inode, Place::open()?)];
        // Without privileges for that, the own one has to do.
        if let Ok(init) = File::open(proc.join("1/ns/net"))
            && let first = init.metadata()?.ino()
            && first != inode
        {
            netns::enter(&init)?;
            let place = Place::open();
            netns::enter(&own)?;
            host.push((first, place?));
        }
        Ok(Self {
            visits: (scope == TranslationScope::All).then(|| Visits::new(own)),
            proc,
            host,
            loaded: None,
        })
    }

    /// Follows a flow through all namespaces that may translate it: that of its socket, then the host's. `None` where one
    /// could not be asked and the others know nothing.
    pub(super) fn translate(&mut self, flow: &Tuple, socket_in: Option<u32>) -> Option<Tracked> {
        if !self.is_loaded() {
            return Some(Tracked::Absent);
        }
        let Self {
            proc, host, visits, ..
        } = self;
        let mut found = Found::new(flow);
        if let (Some(visits), Some(inode)) = (visits, socket_in.map(u64::from))
            && host.iter().all(|(it, _)| *it != inode)
            && let Some(place) = visits.visit(proc, inode)
        {
            found.ask(place);
        }
        for (_, place) in host {
            found.ask(place);
        }
        found.result()
    }

    /// Leaves the namespaces of containers, which would go on living otherwise.
    pub(super) fn leave(&mut self) {
        if let Some(visits) = &mut self.visits {
            visits.current = None;
        }
    }

    fn is_loaded(&mut self) -> bool {
        let now = Instant::now();
        match self.loaded {
            Some((loaded, at)) if loaded || now.duration_since(at) < LOOK_EVERY => loaded,
            _ => {
                let loaded = conntrack::is_loaded(&self.proc);
                self.loaded = Some((loaded, now));
                loaded
            }
        }
    }
}

/// What the namespaces on the way of a flow say.
struct Found {
    asked: Tuple,
    now: Tuple,
    tracked: bool,
    failed: bool,
}

impl Found {
    fn new(flow: &Tuple) -> Self {
        Self {
            asked: *flow,
            now: *flow,
            tracked: false,
            failed: false,
        }
    }

    /// Asks the next one, for the addresses that the one before made of it.
    fn ask(&mut self, place: &mut Place) {
        match place.look_up(&self.now) {
            Ok(Tracked::As(next)) => self.now = next,
            Ok(Tracked::AsItIs) => self.tracked = true,
            Ok(Tracked::Absent) => {}
            Err(Failed) => self.failed = true,
        }
    }

    fn result(self) -> Option<Tracked> {
        if self.now != self.asked {
            Some(Tracked::As(self.now))
        } else if self.failed {
            None
        } else if self.tracked {
            Some(Tracked::AsItIs)
        } else {
            Some(Tracked::Absent)
        }
    }
}

/// Connection tracking of one namespace, and what is known of it.
struct Place {
    conntrack: Conntrack,
    empty_until: Option<Instant>,
    paused_until: Option<Instant>,
}

/// It could not be asked; that was said already.
struct Failed;

impl Place {
    /// That of the namespace which the thread is in.
    fn open() -> io::Result<Self> {
        Ok(Self {
            conntrack: Conntrack::open()?,
            empty_until: None,
            paused_until: None,
        })
    }

    fn look_up(&mut self, flow: &Tuple) -> Result<Tracked, Failed> {
        let now = Instant::now();
        if self.paused_until.is_some_and(|until| now < until) {
            return Err(Failed);
        }
        if self.empty_until.is_some_and(|until| now < until) {
            return Ok(Tracked::Absent);
        }
        self.ask(flow, now).map_err(|error| {
            self.paused_until = Some(now + PAUSE);
            tracing::warn!(
                error = chain(&error),
                remedy = error.remedy(),
                "translated addresses cannot be asked for; tried again in {} s",
                PAUSE.as_secs()
            );
            Failed
        })
    }

    /// A flow that is tracked was so before it was asked for, so an empty namespace has none of the questions that wait.
    fn ask(&mut self, flow: &Tuple, now: Instant) -> Result<Tracked, AskError> {
        match self.conntrack.look_up(flow)? {
            Tracked::Absent if self.conntrack.entries()? == 0 => {
                self.empty_until = Some(now + EMPTY_FOR);
                Ok(Tracked::Absent)
            }
            tracked => Ok(tracked),
        }
    }
}

/// Visits to the namespaces of containers.
struct Visits {
    /// Where the thread goes back to.
    home: File,
    /// A process in each of them.
    members: HashMap<u64, u32>,
    looked: Option<Instant>,
    current: Option<(u64, Place)>,
}

impl Visits {
    fn new(home: File) -> Self {
        Self {
            home,
            members: HashMap::new(),
            looked: None,
            current: None,
        }
    }

    /// `None` where the namespace is gone, or has no process: nobody is left to ask.
    fn visit(&mut self, proc: &Path, inode: u64) -> Option<&mut Place> {
        if self.current.as_ref().is_none_or(|(it, _)| *it != inode) {
            let namespace = self.find(proc, inode)?;
            netns::enter(&namespace).ok()?;
            let place = Place::open();
            if let Err(error) = netns::enter(&self.home) {
                // Harmless: the next visit begins elsewhere, and sockets know where they belong.
                tracing::warn!(%error, "the thread cannot return to its network namespace");
            }
            self.current = Some((inode, place.ok()?));
        }
        self.current.as_mut().map(|(_, place)| place)
    }

    fn find(&mut self, proc: &Path, inode: u64) -> Option<File> {
        let known = |members: &HashMap<u64, u32>| {
            let process = members.get(&inode)?;
            netns::open(proc, *process, inode)
        };
        if let Some(found) = known(&self.members) {
            return Some(found);
        }
        let now = Instant::now();
        if self
            .looked
            .is_some_and(|at| now.duration_since(at) < LOOK_EVERY)
        {
            return None;
        }
        self.looked = Some(now);
        self.members = netns::members(proc).unwrap_or_default();
        known(&self.members)
    }
}

#[cfg(test)]
mod tests {
    use std::{fs, thread};

    use rustix::thread::{UnshareFlags, unshare_unsafe};

    use super::*;
    use crate::flows::client;

    /// Runs something in a network namespace of its own, where that is allowed.
    fn apart(what: impl FnOnce() + Send + 'static) {
        let thread = thread::spawn(move || {
            // SAFETY: a network namespace of its own does not affect the thread's file table.
            match unsafe { unshare_unsafe(UnshareFlags::NEWNET) } {
                Ok(()) => what(),
                Err(error) => test_skip::skip(
                    "netns",
                    &format!("cannot create a network namespace: {error}"),
                ),
            }
        });
        thread.join().unwrap();
    }

    fn here() -> u64 {
        fs::metadata("/proc/thread-self/ns/net").unwrap().ino()
    }

    #[test]
    fn the_hosts_are_the_own_one_and_that_of_process_1() {
        apart(|| {
            let before = here();
            let places = Places::open(TranslationScope::Host, "/proc".into()).unwrap();
            // Without privileges the namespace of process 1 is not to be seen.
            let init = fs::metadata("/proc/1/ns/net").map(|facts| facts.ino());
            let expected: Vec<u64> = std::iter::once(before).chain(init).collect();
            let inodes: Vec<u64> = places.host.iter().map(|(inode, _)| *inode).collect();
            assert_eq!(inodes, expected);
            assert_eq!(here(), before, "it went back");
        });
    }

    #[test]
    fn what_nobody_tracks_is_absent_and_costs_no_second_question() {
        apart(|| {
            let mut places = Places::open(TranslationScope::Host, "/proc".into()).unwrap();
            places.host.truncate(1);
            let flow = client().tuple;
            assert_eq!(places.translate(&flow, None), Some(Tracked::Absent));
            if places.is_loaded() {
                assert!(places.host[0].1.empty_until.is_some());
            }
        });
    }

    #[test]
    fn the_namespace_of_a_socket_is_visited_and_left() {
        apart(|| {
            let before = here();
            let mut visits = Visits::new(File::open("/proc/thread-self/ns/net").unwrap());
            // Of the other threads of this process.
            let other = fs::metadata("/proc/self/ns/net").unwrap().ino();
            assert_ne!(other, before);
            assert!(visits.visit(Path::new("/proc"), other).is_some());
            assert_eq!(here(), before, "it went back");
            let asked = visits.current.as_ref().map(|(inode, _)| *inode);
            assert_eq!(asked, Some(other));
        });
    }

    #[test]
    fn a_namespace_that_has_vanished_is_no_error() {
        apart(|| {
            let mut places = Places::open(TranslationScope::All, "/proc".into()).unwrap();
            places.host.truncate(1);
            // Inode numbers of namespaces are far above.
            let tracked = places.translate(&client().tuple, Some(1));
            assert_eq!(tracked, Some(Tracked::Absent));
        });
    }
}
