//! The date: what DRF's `DateTimeField` accepts on Django 5.2 and Python 3.11.

mod django;
mod fromisoformat;
mod local;

use std::borrow::Cow;

use chrono::{DateTime, Utc};
use chrono_tz::Tz;
use shared::event::EventDate;

use super::fields::RawValue;
use super::rejection::{Message, Messages, NULL, REQUIRED};
use local::LocalDate;

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
            // Python takes a lone surrogate as the separator; here it is no date.
            RawValue::Text(raw) if raw.first_surrogate.is_none() => &raw.text,
            RawValue::Text(_) => return Err(vec![WRONG_FORMAT]),
            RawValue::Boolean(_) | RawValue::Number(_) | RawValue::Composite => {
                return Err(vec![WRONG_FORMAT]);
            }
        };
        let date = parse(text).ok_or_else(|| vec![WRONG_FORMAT])?;
        date.to_utc(self.time_zone).ok_or_else(|| vec![OUT_OF_RANGE]).and_then(in_range)
    }
}

/// An instant that every reader can represent.
pub(super) fn in_range(instant: DateTime<Utc>) -> Result<EventDate, Messages> {
    EventDate::new(instant).ok_or_else(|| vec![OUT_OF_RANGE])
}

/// Django's `parse_datetime`.
fn parse(text: &str) -> Option<LocalDate> {
    fromisoformat::parse(text).or_else(|| django::parse(text))
}

#[cfg(test)]
mod tests;
