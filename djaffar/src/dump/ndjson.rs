//! One JSON object a line, with the fixture's names and all that the row holds.

use std::io;

use writer::export::{ActivityRow, SessionInfoRow};

use super::RowFormat;
use super::json::Value;
use super::user::{KeyDigits, UserType};

pub(super) struct Lines {
    pub(super) user_type: UserType,
}

impl RowFormat for Lines {
    fn activity(&mut self, row: &ActivityRow<'_>, out: &mut Vec<u8>) -> io::Result<()> {
        let (mut id, mut key): (_, KeyDigits) = ([0; 36], [0; 36]);
        let fields = [
            ("{\"id\":", Value::Text(row.id.hyphenated().encode_lower(&mut id))),
            (",\"date\":", Value::Microseconds(row.date)),
            (",\"received_at\":", Value::Microseconds(row.received_at)),
            (",\"user\":", self.user_type.value(row, &mut key)?),
            (",\"session\":", Value::optional(row.session_id)),
            (",\"ip_address\":", Value::optional(row.ip_address)),
            (",\"path\":", Value::Text(row.path)),
            (",\"referer\":", Value::Text(row.referer)),
        ];
        line(fields, out);
        Ok(())
    }

    fn session_info(&mut self, row: &SessionInfoRow<'_>, out: &mut Vec<u8>) {
        let fields = [
            ("{\"session\":", Value::Text(row.session_id)),
            (",\"user_agent\":", Value::Text(row.user_agent)),
            (",\"first_seen\":", Value::Microseconds(row.first_seen)),
        ];
        line(fields, out);
    }

    fn end(&mut self, _: &mut Vec<u8>) {}
}

fn line<const FIELDS: usize>(fields: [(&'static str, Value<'_>); FIELDS], out: &mut Vec<u8>) {
    for (before, value) in fields {
        out.extend_from_slice(before.as_bytes());
        value.write(out);
    }
    out.extend_from_slice(b"}\n");
}
