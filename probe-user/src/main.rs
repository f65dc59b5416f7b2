//! nodeprobe: eBPF host observability probe.
fn main() {}
