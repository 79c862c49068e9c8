//! One JSON object a line, with the fixture's names and all that the row holds.

use std::io::{self, Write};

use writer::export::{ActivityRow, SessionInfoRow};

use super::RowFormat;
use super::json::Value;

pub(super) struct Lines;

impl RowFormat for Lines {
    fn activity(&mut self, row: &ActivityRow<'_>, out: &mut impl Write) -> io::Result<()> {
        let mut digits = [0; 36];
        let fields = [
            ("{\"id\":", Value::Text(row.id.hyphenated().encode_lower(&mut digits))),
            (",\"date\":", Value::Microseconds(row.date)),
            (",\"received_at\":", Value::Microseconds(row.received_at)),
            (",\"user\":", Value::Optional(row.user_id)),
            (",\"session\":", Value::Optional(row.session_id)),
            (",\"ip_address\":", Value::Optional(row.ip_address)),
            (",\"path\":", Value::Text(row.path)),
            (",\"referer\":", Value::Text(row.referer)),
        ];
        line(fields, out)
    }

    fn session_info(&mut self, row: &SessionInfoRow<'_>, out: &mut impl Write) -> io::Result<()> {
        let fields = [
            ("{\"session\":", Value::Text(row.session_id)),
            (",\"user_agent\":", Value::Text(row.user_agent)),
            (",\"first_seen\":", Value::Microseconds(row.first_seen)),
        ];
        line(fields, out)
    }

    fn end(&mut self, _: &mut impl Write) -> io::Result<()> {
        Ok(())
    }
}

fn line<const FIELDS: usize>(
    fields: [(&'static str, Value<'_>); FIELDS],
    out: &mut impl Write,
) -> io::Result<()> {
    for (before, value) in fields {
        out.write_all(before.as_bytes())?;
        value.write(out)?;
    }
    out.write_all(b"}\n")
}
