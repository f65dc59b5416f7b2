//! Programs that the kernel runs once for each of its objects.

use std::{io::Read as _, thread};

use aya::{Ebpf, programs::Iter};

use super::{Kernel, LoadError};
use crate::kernel::netns;

/// Runs an iterator program over all sockets of every network namespace that a process is in.
///
/// The kernel takes the namespace from the thread that opens the iterator, so this is done on a thread that visits them all
/// and then ends.
///
/// # Errors
///
/// If the kernel has no such iterator, refuses the program, or not one namespace could be visited.
pub fn iterate(
    ebpf: &mut Ebpf,
    kernel: &Kernel,
    program: &'static str,
    over: &'static str,
) -> Result<(), LoadError> {
    let loaded = load(ebpf, kernel, program, over)?;
    let visited = thread::scope(|scope| scope.spawn(|| visit_all(loaded, kernel)).join());
    match visited {
        Ok(result) => result,
        Err(_) => Err(LoadError::Unsupported(
            "the thread that visits network namespaces panicked".into(),
        )),
    }
}

/// Runs a program over what does not depend on the network namespace.
///
/// # Errors
///
/// If the kernel has no such iterator, or refuses the program.
pub fn iterate_once(
    ebpf: &mut Ebpf,
    kernel: &Kernel,
    program: &'static str,
    over: &'static str,
) -> Result<(), LoadError> {
    visit(load(ebpf, kernel, program, over)?)
}

fn load<'a>(
    ebpf: &'a mut Ebpf,
    kernel: &Kernel,
    program: &'static str,
    over: &'static str,
) -> Result<&'a mut Iter, LoadError> {
    let failed = |action| move |source| LoadError::program(action, program, source);
    let loaded: &mut Iter = ebpf
        .program_mut(program)
        .ok_or(LoadError::NoProgram(program))?
        .try_into()
        .map_err(failed("load"))?;
    loaded
        .load(over, &kernel.aya_types)
        .map_err(failed("load"))?;
    Ok(loaded)
}

fn visit_all(program: &mut Iter, kernel: &Kernel) -> Result<(), LoadError> {
    // Its own namespace is there without any privilege.
    visit(program)?;
    let namespaces = netns::namespaces(&kernel.proc).map_err(LoadError::Namespaces)?;
    let mut missed = None;
    for namespace in &namespaces {
        match netns::enter(namespace) {
            Ok(()) => visit(program)?,
            Err(error) => missed = Some(error),
        }
    }
    match missed {
        Some(error) => Err(LoadError::Namespaces(error)),
        None => Ok(()),
    }
}

fn visit(program: &mut Iter) -> Result<(), LoadError> {
    let failed = |source| LoadError::program("run", "an iterator", source);
    let link = program.attach().map_err(failed)?;
    let link = program.take_link(link).map_err(failed)?;
    let mut file = link
        .into_file()
        .map_err(|error| LoadError::Namespaces(std::io::Error::other(error)))?;
    // The program writes nothing; reading is what runs it.
    let mut nothing = Vec::new();
    file.read_to_end(&mut nothing)
        .map_err(LoadError::Namespaces)?;
    Ok(())
}
