//! `datetime.fromisoformat` of CPython 3.11, its oddities included.
//!
//! It reads bytes up to a final NUL, as C does; a position past the end reads
//! as NUL here. So a text may end in `Z` and NUL and anything, and what stands
//! between the sixth digit of a fraction and the offset is skipped: both are
//! accepted by Django and therefore here.

use chrono::{NaiveDate, NaiveTime, Weekday};

use super::local::{LocalDate, Offset};

/// All valid texts are at least this long: `YYYYWww`.
const CHARACTERS_MIN: usize = 7;

pub(super) fn parse(text: &str) -> Option<LocalDate> {
    if text.len() < CHARACTERS_MIN || text.chars().nth(CHARACTERS_MIN - 1).is_none() {
        return None;
    }
    let text = Text(text.as_bytes());
    let separator = find_separator(text);
    let date = parse_date(text, separator)?;
    if separator >= text.len() {
        return Some(LocalDate { local: date.and_time(NaiveTime::MIN), offset: None });
    }
    let (time, offset) = parse_time(text, separator + character_width(text.at(separator)))?;
    Some(LocalDate { local: date.and_time(time), offset })
}

/// Bytes that end in NUL for ever.
#[derive(Clone, Copy)]
struct Text<'a>(&'a [u8]);

impl Text<'_> {
    fn at(self, position: usize) -> u8 {
        self.0.get(position).copied().unwrap_or(0)
    }

    fn len(self) -> usize {
        self.0.len()
    }

    /// The value of `count` ASCII digits.
    fn digits(self, position: usize, count: usize) -> Option<u32> {
        (position..position + count).try_fold(0, |value, position| {
            let byte = self.at(position);
            byte.is_ascii_digit().then(|| value * 10 + u32::from(byte - b'0'))
        })
    }
}

/// Any character separates date and time.
fn character_width(first_byte: u8) -> usize {
    match first_byte {
        0xF0.. => 4,
        0xE0.. => 3,
        0x80.. => 2,
        _ => 1,
    }
}

/// Where the date ends; with weeks it is ambiguous, and CPython guesses.
fn find_separator(text: Text<'_>) -> usize {
    match (text.at(4), text.at(5)) {
        _ if text.len() == 7 => 7,
        // YYYY-Www-D or YYYY-Www with a hyphen as the separator.
        (b'-', b'W') if text.at(8) == b'-' => {
            if text.at(10).is_ascii_digit() {
                8
            } else {
                10
            }
        }
        (b'-', b'W') => 8,
        (b'-', _) => 10,
        // YYYYWww or YYYYWwwD: the digits of a time come in pairs.
        (b'W', _) => {
            let digits_end = (7..).find(|position| !text.at(*position).is_ascii_digit()).unwrap_or(7);
            match digits_end {
                0..9 => digits_end,
                _ if digits_end % 2 == 0 => 7,
                _ => 8,
            }
        }
        _ => 8,
    }
}

fn parse_date(text: Text<'_>, end: usize) -> Option<NaiveDate> {
    let year = i32::try_from(text.digits(0, 4)?).ok()?;
    let hyphens = usize::from(text.at(4) == b'-');
    let mut position = 4 + hyphens;
    let date = if text.at(position) == b'W' {
        let week = text.digits(position + 1, 2)?;
        position += 3;
        let mut day = 1;
        if position < end {
            if hyphens == 1 && text.at(position) != b'-' {
                return None;
            }
            day = text.digits(position + hyphens, 1)?;
        }
        NaiveDate::from_isoywd_opt(year, week, weekday(day)?)?
    } else {
        let month = text.digits(position, 2)?;
        position += 2;
        if hyphens == 1 && text.at(position) != b'-' {
            return None;
        }
        let day = text.digits(position + hyphens, 2)?;
        NaiveDate::from_ymd_opt(year, month, day)?
    };
    super::local::in_python_years(date).then_some(date)
}

fn weekday(iso_day: u32) -> Option<Weekday> {
    let from_monday = u8::try_from(iso_day.checked_sub(1)?).ok()?;
    Weekday::try_from(from_monday).ok()
}

fn parse_time(text: Text<'_>, start: usize) -> Option<(NaiveTime, Option<Offset>)> {
    let end = text.len();
    let offset_at = (start..end).find(|position| matches!(text.at(*position), b'+' | b'-' | b'Z'));
    let clock = Clock::parse(text, start, offset_at.unwrap_or(end))?;
    let offset = match offset_at {
        // Without an offset, nothing may be left over.
        None if !clock.is_whole => return None,
        None => None,
        Some(position) if text.at(position) == b'Z' => {
            if text.at(position + 1) != 0 {
                return None;
            }
            Some(Offset::UTC)
        }
        Some(position) => Some(parse_offset(text, position)?),
    };
    let time = NaiveTime::from_hms_micro_opt(clock.parts[0], clock.parts[1], clock.parts[2], clock.micros)?;
    Some((time, offset))
}

fn parse_offset(text: Text<'_>, sign_at: usize) -> Option<Offset> {
    let clock = Clock::parse(text, sign_at + 1, text.len())?;
    if !clock.is_whole {
        return None;
    }
    let [hours, minutes, seconds] = clock.parts.map(i64::from);
    let seconds = hours * 3600 + minutes * 60 + seconds;
    if seconds == 0 {
        // CPython takes UTC, whatever the fraction.
        return Some(Offset::UTC);
    }
    let micros = seconds * 1_000_000 + i64::from(clock.micros);
    Offset::from_micros(if text.at(sign_at) == b'-' { -micros } else { micros })
}

/// `HH[:?MM[:?SS[{.,}f...]]]`, its parts not yet checked for range.
struct Clock {
    /// Hours, minutes, seconds.
    parts: [u32; 3],
    micros: u32,
    /// Whether the text ended with it.
    is_whole: bool,
}

impl Clock {
    fn parse(text: Text<'_>, start: usize, end: usize) -> Option<Self> {
        let mut clock = Self { parts: [0; 3], micros: 0, is_whole: true };
        let mut position = start;
        let mut colons = false;
        for index in 0..3 {
            clock.parts[index] = text.digits(position, 2)?;
            let next = text.at(position + 2);
            position += 3;
            if index == 0 {
                colons = next == b':';
            }
            if position >= end {
                clock.is_whole = next == 0;
                return Some(clock);
            }
            match next {
                b':' if colons => {}
                b'.' | b',' => break,
                _ if colons => return None,
                // The next part, or a fraction without a point, follows at once.
                _ => position -= 1,
            }
        }
        let count = (end - position).min(6);
        clock.micros = text.digits(position, count)?;
        for _ in count..6 {
            clock.micros *= 10;
        }
        position += count;
        while text.at(position).is_ascii_digit() {
            position += 1;
        }
        clock.is_whole = text.at(position) == 0;
        Some(clock)
    }
}
