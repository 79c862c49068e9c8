//! Decodes `COPY .. TO STDOUT (FORMAT binary)`.
//!
//! Against rows of the driver it saves an allocation and a look-up of the type for every value:
//! half of what a dump costs.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::ExportError;
use crate::copy_format::{HEADER, NULL, POSTGRES_EPOCH_MICROS, SIGNATURE, TRAILER};

/// Without an extension, whose length is its end.
const HEADER_BYTES: usize = HEADER.len();

/// Cuts the messages of a COPY into rows; a message may end anywhere.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    /// The end of the messages so far that is no whole row yet.
    pending: Vec<u8>,
    header: Header,
}

#[derive(Debug, Default, PartialEq, Eq)]
enum Header {
    #[default]
    Awaited,
    Read,
}

impl Decoder {
    /// Shows every whole row of `columns` values to `visit`.
    pub(super) fn message(
        &mut self,
        message: &[u8],
        columns: usize,
        mut visit: impl FnMut(Values<'_>) -> Result<(), ExportError>,
    ) -> Result<(), ExportError> {
        let joined;
        let mut rest = if self.pending.is_empty() {
            message
        } else {
            self.pending.extend_from_slice(message);
            joined = std::mem::take(&mut self.pending);
            &joined
        };
        if self.header == Header::Awaited {
            match after_header(rest)? {
                Some(after) => rest = after,
                None => {
                    self.pending = rest.to_vec();
                    return Ok(());
                }
            }
            self.header = Header::Read;
        }
        while let Some(row_length) = row_length(rest, columns)? {
            let (row, after) = rest.split_at(row_length);
            rest = after;
            if row_length > TRAILER_BYTES {
                visit(Values(&row[TRAILER_BYTES..]))?;
            }
        }
        self.pending.extend_from_slice(rest);
        Ok(())
    }
}

/// The trailer is the number of columns of a row that there is not.
const TRAILER_BYTES: usize = 2;

fn after_header(bytes: &[u8]) -> Result<Option<&[u8]>, ExportError> {
    let Some((header, rest)) = bytes.split_at_checked(HEADER_BYTES) else { return Ok(None) };
    if !header.starts_with(SIGNATURE) {
        return Err(unexpected("the signature is missing"));
    }
    let (_, mut length) = header.split_at(HEADER_BYTES - 4);
    let extension = usize::try_from(length_of(&mut length)?).unwrap_or_default();
    Ok(rest.get(extension..))
}

/// Bytes of the first row, or of the trailer; `None` while it is not whole.
fn row_length(bytes: &[u8], columns: usize) -> Result<Option<usize>, ExportError> {
    let Some((count, mut rest)) = bytes.split_first_chunk::<2>() else { return Ok(None) };
    let count = i16::from_be_bytes(*count);
    if count == TRAILER {
        return Ok(Some(TRAILER_BYTES));
    }
    if usize::try_from(count) != Ok(columns) {
        return Err(unexpected("the number of columns differs"));
    }
    for _ in 0..columns {
        if rest.len() < 4 {
            return Ok(None);
        }
        let length = usize::try_from(length_of(&mut rest)?).unwrap_or_default();
        match rest.get(length..) {
            Some(after) => rest = after,
            None => return Ok(None),
        }
    }
    Ok(Some(bytes.len() - rest.len()))
}

fn length_of(bytes: &mut &[u8]) -> Result<i32, ExportError> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(|| unexpected("a length is cut"))?;
    *bytes = rest;
    Ok(i32::from_be_bytes(*length))
}

/// The values of one row that are still to be taken, in the order of its columns.
pub(super) struct Values<'row>(&'row [u8]);

impl<'row> Values<'row> {
    fn value(&mut self) -> Result<Option<&'row [u8]>, ExportError> {
        let length = length_of(&mut self.0)?;
        if length == NULL {
            return Ok(None);
        }
        let length = usize::try_from(length).map_err(|_| unexpected("a length is negative"))?;
        let (value, rest) = self.0.split_at_checked(length).ok_or_else(|| unexpected("a value is cut"))?;
        self.0 = rest;
        Ok(Some(value))
    }

    fn present(&mut self) -> Result<&'row [u8], ExportError> {
        self.value()?.ok_or_else(|| unexpected("a column without nulls holds one"))
    }

    pub(super) fn uuid(&mut self) -> Result<Uuid, ExportError> {
        Uuid::from_slice(self.present()?).map_err(|_| unexpected("an id has not 16 bytes"))
    }

    pub(super) fn date(&mut self, column: &'static str) -> Result<DateTime<Utc>, ExportError> {
        let bytes = self.present()?.try_into().map_err(|_| unexpected("a date has not 8 bytes"))?;
        let micros = i64::from_be_bytes(bytes);
        let instant = micros.checked_add(POSTGRES_EPOCH_MICROS).and_then(DateTime::from_timestamp_micros);
        instant.ok_or_else(|| ExportError::Corrupt {
            column,
            // The ends of the range are the infinities.
            value: if micros > 0 { "infinity" } else { "-infinity" }.to_owned(),
            expected: "a date",
        })
    }

    pub(super) fn text(&mut self) -> Result<&'row str, ExportError> {
        utf8(self.present()?)
    }

    pub(super) fn optional_text(&mut self) -> Result<Option<&'row str>, ExportError> {
        self.value()?.map(utf8).transpose()
    }
}

fn utf8(bytes: &[u8]) -> Result<&str, ExportError> {
    std::str::from_utf8(bytes).map_err(|_| unexpected("a text is not UTF-8"))
}

fn unexpected(what: &str) -> ExportError {
    ExportError::Database(sqlx::Error::Protocol(format!("COPY: {what}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Vec<u8> {
        let mut bytes = [SIGNATURE, &[0; 8]].concat();
        for text in [&b"\x00\x00\x00\x02\xc3\xa9"[..], b"\xff\xff\xff\xff", b"\x00\x00\x00\x00"] {
            bytes.extend_from_slice(b"\x00\x02\x00\x00\x00\x08");
            bytes.extend_from_slice(&1_i64.to_be_bytes());
            bytes.extend_from_slice(text);
        }
        bytes.extend_from_slice(&TRAILER.to_be_bytes());
        bytes
    }

    fn decoded<'a>(messages: impl Iterator<Item = &'a [u8]>) -> Vec<(i64, Option<String>)> {
        let (mut decoder, mut rows) = (Decoder::default(), Vec::new());
        for message in messages {
            let visit = |mut values: Values<'_>| {
                let date = values.date("date")?.timestamp_micros();
                rows.push((date, values.optional_text()?.map(str::to_owned)));
                Ok(())
            };
            decoder.message(message, 2, visit).expect("a stream of rows");
        }
        assert!(decoder.pending.is_empty());
        rows
    }

    #[test]
    fn messages_may_be_cut_anywhere() {
        let date = POSTGRES_EPOCH_MICROS + 1;
        let expected = [(date, Some("é".to_owned())), (date, None), (date, Some(String::new()))];
        let stream = stream();
        for size in 1..=stream.len() {
            assert_eq!(decoded(stream.chunks(size)), expected, "{size}");
        }
    }

    #[test]
    fn what_is_no_such_stream_is_an_error() {
        let fails = |bytes: &[u8]| Decoder::default().message(bytes, 2, |_| Ok(())).is_err();
        assert!(fails(&[7; HEADER_BYTES]));
        let mut other_columns = stream();
        other_columns[HEADER_BYTES + 1] = 3;
        assert!(fails(&other_columns));
    }

    #[test]
    fn infinity_is_no_date() {
        let row = [&8_i32.to_be_bytes()[..], &i64::MAX.to_be_bytes()].concat();
        let error = Values(&row).date("activity.date").expect_err("no date").to_string();
        assert_eq!(error, "activity.date holds `infinity`, which is not a date");
    }
}
