//! Questions about sockets, which a program answers when it is run.

use std::os::fd::AsFd as _;

use aya::{
    Ebpf,
    programs::{ProgramFd, RawTracePoint},
};
use probe_common::tcp::{ASKED, Question};

use crate::{
    kernel,
    loader::LoadError,
    maps::{self, MapError, Shared},
};

const PROGRAM: &str = "ask";

/// Runs the program that answers.
pub(super) struct Asker {
    program: ProgramFd,
    questions: Shared<Question>,
}

impl Asker {
    /// Loads the program, which is attached to nothing.
    pub(super) fn open(ebpf: &mut Ebpf) -> Result<Self, LoadError> {
        let failed = |source| LoadError::program("load", PROGRAM, source);
        let questions = Shared::new(maps::take(ebpf, "QUESTIONS")?, "QUESTIONS", ASKED as u32)?;
        let program: &mut RawTracePoint = ebpf
            .program_mut(PROGRAM)
            .ok_or(LoadError::NoProgram(PROGRAM))?
            .try_into()
            .map_err(failed)?;
        program.load().map_err(failed)?;
        let program = program
            .fd()
            .map_err(failed)?
            .try_clone()
            .map_err(|source| MapError::Read {
                map: PROGRAM,
                source,
            })?;
        Ok(Self { program, questions })
    }

    /// Answers all questions, in as many runs as it takes.
    pub(super) fn ask(&mut self, questions: &mut [Question]) -> Result<(), MapError> {
        for some in questions.chunks_mut(ASKED) {
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
