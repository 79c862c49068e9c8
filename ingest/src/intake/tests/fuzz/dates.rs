//! Texts that look like dates.

use chrono::SecondsFormat;
use shared::fuzz::{Target, mutated_text};

use super::*;

const WORDS: &[&str] = &[
    "T",
    "Z",
    "W",
    "-W",
    ":",
    ".",
    ",",
    "+",
    "-",
    " ",
    "+00:00",
    "-23:59",
    "+24:00",
    "+00:00:00.000001",
    "0000",
    "0001",
    "9999",
    "10000",
    "24",
    "60",
    "61",
    "12-31",
    "02-29",
    "366",
    "٣",
    "\u{2212}",
    "\u{a0}",
    "\0",
    "999999",
    "9999999",
];

/// Years with and without a leap day, whose parts may be one too large.
fn any_date() -> impl Strategy<Value = String> {
    "(0000|0001|1900|2000|2016|2024|9999|[0-9]{4})(-?(0[1-9]|1[0-3]|[1-9])-?(0[1-9]|[12][0-9]|3[0-2]|[1-9])|-?W[0-5][0-9](-?[0-8])?)\
     ([T _ā](0?[0-9]|1[0-9]|2[0-4])(:?[0-6][0-9](:?[0-6][0-9]([.,][0-9]{1,9})?)?)?)?( ?(Z|[+-][0-2][0-9](:?[0-9]{2}(:?[0-9]{2})?)?))?"
}

fn zones() -> [Tz; 5] {
    [Tz::UTC, Tz::Europe__Berlin, Tz::Pacific__Apia, Tz::America__New_York, Tz::Asia__Kathmandu]
}

#[test]
fn fuzz_a_date_has_one_meaning_that_can_be_written_down() {
    let dates = mutated_text(prop_oneof![any_date(), date()], WORDS);
    Target::new("dates", file!()).cases(500).run(dates, |text| {
        for zone in zones() {
            let validate = |text: &str| DateField::new(zone).validate(&RawValue::from(text));
            let date = validate(&text);
            prop_assert_eq!(&validate(&text), &date);
            let Ok(date) = date else { continue };
            prop_assert_eq!(EventDate::new(date.instant()), Some(date));
            let normal = date.instant().to_rfc3339_opts(SecondsFormat::Micros, true);
            prop_assert_eq!(validate(&normal), Ok(date), "{}", normal);
            prop_assert_eq!(date_of_text(&text, zone), Some(date));
        }
        Ok(())
    });
}

#[test]
fn fuzz_an_offset_names_the_instant_whatever_the_zone() {
    // At the ends of the range it depends on the zone, as in DRF, whether an instant can be told.
    let parts = (2_i64..=9998, 0_i64..86_400_000_000 * 365, -1439_i32..1440);
    Target::new("offsets", file!()).cases(500).run(parts, |(year, micros, offset)| {
        let first = chrono::NaiveDate::from_ymd_opt(year as i32, 1, 1)
            .expect("a date")
            .and_time(chrono::NaiveTime::MIN);
        let local = first + chrono::TimeDelta::microseconds(micros);
        let (sign, minutes) = (if offset < 0 { '-' } else { '+' }, offset.abs());
        let text =
            format!("{}{sign}{:02}:{:02}", local.format("%Y-%m-%dT%H:%M:%S%.6f"), minutes / 60, minutes % 60);
        let instant = (local - chrono::TimeDelta::minutes(offset.into())).and_utc();
        for zone in zones() {
            let date = DateField::new(zone).validate(&RawValue::from(text.as_str())).ok();
            prop_assert_eq!(date, EventDate::new(instant), "{}", text);
        }
        Ok(())
    });
}
