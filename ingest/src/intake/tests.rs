//! The rules of the endpoint, and properties of all inputs.

mod fuzz;

use proptest::prelude::*;

use super::fields::RawValue;
use super::*;

const REFERER_CHARACTERS_MAX: usize = 2048;
const DATE: &str = "2016-12-29T07:35:22.571Z";
const NOW: DateTime<Utc> = DateTime::UNIX_EPOCH;

fn intake() -> Intake {
    Intake::new(IntakeConfig { time_zone: Tz::UTC, referer_characters_max: REFERER_CHARACTERS_MAX })
}

fn log(format: &BodyFormat, body: &str, header: Option<&str>) -> Result<LogFields, Rejection> {
    intake().log(format, &Bytes::from(body.to_owned()), header.map(str::as_bytes))
}

fn errors(result: Result<LogFields, Rejection>) -> String {
    match result.expect_err("a rejection") {
        Rejection::Invalid(errors) => serde_json::to_string(&errors).expect("JSON"),
        Rejection::Malformed(detail) => detail.to_owned(),
    }
}

#[test]
fn the_usual_request_is_accepted() {
    let body = "date=2016-12-29T07:35:22.571Z&path=users/me/cart/";
    let fields = log(&BodyFormat::Form, body, Some("http://example.com/")).expect("valid");
    assert_eq!(fields.date.micros(), 1_482_996_922_571_000);
    assert_eq!(fields.path.as_str(), "users/me/cart/");
    assert_eq!(fields.referer.as_str(), "");
    assert_eq!(fields.id.0.get_version_num(), 7);
}

#[test]
fn every_format_carries_the_same_fields() {
    let form = format!("date={DATE}&path=%20p&referer=r&id=0197f3b2-0000-7000-8000-000000000001");
    let json = format!(
        r#"{{"date": "{DATE}", "path": " p", "referer": "r", "id": "0197f3b2000070008000000000000001"}}"#
    );
    let part = |name: &str, value: &str| {
        format!("--X\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    let multipart = [
        part("date", DATE),
        part("path", " p"),
        part("referer", "r"),
        part("id", "{0197f3b2-0000-7000-8000-000000000001}"),
        "--X--\r\n".to_owned(),
    ]
    .concat();
    let expected = log(&BodyFormat::Form, &form, None).expect("valid");
    for (format, body) in [
        (BodyFormat::Json, &json),
        (BodyFormat::Plain, &json),
        (BodyFormat::Plain, &form),
        (BodyFormat::Multipart { boundary: "X".to_owned() }, &multipart),
    ] {
        assert_eq!(log(&format, body, None).as_ref(), Ok(&expected), "{format:?}");
    }
}

#[test]
fn the_header_is_the_path_that_was_not_sent() {
    let header = Some("http://example.com/a?b ");
    for body in [r#"{"date": "2020-01-01"}"#, r#"{"date": "2020-01-01", "path": null}"#] {
        let fields = log(&BodyFormat::Json, body, header).expect("valid");
        assert_eq!(fields.path.as_str(), "http://example.com/a?b");
    }
    assert!(log(&BodyFormat::Form, "date=2020-01-01&path=", header).is_ok());
    let blank = r#"{"path":["This field may not be blank."]}"#;
    assert_eq!(errors(log(&BodyFormat::Form, "date=2020-01-01&path=+", header)), blank);
    assert_eq!(errors(log(&BodyFormat::Form, "date=2020-01-01", None)), blank);
}

#[test]
fn all_messages_come_at_once_and_in_order() {
    let body = r#"{"id": null, "referer": true, "path": ["x"]}"#;
    assert_eq!(
        errors(log(&BodyFormat::Json, body, None)),
        r#"{"date":["This field is required."],"path":["Not a valid string."],"referer":["Not a valid string."],"id":["This field may not be null."]}"#
    );
    let long = format!(r#"{{"date": "2020-01-01", "path": "{}\u0000\ud800"}}"#, "a".repeat(1000));
    assert_eq!(
        errors(log(&BodyFormat::Json, &long, None)),
        r#"{"path":["Ensure this field has no more than 1000 characters.","Null characters are not allowed.","Surrogate characters are not allowed: U+D800."]}"#
    );
}

#[test]
fn a_file_is_no_text() {
    let body = "--X\r\nContent-Disposition: form-data; name=\"path\"; filename=\"a\"\r\n\r\nx\r\n\
                --X\r\nContent-Disposition: form-data; name=\"date\"\r\n\r\n2020-01-01\r\n--X--";
    let format = BodyFormat::Multipart { boundary: "X".to_owned() };
    assert_eq!(errors(log(&format, body, None)), r#"{"path":["Not a valid string."]}"#);
    let without = BodyFormat::Multipart { boundary: String::new() };
    assert_eq!(errors(log(&without, body, None)), "Multipart form parse error");
}

#[test]
fn a_pixel_is_of_now_unless_it_says_otherwise() {
    let pixel = |query: &str| intake().pixel(query, None, NOW);
    assert_eq!(pixel("path=a").expect("valid").date.instant(), NOW);
    assert_eq!(pixel("path=a&date=2020-01-01").expect("valid").date.micros(), 1_577_836_800_000_000);
    let id = "id=0197f3b2-0000-7000-8000-000000000001";
    assert_eq!(errors(pixel(&format!("path=a&{id}"))), r#"{"date":["This field is required."]}"#);
    assert!(pixel(&format!("path=a&{id}&date=2020-01-01")).is_ok());
}

fn any_format() -> impl Strategy<Value = BodyFormat> {
    prop_oneof![
        Just(BodyFormat::Form),
        Just(BodyFormat::Json),
        Just(BodyFormat::Plain),
        "X|[ -~]{0,4}".prop_map(|boundary| BodyFormat::Multipart { boundary }),
    ]
}

/// Bytes near to what the parsers know.
fn any_body() -> impl Strategy<Value = Vec<u8>> {
    let json =
        r#"[ ]?\{("(date|path|id|x)":("[0-9TZW:.+\\u-]{0,30}"|[0-9.eE-]{1,9}|null|[\[{]{1,3}),?){0,4}\}?"#;
    let part = "(--X\r?\n(content-disposition: form-data; name=\"?(date|path)\"?(; filename=a)?)?\r\n\r\n.{0,9}\r\n){0,3}(--X--)?";
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..300),
        "((date|path|referer|id)=([0-9TZW:.,+-]{0,40}|(%[0-9a-fA-F]{2}|.){0,9})&?){0,5}"
            .prop_map(String::into_bytes),
        json.prop_map(String::into_bytes),
        part.prop_map(String::into_bytes),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn no_body_panics_and_what_is_accepted_is_valid(
        format in any_format(),
        body in any_body(),
        header in proptest::option::of(proptest::collection::vec(any::<u8>(), 0..20)),
    ) {
        if let Ok(fields) = intake().log(&format, &Bytes::from(body), header.as_deref()) {
            let path = fields.path.into_string();
            let again = PagePath::new(path.trim()).map(PagePath::into_string);
            prop_assert_eq!(again, Ok(path));
            prop_assert!(Referer::new(fields.referer.as_str(), REFERER_CHARACTERS_MAX).is_ok());
            prop_assert_eq!(EventDate::from_micros(fields.date.micros()), Some(fields.date));
        }
    }

    #[test]
    fn no_content_type_panics(value in proptest::collection::vec(any::<u8>(), 0..60), text in "[a-z/;=\"\\\\ ]{0,40}") {
        prop_assert!(BodyFormat::from_content_type(Some(&value)).is_none());
        let multipart = format!("multipart/form-data;{text}");
        let format = BodyFormat::from_content_type(Some(multipart.as_bytes()));
        let is_multipart = matches!(format, None | Some(BodyFormat::Multipart { .. }));
        prop_assert!(is_multipart);
    }

    #[test]
    fn no_date_panics(date in "[0-9TZW:.,+ -]{0,40}|.{0,20}|[0-9]{4}-[0-9]{2}-[0-9]{2}.[0-9:.,+Z-]{2,30}") {
        for time_zone in [Tz::UTC, Tz::Europe__Berlin, Tz::Pacific__Apia] {
            if let Ok(date) = DateField::new(time_zone).validate(&RawValue::from(date.as_str())) {
                prop_assert_eq!(EventDate::from_micros(date.micros()), Some(date));
            }
        }
    }

    #[test]
    fn no_error_echoes_input(marker in "[a-z]{8}Q[a-z]{8}", format in any_format()) {
        let bodies = [
            format!("date={marker}&id={marker}&path=%FF{marker}"),
            format!("date={marker}&id={marker}&{marker}"),
            format!(r#"{{"date": "{marker}", "id": "{marker}", "{marker}": 1}}"#),
            format!(r#"{{"date": {marker}}}"#),
            format!("--X\r\n{marker}"),
        ];
        for body in bodies {
            prop_assert!(!errors(log(&format, &body, None)).contains(&marker));
        }
    }
}
