//! One run: a seed, a world, and what must hold when it is over.

use std::slice;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures_util::StreamExt;
use futures_util::future::join_all;
use futures_util::stream::FuturesUnordered;
use ingest::budget::Budget;
use shared::lifecycle::{OwnedTask, Shutdown, spawn_owned};
use tokio::time::Instant;

use crate::broker::Broker;
use crate::checker;
use crate::clients::{Client, Entrance, Journal};
use crate::database::Database;
use crate::faults::{Fault, Topology};
use crate::sabotage::Sabotage;
use crate::serve::Serve;
use crate::split::{self, Split};
use crate::trace::Record;
use crate::window::Window;
use crate::world::World;

/// Longest time, of the simulated clock, for the clients to be served and for the queue to drain.
const TIME_MAX: Duration = Duration::from_secs(24 * 3600);

/// What a run came to.
#[derive(Clone, Debug, Default)]
pub(crate) struct Ran {
    /// Equal for equal runs.
    pub(crate) digest: u64,
    pub(crate) events: u64,
    pub(crate) activities: u64,
    /// What is broken.
    pub(crate) broken: Option<String>,
    pub(crate) lines: Vec<String>,
}

pub(crate) fn run(seed: u64, sabotage: Option<Sabotage>, record: Record) -> Ran {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .expect("a runtime without threads");
    runtime.block_on(async {
        let _simulated = shared::simulated::begin(seed, start());
        let world = World::new(seed, sabotage, record);
        let journal = Journal::default();
        let broken = live(&world, &journal).await.err();
        let mut trace = world.trace();
        Ran {
            digest: trace.digest(),
            events: trace.events(),
            activities: journal.entries().len() as u64,
            broken,
            lines: trace.take_lines(),
        }
    })
}

fn start() -> DateTime<Utc> {
    DateTime::from_timestamp(1_795_176_000, 0).expect("a date of our century")
}

async fn live(world: &World, journal: &Journal) -> Result<(), String> {
    let database = Database::new(world);
    let _weather = spawn_owned(world.clone().weather());
    let _clock = spawn_owned(jump(world.clone()));
    match world.plan().topology {
        Topology::Serve => serve(world, journal, &database).await?,
        Topology::Split | Topology::Spooled => split(world, journal, &database).await?,
    }
    if let Some(frame) = world.refused_and_delivered() {
        return Err(format!("frame {frame} was refused as the queue was full, and has come out of it"));
    }
    checker::check(journal, &database.tables)
}

async fn serve(world: &World, journal: &Journal, database: &Database) -> Result<(), String> {
    let (entrance, window, finish) = (Entrance::default(), Window::new(1), Shutdown::new());
    let clients = start_clients(world, journal, database, slice::from_ref(&entrance));
    let serve = Serve {
        world: world.clone(),
        database: database.clone(),
        entrance,
        window: window.clone(),
        finish: finish.clone(),
    };
    let course = async {
        served(clients).await?;
        world.calm();
        drained(database, &window).await?;
        // What is lost now is at most acks: all comes again, and nothing changes.
        window.all_lose_power();
        drained(database, &window).await?;
        finish.request();
        Ok(())
    };
    finished(course, vec![spawn_owned(serve.run())]).await
}

async fn split(world: &World, journal: &Journal, database: &Database) -> Result<(), String> {
    let has_spools = world.plan().topology == Topology::Spooled;
    let seen = split::WRITERS.len() + if has_spools { split::INGESTS.len() } else { 0 };
    let (broker, window, finish) = (Broker::new(world), Window::new(seen), Shutdown::new());
    let entrances = split::INGESTS.map(|_| Entrance::default());
    let clients = start_clients(world, journal, database, &entrances);
    let process = |name| Split { name, world: world.clone(), broker: broker.clone(), finish: finish.clone() };
    let mut processes: Vec<OwnedTask<Result<(), String>>> = Vec::new();
    for (name, entrance) in split::INGESTS.into_iter().zip(entrances) {
        processes.push(match has_spools {
            true => spawn_owned(process(name).run_ingest_with_spool(entrance, window.clone())),
            false => spawn_owned(process(name).run_ingest(entrance)),
        });
    }
    for name in split::WRITERS {
        processes.push(spawn_owned(process(name).run_writer(database.clone(), window.clone())));
    }
    let course = async {
        served(clients).await?;
        world.calm();
        broker.settle().await;
        drained(database, &window).await?;
        window.all_lose_power();
        drained(database, &window).await?;
        finish.request();
        Ok(())
    };
    finished(course, processes).await
}

/// Runs the course to its end and the processes to theirs, which must not come before.
async fn finished(
    course: impl Future<Output = Result<(), String>>,
    processes: Vec<OwnedTask<Result<(), String>>>,
) -> Result<(), String> {
    let mut running: FuturesUnordered<_> = processes.into_iter().map(OwnedTask::join).collect();
    tokio::select! {
        biased;
        Some(ended) = running.next() => {
            ended.map_err(|panic| panic.to_string())??;
            return Err("a process has stopped unasked".to_owned());
        }
        course = course => course?,
    }
    while let Some(ended) = running.next().await {
        ended.map_err(|panic| panic.to_string())??;
    }
    Ok(())
}

fn start_clients(
    world: &World,
    journal: &Journal,
    database: &Database,
    entrances: &[Entrance],
) -> Vec<OwnedTask<()>> {
    let clients = (0..world.plan().clients).map(|number| {
        let client = Client {
            number,
            world: world.clone(),
            journal: journal.clone(),
            entrances: entrances.to_vec(),
            budget: Budget::new(usize::MAX),
        };
        let requests = client.requests(|id| database.tables.poison(id));
        spawn_owned(client.run(requests))
    });
    clients.collect()
}

/// Waits until every client has heard what it wants to hear.
async fn served(clients: Vec<OwnedTask<()>>) -> Result<(), String> {
    let served = tokio::time::timeout(TIME_MAX, join_all(clients.into_iter().map(OwnedTask::join)));
    let served = served.await.map_err(|_| "the clients are not served in a day".to_owned())?;
    served.into_iter().try_for_each(|client| client.map_err(|panic| panic.to_string()))
}

/// Waits until everything that was promised is stored and everybody is content.
async fn drained(database: &Database, window: &Window) -> Result<(), String> {
    database.settle().await;
    let deadline = Instant::now() + TIME_MAX;
    while let Some(reason) = window.unfinished().await {
        if Instant::now() > deadline {
            return Err(format!("not drained in a day: {reason}"));
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
    }
    database.settle().await;
    Ok(())
}

async fn jump(world: World) {
    loop {
        world.sleep(1000..30_000).await;
        if world.strikes(Fault::ClockJumps) {
            let seconds = world.between(0..172_800);
            shared::simulated::jump(TimeDelta::seconds(seconds as i64 - 86_400));
        }
    }
}
