//! One JSON list of any length, an element at a time.
//!
//! Elements are cut out by their brackets and strings alone, so that a bad one spoils no other.
//! What breaks the list itself, such as a missing comma, ends the file.

use std::io::{self, BufRead};

use memchr::memchr2;

use super::RECORD_BYTES_MAX;
use super::record::{Item, Reader};
use super::source::{Input, unreadable};

pub(super) struct Array {
    input: Input,
    line: u64,
    reader: Reader,
    state: State,
    element: Vec<u8>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    BeforeList,
    BeforeFirst,
    AfterElement,
    Ended,
}

/// Why the rest of the list cannot be read.
#[derive(Debug, thiserror::Error)]
enum Broken {
    #[error("{}", unreadable(.0))]
    Io(#[from] io::Error),
    #[error("the rest of the file cannot be read: {0}")]
    Structure(&'static str),
}

impl Array {
    pub(super) fn new(input: Input, line: u64, reader: Reader) -> Self {
        Self { input, line, reader, state: State::BeforeList, element: Vec::new() }
    }

    pub(super) fn next(&mut self) -> Option<Item> {
        match self.advance() {
            Ok(None) => None,
            Ok(Some(Element { line, bytes })) => {
                let record = if bytes > RECORD_BYTES_MAX {
                    Err(format!("the record is longer than {RECORD_BYTES_MAX} bytes"))
                } else {
                    self.reader.json(&self.element)
                };
                Some(Item { line, bytes, record })
            }
            Err(broken) => {
                self.state = State::Ended;
                Some(Item { line: self.line, bytes: 0, record: Err(broken.to_string()) })
            }
        }
    }

    fn advance(&mut self) -> Result<Option<Element>, Broken> {
        if self.state == State::Ended {
            return Ok(None);
        }
        if self.state == State::BeforeList {
            match self.next_character()? {
                Some(b'[') => self.input.consume(1),
                None => return Err(Broken::Structure("it holds no list")),
                Some(_) => return Err(Broken::Structure("it does not begin with a list")),
            }
            self.state = State::BeforeFirst;
        }
        match (self.next_character()?, self.state) {
            (Some(b']'), _) => {
                self.input.consume(1);
                self.state = State::Ended;
                match self.next_character()? {
                    None => return Ok(None),
                    Some(_) => return Err(Broken::Structure("something follows the end of the list")),
                }
            }
            (Some(b','), State::AfterElement) => self.input.consume(1),
            (Some(_), State::AfterElement) => return Err(Broken::Structure("a comma is missing")),
            (Some(_), _) => {}
            (None, _) => return Err(CUT),
        }
        match self.next_character()? {
            None => return Err(CUT),
            Some(b',' | b']' | b'}' | b':') => return Err(Broken::Structure("a record is missing")),
            Some(_) => {}
        }
        let line = self.line;
        let bytes = self.element()?;
        self.state = State::AfterElement;
        Ok(Some(Element { line, bytes }))
    }

    /// The next that is no white space; not consumed.
    fn next_character(&mut self) -> io::Result<Option<u8>> {
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                return Ok(None);
            }
            let blank = buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            let found = buffer.get(blank).copied();
            self.line += newlines(&buffer[..blank]);
            self.input.consume(blank);
            if found.is_some() {
                return Ok(found);
            }
        }
    }

    /// Puts one element into its buffer, its begin alone when it is too long, and returns its length.
    fn element(&mut self) -> Result<usize, Broken> {
        self.element.clear();
        let mut scan = Scan::default();
        let mut length = 0;
        loop {
            let buffer = self.input.fill_buf()?;
            if buffer.is_empty() {
                return Err(CUT);
            }
            let (count, is_whole) = scan.consume(buffer);
            let room = (RECORD_BYTES_MAX + 1).saturating_sub(self.element.len()).min(count);
            self.element.extend_from_slice(&buffer[..room]);
            self.line += newlines(&buffer[..count]);
            self.input.consume(count);
            length += count;
            if is_whole {
                return Ok(length);
            }
        }
    }
}

const CUT: Broken = Broken::Structure("it ends in the middle of the list");

/// Where an element begins, and how long it is.
struct Element {
    line: u64,
    bytes: usize,
}

/// How far into an element it is.
#[derive(Debug, Default)]
struct Scan {
    depth: usize,
    string: InString,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum InString {
    #[default]
    No,
    Yes,
    AfterBackslash,
}

impl Scan {
    /// How many of the bytes belong to the element, and whether it ends with them.
    fn consume(&mut self, bytes: &[u8]) -> (usize, bool) {
        let mut position = 0;
        while let Some(byte) = bytes.get(position).copied() {
            match self.string {
                InString::AfterBackslash => self.string = InString::Yes,
                InString::Yes => match memchr2(b'"', b'\\', &bytes[position..]) {
                    None => return (bytes.len(), false),
                    Some(plain) => {
                        position += plain;
                        let closes = bytes[position] == b'"';
                        self.string = if closes { InString::No } else { InString::AfterBackslash };
                        if closes && self.depth == 0 {
                            return (position + 1, true);
                        }
                    }
                },
                InString::No => match byte {
                    b'"' => self.string = InString::Yes,
                    b'{' | b'[' => self.depth += 1,
                    // A number or a word ends before what follows it.
                    b',' | b']' | b'}' if self.depth == 0 => return (position, true),
                    b'}' | b']' => {
                        self.depth -= 1;
                        if self.depth == 0 {
                            return (position + 1, true);
                        }
                    }
                    _ if self.depth == 0 && byte.is_ascii_whitespace() => return (position, true),
                    _ => {}
                },
            }
            position += 1;
        }
        (bytes.len(), false)
    }
}

fn newlines(bytes: &[u8]) -> u64 {
    memchr::memchr_iter(b'\n', bytes).count() as u64
}

#[cfg(test)]
mod tests {
    use std::io::{BufReader, Cursor};

    use proptest::prelude::*;

    use super::*;
    use crate::load::record::tests::reader;

    /// Line and text of each element, or the reason that ends the list.
    fn elements(json: &str, buffer_bytes: usize) -> Vec<(u64, String)> {
        let input = BufReader::with_capacity(buffer_bytes, Cursor::new(json.as_bytes().to_vec()));
        let mut array = Array::new(Box::new(input), 1, reader());
        let mut found = Vec::new();
        loop {
            match array.advance() {
                Ok(None) => return found,
                Ok(Some(element)) => {
                    let text = String::from_utf8(array.element.clone()).expect("UTF-8");
                    assert_eq!(text.len(), element.bytes);
                    found.push((element.line, text));
                }
                Err(broken) => {
                    found.push((array.line, broken.to_string()));
                    return found;
                }
            }
        }
    }

    #[test]
    fn elements_are_cut_out_with_their_lines() {
        let json = "\n[\n{\"a\": \"]},\\\"\"}, {\n} ,\n[[1], {}],\"x\\\\\" ,1,true]\n\n";
        let expected = [
            (3, "{\"a\": \"]},\\\"\"}"),
            (3, "{\n}"),
            (5, "[[1], {}]"),
            (5, "\"x\\\\\""),
            (5, "1"),
            (5, "true"),
        ];
        for buffer_bytes in 1..json.len() + 1 {
            let found = elements(json, buffer_bytes);
            let found: Vec<_> = found.iter().map(|(line, text)| (*line, text.as_str())).collect();
            assert_eq!(found, expected, "{buffer_bytes}");
        }
        assert_eq!(elements("[]", 8), []);
        assert_eq!(elements("[\n]\n", 8), []);
    }

    #[test]
    fn what_breaks_the_list_is_named() {
        for (json, line, reason) in [
            ("{}", 1, "it does not begin with a list"),
            ("", 1, "it holds no list"),
            ("[", 1, "it ends in the middle of the list"),
            ("[{\n\"a", 2, "it ends in the middle of the list"),
            ("[{},\n", 2, "it ends in the middle of the list"),
            ("[{}\n{}]", 2, "a comma is missing"),
            ("[{},]", 1, "a record is missing"),
            ("[,{}]", 1, "a record is missing"),
            ("[{}]\n[]", 2, "something follows the end of the list"),
        ] {
            let found = elements(json, 8).pop().expect("a reason");
            assert_eq!(found, (line, format!("the rest of the file cannot be read: {reason}")), "{json}");
        }
    }

    #[test]
    fn a_record_without_end_is_not_kept() {
        let long = "x".repeat(3 * RECORD_BYTES_MAX);
        let json = format!("[{{\"a\": \"{long}\"}}, 1]");
        let mut array = Array::new(Box::new(Cursor::new(json.into_bytes())), 1, reader());
        assert!(
            array.next().expect("the long one").record.is_err_and(|reason| reason.contains("longer than"))
        );
        assert!(array.element.capacity() < 3 * RECORD_BYTES_MAX);
        assert!(array.next().expect("the next").record.is_err_and(|reason| !reason.contains("longer")));
        assert!(array.next().is_none());
    }

    proptest! {
        #[test]
        fn what_serde_writes_is_cut_where_it_was_put_together(
            texts in proptest::collection::vec(".{0,20}", 0..20),
            buffer_bytes in 1_usize..40,
        ) {
            let json = serde_json::to_string_pretty(&texts).expect("JSON");
            let found: Vec<String> = elements(&json, buffer_bytes)
                .into_iter()
                .map(|(_, text)| serde_json::from_str(&text).expect("a string"))
                .collect();
            prop_assert_eq!(found, texts);
        }

        #[test]
        fn no_text_panics(json in r#"[\[\]{},:"\\ \n1a]{0,60}"#, buffer_bytes in 1_usize..40) {
            elements(&json, buffer_bytes);
        }
    }
}
