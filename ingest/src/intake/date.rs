//! The date: what DRF's `DateTimeField` accepts on Django 5.2 and Python 3.11.

mod django;
mod fromisoformat;
mod local;

use std::borrow::Cow;

use chrono::{DateTime, NaiveDate, Utc};
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
        if let Some(date) = of_browser(text) {
            return Ok(date);
        }
        let date = parse(text).ok_or_else(|| vec![WRONG_FORMAT])?;
        date.to_utc(self.time_zone).ok_or_else(|| vec![OUT_OF_RANGE]).and_then(in_range)
    }
}

/// An instant that every reader can represent.
pub(super) fn in_range(instant: DateTime<Utc>) -> Result<EventDate, Messages> {
    EventDate::new(instant).ok_or_else(|| vec![OUT_OF_RANGE])
}

/// The zone counts only where the text names no offset, for dates that were not sent just now.
pub(super) fn of_text(text: &str, time_zone: Tz) -> Option<EventDate> {
    if let Some(date) = of_browser(text) {
        return Some(date);
    }
    let date = parse(text)?;
    EventDate::new(date.to_utc(if date.offset.is_some() { Tz::UTC } else { time_zone })?)
}

/// `YYYY-MM-DDTHH:MM:SS.sssZ`, as JavaScript's `toISOString` writes it: what nearly everybody
/// sends, at a fifth of the cost. Anything else fails here and is read by [`parse`], also the years at
/// the ends, whose first and last hours are out of range in some zones.
fn of_browser(text: &str) -> Option<EventDate> {
    let text: &[u8; 24] = text.as_bytes().try_into().ok()?;
    let &[.., b'-', _, _, b'-', _, _, b'T', _, _, b':', _, _, b':', _, _, b'.', _, _, _, b'Z'] = text else {
        return None;
    };
    let number = |digits: &[u8]| {
        let mut digits = digits.iter().map(|byte| char::from(*byte).to_digit(10));
        digits.try_fold(0, |number, digit| Some(number * 10 + digit?))
    };
    let year = i32::try_from(number(&text[0..4])?).ok().filter(|year| (2..=9998).contains(year))?;
    let date = NaiveDate::from_ymd_opt(year, number(&text[5..7])?, number(&text[8..10])?)?;
    let (hour, minute, second) = (number(&text[11..13])?, number(&text[14..16])?, number(&text[17..19])?);
    EventDate::new(date.and_hms_milli_opt(hour, minute, second, number(&text[20..23])?)?.and_utc())
}

/// Django's `parse_datetime`.
fn parse(text: &str) -> Option<LocalDate> {
    fromisoformat::parse(text).or_else(|| django::parse(text))
}

#[cfg(test)]
mod tests;
