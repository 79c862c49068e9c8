//! CSV with a heading; the columns may stand in any order, and only some of them are needed.

use std::io::{self, Read};

use ::csv::{ByteRecord, ErrorKind, ReaderBuilder};

use super::RECORD_BYTES_MAX;
use super::json::Value;
use super::record::{Item, Reader, Row};
use super::source::{BYTE_ORDER_MARK, Input, unreadable, with_head};

pub(super) struct Table {
    csv: ::csv::Reader<Bounded>,
    /// Lines before what the crate reads.
    lines_before: u64,
    reader: Reader,
    columns: Columns,
    record: ByteRecord,
}

enum Columns {
    Unread,
    Named(Vec<Column>),
    Ended,
}

/// Where a value belongs.
type Column = for<'row, 'value> fn(&'row mut Row<'value>) -> &'row mut Value<'value>;

impl Table {
    pub(super) fn new(input: Input, line: u64, reader: Reader) -> io::Result<Self> {
        // A first read that gives a byte order mark alone would be the end of the file for the csv crate.
        let (_, input) = with_head(input, BYTE_ORDER_MARK.len() + 1)?;
        let csv = ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .from_reader(Bounded { input, left: RECORD_BYTES_MAX });
        Ok(Self { csv, lines_before: line - 1, reader, columns: Columns::Unread, record: ByteRecord::new() })
    }

    pub(super) fn next(&mut self) -> Option<Item> {
        if matches!(self.columns, Columns::Unread) {
            match self.read() {
                Ok(true) => {}
                Ok(false) => return None,
                Err(item) => return Some(item),
            }
            match columns(&self.record) {
                Ok(columns) => self.columns = Columns::Named(columns),
                Err(reason) => {
                    self.columns = Columns::Ended;
                    return Some(Item { line: self.line(), bytes: 0, record: Err(reason) });
                }
            }
        }
        match self.read() {
            Ok(true) => {}
            Ok(false) => return None,
            Err(item) => return Some(item),
        }
        let Columns::Named(columns) = &self.columns else { return None };
        let record = row(&self.record, columns).and_then(|row| self.reader.row(row));
        Some(Item { line: self.line(), bytes: self.record.as_slice().len(), record })
    }

    /// `false` at the end.
    fn read(&mut self) -> Result<bool, Item> {
        if matches!(self.columns, Columns::Ended) {
            return Ok(false);
        }
        self.csv.get_mut().left = RECORD_BYTES_MAX;
        let begin = self.csv.position().line();
        self.csv.read_byte_record(&mut self.record).map_err(|error| {
            self.columns = Columns::Ended;
            let reason = match error.into_kind() {
                ErrorKind::Io(error) => unreadable(&error),
                other => format!("the rest of the file cannot be read: {other:?}"),
            };
            Item { line: self.lines_before + begin, bytes: 0, record: Err(reason) }
        })
    }

    fn line(&self) -> u64 {
        self.lines_before + self.record.position().map_or(0, ::csv::Position::line)
    }
}

fn columns(heading: &ByteRecord) -> Result<Vec<Column>, String> {
    let mut columns: Vec<Column> = Vec::with_capacity(heading.len());
    let mut names = Vec::with_capacity(heading.len());
    for (position, name) in (1..).zip(heading) {
        let name = String::from_utf8_lossy(name).trim().to_ascii_lowercase();
        let Some((name, column)) = column(&name) else {
            return Err(format!(
                "column {position} of the heading{} is not known; those of a dump are {} and {}",
                quoted(&name),
                "id, date, received_at, user, session, ip_address, path, referer",
                "session, user_agent, first_seen"
            ));
        };
        if names.contains(&name) {
            return Err(format!("the heading names the column `{name}` twice"));
        }
        names.push(name);
        columns.push(column);
    }
    Ok(columns)
}

/// Where the heading is missing, this is somebody's data and is not repeated.
fn quoted(name: &str) -> String {
    let is_name = name.len() <= 32 && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_');
    if is_name { format!(", `{name}`,") } else { String::new() }
}

fn column(name: &str) -> Option<(&'static str, Column)> {
    Some(match name {
        "id" | "pk" => ("id", |row| &mut row.id),
        "date" => ("date", |row| &mut row.date),
        "received_at" => ("received_at", |row| &mut row.received_at),
        "user" | "user_id" => ("user", |row| &mut row.user),
        "session" | "session_id" => ("session", |row| &mut row.session),
        "ip_address" => ("ip_address", |row| &mut row.ip_address),
        "path" => ("path", |row| &mut row.path),
        "referer" => ("referer", |row| &mut row.referer),
        "user_agent" => ("user_agent", |row| &mut row.user_agent),
        "first_seen" => ("first_seen", |row| &mut row.first_seen),
        _ => return None,
    })
}

fn row<'value>(record: &'value ByteRecord, columns: &[Column]) -> Result<Row<'value>, String> {
    if record.len() != columns.len() {
        return Err(format!("it has {} values, the heading {}", record.len(), columns.len()));
    }
    let mut row = Row::default();
    for (value, column) in record.iter().zip(columns) {
        let text = std::str::from_utf8(value).map_err(|_| "it is not UTF-8".to_owned())?;
        *column(&mut row) = if text.is_empty() { Value::Null } else { Value::Text(text.into()) };
    }
    Ok(row)
}

/// Ends a record that never ends: the crate would keep all of it.
struct Bounded {
    input: Box<dyn Read + Send>,
    /// Bytes until the record counts as endless.
    left: usize,
}

impl Read for Bounded {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.input.read(buffer)?;
        self.left = self.left.checked_sub(count).ok_or_else(|| {
            io::Error::other(format!(
                "a record is longer than {RECORD_BYTES_MAX} bytes; is a quotation mark missing?"
            ))
        })?;
        Ok(count)
    }
}
