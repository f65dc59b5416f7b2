//! 32-bit calls from 64-bit code, which need no 32-bit program.

use crate::{Done, options::Options};

/// `--calls` calls of getpid by its number in the 32-bit table.
///
/// A kernel without 32-bit emulation ends the program with SIGSEGV.
#[cfg(target_arch = "x86_64")]
pub(crate) fn compat(options: &Options) -> Done {
    /// getpid in the 32-bit table; writev in the 64-bit one.
    const GETPID: u32 = 20;
    let calls: u64 = options.need("--calls")?;
    for number in 0..calls {
        let mut eax = GETPID;
        // SAFETY: the call takes no arguments and touches no memory; the kernel clears r8 to r11 on
        // this entry.
        unsafe {
            std::arch::asm!(
                "int 0x80",
                inlateout("eax") eax,
                out("r8") _, out("r9") _, out("r10") _, out("r11") _,
            );
        }
        if eax != std::process::id() {
            return Err(format!("call {number} answered {}", eax.cast_signed()).into());
        }
    }
    Ok(format!(
        r#"{{"syscall":"compat:getpid","calls":{calls},"errors":0}}"#
    ))
}

/// Only x86-64 can do this without a 32-bit program.
#[cfg(not(target_arch = "x86_64"))]
pub(crate) fn compat(_options: &Options) -> Done {
    Err("this architecture has no 32-bit entry from 64-bit code".into())
}
