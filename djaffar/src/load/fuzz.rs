//! Files that somebody has edited, and every dump of ours.

use std::io::{BufReader, Cursor};

use bytes::Bytes;
use chrono::DateTime;
use proptest::prelude::*;
use shared::event::{
    Activity, ClientAddress, EventDate, EventId, PagePath, Referer, SessionId, UserAgent, UserId,
};
use shared::fuzz::{Target, mutated, one_of};
use shared::store::SessionInfo;
use uuid::Uuid;

use super::record::{Item, Reader, Record};
use super::source::Records;
use super::*;
use crate::dump::DumpFormat;
use crate::dump::fuzz::{FORMATS, print_activities, print_session_infos, text};

const REFERER_MAX: usize = 2048;
const WORDS: &[&str] = &[
    "{",
    "}",
    "[",
    "]",
    ":",
    ",",
    "\"",
    "\\",
    "\n",
    "\r\n",
    "\"\"",
    "null",
    "true",
    "-7",
    "1e9",
    "99999999999999999999",
    "\\ud800",
    "\\u0000",
    "\"model\": \"djaffar.activity\"",
    "\"model\": \"auth.user\"",
    "\"pk\": 7",
    "\"fields\": {",
    "\"date\": \"2016-12-29T07:35:22.000Z\"",
    "\"path\": \"\"",
    "\"user\": [\"a\"]",
    "\"session\"",
    "\"user_agent\"",
    "user_agent",
    "id,",
    "session,",
    "\u{feff}",
    "\u{e9}",
];

fn reader() -> Reader {
    Reader { time_zone: Tz::UTC, referer_max: REFERER_MAX, now: DateTime::UNIX_EPOCH }
}

/// Line, and the record or what is wrong with it.
type Found = Vec<(u64, Result<Record, String>)>;

fn read(bytes: &[u8], buffer_bytes: usize, format: Option<LoadFormat>) -> Found {
    let input = BufReader::with_capacity(buffer_bytes, Cursor::new(bytes.to_vec()));
    let mut records = Records::new(Box::new(input), format, reader()).expect("memory can be read");
    std::iter::from_fn(|| records.next()).map(|Item { line, record, .. }| (line, record)).collect()
}

fn load_format(format: DumpFormat) -> LoadFormat {
    match format {
        DumpFormat::Django { .. } => LoadFormat::Django,
        DumpFormat::Ndjson => LoadFormat::Ndjson,
        DumpFormat::Csv => LoadFormat::Csv,
    }
}

fn date() -> impl Strategy<Value = EventDate> {
    let micros = prop_oneof![
        -62_135_596_800_000_000_i64..=253_402_300_799_999_999,
        0_i64..5_000,
        Just(253_402_300_799_999_999)
    ];
    micros.prop_map(|micros| EventDate::from_micros(micros).expect("in range"))
}

fn activity() -> impl Strategy<Value = Activity> {
    let keys = (
        proptest::option::of(text(1..20)),
        proptest::option::of(text(1..20)),
        any::<Option<std::net::IpAddr>>(),
    );
    (any::<u128>(), (date(), date()), keys, text(1..30), text(0..30)).prop_map(
        |(id, (date, received_at), (session, user, address), path, referer)| Activity {
            id: EventId(Uuid::from_u128(id)),
            date,
            received_at,
            session_id: session.map(|text| SessionId::new(text).expect("valid")),
            user_id: user.map(|text| UserId::new(text).expect("valid")),
            ip_address: address.map(ClientAddress::new),
            path: PagePath::new(path).expect("valid"),
            referer: Referer::new(referer, REFERER_MAX).expect("valid"),
            user_agent: UserAgent::default(),
        },
    )
}

fn session_info() -> impl Strategy<Value = SessionInfo> {
    (text(1..20), text(0..40), date()).prop_map(|(session, agent, first_seen)| SessionInfo {
        session_id: SessionId::new(session).expect("valid"),
        user_agent: UserAgent::new(agent),
        first_seen: first_seen.instant(),
    })
}

/// As the format keeps it: a fixture has no time of receipt and cuts dates to milliseconds.
fn kept(format: DumpFormat, activity: &Activity) -> Activity {
    let DumpFormat::Django { .. } = format else { return activity.clone() };
    let micros = activity.date.micros();
    let cut = micros - micros.rem_euclid(1000);
    // `.000` stands for microseconds that were cut.
    let marked = if micros != cut && cut.rem_euclid(1_000_000) == 0 { cut + 1 } else { cut };
    let date = EventDate::from_micros(marked).expect("in range");
    Activity { date, received_at: date, ..activity.clone() }
}

#[test]
fn fuzz_every_dump_can_be_loaded() {
    let rows = (
        proptest::collection::vec(activity(), 0..6),
        proptest::collection::vec(session_info(), 0..6),
        1_usize..300,
    );
    Target::new("dumps", file!()).cases(50).run(rows, |(activities, infos, buffer_bytes)| {
        for format in FORMATS {
            let printed = print_activities(format, &activities);
            let found = read(&printed, buffer_bytes, Some(load_format(format)));
            let found: Vec<_> = found.into_iter().map(|(_, record)| record).collect();
            let expected: Vec<_> = activities
                .iter()
                .map(|activity| Ok(Record::Activity(Box::new(kept(format, activity)))))
                .collect();
            prop_assert_eq!(found, expected, "{}", String::from_utf8_lossy(&printed));
            // A dump of what was loaded is the same dump.
            let again: Vec<_> = activities.iter().map(|activity| kept(format, activity)).collect();
            prop_assert_eq!(Bytes::from(print_activities(format, &again)), Bytes::from(printed));

            let printed = print_session_infos(format, &infos);
            let found = read(&printed, buffer_bytes, Some(load_format(format)));
            let expected: Vec<_> = infos
                .iter()
                .map(|info| {
                    let first_seen = match format {
                        DumpFormat::Django { .. } => DateTime::UNIX_EPOCH,
                        DumpFormat::Ndjson | DumpFormat::Csv => info.first_seen,
                    };
                    Ok(Record::SessionInfo(SessionInfo { first_seen, ..info.clone() }))
                })
                .collect();
            prop_assert_eq!(found.into_iter().map(|(_, record)| record).collect::<Vec<_>>(), expected);
        }
        Ok(())
    });
}

/// Whatever the file holds: each record is one that could be stored, or has a reason that fits on a line and
/// repeats nothing, and how the bytes arrive makes no difference.
#[test]
fn fuzz_an_edited_file_yields_rows_and_reasons() {
    let corpus = one_of(&[
        r#"[{"model": "djaffar.activity", "pk": 7, "fields": {"user": 3, "session": "s", "ip_address": "", "date": "2016-12-29T07:35:22.571", "path": "p", "referer": ""}}, {"model": "djaffar.sessioninfo", "pk": "s", "fields": {"user_agent": "a"}}]"#,
    ]);
    let printed = (proptest::collection::vec(activity(), 0..4), proptest::sample::select(&FORMATS[..]))
        .prop_map(|(activities, format)| print_activities(format, &activities));
    let files =
        mutated(prop_oneof![3 => printed.boxed(), 1 => corpus.prop_map(String::into_bytes).boxed()], WORDS);
    let formats = proptest::sample::select(
        &[None, Some(LoadFormat::Django), Some(LoadFormat::Ndjson), Some(LoadFormat::Csv)][..],
    );
    Target::new("edited_files", file!()).run(
        (files, formats, 1_usize..200),
        |(file, format, buffer_bytes)| {
            let found = read(&file, buffer_bytes, format);
            prop_assert_eq!(&read(&file, 1 << 16, format), &found);
            let lines = file.iter().filter(|byte| **byte == b'\n' || **byte == b'\r').count() as u64 + 1;
            for (line, record) in &found {
                prop_assert!((1..=lines).contains(line), "line {line} of {lines}");
                match record {
                    Ok(Record::Activity(activity)) => {
                        let texts = [activity.path.as_str(), activity.referer.as_str()];
                        prop_assert!(
                            texts.iter().all(|text| !text.contains('\0'))
                                && !activity.path.as_str().is_empty()
                        );
                        prop_assert_eq!(EventDate::new(activity.date.instant()), Some(activity.date));
                        // It is loaded again from its own dump as the same row, with the id that it was given.
                        let printed = print_activities(DumpFormat::Ndjson, std::slice::from_ref(activity));
                        let again = read(&printed, 1 << 16, Some(LoadFormat::Ndjson));
                        prop_assert_eq!(again, vec![(1, Ok(Record::Activity(activity.clone())))]);
                    }
                    Ok(Record::SessionInfo(info)) => prop_assert!(!info.session_id.as_str().contains('\0')),
                    Ok(Record::OtherModel) => {}
                    Err(reason) => {
                        prop_assert!(!reason.contains(char::is_control) && reason.len() < 400, "{}", reason);
                    }
                }
            }
            Ok(())
        },
    );
}

/// On lines of their own, good records are read whatever stands between them.
#[test]
fn fuzz_a_bad_record_spoils_no_other() {
    let rows =
        (activity(), mutated(activity().prop_map(|one| print_activities(DumpFormat::Ndjson, &[one])), WORDS));
    Target::new("neighbours", file!()).run(rows, |(activity, spoilt)| {
        let good = print_activities(DumpFormat::Ndjson, std::slice::from_ref(&activity));
        let file = [&good[..], &spoilt, b"\n", &good].concat();
        let found = read(&file, 100, Some(LoadFormat::Ndjson));
        let expected = || Ok(Record::Activity(Box::new(activity.clone())));
        let begun = good.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        prop_assert_eq!(found.first(), Some(&(1, expected())));
        let last = begun + spoilt.iter().filter(|byte| **byte == b'\n').count() as u64 + 1;
        prop_assert_eq!(found.last(), Some(&(last, expected())));
        Ok(())
    });
}
