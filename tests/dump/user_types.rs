//! `--user-type`: users as the keys of the site's user model.

use shared::event::{Activity, UserId};

use crate::database::{SqliteFile, dump};
use crate::rows;

async fn dumped(user: &str, arguments: &[&str]) -> String {
    let sample = rows::activities().remove(2);
    let user_id = Some(UserId::new(user).expect("a user id"));
    let file = SqliteFile::filled(&[Activity { user_id, ..sample }]).await;
    dump(&file.url(), ["activity"].iter().chain(arguments).copied())
}

#[tokio::test]
async fn users_are_numbers_uuids_or_texts() {
    let uuid = "0193a5c8000070008000000000ABCDEF";
    for (user, user_type, expected) in [
        ("42", "int", "\"user\": 42, "),
        ("42", "text", "\"user\": \"42\", "),
        (uuid, "uuid", "\"user\": \"0193a5c8-0000-7000-8000-000000abcdef\", "),
    ] {
        let printed = dumped(user, &["--user-type", user_type]).await;
        assert!(printed.contains(expected), "{printed}");
    }
    let line = dumped("42", &["--format", "ndjson", "--user-type", "int"]).await;
    assert!(line.contains("\"user\":42,"), "{line}");
    let table = dumped("42", &["--format", "csv", "--user-type", "int"]).await;
    assert!(table.contains(",42,"), "{table}");
}
