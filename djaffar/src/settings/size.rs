//! Sizes with units, and whole-process limits in them.

use std::fmt;
use std::str::FromStr;

/// A number of bytes, written with a binary unit: `64MiB`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Size(pub(crate) u64);

const UNITS: [(&str, u64); 4] = [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1)];

impl Size {
    /// For a limit that lives in memory.
    pub(crate) fn bytes(self) -> usize {
        usize::try_from(self.0).unwrap_or(usize::MAX)
    }
}

impl FromStr for Size {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let text = text.trim();
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        let (number, unit) = text.split_at(digits);
        let unit = unit.trim_start();
        let factor = if unit.is_empty() { Some(1) } else { find_unit(unit) };
        let (Ok(number), Some(factor)) = (number.parse::<u64>(), factor) else {
            return Err("a size is a whole number of bytes or of KiB, MiB or GiB, such as 64MiB".to_owned());
        };
        number.checked_mul(factor).map(Self).ok_or_else(|| "this size is beyond 16 EiB".to_owned())
    }
}

fn find_unit(unit: &str) -> Option<u64> {
    UNITS.iter().find(|(name, _)| name.eq_ignore_ascii_case(unit)).map(|(_, factor)| *factor)
}

impl fmt::Display for Size {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = |factor: &u64| self.0 >= *factor && self.0.is_multiple_of(*factor);
        match UNITS.iter().find(|(_, factor)| whole(factor)) {
            Some((name, factor)) => write!(formatter, "{}{name}", self.0 / factor),
            None => write!(formatter, "{}B", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_are_read_and_written_with_units() {
        for (text, bytes, shown) in [
            ("64MiB", 64 << 20, "64MiB"),
            ("1 gib", 1 << 30, "1GiB"),
            ("1536KiB", 1536 << 10, "1536KiB"),
            ("1000", 1000, "1000B"),
            ("0", 0, "0B"),
        ] {
            let size: Size = text.parse().unwrap();
            assert_eq!((size.0, size.to_string().as_str()), (bytes, shown), "{text}");
        }
    }

    #[test]
    fn what_is_no_size_is_refused() {
        for text in ["", "MiB", "64MB", "-1", "1.5GiB", "64 Mi B", "99999999999999999999", "99999999999GiB"] {
            assert!(text.parse::<Size>().is_err(), "{text}");
        }
    }
}
