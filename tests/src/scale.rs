//! How much work a test does, by how fast the machine is.

use std::env;

/// The first number, or the second one in a virtual machine of the kernel matrix, which may be emulated and twenty times
/// slower.
pub fn work(usual: u64, emulated: u64) -> u64 {
    if env::var_os("NODEPROBE_VM").is_some() {
        emulated
    } else {
        usual
    }
}
