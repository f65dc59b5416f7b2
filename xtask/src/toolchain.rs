//! Sets up what builds the kernel side: a compiler with library source, and `bpf-linker`.
//!
//! Looks first and changes nothing that is there. `probe-user/build.rs` picks the compiler by the
//! same rule.
use anyhow::Result;

pub(crate) use compiler::Compiler;

mod compiler;
mod linker;

/// Makes sure that the kernel side can be built, and returns its compiler.
pub(crate) fn ensure() -> Result<Compiler> {
    let compiler = compiler::ensure()?;
    linker::ensure(&compiler)?;
    Ok(compiler)
}
