//! As many kills of every process as fit into `$FAULT_MINUTES`; a few rounds without it.

use std::env;
use std::time::Duration;

use djaffar_tests::checker::{judge, report, retry_unclear};
use djaffar_tests::client::Load;
use djaffar_tests::database::Database;
use djaffar_tests::journal::Journal;
use djaffar_tests::pipeline::Pipeline;
use djaffar_tests::process::Djaffar;
use djaffar_tests::rounds::Dice;
use rustix::process::Signal;
use tokio::time::{Instant, sleep};

use crate::killed::{INGEST_PLACES, SERVE_PLACES, WRITER_PLACES, die_somewhere};
use crate::{PATIENCE, conclude_serve};

const BROWSERS: usize = 16;
const FEW: usize = 4;
/// Log requests, some of them batches: what journal and rows may take of the test's memory.
const ACCEPTED_MAX: u64 = 1_500_000;

/// When to end: after so many minutes, or after a few rounds.
struct Until {
    end: Option<Instant>,
    rounds: usize,
}

impl Until {
    /// The two run beside each other.
    fn asked_for() -> Self {
        let minutes = env::var("FAULT_MINUTES").ok().and_then(|minutes| minutes.parse::<f32>().ok());
        let end = minutes.map(|minutes| Instant::now() + Duration::from_secs_f32(minutes * 60.0));
        Self { end, rounds: 0 }
    }

    /// Counts one more round, if there is to be one.
    fn goes_on(&mut self, load: &Load) -> bool {
        let more = self.end.map_or(self.rounds < FEW, |end| Instant::now() < end);
        let goes_on = more && load.accepted() < ACCEPTED_MAX;
        self.rounds += usize::from(goes_on);
        goes_on
    }
}

#[tokio::test]
async fn long_run_of_serve() {
    let test = "long_run_of_serve";
    let mut dice = Dice::of(test);
    let mut serve = Djaffar::serve().with_failpoints();
    serve.start_ready().await;
    let load = Load::start(&[serve.listen()], BROWSERS);
    let mut until = Until::asked_for();
    while until.goes_on(&load) {
        load.progress(dice.number(1..500)).await;
        die_somewhere(&mut serve, &SERVE_PLACES, &mut dice).await;
    }
    load.progress(50).await;
    let journal = load.finish().await;
    conclude_serve(test, until.rounds, &serve, &journal).await;
}

#[derive(Clone, Copy, Debug)]
enum Victim {
    Ingest,
    Writer,
    Broker,
    Postgres,
    /// Frozen past its time to ack, now and then.
    FrozenWriter,
}

const VICTIMS: [Victim; 5] =
    [Victim::Ingest, Victim::Writer, Victim::Broker, Victim::Postgres, Victim::FrozenWriter];

async fn harm(pipeline: &mut Pipeline, victim: Victim, dice: &mut Dice) {
    let replica = dice.index(2);
    match victim {
        Victim::Ingest => die_somewhere(&mut pipeline.ingests[replica], &INGEST_PLACES, dice).await,
        Victim::Writer => die_somewhere(&mut pipeline.writers[replica], &WRITER_PLACES, dice).await,
        Victim::Broker => {
            pipeline.nats.kill();
            sleep(dice.millis(0..2000)).await;
            pipeline.nats.start_ready().await;
        }
        Victim::Postgres => {
            pipeline.postgres.kill();
            sleep(dice.millis(0..2000)).await;
            pipeline.postgres.restart().await;
        }
        Victim::FrozenWriter => {
            pipeline.writers[replica].signal(Signal::STOP);
            sleep(dice.millis(0..40_000) / 4).await;
            pipeline.writers[replica].signal(Signal::CONT);
        }
    }
}

#[tokio::test]
async fn long_run_of_the_split_pipeline() {
    let test = "long_run_of_the_split_pipeline";
    let mut dice = Dice::of(test);
    let mut pipeline = Pipeline::new().with_failpoints().started().await;
    let load = pipeline.load(BROWSERS);
    let mut until = Until::asked_for();
    let mut kills = [0; VICTIMS.len()];
    while until.goes_on(&load) {
        load.progress(dice.number(1..500)).await;
        let victim = dice.index(VICTIMS.len());
        kills[victim] += 1;
        harm(&mut pipeline, VICTIMS[victim], &mut dice).await;
    }
    load.progress(50).await;
    // Some clients never come back.
    pipeline.ingests[0].kill();
    let mut journal: Journal = load.give_up().await;
    pipeline.ingests[0].start_ready().await;
    let database: Database = pipeline.database();
    judge(&journal, &database, &pipeline.queue()).await.assert_kept();
    retry_unclear(&mut journal, pipeline.ingests[0].listen()).await;
    let figures = judge(&journal, &database, &pipeline.queue()).await.assert_kept();
    println!("{test}: {:?}", VICTIMS.iter().zip(kills).collect::<Vec<_>>());
    assert_eq!(figures.sent, figures.stored, "each exactly once after the retry");
    report(test, until.rounds, &figures);
    for process in pipeline.ingests.iter_mut().chain(&mut pipeline.writers) {
        assert!(process.stop(PATIENCE).await.success(), "{}", process.log());
    }
}
