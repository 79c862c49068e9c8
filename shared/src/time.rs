//! The one place that reads the wall clock; everything else is given the time.

use chrono::{DateTime, Datelike, Timelike, Utc};

/// The current time (UTC).
#[must_use]
#[expect(clippy::disallowed_methods, reason = "the edge that everything else takes its time from")]
pub fn now() -> DateTime<Utc> {
    #[cfg(feature = "test-util")]
    if let Some(now) = crate::simulated::now() {
        return now;
    }
    Utc::now()
}

/// `YYYY-MM-DD HH:MM:SS.ffffff` in UTC, of the years 0 to 9999.
///
/// Written by hand: dates are most of what a dump prints, and chrono reads its pattern anew for each.
#[must_use]
pub fn calendar(instant: DateTime<Utc>) -> [u8; 26] {
    let mut text = *b"0000-00-00 00:00:00.000000";
    let (date, time) = (instant.date_naive(), instant.time());
    digits(&mut text[0..4], date.year().unsigned_abs());
    digits(&mut text[5..7], date.month());
    digits(&mut text[8..10], date.day());
    digits(&mut text[11..13], time.hour());
    digits(&mut text[14..16], time.minute());
    digits(&mut text[17..19], time.second());
    digits(&mut text[20..26], instant.timestamp_subsec_micros());
    text
}

/// Fills `text` with the last digits of the number.
fn digits(text: &mut [u8], mut number: u32) {
    for digit in text.iter_mut().rev() {
        *digit = b'0' + (number % 10) as u8;
        number /= 10;
    }
}
