//! (module `kernel`)

pub mod cgroupfs;
