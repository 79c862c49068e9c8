//! CSV as RFC 4180 has it, with the names and the order of the lines of JSON.
//!
//! An empty value is null in `user`, `session` and `ip_address`, which are never empty texts, and
//! an empty text in `referer` and `user_agent`, which are never null.

use std::io;

use csv_core::{WriteResult, Writer};
use writer::export::{ActivityRow, SessionInfoRow};

use super::json::instant;
use super::user::{KeyDigits, UserType};
use super::{DumpedTable, RowFormat};

pub(super) struct Table {
    writer: Writer,
    heading: Option<&'static str>,
    user_type: UserType,
}

impl Table {
    pub(super) fn new(table: DumpedTable, user_type: UserType) -> Self {
        let heading = match table {
            DumpedTable::Activity => "id,date,received_at,user,session,ip_address,path,referer\n",
            DumpedTable::SessionInfo => "session,user_agent,first_seen\n",
        };
        Self { writer: Writer::new(), heading: Some(heading), user_type }
    }

    fn begin(&mut self, out: &mut Vec<u8>) {
        out.extend_from_slice(self.heading.take().unwrap_or_default().as_bytes());
    }

    fn row<const FIELDS: usize>(&mut self, fields: [&[u8]; FIELDS], out: &mut Vec<u8>) {
        for (position, field) in fields.into_iter().enumerate() {
            if position > 0 {
                append(out, 2, |space| self.writer.delimiter(space));
            }
            let mut rest = field;
            // Every byte may be a quotation mark; two more stand around.
            append(out, 2 * field.len() + 2, |space| {
                let (result, read, written) = self.writer.field(rest, space);
                rest = &rest[read..];
                (result, written)
            });
        }
        append(out, 3, |space| self.writer.terminator(space));
    }
}

/// Lets `write` fill `room` more bytes.
fn append(out: &mut Vec<u8>, room: usize, write: impl FnOnce(&mut [u8]) -> (WriteResult, usize)) {
    let length = out.len();
    out.resize(length + room, 0);
    let (result, written) = write(&mut out[length..]);
    debug_assert_eq!(result, WriteResult::InputEmpty, "the room is enough");
    out.truncate(length + written);
}

impl RowFormat for Table {
    fn activity(&mut self, row: &ActivityRow<'_>, out: &mut Vec<u8>) -> io::Result<()> {
        self.begin(out);
        let (mut id, mut key): (_, KeyDigits) = ([0; 36], [0; 36]);
        let (date, received_at) = (instant(row.date, 6), instant(row.received_at, 6));
        let user = self.user_type.value(row, &mut key)?;
        let fields = [
            row.id.hyphenated().encode_lower(&mut id).as_bytes(),
            &date,
            &received_at,
            user.text().as_bytes(),
            row.session_id.unwrap_or_default().as_bytes(),
            row.ip_address.unwrap_or_default().as_bytes(),
            row.path.as_bytes(),
            row.referer.as_bytes(),
        ];
        self.row(fields, out);
        Ok(())
    }

    fn session_info(&mut self, row: &SessionInfoRow<'_>, out: &mut Vec<u8>) {
        self.begin(out);
        let first_seen = instant(row.first_seen, 6);
        self.row([row.session_id.as_bytes(), row.user_agent.as_bytes(), &first_seen], out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        self.begin(out);
    }
}
