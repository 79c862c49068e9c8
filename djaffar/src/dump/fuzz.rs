//! What the formats print of any row: one line or one object, whatever stands in it. That it can be
//! read again is held by `load::fuzz`.

use proptest::prelude::*;
use shared::event::{Activity, SessionId, UserId};
use shared::fuzz::Target;
use shared::store::SessionInfo;
use writer::export::{ActivityRow, SessionInfoRow};

use super::{DumpFormat, DumpedTable, RowFormat, UserType, csv, django, ndjson};

pub(crate) const FORMATS: [DumpFormat; 5] = [
    DumpFormat::Django { indent: None },
    DumpFormat::Django { indent: Some(0) },
    DumpFormat::Django { indent: Some(3) },
    DumpFormat::Ndjson,
    DumpFormat::Csv,
];

fn print(
    format: DumpFormat,
    table: DumpedTable,
    rows: impl FnOnce(&mut dyn RowFormat, &mut Vec<u8>),
) -> Vec<u8> {
    let mut out = Vec::new();
    let user_type = UserType::Text;
    let mut format: Box<dyn RowFormat> = match format {
        DumpFormat::Django { indent } => Box::new(django::Fixture::new(table, indent, user_type)),
        DumpFormat::Ndjson => Box::new(ndjson::Lines { user_type }),
        DumpFormat::Csv => Box::new(csv::Table::new(table, user_type)),
    };
    rows(&mut *format, &mut out);
    format.end(&mut out);
    out
}

pub(crate) fn print_activities(format: DumpFormat, activities: &[Activity]) -> Vec<u8> {
    print(format, DumpedTable::Activity, |format, out| {
        for activity in activities {
            let address = activity.ip_address.map(|address| address.to_string());
            let row = ActivityRow {
                id: activity.id.0,
                date: activity.date.instant(),
                received_at: activity.received_at.instant(),
                session_id: activity.session_id.as_ref().map(SessionId::as_str),
                user_id: activity.user_id.as_ref().map(UserId::as_str),
                ip_address: address.as_deref(),
                path: activity.path.as_str(),
                referer: activity.referer.as_str(),
            };
            format.activity(&row, out).expect("texts are users");
        }
    })
}

pub(crate) fn print_session_infos(format: DumpFormat, infos: &[SessionInfo]) -> Vec<u8> {
    print(format, DumpedTable::SessionInfo, |format, out| {
        for info in infos {
            let row = SessionInfoRow {
                session_id: info.session_id.as_str(),
                user_agent: info.user_agent.as_str(),
                first_seen: info.first_seen,
            };
            format.session_info(&row, out);
        }
    })
}

/// Without U+0000, which no row holds; with what formats are made of.
pub(crate) fn text(characters: std::ops::Range<usize>) -> impl Strategy<Value = String> {
    let character = prop_oneof![
        proptest::sample::select(
            &['"', '\\', '\n', '\r', ',', ';', '\t', '=', '{', '}', '[', ']', ' ', '\u{1}', '\u{7f}'][..]
        ),
        proptest::sample::select(
            &['\u{85}', '\u{2028}', '\u{feff}', '\u{fffd}', 'é', '😀', '\u{10ffff}'][..]
        ),
        prop::char::range('!', '~'),
        any::<char>().prop_filter("no row holds it", |character| *character != '\0'),
    ];
    proptest::collection::vec(character, characters).prop_map(|characters| characters.into_iter().collect())
}

#[test]
fn fuzz_any_text_is_one_json_string_on_one_line() {
    Target::new("dump_json", file!()).run(text(0..60), |text| {
        let mut out = Vec::new();
        super::json::Value::Text(&text).write(&mut out);
        prop_assert!(!out.iter().any(|byte| *byte < 0x20));
        let read: String = serde_json::from_slice(&out).expect("a string");
        prop_assert_eq!(read, text);
        Ok(())
    });
}
