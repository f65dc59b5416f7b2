//! Keys of a terminal in raw mode, and the end of that terminal.
//!
//! crossterm reads a terminal that is gone for ever in one call: an end of file and `EIO` start its loop again. So keys are
//! read here.

use std::{io, time::Duration};

use crossterm::event::{KeyCode, KeyEvent, KeyModifiers};
use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    io::{Errno, read},
    stdio::stdin,
};

/// Bytes that are read at once. A person types one key at a time; a paste takes several reads.
const CHUNK: usize = 256;
/// Longest escape sequence of a key. What is longer is dropped.
const LONGEST_SEQUENCE: usize = 32;
const ESC: u8 = 0x1b;

/// What came from the terminal.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Input {
    /// Keys, none if nothing was typed in time.
    Keys(Vec<KeyEvent>),
    /// The terminal is gone: the connection broke, or its window was closed.
    HungUp,
}

/// Reads keys from standard input.
#[derive(Debug, Default)]
pub(super) struct Keyboard {
    decoder: Decoder,
}

impl Keyboard {
    /// Waits for keys, at most `timeout`.
    ///
    /// # Errors
    ///
    /// Those of `poll` and `read`, except for the end of the terminal.
    pub(super) fn wait(&mut self, timeout: Duration) -> io::Result<Input> {
        let stdin = stdin();
        let mut fds = [PollFd::new(&stdin, PollFlags::IN)];
        let timeout = Timespec::try_from(timeout).ok();
        match poll(&mut fds, timeout.as_ref()) {
            Ok(0) => return Ok(Input::Keys(self.decoder.rest())),
            Ok(_) => {}
            Err(Errno::INTR) => return Ok(Input::Keys(Vec::new())),
            Err(error) => return Err(error.into()),
        }
        let gone = PollFlags::HUP | PollFlags::ERR | PollFlags::NVAL;
        if fds[0].revents().intersects(gone) {
            return Ok(Input::HungUp);
        }
        let mut bytes = [0; CHUNK];
        match read(stdin, &mut bytes) {
            // Raw mode has no end of file but this one.
            Ok(0) | Err(Errno::IO) => Ok(Input::HungUp),
            Ok(count) => {
                let read = bytes.get(..count).unwrap_or_default();
                Ok(Input::Keys(self.decoder.keys(read)))
            }
            Err(Errno::INTR | Errno::AGAIN) => Ok(Input::Keys(Vec::new())),
            Err(error) => Err(error.into()),
        }
    }
}

/// Turns bytes into keys; keeps the beginning of a sequence until the rest of it comes.
#[derive(Debug, Default)]
struct Decoder {
    pending: Vec<u8>,
}

impl Decoder {
    /// The keys that are whole with these bytes.
    fn keys(&mut self, bytes: &[u8]) -> Vec<KeyEvent> {
        self.pending.extend_from_slice(bytes);
        let mut keys = Vec::new();
        loop {
            let Some((used, key)) = next(&self.pending) else {
                if self.pending.len() > LONGEST_SEQUENCE {
                    self.pending.clear();
                }
                return keys;
            };
            self.pending.drain(..used);
            keys.extend(key);
        }
    }

    /// What is left once nothing more came: the key Esc where it began like a sequence.
    fn rest(&mut self) -> Vec<KeyEvent> {
        let is_escape = self.pending.first() == Some(&ESC);
        self.pending.clear();
        is_escape
            .then(|| KeyEvent::from(KeyCode::Esc))
            .into_iter()
            .collect()
    }
}

/// The first key and how many bytes it takes; no key for sequences that mean nothing here. `None` while it is not whole.
fn next(bytes: &[u8]) -> Option<(usize, Option<KeyEvent>)> {
    let plain = |code| Some((1, Some(KeyEvent::from(code))));
    match *bytes.first()? {
        ESC => sequence(bytes),
        b'\r' | b'\n' => plain(KeyCode::Enter),
        b'\t' => plain(KeyCode::Tab),
        0x7f | 0x08 => plain(KeyCode::Backspace),
        control @ 0x01..=0x1a => {
            let letter = char::from(control - 1 + b'a');
            let key = KeyEvent::new(KeyCode::Char(letter), KeyModifiers::CONTROL);
            Some((1, Some(key)))
        }
        0x00..=0x1f => Some((1, None)),
        first => character(bytes, first),
    }
}

/// A character of UTF-8.
fn character(bytes: &[u8], first: u8) -> Option<(usize, Option<KeyEvent>)> {
    let length = match first {
        0x00..=0x7f => 1,
        0xc2..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf4 => 4,
        // The middle of a character.
        _ => return Some((1, None)),
    };
    let text = bytes.get(..length)?;
    match std::str::from_utf8(text)
        .ok()
        .and_then(|it| it.chars().next())
    {
        Some(char) => Some((length, Some(KeyEvent::from(KeyCode::Char(char))))),
        None => Some((1, None)),
    }
}

/// A sequence of ECMA-48 or of the application mode of the arrow keys, or the key Esc before another key.
fn sequence(bytes: &[u8]) -> Option<(usize, Option<KeyEvent>)> {
    match *bytes.get(1)? {
        b'O' => {
            let key = named(*bytes.get(2)?, &[]);
            Some((3, key.map(KeyEvent::from)))
        }
        b'[' => {
            let parameters = bytes.get(2..)?;
            let end = parameters
                .iter()
                .position(|byte| (0x40..=0x7e).contains(byte))?;
            let last = *parameters.get(end)?;
            let key = named(last, parameters.get(..end).unwrap_or_default());
            Some((2 + end + 1, key.map(KeyEvent::from)))
        }
        _ => Some((1, Some(KeyEvent::from(KeyCode::Esc)))),
    }
}

/// The keys that move the selection.
fn named(last: u8, parameters: &[u8]) -> Option<KeyCode> {
    Some(match (last, parameters) {
        (b'A', _) => KeyCode::Up,
        (b'B', _) => KeyCode::Down,
        (b'C', _) => KeyCode::Right,
        (b'D', _) => KeyCode::Left,
        (b'H', _) | (b'~', b"1" | b"7") => KeyCode::Home,
        (b'F', _) | (b'~', b"4" | b"8") => KeyCode::End,
        (b'~', b"5") => KeyCode::PageUp,
        (b'~', b"6") => KeyCode::PageDown,
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn codes(chunks: &[&[u8]]) -> Vec<KeyCode> {
        let mut decoder = Decoder::default();
        let keys = chunks.iter().flat_map(|bytes| decoder.keys(bytes));
        let mut codes: Vec<_> = keys.map(|key| key.code).collect();
        codes.extend(decoder.rest().iter().map(|key| key.code));
        codes
    }

    #[test]
    fn keys_are_decoded_wherever_their_bytes_are_cut() {
        let typed = b"s\x1b[A\x1bOB\x1b[5~\r\x7f\xc3\xa9\x1b[1;5C\x1b[200~q";
        let expected = [
            KeyCode::Char('s'),
            KeyCode::Up,
            KeyCode::Down,
            KeyCode::PageUp,
            KeyCode::Enter,
            KeyCode::Backspace,
            KeyCode::Char('é'),
            KeyCode::Right,
            KeyCode::Char('q'),
        ];
        assert_eq!(codes(&[typed]), expected);
        for at in 0..typed.len() {
            let (one, other) = typed.split_at(at);
            assert_eq!(codes(&[one, other]), expected, "cut at {at}");
        }
    }

    #[test]
    fn escape_alone_is_a_key_once_nothing_follows() {
        assert_eq!(codes(&[b"\x1b"]), [KeyCode::Esc]);
        assert_eq!(codes(&[b"\x1bq"]), [KeyCode::Esc, KeyCode::Char('q')]);
    }

    #[test]
    fn control_keys_carry_their_letter() {
        let keys = Decoder::default().keys(b"\x03\x0c");
        let letters: Vec<_> = keys.iter().map(|key| (key.code, key.modifiers)).collect();
        let control = KeyModifiers::CONTROL;
        let (c, l) = (KeyCode::Char('c'), KeyCode::Char('l'));
        assert_eq!(letters, [(c, control), (l, control)]);
    }

    proptest! {
        #[test]
        fn any_bytes_are_taken_and_little_is_kept(chunks: Vec<Vec<u8>>) {
            let mut decoder = Decoder::default();
            for chunk in &chunks {
                decoder.keys(chunk);
                prop_assert!(decoder.pending.len() <= LONGEST_SEQUENCE);
            }
        }
    }
}
