//! A file or stdin, plain or compressed, and what it holds.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Cursor, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use super::LoadFormat;
use super::array::Array;
use super::lines::Lines;
use super::record::{Item, Reader};
use super::table::Table;
use crate::failure::Failure;

const BUFFER_BYTES: usize = 256 * 1024;
pub(super) const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";
const GZIP: &[u8] = b"\x1f\x8b";
const ZSTD: &[u8] = b"\x28\xb5\x2f\xfd";

pub(super) type Input = Box<dyn BufRead + Send>;

pub(super) struct Source {
    name: String,
    /// `None` for what has no size.
    bytes: Option<u64>,
    read: Counter,
    input: Box<dyn Read + Send>,
}

/// Bytes read so far, before they are decompressed.
#[derive(Clone, Debug, Default)]
pub(super) struct Counter(Arc<AtomicU64>);

impl Counter {
    pub(super) fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

/// All of them at once, so that a wrong name is met before anything is stored.
pub(super) fn open_all(paths: &[PathBuf]) -> Result<Vec<Source>, Failure> {
    paths.iter().map(|path| Source::open(path)).collect()
}

impl Source {
    /// `-` is stdin.
    fn open(path: &Path) -> Result<Self, Failure> {
        let read = Counter::default();
        if path == Path::new("-") {
            let input = Box::new(Counted { inner: io::stdin(), read: read.clone() });
            return Ok(Self { name: "stdin".to_owned(), bytes: None, read, input });
        }
        let refuse = |error: io::Error| {
            Failure::misconfigured(format!(
                "{} cannot be read: {error}; name a file, or - for stdin",
                path.display()
            ))
        };
        let file = File::open(path).map_err(refuse)?;
        let metadata = file.metadata().map_err(refuse)?;
        if metadata.is_dir() {
            return Err(refuse(io::ErrorKind::IsADirectory.into()));
        }
        let bytes = metadata.is_file().then_some(metadata.len());
        let input = Box::new(Counted { inner: file, read: read.clone() });
        Ok(Self { name: path.display().to_string(), bytes, read, input })
    }

    pub(super) fn name(&self) -> &str {
        &self.name
    }

    pub(super) fn bytes(&self) -> Option<u64> {
        self.bytes
    }

    pub(super) fn counter(&self) -> Counter {
        self.read.clone()
    }

    pub(super) fn records(self, format: Option<LoadFormat>, reader: Reader) -> Records {
        match plain(self.input).and_then(|input| Records::new(input, format, reader)) {
            Ok(records) => records,
            Err(error) => Records::Unreadable(Some(unreadable(&error))),
        }
    }
}

/// The records of one file, in its order.
pub(super) enum Records {
    Array(Array),
    Lines(Lines),
    Table(Box<Table>),
    Unreadable(Option<String>),
}

impl Records {
    pub(super) fn new(mut input: Input, format: Option<LoadFormat>, reader: Reader) -> io::Result<Self> {
        let (first, line) = first_character(&mut input)?;
        let shown = match first {
            Some(b'[') => LoadFormat::Django,
            Some(b'{') | None => LoadFormat::Ndjson,
            Some(_) => LoadFormat::Csv,
        };
        Ok(match format.unwrap_or(shown) {
            LoadFormat::Django => Self::Array(Array::new(input, line, reader)),
            LoadFormat::Ndjson => Self::Lines(Lines::new(input, line, reader)),
            LoadFormat::Csv => Self::Table(Box::new(Table::new(input, line, reader)?)),
        })
    }

    pub(super) fn next(&mut self) -> Option<Item> {
        match self {
            Self::Array(array) => array.next(),
            Self::Lines(lines) => lines.next(),
            Self::Table(table) => table.next(),
            Self::Unreadable(reason) => {
                reason.take().map(|reason| Item { line: 1, bytes: 0, record: Err(reason) })
            }
        }
    }
}

pub(super) fn unreadable(error: &io::Error) -> String {
    format!("the rest of the file cannot be read: {error}")
}

struct Counted<R> {
    inner: R,
    read: Counter,
}

impl<R: Read> Read for Counted<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.read.0.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// Decompressed, without a byte order mark.
fn plain(input: Box<dyn Read + Send>) -> io::Result<Input> {
    let (head, input) = with_head(input, ZSTD.len())?;
    let input: Box<dyn Read + Send> = if head.starts_with(GZIP) {
        Box::new(flate2::bufread::MultiGzDecoder::new(BufReader::with_capacity(BUFFER_BYTES, input)))
    } else if head.starts_with(ZSTD) {
        Box::new(zstd::stream::read::Decoder::new(input)?)
    } else {
        input
    };
    let (head, mut input) = with_head(input, BYTE_ORDER_MARK.len())?;
    if head == BYTE_ORDER_MARK {
        input.read_exact(&mut [0; BYTE_ORDER_MARK.len()])?;
    }
    Ok(Box::new(BufReader::with_capacity(BUFFER_BYTES, input)))
}

/// Looks at the first bytes; fewer only where there are no more.
pub(super) fn with_head(
    mut input: Box<dyn Read + Send>,
    count: usize,
) -> io::Result<(Vec<u8>, Box<dyn Read + Send>)> {
    let mut head = Vec::with_capacity(count);
    input.by_ref().take(count as u64).read_to_end(&mut head)?;
    Ok((head.clone(), Box::new(Cursor::new(head).chain(input))))
}

/// The first that is no white space, and its line; what is before it is consumed.
fn first_character(input: &mut Input) -> io::Result<(Option<u8>, u64)> {
    let mut line = 1;
    loop {
        let buffer = input.fill_buf()?;
        let Some(first) = buffer.first().copied() else { return Ok((None, line)) };
        if !first.is_ascii_whitespace() {
            return Ok((Some(first), line));
        }
        line += u64::from(first == b'\n');
        input.consume(1);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;
    use crate::load::record::tests::reader;

    fn read(bytes: &[u8]) -> String {
        let mut text = String::new();
        plain(Box::new(Cursor::new(bytes.to_vec()))).unwrap().read_to_string(&mut text).unwrap();
        text
    }

    #[test]
    fn compression_and_the_byte_order_mark_are_taken_off() {
        assert_eq!(read(b""), "");
        assert_eq!(read(b"[]"), "[]");
        assert_eq!(read("\u{feff}id".as_bytes()), "id");
        let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        gzip.write_all("\u{feff}[1]".as_bytes()).unwrap();
        let one = gzip.finish().unwrap();
        assert_eq!(read(&[one.clone(), one].concat()), "[1]\u{feff}[1]", "members follow each other");
        assert_eq!(read(&zstd::encode_all(&b"{}"[..], 1).unwrap()), "{}");
    }

    #[test]
    fn the_first_character_is_behind_white_space() {
        let mut input: Input = Box::new(Cursor::new(b" \r\n\t\n [".to_vec()));
        assert_eq!(first_character(&mut input).unwrap(), (Some(b'['), 3));
        assert_eq!(first_character(&mut (Box::new(Cursor::new(Vec::new())) as Input)).unwrap(), (None, 1));
    }

    #[test]
    fn a_byte_order_mark_that_is_read_alone_is_not_all_of_a_table() {
        let input = BufReader::with_capacity(3, Cursor::new("\u{feff}[]"));
        let mut records = Records::new(Box::new(input), None, reader()).unwrap();
        let told = records.next().expect("a heading").record.unwrap_err();
        assert!(told.starts_with("column 1 of the heading is not known"), "{told}");
    }
}
