//! System call numbers of x86-64.

use std::ffi::c_long;

pub(crate) const RT_SIGPROCMASK: c_long = 14;
pub(crate) const READV: c_long = 19;
pub(crate) const NANOSLEEP: c_long = 35;
pub(crate) const EXIT: c_long = 60;
pub(crate) const KILL: c_long = 62;
pub(crate) const RT_SIGTIMEDWAIT: c_long = 128;
pub(crate) const SCHED_GET_PRIORITY_MAX: c_long = 146;
pub(crate) const PRCTL: c_long = 157;
pub(crate) const SCHED_SETAFFINITY: c_long = 203;
pub(crate) const IOPRIO_GET: c_long = 252;
