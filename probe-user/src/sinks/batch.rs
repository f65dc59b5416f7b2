//! Lines on their way to the medium, and how far the first of them has come.

use std::collections::VecDeque;

/// Bytes that are written at once, unless one line has more.
const AT_ONCE: usize = 256 << 10;

/// Lines in order. The first may be written in part.
#[derive(Debug, Default)]
pub(super) struct Batch {
    lines: VecDeque<Vec<u8>>,
    /// Bytes of the first line that are written.
    begun: usize,
}

impl Batch {
    pub(super) fn add(&mut self, lines: impl IntoIterator<Item = Vec<u8>>) {
        self.lines.extend(lines);
    }

    pub(super) fn len(&self) -> usize {
        self.lines.len()
    }

    /// Bytes of the line that comes next; nothing if there is none, or half of it is written.
    pub(super) fn next_line(&self) -> Option<usize> {
        let line = self.lines.front()?;
        (self.begun == 0).then_some(line.len())
    }

    /// What is to be written next: the rest of the first line, and further whole ones up to `room` bytes.
    pub(super) fn head(&self, room: u64) -> Vec<u8> {
        let mut bytes = Vec::new();
        let mut begun = self.begun;
        let room = usize::try_from(room).map_or(AT_ONCE, |room| room.min(AT_ONCE));
        for line in &self.lines {
            let rest = line.get(begun..).unwrap_or_default();
            begun = 0;
            if !bytes.is_empty() && bytes.len() + rest.len() > room {
                break;
            }
            bytes.extend_from_slice(rest);
        }
        bytes
    }

    /// Notes that so many bytes were written. Returns how many lines are complete with them, and the bytes of these lines.
    pub(super) fn advance(&mut self, written: usize) -> (usize, usize) {
        self.begun += written;
        let (mut lines, mut bytes) = (0, 0);
        while let Some(line) = self.lines.pop_front_if(|line| line.len() <= self.begun) {
            self.begun -= line.len();
            lines += 1;
            bytes += line.len();
        }
        (lines, bytes)
    }

    /// Has the first line written from its beginning.
    pub(super) fn rewind(&mut self) {
        self.begun = 0;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn batch() -> Batch {
        let mut batch = Batch::default();
        batch.add(["one\n", "three\n", "2\n"].map(|line| line.as_bytes().to_vec()));
        batch
    }

    #[test]
    fn whole_lines_are_taken_as_far_as_there_is_room() {
        assert_eq!(batch().head(u64::MAX), b"one\nthree\n2\n");
        assert_eq!(batch().head(10), b"one\nthree\n");
        assert_eq!(batch().head(9), b"one\n");
        // A line that fits nowhere is written all the same.
        assert_eq!(batch().head(1), b"one\n");
    }

    #[test]
    fn half_a_line_is_finished_or_begun_again() {
        let mut batch = batch();
        assert_eq!(batch.advance(6), (1, 4));
        assert_eq!(batch.next_line(), None);
        assert_eq!(batch.head(100), b"ree\n2\n");
        batch.rewind();
        assert_eq!(batch.next_line(), Some(6));
        assert_eq!(batch.head(100), b"three\n2\n");
        assert_eq!(batch.advance(8), (2, 8));
        assert_eq!((batch.len(), batch.next_line()), (0, None));
    }
}
