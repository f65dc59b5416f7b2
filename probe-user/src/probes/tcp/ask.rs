//! Questions about sockets, which a program answers when it is run.

use std::os::fd::AsFd as _;

use aya::{
    Ebpf,
    programs::{ProgramFd, RawTracePoint},
};
use probe_common::tcp::{ASKED, Question};

use crate::{
    kernel,
    loader::{Kernel, LoadError},
    maps::{self, MapError, Shared},
};

const PROGRAM: &str = "ask";

/// Loads a program that is attached to nothing and run by its descriptor.
pub(super) fn load(ebpf: &mut Ebpf, name: &'static str) -> Result<ProgramFd, LoadError> {
    let failed = |source| LoadError::program("load", name, source);
    let program: &mut RawTracePoint = ebpf
        .program_mut(name)
        .ok_or(LoadError::NoProgram(name))?
        .try_into()
        .map_err(failed)?;
    program.load().map_err(failed)?;
    let program = program.fd().map_err(failed)?.try_clone();
    Ok(program.map_err(|source| MapError::Read { map: name, source })?)
}

/// How many questions one run answers. The verifier follows the loop over them step by step, which takes that of older kernels
/// seconds; those have no `bpf_loop` (Linux 5.17) either.
pub(super) fn at_once(kernel: &Kernel) -> u32 {
    if kernel.types.has_function("bpf_loop") {
        ASKED as u32
    } else {
        1
    }
}

/// Runs the program that answers.
pub(super) struct Asker {
    at_once: usize,
    program: ProgramFd,
    questions: Shared<Question>,
}

impl Asker {
    /// Loads the program, which answers [`at_once`] questions in a run.
    pub(super) fn open(ebpf: &mut Ebpf, at_once: u32) -> Result<Self, LoadError> {
        let questions = Shared::new(maps::take(ebpf, "QUESTIONS")?, "QUESTIONS", ASKED as u32)?;
        let program = load(ebpf, PROGRAM)?;
        Ok(Self {
            at_once: at_once as usize,
            program,
            questions,
        })
    }

    /// Answers all questions, in as many runs as it takes.
    pub(super) fn ask(&mut self, questions: &mut [Question]) -> Result<(), MapError> {
        for some in questions.chunks_mut(self.at_once) {
            for (entry, question) in (0..).zip(some.iter()) {
                self.questions.set(entry, *question)?;
            }
            kernel::run_raw_tracepoint(self.program.as_fd(), &[some.len() as u64]).map_err(
                |source| MapError::Read {
                    map: "QUESTIONS",
                    source,
                },
            )?;
            for (entry, question) in (0..).zip(some.iter_mut()) {
                *question = self.questions.get(entry)?;
            }
        }
        Ok(())
    }
}
