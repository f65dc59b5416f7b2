//! Reads flow logs, ours and Hubble's: plain or compressed, from files or standard input.
//!
//! A log may end in the middle of a line, and a line in the middle may be broken where an agent died. Both are told and
//! neither ends the reading.

mod hubble;
#[cfg(test)]
mod tests;

use std::{
    fs::File,
    io::{self, BufRead, BufReader, ErrorKind, Read},
    path::{Path, PathBuf},
};

use flate2::bufread::MultiGzDecoder;
use serde::Deserialize;

pub use self::hubble::{HubbleFlow, HubbleLine};
use super::record::{BalanceRecord, FlowRecord, GapRecord, LossRecord};
use crate::limits::RECORD_LINE;

/// What a compressed file begins with (RFC 1952).
const GZIP: [u8; 2] = [0x1f, 0x8b];

/// A record of a log.
#[derive(Clone, Debug, PartialEq)]
pub enum Record {
    /// A flow in one interval.
    Flow(Box<FlowRecord<'static>>),
    /// A loss inside the probe.
    Loss(LossRecord<'static>),
    /// Nobody watched.
    Gap(GapRecord<'static>),
    /// Both sides of the sum.
    Balance(BalanceRecord<'static>),
    /// A line of Hubble.
    Hubble(HubbleLine),
    /// A kind of record, or a major version of one, that this program does not know.
    Other {
        /// Its schema, or its type where it has none.
        kind: String,
    },
}

/// Why a record could not be read.
#[derive(Debug, thiserror::Error)]
pub enum Fault {
    /// The line is no record. Reading goes on with the next.
    #[error("{}:{line}: no record", file.display())]
    Broken {
        /// The file.
        file: PathBuf,
        /// Number of the line, from 1.
        line: u64,
        /// What is wrong.
        #[source]
        source: serde_json::Error,
    },
    /// The line is longer than any record. Reading goes on with the next.
    #[error("{}:{line}: a line of more than {RECORD_LINE} bytes", file.display())]
    Long {
        /// The file.
        file: PathBuf,
        /// Number of the line, from 1.
        line: u64,
    },
    /// The file cannot be read on. Nothing more comes.
    #[error("{}:{line}: cannot be read", file.display())]
    Unreadable {
        /// The file.
        file: PathBuf,
        /// Number of the line, from 1.
        line: u64,
        /// Why.
        #[source]
        source: io::Error,
    },
}

/// The records of one file.
pub struct Reader {
    input: Box<dyn BufRead + Send>,
    file: PathBuf,
    line: u64,
    torn: bool,
    ended: bool,
}

impl std::fmt::Debug for Reader {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Reader")
            .field("file", &self.file)
            .field("line", &self.line)
            .finish_non_exhaustive()
    }
}

impl Reader {
    /// Opens a file; `-` is standard input. Whether it is compressed is told by its first bytes.
    ///
    /// [`sinks::segments`](crate::sinks::segments) has all files of a log in order.
    ///
    /// # Errors
    ///
    /// It cannot be opened or read.
    pub fn open(path: &Path) -> io::Result<Self> {
        if path == Path::new("-") {
            return Self::new(io::stdin(), Path::new("(stdin)"));
        }
        Self::new(File::open(path)?, path)
    }

    /// Reads from anything. `file` is what faults call it.
    ///
    /// # Errors
    ///
    /// The first bytes cannot be read.
    pub fn new(input: impl Read + Send + 'static, file: &Path) -> io::Result<Self> {
        let mut input = input;
        let mut first = Vec::new();
        (&mut input)
            .take(GZIP.len() as u64)
            .read_to_end(&mut first)?;
        let compressed = first == GZIP;
        let input = BufReader::new(io::Cursor::new(first).chain(input));
        Ok(Self {
            input: if compressed {
                Box::new(BufReader::new(MultiGzDecoder::new(input)))
            } else {
                Box::new(input)
            },
            file: file.into(),
            line: 0,
            torn: false,
            ended: false,
        })
    }

    /// Whether the file ended in the middle of a line, or of its compressed form. Known at the end.
    pub fn is_torn(&self) -> bool {
        self.torn
    }

    /// The next line without its line break, and whether it had one.
    fn read_line(&mut self) -> Result<(Vec<u8>, bool), Fault> {
        let mut bytes = Vec::new();
        let limit = RECORD_LINE as u64 + 1;
        let result = (&mut self.input).take(limit).read_until(b'\n', &mut bytes);
        match result {
            Ok(_) => {}
            // A compressed file that was cut. What came before is good.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                self.torn = true;
                self.ended = true;
            }
            Err(source) => return Err(self.unreadable(source)),
        }
        let whole = bytes.pop_if(|last| *last == b'\n').is_some();
        if !whole && bytes.len() > RECORD_LINE {
            self.skip_line()?;
            return Err(Fault::Long {
                file: self.file.clone(),
                line: self.line,
            });
        }
        Ok((bytes, whole))
    }

    /// Reads to the end of a line that is too long, without keeping it.
    fn skip_line(&mut self) -> Result<(), Fault> {
        match self.input.skip_until(b'\n') {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => {
                self.torn = true;
                self.ended = true;
                Ok(())
            }
            Err(source) => Err(self.unreadable(source)),
        }
    }

    fn unreadable(&mut self, source: io::Error) -> Fault {
        self.ended = true;
        Fault::Unreadable {
            file: self.file.clone(),
            line: self.line,
            source,
        }
    }
}

impl Iterator for Reader {
    type Item = Result<Record, Fault>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            self.line += 1;
            let (line, whole) = match self.read_line() {
                Ok(line) => line,
                Err(fault) => return Some(Err(fault)),
            };
            self.ended |= !whole;
            if line.trim_ascii().is_empty() {
                continue;
            }
            match parse(&line) {
                Ok(record) => return Some(Ok(record)),
                // A whole object is a record even without its line break, and half of one never parses.
                Err(_) if !whole => self.torn = true,
                Err(source) => {
                    return Some(Err(Fault::Broken {
                        file: self.file.clone(),
                        line: self.line,
                        source,
                    }));
                }
            }
        }
        None
    }
}

fn parse(line: &[u8]) -> serde_json::Result<Record> {
    #[derive(Deserialize)]
    struct Head {
        r#type: String,
        schema: Option<String>,
    }
    let head: Head = match serde_json::from_slice(line) {
        Ok(head) => head,
        // Hubble's lines have no type.
        Err(error) => {
            let hubble = hubble::parse(line).ok().flatten();
            return hubble.map(Record::Hubble).ok_or(error);
        }
    };
    let kind = head.schema.unwrap_or(head.r#type);
    let known = kind
        .strip_prefix("nodeprobe.")
        .and_then(|it| it.split_once("/1."));
    Ok(match known.map(|(name, _)| name) {
        Some("flow") => Record::Flow(serde_json::from_slice(line)?),
        Some("loss") => Record::Loss(serde_json::from_slice(line)?),
        Some("gap") => Record::Gap(serde_json::from_slice(line)?),
        Some("balance") => Record::Balance(serde_json::from_slice(line)?),
        _ => Record::Other { kind },
    })
}
