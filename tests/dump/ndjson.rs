//! Lines of JSON: everything that a row holds, by date.

use serde_json::{Value, json};

use crate::database::{PostgresDatabase, SqliteFile, dump};
use crate::rows;

fn lines(database: &str, table: &str) -> String {
    dump(database, [table, "--format", "ndjson"])
}

#[tokio::test]
async fn a_line_holds_the_whole_row() {
    let activities = &rows::activities()[2..3];
    let file = SqliteFile::filled(activities).await;
    let activity = &activities[0];
    let line: Value = serde_json::from_str(&lines(&file.url(), "activity")).expect("one line");
    let expected = json!({
        "id": activity.id.0.to_string(),
        "date": "2016-12-29T07:35:22.571123Z",
        "received_at": "2016-12-29T07:35:22Z",
        "user": activity.user_id.as_ref().map(|id| id.as_str()),
        "session": activity.session_id.as_ref().map(|id| id.as_str()),
        "ip_address": activity.ip_address.map(|address| address.to_string()),
        "path": activity.path.as_str(),
        "referer": activity.referer.as_str(),
    });
    assert_eq!(line, expected);
    let line: Value = serde_json::from_str(&lines(&file.url(), "sessioninfo")).expect("one line");
    let expected = json!({
        "session": activity.session_id.as_ref().map(|id| id.as_str()),
        "user_agent": activity.user_agent.as_str(),
        "first_seen": "2016-12-29T07:35:22Z",
    });
    assert_eq!(line, expected);
}

#[tokio::test]
async fn lines_come_by_date_and_both_databases_agree() {
    let activities = rows::activities();
    let file = SqliteFile::filled(&activities).await;
    let postgres = PostgresDatabase::filled(&activities).await;
    let printed = lines(&file.url(), "activity");
    let ids: Vec<String> = printed.lines().map(id).collect();
    let batch = rows::batch(&activities);
    let expected: Vec<_> = batch.activities.iter().map(|stored| stored.activity.id.0.to_string()).collect();
    assert_eq!(ids, expected);
    assert_eq!(lines(&postgres.url, "activity"), printed);
    assert_eq!(lines(&postgres.url, "sessioninfo"), lines(&file.url(), "sessioninfo"));
    assert_eq!(lines(&SqliteFile::empty().await.url(), "activity"), "");
}

fn id(line: &str) -> String {
    let row: Value = serde_json::from_str(line).expect("a line of JSON");
    row["id"].as_str().expect("an id").to_owned()
}
