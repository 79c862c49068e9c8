//! The site's tables: their names, and the types of their keys.

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::Row;

/// A table of the site, with or without its schema: `auth_user`, `site.users`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TableName(String);

impl TableName {
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// As SQL names it.
    pub(crate) fn quoted(&self) -> String {
        format!("\"{}\"", self.0.replace('.', "\".\""))
    }
}

impl FromStr for TableName {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_name = |name: &str| {
            let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'_';
            !name.is_empty() && name.len() <= 63 && name.bytes().all(allowed)
        };
        if text.split('.').count() <= 2 && text.split('.').all(is_name) {
            return Ok(Self(text.to_owned()));
        }
        Err("a table is a name such as `auth_user`, or `schema.name`".to_owned())
    }
}

impl fmt::Display for TableName {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

/// The columns of a table, with their types as the database names them.
pub(crate) struct Columns(BTreeMap<String, String>);

impl Columns {
    pub(super) fn new(rows: Vec<Row>) -> Self {
        let columns = rows.into_iter().filter_map(|row| {
            let mut texts = row.into_iter();
            Some((texts.next()??, texts.next()?.unwrap_or_default()))
        });
        Self(columns.collect())
    }

    pub(crate) fn has(&self, column: &str) -> bool {
        self.0.contains_key(column)
    }

    pub(crate) fn key_type(&self, column: &str) -> Option<KeyType> {
        self.0.get(column).map(|name| KeyType::of(name))
    }
}

/// How the ids of users are stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum KeyType {
    Number,
    Uuid,
    /// Django's UUIDs in SQLite: 32 digits.
    UuidDigits,
    Text,
}

impl KeyType {
    fn of(name: &str) -> Self {
        match name {
            "uuid" => Self::Uuid,
            "char(32)" => Self::UuidDigits,
            _ if name.contains("int") => Self::Number,
            _ => Self::Text,
        }
    }

    /// The argument that finds this id; `None` when no row can have it.
    pub(crate) fn argument(self, id: &str) -> Option<String> {
        match self {
            // One spelling only: "007" is not Django's 7.
            Self::Number => id.parse::<i64>().ok().map(|number| number.to_string()).filter(|text| text == id),
            Self::Uuid => id.parse::<Uuid>().ok().map(|uuid| uuid.to_string()),
            Self::UuidDigits => id.parse::<Uuid>().ok().map(|uuid| uuid.as_simple().to_string()),
            Self::Text => Some(id.to_owned()),
        }
    }

    /// The argument in SQL, of the column's own type, so that its index is used.
    pub(crate) fn argument_sql(self, argument: &str) -> String {
        match self {
            Self::Number => format!("cast({argument} as bigint)"),
            Self::Uuid => format!("cast({argument} as uuid)"),
            Self::UuidDigits | Self::Text => argument.to_owned(),
        }
    }

    /// The id as Django writes it, from the column's text.
    pub(crate) fn shown(self, text: String) -> String {
        match self {
            Self::UuidDigits => text.parse::<Uuid>().map_or(text, |uuid| uuid.to_string()),
            Self::Number | Self::Uuid | Self::Text => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_plain() {
        let quoted = |text: &str| text.parse::<TableName>().map(|name| name.quoted());
        assert_eq!(quoted("auth_user").as_deref(), Ok("\"auth_user\""));
        assert_eq!(quoted("site.users").as_deref(), Ok("\"site\".\"users\""));
        for wrong in ["", ".", "a.b.c", "a b", "a\"b", "a;b", "a."] {
            assert!(quoted(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn ids_are_written_as_their_column_stores_them() {
        let dashed = "018f6b0a-5d4c-7a3b-8c2d-1e0f9a8b7c6d";
        let digits = "018f6b0a5d4c7a3b8c2d1e0f9a8b7c6d";
        for (name, id, expected) in [
            ("integer", "7", Some("7")),
            ("bigint", "007", None),
            ("bigint", "7; drop table", None),
            ("integer unsigned", "99999999999999999999", None),
            ("uuid", dashed, Some(dashed)),
            ("uuid", "7", None),
            ("char(32)", dashed, Some(digits)),
            ("character varying", "x'y", Some("x'y")),
        ] {
            assert_eq!(KeyType::of(name).argument(id).as_deref(), expected, "{name} {id}");
        }
        assert_eq!(KeyType::UuidDigits.shown(digits.to_owned()), dashed);
    }
}
