//! Instants of one invocation, such as `--since`.

use chrono::{DateTime, NaiveDate, NaiveTime, Utc};

/// RFC 3339, or a day, which begins at midnight UTC.
pub(crate) fn instant(text: &str) -> Result<DateTime<Utc>, String> {
    let day = || text.parse::<NaiveDate>().ok().map(|day| day.and_time(NaiveTime::MIN).and_utc());
    let instant = DateTime::parse_from_rfc3339(text).ok().map(|instant| instant.to_utc());
    instant.or_else(day).ok_or_else(|| "a date is 2026-11-25 or 2026-11-25T07:35:22Z".to_owned())
}

#[cfg(test)]
mod tests {
    use super::instant;

    #[test]
    fn days_and_instants() {
        assert_eq!(instant("2026-11-25").unwrap().to_rfc3339(), "2026-11-25T00:00:00+00:00");
        assert_eq!(instant("2026-11-25T01:00:00+01:00").unwrap(), instant("2026-11-25").unwrap());
        assert!(instant("yesterday").is_err() && instant("2026-11-25 01:00").is_err());
    }
}
