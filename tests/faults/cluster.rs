//! Three brokers, three replicas (row 24): leaders die, two of three restart, one goes deaf.

use djaffar_tests::checker::{Queue, judge, report};
use djaffar_tests::client::Load;
use djaffar_tests::database::Database;
use djaffar_tests::nats_cluster::NatsCluster;
use djaffar_tests::pipeline::SECRET_KEY;
use djaffar_tests::postgres::Postgres;
use djaffar_tests::process::Djaffar;
use djaffar_tests::rounds::{Dice, fault_rounds};
use djaffar_tests::wait_for;
use tokio::time::sleep;

use crate::PATIENCE;

/// What is declared first is dropped first.
struct Replicated {
    ingests: Vec<Djaffar>,
    writers: Vec<Djaffar>,
    cluster: NatsCluster,
    postgres: Postgres,
}

impl Replicated {
    async fn running() -> Self {
        let mut cluster = NatsCluster::new().await;
        let postgres = Postgres::start().await;
        cluster.start_ready().await;
        let (queue, database) = (cluster.url(), postgres.first_database());
        let ingest = || Djaffar::ingest(&queue, SECRET_KEY).with("--stream-replicas", 3);
        let writer = || Djaffar::writer(&queue, &database).with("--stream-replicas", 3);
        let (mut ingests, mut writers) = (vec![ingest(), ingest()], vec![writer(), writer()]);
        for process in ingests.iter_mut().chain(&mut writers) {
            process.start();
        }
        for process in ingests.iter_mut().chain(&mut writers) {
            process.wait_ready().await;
        }
        Self { ingests, writers, cluster, postgres }
    }

    fn load(&self) -> Load {
        let targets: Vec<_> = self.ingests.iter().map(Djaffar::listen).collect();
        Load::start(&targets, 16)
    }

    async fn leader(&self) -> usize {
        wait_for("a leader", PATIENCE, || self.cluster.leader()).await
    }

    async fn conclude(mut self, test: &str, rounds: usize, load: Load) {
        let journal = load.finish().await;
        let database = Database::Postgres(self.postgres.first_database());
        let figures = judge(&journal, &database, &Queue::JetStream(self.cluster.url())).await.assert_kept();
        report(test, rounds, &figures);
        for process in self.ingests.iter_mut().chain(&mut self.writers) {
            process.wait_ready().await;
        }
    }
}

#[tokio::test]
async fn a_leader_killed_under_load_loses_and_doubles_nothing() {
    let test = "a_leader_killed_under_load_loses_and_doubles_nothing";
    let (mut dice, rounds) = (Dice::of(test), fault_rounds(3));
    let mut it = Replicated::running().await;
    let load = it.load();
    for _ in 0..rounds {
        load.progress(dice.number(50..500)).await;
        let leader = it.leader().await;
        it.cluster.nodes[leader].kill();
        // Two of three are a quorum.
        load.progress(100).await;
        sleep(dice.millis(0..1000)).await;
        it.cluster.nodes[leader].start_ready().await;
    }
    load.progress(100).await;
    it.conclude(test, rounds, load).await;
}

#[tokio::test]
async fn two_of_three_brokers_restarted_lose_and_double_nothing() {
    let test = "two_of_three_brokers_restarted_lose_and_double_nothing";
    let (mut dice, rounds) = (Dice::of(test), fault_rounds(2));
    let mut it = Replicated::running().await;
    let load = it.load();
    for _ in 0..rounds {
        load.progress(dice.number(50..500)).await;
        let spared = dice.index(3);
        for node in (0..3).filter(|node| *node != spared) {
            it.cluster.nodes[node].kill();
        }
        sleep(dice.millis(0..2000)).await;
        for node in (0..3).filter(|node| *node != spared) {
            it.cluster.nodes[node].start();
        }
        load.progress(100).await;
    }
    it.conclude(test, rounds, load).await;
}

#[tokio::test]
async fn a_leader_that_hears_nobody_loses_and_doubles_nothing() {
    let test = "a_leader_that_hears_nobody_loses_and_doubles_nothing";
    let (mut dice, rounds) = (Dice::of(test), fault_rounds(2));
    let it = Replicated::running().await;
    let load = it.load();
    for _ in 0..rounds {
        load.progress(dice.number(50..500)).await;
        let leader = it.leader().await;
        it.cluster.deafen(leader);
        sleep(dice.millis(2000..8000)).await;
        it.cluster.heal(leader);
        load.progress(100).await;
    }
    it.conclude(test, rounds, load).await;
}
