//! Users as the keys of the site's own user model.

use std::io;

use writer::export::ActivityRow;

use super::json::Value;

/// The type of the user model's primary key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum UserType {
    /// JSON numbers
    Int,
    /// UUIDs as Django writes them
    Uuid,
    /// Texts, as they are stored
    #[default]
    Text,
}

/// Room for a user key of any type but text.
pub(super) type KeyDigits = [u8; 36];

impl UserType {
    /// # Errors
    /// The user is no such key.
    pub(super) fn value<'a>(self, row: &ActivityRow<'a>, digits: &'a mut KeyDigits) -> io::Result<Value<'a>> {
        let Some(user) = row.user_id else { return Ok(Value::Null) };
        let refuse = |what: &str| {
            let (id, date) = (row.id, row.date.format("%Y-%m-%dT%H:%M:%S%.6fZ"));
            io::Error::other(format!(
                "the user of activity {id} of {date} is no {what}; use another --user-type, such as text"
            ))
        };
        match self {
            Self::Text => Ok(Value::Text(user)),
            // Any length, as in Python; its own spelling is the only one that numbers have in JSON.
            Self::Int if is_number(user) => Ok(Value::Number(user)),
            Self::Int => Err(refuse("whole number")),
            Self::Uuid => match uuid::Uuid::try_parse(user) {
                Ok(key) => Ok(Value::Text(key.hyphenated().encode_lower(digits))),
                Err(_) => Err(refuse("UUID")),
            },
        }
    }
}

fn is_number(text: &str) -> bool {
    let digits = text.strip_prefix('-').unwrap_or(text);
    let plain = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
    plain && (digits == "0" && text == "0" || !digits.starts_with('0'))
}

#[cfg(test)]
mod tests {
    use super::is_number;

    #[test]
    fn numbers_are_those_of_json() {
        assert!(["0", "7", "-7", "42", "123456789012345678901234567890"].into_iter().all(is_number));
        assert!(!["", "-", "-0", "07", "+7", "7.0", "1e3", "٧", " 7", "a"].into_iter().any(is_number));
    }
}
