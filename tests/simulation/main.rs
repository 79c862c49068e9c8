//! The core of Djaffar under a simulation in which one number decides everything.
//!
//! Clients, the real assembler, the real embedded queue on a disk that loses what was not synced, and
//! the real writer on a store in memory run in one thread, on tokio's paused clock. A seed says which
//! processes there are ([`serve`], [`split`] around a broker, [`spooled`]), what fails and when: they
//! die at any operation and start again, answers are lost, COMMITs arrive unheard or late, deliveries
//! come twice and out of order. Then nothing fails any more, the queues drain, and [`checker`] compares
//! what was answered with what is stored.
//!
//! Left to the tests with real threads and servers: what happens within one group commit of the embedded
//! queue, the JetStream adapter, and SQL.
//!
//! ```text
//! SIMULATION_SEEDS=1000000 tests/run simulation nothing_is_lost   # more than CI runs
//! SIMULATION_SEED=42 tests/run simulation replays_one_seed --nocapture
//! ```

mod broker;
mod checker;
mod clients;
mod database;
mod deliveries;
mod disk;
mod faults;
mod parts;
mod run;
mod sabotage;
mod seeds;
mod serve;
mod split;
mod spooled;
mod trace;
mod window;
mod world;

use std::time::Instant;

use run::run;
use sabotage::Sabotage;
use seeds::{first_failing, report, setting};
use trace::Record;

const SEEDS: u64 = 10_000;
/// A defect of the worst kind shows within so many seeds.
const SABOTAGED_SEEDS: u64 = 100;

#[test]
fn nothing_is_lost_or_doubled_whatever_fails() {
    let began = Instant::now();
    let (total, failing) = first_failing(setting("SIMULATION_SEEDS").unwrap_or(SEEDS), None);
    println!("{total:?} in {:?}", began.elapsed());
    if let Some((seed, ran)) = failing {
        report(seed, &ran.broken.unwrap_or_default());
    }
}

#[test]
fn replays_one_seed() {
    let Some(seed) = setting("SIMULATION_SEED") else { return };
    let ran = run(seed, None, Record::Lines);
    for line in &ran.lines {
        println!("{line}");
    }
    assert_eq!(ran.broken, None, "seed {seed}");
}

#[test]
fn a_seed_always_leads_to_the_same_trace() {
    // Each thread has its own keys for its hash maps: whatever depended on them would show.
    let digests = || (0..100).map(|seed| run(seed, None, Record::Digest).digest).collect::<Vec<_>>();
    let there = std::thread::spawn(digests).join().expect("no panic");
    assert_eq!(digests(), there);
}

fn shows(sabotage: Sabotage) {
    let (_, failing) = first_failing(SABOTAGED_SEEDS, Some(sabotage));
    let (seed, ran) = failing.unwrap_or_else(|| panic!("{sabotage:?} is not noticed"));
    println!("seed {seed}: {}", ran.broken.unwrap_or_default());
}

#[test]
fn an_ack_before_commit_is_noticed() {
    shows(Sabotage::AckBeforeCommit);
}

#[test]
fn an_answer_before_the_sync_is_noticed() {
    shows(Sabotage::AnswerBeforeSync);
}

#[test]
fn a_recovery_that_drops_the_last_record_is_noticed() {
    shows(Sabotage::RecoveryDropsTheLastRecord);
}

#[test]
fn a_store_that_does_not_roll_back_is_noticed() {
    shows(Sabotage::StoreWithoutRollback);
}

#[test]
fn a_batch_that_forgets_a_frame_is_noticed() {
    shows(Sabotage::BatchForgetsAFrame);
}

#[test]
fn an_outage_that_becomes_dead_letters_is_noticed() {
    shows(Sabotage::OutageTakenForPoison);
}
