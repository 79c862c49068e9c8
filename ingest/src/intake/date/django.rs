//! The regular expression with which Django 5.2 reads what `fromisoformat`
//! refuses: one-digit fields, white space before the offset, `+hh`, and the
//! decimal digits of all scripts.
//!
//! ```text
//! \d{4}-\d{1,2}-\d{1,2}[T ]\d{1,2}:\d{1,2}(?::\d{1,2}(?:[\.,]\d{1,6}\d{0,6})?)?\s*(Z|[+-]\d{2}(?::?\d{2})?)?$
//! ```

use std::str::Chars;

use chrono::NaiveDate;

use super::local::{LocalDate, Offset, in_python_years};
use crate::intake::text::is_python_whitespace;

/// Zeros of the runs of decimal digits in Unicode 14, which Python 3.11 has; nine follow each.
#[rustfmt::skip]
const ZEROS: [char; 66] = [
    '\u{30}', '\u{660}', '\u{6f0}', '\u{7c0}', '\u{966}', '\u{9e6}', '\u{a66}', '\u{ae6}', '\u{b66}', '\u{be6}',
    '\u{c66}', '\u{ce6}', '\u{d66}', '\u{de6}', '\u{e50}', '\u{ed0}', '\u{f20}', '\u{1040}', '\u{1090}', '\u{17e0}',
    '\u{1810}', '\u{1946}', '\u{19d0}', '\u{1a80}', '\u{1a90}', '\u{1b50}', '\u{1bb0}', '\u{1c40}', '\u{1c50}',
    '\u{a620}', '\u{a8d0}', '\u{a900}', '\u{a9d0}', '\u{a9f0}', '\u{aa50}', '\u{abf0}', '\u{ff10}', '\u{104a0}',
    '\u{10d30}', '\u{11066}', '\u{110f0}', '\u{11136}', '\u{111d0}', '\u{112f0}', '\u{11450}', '\u{114d0}',
    '\u{11650}', '\u{116c0}', '\u{11730}', '\u{118e0}', '\u{11950}', '\u{11c50}', '\u{11d50}', '\u{11da0}',
    '\u{16a60}', '\u{16ac0}', '\u{16b50}', '\u{1d7ce}', '\u{1d7d8}', '\u{1d7e2}', '\u{1d7ec}', '\u{1d7f6}',
    '\u{1e140}', '\u{1e2f0}', '\u{1e950}', '\u{1fbf0}',
];

pub(super) fn parse(text: &str) -> Option<LocalDate> {
    let mut text = Cursor(text.chars());
    let year = text.number(4, 4)?;
    text.one_of(&['-'])?;
    let month = text.number(1, 2)?;
    text.one_of(&['-'])?;
    let day = text.number(1, 2)?;
    text.one_of(&['T', ' '])?;
    let hour = text.number(1, 2)?;
    text.one_of(&[':'])?;
    let minute = text.number(1, 2)?;
    let (mut second, mut micros) = (0, 0);
    if text.one_of(&[':']).is_some() {
        second = text.number(1, 2)?;
        if text.one_of(&['.', ',']).is_some() {
            micros = text.fraction()?;
        }
    }
    text.skip_whitespace();
    let offset = text.offset()?;
    text.end()?;
    let date = NaiveDate::from_ymd_opt(i32::try_from(year).ok()?, month, day)?;
    let local = date.and_hms_micro_opt(hour, minute, second, micros)?;
    in_python_years(date).then_some(LocalDate { local, offset })
}

/// No alternative of the expression begins as another does, so that reading never steps back.
#[derive(Clone)]
struct Cursor<'a>(Chars<'a>);

impl Cursor<'_> {
    fn one_of(&mut self, allowed: &[char]) -> Option<char> {
        let character = self.0.clone().next().filter(|character| allowed.contains(character))?;
        self.0.next();
        Some(character)
    }

    fn digit(&mut self) -> Option<u32> {
        let digit = decimal_digit(self.0.clone().next()?)?;
        self.0.next();
        Some(digit)
    }

    fn number(&mut self, digits_min: usize, digits_max: usize) -> Option<u32> {
        let mut value = 0;
        for count in 0..digits_max {
            match self.digit() {
                Some(digit) => value = value * 10 + digit,
                None if count < digits_min => return None,
                None => break,
            }
        }
        Some(value)
    }

    /// Up to twelve digits, of which six count.
    fn fraction(&mut self) -> Option<u32> {
        let mut micros = self.digit()? * 100_000;
        let mut unit = 10_000;
        for _ in 1..12 {
            let Some(digit) = self.digit() else { break };
            micros += digit * unit;
            unit /= 10;
        }
        Some(micros)
    }

    fn skip_whitespace(&mut self) {
        while self.0.clone().next().is_some_and(is_python_whitespace) {
            self.0.next();
        }
    }

    /// `None` is a failure, `Some(None)` a text without an offset.
    fn offset(&mut self) -> Option<Option<Offset>> {
        let Some(sign) = self.one_of(&['Z', '+', '-']) else { return Some(None) };
        if sign == 'Z' {
            return Some(Some(Offset::UTC));
        }
        let hours = self.number(2, 2)?;
        let minutes = match self.0.as_str() {
            "" | "\n" => 0,
            _ => {
                self.one_of(&[':']);
                self.number(2, 2)?
            }
        };
        let micros = i64::from(hours * 60 + minutes) * 60_000_000;
        Offset::from_micros(if sign == '-' { -micros } else { micros }).map(Some)
    }

    /// Python's `$` also matches before a last line feed.
    fn end(&mut self) -> Option<()> {
        matches!(self.0.as_str(), "" | "\n").then_some(())
    }
}

fn decimal_digit(character: char) -> Option<u32> {
    let run = ZEROS.partition_point(|zero| *zero <= character).checked_sub(1)?;
    Some(u32::from(character) - u32::from(ZEROS[run])).filter(|digit| *digit < 10)
}
