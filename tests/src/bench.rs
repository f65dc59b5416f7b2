//! The benchmark: what the probes cost, beside empty programs and other tools, all measured in one
//! run.
//!
//! Two measures. **A** is the wall time that programs add to one operation. **B** is the run time
//! of the programs by the kernel's own statistics, less the reading of an empty program in the same
//! round. Subjects take turns within a round, rounds are repeated, and every figure is a ratio or
//! difference within a round before the median is taken: what disturbs the machine for a while
//! disturbs both sides. Packets go over loopback in a network namespace of the benchmark's own.

pub mod agent;
pub mod board;
pub mod counted;
pub mod flows;
pub mod goals;
pub mod machine;
pub mod matrix;
pub mod net;
pub mod policy;
pub mod programs;
pub mod reading;
pub mod render;
pub mod spread;
pub mod subject;
pub mod workload;
