//! The checker is worth nothing before it has failed: pipelines that are broken on purpose.

use djaffar_tests::binary;
use djaffar_tests::checker::{Verdict, judge};
use djaffar_tests::client::{Load, exchange, log_request};
use djaffar_tests::database::Database;
use djaffar_tests::pipeline::Pipeline;
use djaffar_tests::process::Djaffar;
use memchr::memmem;

use crate::judge_serve;

async fn small() -> Pipeline {
    Pipeline::new().single().with_failpoints().started().await
}

async fn verdict(pipeline: &Pipeline, load: Load) -> Verdict {
    let journal = load.finish().await;
    judge(&journal, &pipeline.database(), &pipeline.queue()).await
}

#[tokio::test]
async fn an_ack_before_the_commit_is_seen_as_a_loss() {
    let mut pipeline = small().await;
    let load = pipeline.load(8);
    load.progress(100).await;
    pipeline.writers[0].arm("ack_first", "");
    // Several times: acks of a killed process may not have left it.
    for _ in 0..3 {
        load.progress(100).await;
        pipeline.writers[0].die_at("before_commit").await;
    }
    let verdict = verdict(&pipeline, load).await;
    assert!(verdict.figures.lost > 0 && verdict.figures.doubled == 0, "{verdict:?}");
}

#[tokio::test]
async fn a_dropped_frame_is_seen_as_a_loss() {
    let pipeline = small().await;
    let load = pipeline.load(8);
    load.progress(100).await;
    pipeline.ingests[0].arm("drop_frame", "");
    load.progress(10).await;
    pipeline.ingests[0].disarm("drop_frame");
    load.progress(100).await;
    let verdict = verdict(&pipeline, load).await;
    assert!(verdict.figures.lost > 0 && verdict.figures.doubled == 0, "{verdict:?}");
}

/// The primary key is what absorbs a doubled frame: with it the promise is kept, without it the checker objects.
#[tokio::test]
async fn a_doubled_frame_is_absorbed_and_without_the_key_it_is_seen() {
    let pipeline = small().await;
    pipeline.ingests[0].arm("double_frame", "");
    let load = pipeline.load(8);
    load.progress(100).await;
    let journal = load.finish().await;
    let figures = pipeline.assert_exact(&journal).await;
    assert!(figures.duplicate > 0, "{figures:?}");

    pipeline
        .database()
        .sql("truncate activity, accounting; alter table activity drop constraint activity_pkey")
        .await;
    pipeline.ingests[0].disarm("double_frame");
    let load = pipeline.load(8);
    load.progress(100).await;
    let journal = load.finish().await;
    pipeline.assert_exact(&journal).await;
    // A writer drops doubles within its batch: only later ones need the key.
    for sent in journal.sent.iter().take(10) {
        let request = log_request(sent.id, sent.date, &sent.path, None);
        exchange(pipeline.ingests[0].listen(), &request).await.expect("an answer");
    }
    let verdict = judge(&journal, &pipeline.database(), &pipeline.queue()).await;
    assert!(verdict.figures.doubled > 0 && verdict.figures.lost == 0, "{verdict:?}");
}

#[tokio::test]
async fn whatever_else_is_wrong_in_the_database_is_seen() {
    let mut serve = Djaffar::serve();
    serve.start_ready().await;
    let load = Load::start(&[serve.listen()], 8);
    load.progress(100).await;
    let journal = load.finish().await;
    judge_serve(&serve, &journal).await.assert_kept();
    let database = Database::of_serve(&serve.data_directory());
    let cases = [
        ("never sent", "insert into activity (id, date, received_at, path, referer)
                        values ('00000000000000000000000000000001', '2026-01-01 00:00:00', '2026-01-01 00:00:00', 'x', '')",
                       "delete from activity where id = '00000000000000000000000000000001'"),
        ("has changed", "update activity set path = path || 'x'", "update activity set path = substr(path, 1, length(path) - 1)"),
        ("wrong session", "update activity set session_id = 'x' || session_id", "update activity set session_id = substr(session_id, 2)"),
                (
            "has no session info",
            "update session_info set session_id = 'x' || session_id",
            "update session_info set session_id = substr(session_id, 2)",
        ),
("accounts do not close", "update accounting set delivered = delivered + 1", "update accounting set delivered = delivered - 1"),
        ("accounted for", "update accounting set stored = stored - 1, duplicate = duplicate + 1", "update accounting set stored = stored + 1, duplicate = duplicate - 1"),
        ("1 dead letters", "insert into dead_letter (bytes, reason, position, first_seen) values (x'00', 'x', 0, '2026-01-01 00:00:00')", "delete from dead_letter"),
        ("is not stored", "delete from activity", ""),
    ];
    for (words, break_it, mend_it) in cases {
        database.sql(break_it).await;
        let verdict = judge_serve(&serve, &journal).await;
        assert!(verdict.breaches.iter().any(|breach| breach.contains(words)), "{words}: {verdict:?}");
        database.sql(mend_it).await;
    }
}

#[test]
fn the_shipped_build_has_no_failpoints() {
    let names = [
        "FAILPOINTS",
        "before_publish",
        "before_sync",
        "before_answer",
        "mid_copy",
        "before_commit",
        "before_ack",
        "ack_first",
        "drop_frame",
        "double_frame",
    ];
    let [with, without] = ["djaffar-failpoints", "djaffar"]
        .map(|build| std::fs::read(binary(build)).expect("the build can be read"));
    let holds = |program: &[u8], name: &str| memmem::find(program, name.as_bytes()).is_some();
    for name in names {
        assert!(holds(&with, name), "{name} is a failpoint");
        assert!(!holds(&without, name), "{name} is in the shipped build");
    }
}
