//! Single log requests: forms, multipart, JSON, pixels, and the type that names them.

use shared::fuzz::{Target, mutated, mutated_text, one_of};

use super::*;

#[test]
fn fuzz_what_is_sent_arrives_in_every_format() {
    Target::new("log_requests", file!()).run(sent(), |sent| {
        let trimmed = |text: &Option<String>| {
            text.as_deref().unwrap_or_default().trim_matches(text::is_python_whitespace).to_owned()
        };
        for (format, body) in sent.bodies() {
            let fields = log(&format, &body, Some("ignored"))
                .map_err(|error| TestCaseError::fail(format!("{format:?} {body:?}: {error:?}")))?;
            prop_assert_eq!(fields.path.as_str(), trimmed(&sent.path));
            prop_assert_eq!(fields.referer.as_str(), trimmed(&sent.referer));
            prop_assert_eq!(Some(fields.date), date_of_text(sent.date.as_deref().expect("a date"), Tz::UTC));
            if let Some(id) = &sent.id {
                prop_assert_eq!(fields.id.0, id.parse::<uuid::Uuid>().expect("a UUID"));
            }
            check(&fields)?;
        }
        Ok(())
    });
}

/// Each field is good or bad on its own, and the answer names the bad ones alone.
#[test]
fn fuzz_a_rejection_names_the_fields_at_fault_and_no_others() {
    let bad_date =
        "(|[a-z]{1,9}|[0-9]{1,3}|2016-13-01|2015-02-29|2016-12-29T25:00|0001-01-01T00:00:00[+]01:00)";
    let bad_path = proptest::string::string_regex("[ \t\u{a0}\u{1c}]{1,4}|a\0b|x{1001,1010}|é{1001,1002}")
        .expect("a pattern");
    let bad_referer = prop_oneof!["a\0", Just("y".repeat(REFERER_CHARACTERS_MAX + 1))];
    let bad_id = "[a-f0-9]{31}|[a-f0-9]{33}|g[a-f0-9]{31}|[ -~&&[^-{}]]{1,20}";
    let faults = (
        proptest::option::of(bad_date),
        proptest::option::of(bad_path),
        proptest::option::of(bad_referer),
        proptest::option::of(bad_id),
    );
    Target::new("faults", file!()).run((sent(), faults), |(sent, (date, path, referer, id))| {
        let spoilt = Sent {
            date: date.clone().or(sent.date),
            path: path.clone().or(sent.path),
            referer: referer.clone().or(sent.referer),
            id: id.clone().or(sent.id),
        };
        let faults = [("date", date), ("path", path), ("referer", referer), ("id", id)];
        let expected: Vec<_> =
            faults.iter().filter(|(_, bad)| bad.is_some()).map(|(name, _)| *name).collect();
        for (format, body) in spoilt.bodies() {
            let named = match log(&format, &body, None) {
                Ok(_) => vec![],
                Err(Rejection::Invalid(errors)) => errors.iter().map(|(name, _)| name).collect(),
                Err(Rejection::Malformed(detail)) => vec![detail],
            };
            prop_assert_eq!(&named, &expected, "{:?} {}", format, body);
        }
        Ok(())
    });
}

#[test]
fn fuzz_a_spoilt_body_is_refused_or_valid() {
    let body = (sent(), 0..5_usize).prop_flat_map(|(sent, format)| {
        let (format, body) = sent.bodies()[format].clone();
        (Just(format), mutated(Just(body.into_bytes()), WORDS))
    });
    let header = proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20));
    Target::new("bodies", file!()).run((body, header), |((format, body), header)| {
        let body = Bytes::from(body);
        let read = || intake().log(&format, &body, header.as_deref());
        match (read(), read()) {
            (Ok(fields), Ok(again)) => {
                // Without an id of its own, each reading makes one.
                prop_assert_eq!(LogFields { id: fields.id, ..again }, fields.clone());
                check(&fields)?;
            }
            (first, second) => prop_assert_eq!(first, second),
        }
        // Read only when a token is looked for.
        drop(FormBody { format: &format, bytes: &body }.field("path"));
        Ok(())
    });
}

#[test]
fn fuzz_a_pixel_is_read_as_a_form_is() {
    let query = mutated_text(sent().prop_map(|sent| sent.form()), WORDS);
    Target::new("pixels", file!()).run(query, |query| {
        let pixel = intake().pixel(&query, None, NOW);
        match (&pixel, log(&BodyFormat::Form, &query, None)) {
            (Ok(fields), Ok(form)) => {
                prop_assert_eq!(
                    (fields.date, &fields.path, &fields.referer),
                    (form.date, &form.path, &form.referer)
                );
                check(fields)?;
            }
            (Ok(fields), Err(_)) => prop_assert_eq!(fields.date.instant(), NOW),
            (Err(_), form) => prop_assert!(form.is_err()),
        }
        Ok(())
    });
}

#[test]
fn fuzz_a_field_of_a_form_is_what_was_encoded() {
    let pairs = proptest::collection::vec((text(), text()), 0..6);
    Target::new("form_fields", file!()).run((pairs, text()), |(pairs, wanted)| {
        let encoded: Vec<_> = pairs
            .iter()
            .map(|(name, value)| format!("{}={}", percent_encoded(name), percent_encoded(value)))
            .collect();
        let body = Bytes::from(encoded.join("&"));
        let body = FormBody { format: &BodyFormat::Form, bytes: &body };
        for name in pairs.iter().map(|(name, _)| name).chain([&wanted]) {
            let last = pairs.iter().rev().find(|(found, _)| found == name).map(|(_, value)| value.clone());
            prop_assert_eq!(body.field(name), last);
        }
        Ok(())
    });
}

#[test]
fn fuzz_a_content_type_is_known_or_not_and_keeps_its_boundary() {
    let values = one_of(&[
        "application/json",
        "text/plain;charset=UTF-8",
        "application/x-ndjson",
        "multipart/form-data; boundary=\"a b\\\"c\"; charset=utf-8",
        "application/x-www-form-urlencoded; x=\"y;z\"",
    ]);
    let words = &[
        ";",
        "=",
        "\"",
        "\\",
        "charset=",
        "boundary=",
        "utf-16",
        "us-ascii",
        "/",
        "application/json",
        "text/plain",
    ];
    let boundary = "[ -~]{0,30}";
    Target::new("content_types", file!()).run(
        (mutated(values.prop_map(String::into_bytes), words), boundary),
        |(value, boundary)| {
            let format = BodyFormat::from_content_type(Some(&value));
            prop_assert_eq!(&BodyFormat::from_content_type(Some(&value)), &format);
            let lower = value.to_ascii_lowercase();
            let batch = BatchFormat::from_content_type(Some(&value));
            prop_assert_eq!(batch == Some(BatchFormat::Json), format == Some(BodyFormat::Json));
            prop_assert!(format.is_none() || lower.contains(&b'/'));
            let quoted = boundary.replace('\\', "\\\\").replace('"', "\\\"");
            let header = format!("Multipart/Form-Data; x=\";boundary=y\"; BOUNDARY=\"{quoted}\"");
            let format = BodyFormat::from_content_type(Some(header.as_bytes()));
            prop_assert_eq!(format, Some(BodyFormat::Multipart { boundary }));
            Ok(())
        },
    );
}
