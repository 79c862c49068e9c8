//! Durations with units.

use std::fmt;
use std::str::FromStr;
use std::time::Duration;

/// A length of time, written with a unit: `5s`, `200ms`, `14days`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Span(pub(crate) Duration);

impl Span {
    pub(crate) const fn seconds(seconds: u64) -> Self {
        Self(Duration::from_secs(seconds))
    }
}

impl FromStr for Span {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match humantime::parse_duration(text.trim()) {
            Ok(duration) if duration.is_zero() => Err("must be longer than nothing".to_owned()),
            Ok(duration) => Ok(Self(duration)),
            Err(_) => Err("a duration is a number with a unit, such as 5s, 200ms or 14days".to_owned()),
        }
    }
}

impl fmt::Display for Span {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        humantime::format_duration(self.0).fmt(formatter)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_need_a_unit() {
        assert_eq!("5s".parse(), Ok(Span::seconds(5)));
        assert_eq!("1209600s".parse::<Span>().unwrap().to_string(), "14days");
        assert_eq!("200ms".parse(), Ok(Span(Duration::from_millis(200))));
        for text in ["", "5", "soon", "-1s", "0s"] {
            assert!(text.parse::<Span>().is_err(), "{text}");
        }
    }
}
