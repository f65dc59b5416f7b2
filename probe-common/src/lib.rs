//! Types that cross the border between the kernel side and the user side.
//!
//! Rules of the border: `repr(C)`, integers only, padding written out, sizes asserted. No enums, `bool`,
//! `Option` or pointers: a surprise byte in one of those would be undefined behaviour. What a number means is
//! decided in user space, with an arm for values that it does not know.
#![no_std]

pub mod dns;
pub mod drops;
pub mod flows;
pub mod hist;
pub mod id;
pub mod lifecycle;
pub mod loss;
pub mod narrow;
pub mod owner;
pub mod scheduler;
pub mod share;
pub mod syscalls;
pub mod tcp;
