//! One message, whole or cut.
//!
//! Sections are read one after the other, so of a cut message everything before the cut is read. The crate `domain`
//! does the layout of RFC 1035: compression points backwards only, labels and names have their limits.

use domain::base::{
    Message as Wire,
    iana::Class,
    wire::{FormError, ParseError},
};

use super::{
    answers::{self, Answers},
    text::name_text,
};

/// What a message says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Message {
    /// Repeated by the answer.
    pub id: u16,
    /// Whether it is an answer.
    pub is_answer: bool,
    /// What is asked for; 0 for a look-up of names.
    pub opcode: u8,
    /// Response code with the extension of RFC 6891, where the message has one and it was captured; 0 for a question.
    pub rcode: u16,
    /// The first question; servers answer no more than one.
    pub question: Option<Question>,
    /// What the asked name leads to; empty for a question.
    pub answers: Answers,
    /// Why the answers are not all there.
    pub fault: Option<Unreadable>,
}

/// A question.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Question {
    /// The name in lower case, without the dot at its end.
    pub name: String,
    /// Number of the type of record: see [`super::kind_name`].
    pub kind: u16,
}

/// Why a message or the rest of it cannot be read.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unreadable {
    /// The bytes end before the message does.
    #[error("the message ends early")]
    Ends,
    /// It breaks the rules of RFC 1035.
    #[error("the message is malformed")]
    Malformed(#[source] FormError),
}

impl From<ParseError> for Unreadable {
    fn from(error: ParseError) -> Self {
        match error {
            ParseError::ShortInput => Self::Ends,
            ParseError::Form(error) => Self::Malformed(error),
        }
    }
}

impl Message {
    /// Reads a message without the two bytes of length that precede it over TCP.
    ///
    /// # Errors
    ///
    /// If the header or the first question cannot be read. What is wrong behind them is in [`Message::fault`].
    pub fn read(bytes: &[u8]) -> Result<Self, Unreadable> {
        let wire = Wire::from_slice(bytes).map_err(|_| Unreadable::Ends)?;
        let header = wire.header();
        let mut message = Self {
            id: header.id(),
            is_answer: header.qr(),
            opcode: header.opcode().to_int(),
            rcode: 0,
            question: None,
            answers: Answers::default(),
            fault: None,
        };
        if message.is_answer {
            message.rcode = wire.opt_rcode().to_int();
        }
        let mut questions = wire.question();
        let Some(question) = questions.next().transpose()? else {
            return Ok(message);
        };
        let name = name_text(question.qname());
        // Addresses of other classes, such as CHAOS, are none.
        if message.is_answer && question.qclass() == Class::IN {
            match questions.answer() {
                Ok(section) => {
                    let (answers, fault) = answers::read(&name, section);
                    message.answers = answers;
                    message.fault = fault.map(Unreadable::from);
                }
                Err(error) => message.fault = Some(error.into()),
            }
        }
        message.question = Some(Question {
            name,
            kind: question.qtype().to_int(),
        });
        Ok(message)
    }
}

#[cfg(test)]
mod properties;
#[cfg(test)]
mod tests;
