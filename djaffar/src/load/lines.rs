//! One JSON object a line; blank lines are none.

use std::io::{self, BufRead};

use memchr::memchr;

use super::RECORD_BYTES_MAX;
use super::record::{Item, Reader};
use super::source::{Input, unreadable};

pub(super) struct Lines {
    input: Input,
    line: u64,
    reader: Reader,
    text: Vec<u8>,
    state: State,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    Reading,
    Ended,
}

impl Lines {
    pub(super) fn new(input: Input, line: u64, reader: Reader) -> Self {
        Self { input, line, reader, text: Vec::new(), state: State::Reading }
    }

    pub(super) fn next(&mut self) -> Option<Item> {
        while self.state == State::Reading {
            let line = self.line;
            let bytes = match self.line() {
                Ok(bytes) => bytes,
                Err(error) => {
                    self.state = State::Ended;
                    return Some(Item { line, bytes: 0, record: Err(unreadable(&error)) });
                }
            };
            let record = if bytes > RECORD_BYTES_MAX {
                Err(format!("the line is longer than {RECORD_BYTES_MAX} bytes"))
            } else if self.text.trim_ascii().is_empty() {
                continue;
            } else {
                self.reader.json(self.text.trim_ascii())
            };
            return Some(Item { line, bytes, record });
        }
        None
    }

    /// Puts the next line into its buffer, its begin alone when it is too long, and returns its length.
    fn line(&mut self) -> io::Result<usize> {
        self.text.clear();
        let mut length = 0;
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                self.state = State::Ended;
                return Ok(length);
            }
            let end = memchr(b'\n', buffer);
            let count = end.map_or(buffer.len(), |end| end + 1);
            let room = (RECORD_BYTES_MAX + 1).saturating_sub(self.text.len()).min(count);
            self.text.extend_from_slice(&buffer[..room]);
            self.input.consume(count);
            length += count;
            if end.is_some() {
                self.line += 1;
                return Ok(length);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use super::*;
    use crate::load::record::tests::reader;

    #[test]
    fn lines_are_counted_and_blank_ones_skipped() {
        let text = format!("1\r\n\n  \n{}\n2", "x".repeat(2 * RECORD_BYTES_MAX));
        for buffer_bytes in [1 << 10, 1 << 24] {
            let input = BufReader::with_capacity(buffer_bytes, Cursor::new(text.clone().into_bytes()));
            let mut lines = Lines::new(Box::new(input), 1, reader());
            let found: Vec<u64> = std::iter::from_fn(|| lines.next()).map(|item| item.line).collect();
            assert_eq!(found, [1, 4, 5]);
            assert!(lines.text.capacity() <= 2 * RECORD_BYTES_MAX + 2);
        }
    }
}
