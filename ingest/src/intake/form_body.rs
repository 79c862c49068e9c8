//! One field of a form that is no part of an activity: Django's CSRF token.

use bytes::Bytes;

use super::{BodyFormat, form, multipart};

/// A body that may be a form; read only when somebody asks for a field.
#[derive(Clone, Copy, Debug)]
pub struct FormBody<'a> {
    pub format: &'a BodyFormat,
    pub bytes: &'a Bytes,
}

impl FormBody<'_> {
    /// The field's value, the last of several; `None` in a body that is no form.
    #[must_use]
    pub fn field(&self, name: &str) -> Option<String> {
        match self.format {
            BodyFormat::Form => form::field(self.bytes, name),
            BodyFormat::Multipart { boundary } => multipart::field(self.bytes, boundary, name),
            BodyFormat::Json | BodyFormat::Plain => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn field(format: &BodyFormat, body: &'static str) -> Option<String> {
        FormBody { format, bytes: &Bytes::from_static(body.as_bytes()) }.field("token")
    }

    #[test]
    fn a_form_has_fields_and_json_has_none() {
        assert_eq!(field(&BodyFormat::Form, "a=1&t%6Fken=b&token=c+d&b").as_deref(), Some("c d"));
        assert_eq!(field(&BodyFormat::Form, "tokens=1&token=%FF"), None);
        assert_eq!(field(&BodyFormat::Json, "{\"token\": \"a\"}"), None);
        assert_eq!(field(&BodyFormat::Plain, "token=a"), None);
        let multipart = BodyFormat::Multipart { boundary: "x".to_owned() };
        let body = "--x\r\nContent-Disposition: form-data; name=\"token\"\r\n\r\na\r\n--x--\r\n";
        assert_eq!(field(&multipart, body).as_deref(), Some("a"));
        assert_eq!(field(&multipart, "--x"), None);
    }
}
