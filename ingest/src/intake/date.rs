//! The date: what DRF's `DateTimeField` accepts on Django 5.2 and Python 3.11.

use std::borrow::Cow;

use chrono::DateTime;
use chrono_tz::Tz;
use shared::event::EventDate;

use super::fields::RawValue;
use super::rejection::{Message, Messages, NULL, REQUIRED};

const WRONG_FORMAT: Message = Cow::Borrowed(
    "Datetime has wrong format. Use one of these formats instead: \
     YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z].",
);
const OUT_OF_RANGE: Message = Cow::Borrowed("Datetime value out of range.");

#[derive(Clone, Debug)]
pub(super) struct DateField {
    time_zone: Tz,
}

impl DateField {
    pub(super) fn new(time_zone: Tz) -> Self {
        Self { time_zone }
    }

    pub(super) fn validate(&self, value: &RawValue<'_>) -> Result<EventDate, Messages> {
        let text = match value {
            RawValue::Absent => return Err(vec![REQUIRED]),
            RawValue::Null => return Err(vec![NULL]),
            RawValue::Text(raw) => &raw.text,
            RawValue::Boolean(_) | RawValue::Number(_) | RawValue::Composite => {
                return Err(vec![WRONG_FORMAT]);
            }
        };
        let _ = self.time_zone;
        let instant = DateTime::parse_from_rfc3339(text).map_err(|_| vec![WRONG_FORMAT])?;
        EventDate::new(instant.to_utc()).ok_or_else(|| vec![OUT_OF_RANGE])
    }
}
