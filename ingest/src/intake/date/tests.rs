//! Spot checks; `tests/differential` compares with the real Django and DRF.

use chrono::SecondsFormat;
use chrono_tz::Tz;
use proptest::prelude::*;

use super::*;

fn micros(text: &str, time_zone: Tz) -> Result<i64, Messages> {
    DateField::new(time_zone).validate(&RawValue::from(text)).map(EventDate::micros)
}

fn accepted(text: &str) -> String {
    let date = DateField::new(Tz::UTC).validate(&RawValue::from(text));
    date.unwrap_or_else(|_| panic!("{text} is refused")).instant().format("%Y-%m-%dT%H:%M:%S%.6f").to_string()
}

fn assert_refused(text: &str) {
    assert_eq!(micros(text, Tz::UTC), Err(vec![WRONG_FORMAT]), "{text:?}");
}

#[test]
fn fromisoformat_is_followed() {
    for (text, expected) in [
        ("2016-12-29T07:35:22.571Z", "2016-12-29T07:35:22.571000"),
        ("2016-12-29", "2016-12-29T00:00:00.000000"),
        ("20161229", "2016-12-29T00:00:00.000000"),
        ("2020W01", "2019-12-30T00:00:00.000000"),
        ("2020W017", "2020-01-05T00:00:00.000000"),
        ("2020W0171200", "2019-12-30T12:00:00.000000"),
        ("2020-W01-0000", "2019-12-30T00:00:00.000000"),
        ("2020-W01-1T12", "2019-12-30T12:00:00.000000"),
        ("2020-W53", "2020-12-28T00:00:00.000000"),
        ("2020-01-01é12:00", "2020-01-01T12:00:00.000000"),
        ("2020-01-01😀1200", "2020-01-01T12:00:00.000000"),
        ("2020-01-01T12,5", "2020-01-01T12:00:00.500000"),
        ("2020-01-01T12:00:00.1234567891234567", "2020-01-01T12:00:00.123456"),
        ("2020-01-01T120000123", "2020-01-01T12:00:00.123000"),
        ("2020-01-01T12:00:00:123", "2020-01-01T12:00:00.123000"),
        ("2020-01-01T12:00:00.+01:00", "2020-01-01T11:00:00.000000"),
        ("2020-01-01T12x+01:00", "2020-01-01T11:00:00.000000"),
        ("2020-01-01T12:00:00.123456abc+01:00", "2020-01-01T11:00:00.123456"),
        ("2020-01-01T12:00:00+00:99", "2020-01-01T10:21:00.000000"),
        ("2020-01-01T12:00:00-23:59:59.999999", "2020-01-02T11:59:59.999999"),
        ("2020-01-01T12:00:00-00:00:00.000001", "2020-01-01T12:00:00.000000"),
        ("2020-01-01T12:00:00Z\0rest", "2020-01-01T12:00:00.000000"),
        ("2020-01-01T12:00:00\0", "2020-01-01T12:00:00.000000"),
    ] {
        assert_eq!(accepted(text), expected, "{text:?}");
    }
}

#[test]
fn djangos_expression_comes_second() {
    for (text, expected) in [
        ("2020-1-2 3:4", "2020-01-02T03:04:00.000000"),
        ("2020-1-2T3:4:5.6+01", "2020-01-02T02:04:05.600000"),
        ("2020-1-2T3:4:5,1234567 \t-0130\n", "2020-01-02T04:34:05.123456"),
        ("2020-01-02T03:04:05 Z", "2020-01-02T03:04:05.000000"),
        ("٢٠٢٠-١-٢ 𝟛:𝟜", "2020-01-02T03:04:00.000000"),
    ] {
        assert_eq!(accepted(text), expected, "{text:?}");
    }
}

#[test]
fn what_both_refuse_is_refused() {
    for text in [
        "",
        "now",
        "2020-01-01T",
        "2020-01-01T1",
        "2020-13-01",
        "2020-02-30",
        "0000-01-01",
        "2021-W53",
        "2020-W01-0",
        "9999-W53-7",
        "2020-01-01T24:00",
        "2020-01-01T12:00:60",
        "2020-01-01T12:00:00+24:00",
        "2020-01-01T12:00:00+23:60",
        "2020-1-2T3:4:5.",
        "2020-1-2T3:4:5.1234567890123",
        "2020-1-2T3:4:5+01:",
        "2020-1-2T3:4:5+010",
        "2020-1-2T3:4Z\n\n",
        " 2020-01-01",
        "1483000000",
    ] {
        assert_refused(text);
    }
}

#[test]
fn a_date_without_an_offset_is_a_time_of_the_zone() {
    for (text, utc) in [
        ("2020-01-01T12:00", "2020-01-01T11:00Z"),
        ("2020-07-01T12:00", "2020-07-01T10:00Z"),
        // Twice: the first. Never: as if the clock had not been changed.
        ("2020-10-25T02:30", "2020-10-25T00:30Z"),
        ("2020-03-29T02:30", "2020-03-29T01:30Z"),
        ("2150-07-01T12:00", "2150-07-01T10:00Z"),
        ("9996-02-29T12:00", "9996-02-29T11:00Z"),
        ("1800-01-01T00:00", "1799-12-31T23:06:32Z"),
    ] {
        assert_eq!(micros(text, Tz::Europe__Berlin), micros(utc, Tz::UTC), "{text}");
    }
}

#[test]
fn years_end_where_pythons_do() {
    assert!(micros("9999-12-31T23:59:59.999999Z", Tz::UTC).is_ok());
    assert!(micros("0001-01-01", Tz::UTC).is_ok());
    for (text, time_zone) in [
        ("9999-12-31T23:59-01:00", Tz::UTC),
        ("0001-01-01T00:00+00:01", Tz::UTC),
        ("9999-12-31T23:30Z", Tz::Europe__Berlin),
        ("0001-01-01T00:00", Tz::Asia__Kolkata),
        ("0001-01-01T00:00Z", Tz::America__New_York),
    ] {
        assert_eq!(micros(text, time_zone), Err(vec![OUT_OF_RANGE]), "{text} {time_zone}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(5_000))]

    #[test]
    fn a_browsers_form_is_read_as_every_other(
        text in r"([0-9]{4}|000[0-2]|999[89])-(0[0-9]|1[0-3])-([0-2][0-9]|3[0-2])T([01][0-9]|2[0-5]):[0-6][0-9]:([0-5][0-9]|6[01])\.[0-9]{3}Z",
    ) {
        let is_at_an_end = ["0000", "0001", "9999"].contains(&&text[..4]);
        for zone in [Tz::UTC, Tz::Asia__Kathmandu, Tz::America__New_York] {
            let slow = parse(&text).and_then(|date| EventDate::new(date.to_utc(zone)?));
            prop_assert_eq!(of_browser(&text), slow.filter(|_| !is_at_an_end), "{:?}", zone);
        }
    }

    #[test]
    fn no_other_form_is_taken_for_a_browsers(text in r"[0-9TZ:.é -]{24}|[0-9]{4}.[0-9]{2}.[0-9]{2}.[0-9]{2}.[0-9]{2}.[0-9]{2}.[0-9]{3}.") {
        if let Some(date) = of_browser(&text) {
            prop_assert_eq!(date.instant().to_rfc3339_opts(SecondsFormat::Millis, true), text);
        }
    }
}
