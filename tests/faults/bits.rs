//! Bits that flip on the disk (row 29): an alarm, and never wrong data.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use djaffar_tests::checker::judge;
use djaffar_tests::client::Load;
use djaffar_tests::database::Database;
use djaffar_tests::pipeline::Pipeline;
use djaffar_tests::process::{Djaffar, djaffar};
use djaffar_tests::rounds::{Dice, fault_rounds};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{Connection as _, SqliteConnection};

use crate::conclude_serve;

/// Files in the directory and below it with this extension.
fn files(directory: &Path, extension: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).expect("the directory can be read");
    let below = entries.flat_map(|entry| {
        let path = entry.expect("the directory can be read").path();
        if path.is_dir() { files(&path, extension) } else { vec![path] }
    });
    below.filter(|path| path.extension().is_some_and(|found| found == extension)).collect()
}

/// Flips one bit among the bytes that hold frames: where `needle` is found.
fn flip(path: &Path, needle: &[u8], dice: &mut Dice) {
    let mut bytes = fs::read(path).expect("the file can be read");
    let places: Vec<usize> =
        (0..bytes.len() - needle.len()).filter(|start| bytes[*start..].starts_with(needle)).collect();
    let place = places[dice.index(places.len())] + dice.index(needle.len());
    bytes[place] ^= 1 << dice.index(8);
    fs::write(path, bytes).expect("the file can be written");
}

#[tokio::test]
async fn a_flipped_bit_in_the_embedded_queue_stops_the_start() {
    let test = "a_flipped_bit_in_the_embedded_queue_stops_the_start";
    let (mut dice, rounds) = (Dice::of(test), fault_rounds(4));
    let mut serve = Djaffar::serve();
    serve.start_ready().await;
    let Database::Sqlite(path) = Database::of_serve(&serve.data_directory()) else { unreachable!() };
    let options = SqliteConnectOptions::new().filename(&path);
    let mut blocker = SqliteConnection::connect_with(&options).await.expect("the database can be opened");
    sqlx::query("begin immediate").execute(&mut blocker).await.expect("the writer is locked out");
    let load = Load::start(&[serve.listen()], 8);
    load.progress(300).await;
    let journal = load.finish().await;
    serve.kill();
    sqlx::query("rollback").execute(&mut blocker).await.expect("the lock is released");
    let log = files(Path::new(&serve.data_directory()), "log").pop().expect("a segment");
    let whole = fs::read(&log).expect("the segment can be read");
    for _ in 0..rounds {
        flip(&log, b"/browser/", &mut dice);
        serve.start();
        let status = serve.ended(Duration::from_secs(30)).await;
        assert_eq!(status.code(), Some(2), "{}", serve.log());
        let name = log.file_name().and_then(|name| name.to_str()).expect("a name");
        assert!(serve.log().contains("damaged") && serve.log().contains(name), "{}", serve.log());
        fs::write(&log, &whole).expect("the file is restored");
    }
    serve.start_ready().await;
    conclude_serve(test, rounds, &serve, &journal).await;
}

/// The broker's own check drops what has changed, which no client can mend. It is seen, by
/// `djaffar status`, and no wrong row comes of it.
#[tokio::test]
async fn a_flipped_bit_in_the_broker_makes_no_wrong_row_and_shows_in_the_accounts() {
    let test = "a_flipped_bit_in_the_broker_makes_no_wrong_row_and_shows_in_the_accounts";
    let mut dice = Dice::of(test);
    let mut pipeline = Pipeline::new().single();
    pipeline.nats.start_ready().await;
    pipeline.ingests[0].start_ready().await;
    let load = pipeline.load(8);
    load.progress(300).await;
    let journal = load.finish().await;
    pipeline.nats.kill();
    let block = files(&pipeline.nats.store(), "blk")
        .into_iter()
        .find(|path| fs::read(path).is_ok_and(|bytes| bytes.windows(9).any(|window| window == b"/browser/")));
    flip(&block.expect("a block with frames"), b"/browser/", &mut dice);
    pipeline.nats.start_ready().await;
    pipeline.postgres.restart().await;
    pipeline.writers[0].start_ready().await;
    let verdict = judge(&journal, &pipeline.database(), &pipeline.queue()).await;
    println!("{test}: {:?}", verdict.figures);
    // Missing or a dead letter, but never changed, alien or doubled.
    let figures = verdict.figures;
    assert!(figures.lost > 0 && figures.doubled == 0, "{verdict:?}");
    let rows = journal.breaches(&pipeline.database().activities().await);
    assert_eq!(rows.len(), figures.lost, "{rows:?}");
    let status = djaffar([
        "status",
        "--queue",
        &pipeline.nats.url(),
        "--database",
        &pipeline.postgres.first_database(),
        "--admin",
        &format!("{},{}", pipeline.ingests[0].admin_url(""), pipeline.writers[0].admin_url("")),
    ]);
    let printed = String::from_utf8_lossy(&status.stdout).into_owned();
    assert!(figures.dead > 0 || status.status.code() == Some(1), "{}: {printed}", status.status);
}
