//! Django's fixture, as `manage.py dumpdata` prints it (django/core/serializers/json.py).

use std::io;

use writer::export::{ActivityRow, SessionInfoRow};

use super::json::Value;
use super::user::{KeyDigits, UserType};
use super::{DumpedTable, RowFormat};

pub(super) struct Fixture {
    /// Everything up to the primary key.
    head: String,
    /// What stands before each field's value, in Django's order.
    before_values: Vec<String>,
    tail: String,
    list: List,
    first: bool,
    user_type: UserType,
}

/// What stands around the objects.
struct List {
    before_first: &'static str,
    between: &'static str,
    end: &'static str,
}

impl Fixture {
    pub(super) fn new(table: DumpedTable, indent: Option<u8>, user_type: UserType) -> Self {
        let (model, fields) = match table {
            DumpedTable::Activity => {
                ("djaffar.activity", &["user", "session", "ip_address", "date", "path", "referer"][..])
            }
            DumpedTable::SessionInfo => ("djaffar.sessioninfo", &["user_agent"][..]),
        };
        let line = |depth: usize| {
            indent.map_or_else(String::new, |width| format!("\n{}", " ".repeat(depth * usize::from(width))))
        };
        let comma = |depth| if indent.is_some() { format!(",{}", line(depth)) } else { ", ".to_owned() };
        let before_values = fields.iter().enumerate().map(|(position, field)| {
            let before = match position {
                0 => format!("{}\"fields\": {{{}", comma(1), line(2)),
                _ => comma(2),
            };
            format!("{before}\"{field}\": ")
        });
        Self {
            head: format!("{{{}\"model\": \"{model}\"{}\"pk\": ", line(1), comma(1)),
            before_values: before_values.collect(),
            tail: format!("{}}}{}}}", line(1), line(0)),
            list: List::new(indent),
            first: true,
            user_type,
        }
    }

    /// The list is opened by what it holds, so that a failure before the first row prints nothing.
    fn open_or_go_on(&mut self, out: &mut Vec<u8>) {
        let before = if self.first { self.list.before_first } else { self.list.between };
        self.first = false;
        out.extend_from_slice(before.as_bytes());
    }

    fn object<const FIELDS: usize>(
        &mut self,
        key: Value<'_>,
        values: [Value<'_>; FIELDS],
        out: &mut Vec<u8>,
    ) {
        self.open_or_go_on(out);
        out.extend_from_slice(self.head.as_bytes());
        key.write(out);
        for (before, value) in self.before_values.iter().zip(values) {
            out.extend_from_slice(before.as_bytes());
            value.write(out);
        }
        out.extend_from_slice(self.tail.as_bytes());
    }
}

impl List {
    /// Django takes an indent of 0 for none here, while its JSON encoder does not.
    fn new(indent: Option<u8>) -> Self {
        match indent {
            None | Some(0) => Self { before_first: "[", between: ", ", end: "]" },
            Some(_) => Self { before_first: "[\n", between: ",\n", end: "\n]\n" },
        }
    }
}

impl RowFormat for Fixture {
    fn activity(&mut self, row: &ActivityRow<'_>, out: &mut Vec<u8>) -> io::Result<()> {
        let (mut id, mut key): (_, KeyDigits) = ([0; 36], [0; 36]);
        let values = [
            self.user_type.value(row, &mut key)?,
            Value::optional(row.session_id),
            Value::optional(row.ip_address),
            Value::Milliseconds(row.date),
            Value::Text(row.path),
            Value::Text(row.referer),
        ];
        self.object(Value::Text(row.id.hyphenated().encode_lower(&mut id)), values, out);
        Ok(())
    }

    fn session_info(&mut self, row: &SessionInfoRow<'_>, out: &mut Vec<u8>) {
        self.object(Value::Text(row.session_id), [Value::Text(row.user_agent)], out);
    }

    fn end(&mut self, out: &mut Vec<u8>) {
        if self.first {
            out.push(b'[');
        }
        out.extend_from_slice(self.list.end.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fixture(user_agents: &[&str], indent: Option<u8>) -> String {
        let mut fixture = Fixture::new(DumpedTable::SessionInfo, indent, UserType::Text);
        let mut out = Vec::new();
        for user_agent in user_agents {
            let row =
                SessionInfoRow { session_id: "s", user_agent, first_seen: chrono::DateTime::UNIX_EPOCH };
            fixture.session_info(&row, &mut out);
        }
        fixture.end(&mut out);
        String::from_utf8(out).expect("UTF-8")
    }

    #[test]
    fn the_layout_follows_the_indent() {
        let object = r#"{"model": "djaffar.sessioninfo", "pk": "s", "fields": {"user_agent": "é"}}"#;
        assert_eq!(fixture(&[], None), "[]");
        assert_eq!(fixture(&[], Some(2)), "[\n]\n");
        assert_eq!(fixture(&["é"], None), format!("[{object}]"));
        assert_eq!(fixture(&["é", "é"], None), format!("[{object}, {object}]"));
        let object = "\n{\n \"model\": \"djaffar.sessioninfo\",\n \"pk\": \"s\",\n \"fields\": {\n  \
                      \"user_agent\": \"é\"\n }\n}";
        assert_eq!(fixture(&["é", "é"], Some(1)), format!("[{object},{object}\n]\n"));
    }
}
