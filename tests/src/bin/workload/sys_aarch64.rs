//! System call numbers of AArch64.

use std::ffi::c_long;

pub(crate) const IOPRIO_GET: c_long = 31;
pub(crate) const READV: c_long = 65;
pub(crate) const EXIT: c_long = 93;
pub(crate) const NANOSLEEP: c_long = 101;
pub(crate) const SCHED_SETAFFINITY: c_long = 122;
pub(crate) const SCHED_GET_PRIORITY_MAX: c_long = 125;
pub(crate) const KILL: c_long = 129;
pub(crate) const RT_SIGPROCMASK: c_long = 135;
pub(crate) const RT_SIGTIMEDWAIT: c_long = 137;
pub(crate) const PRCTL: c_long = 167;
