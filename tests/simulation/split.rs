//! `djaffar ingest` and `djaffar writer` around a broker: each process dies and starts again by itself.

use std::pin::pin;

use shared::lifecycle::Shutdown;

use crate::broker::Broker;
use crate::clients::Entrance;
use crate::database::Database;
use crate::parts::{
    End, RunningIngest, RunningWriter, STOP_TIME_MAX, UNPROMISED_FRAMES, start_ingest, start_writer,
    stop_in_order,
};
use crate::trace::Event;
use crate::window::Window;
use crate::world::{Life, Lives, World};

pub(crate) const INGESTS: [&str; 2] = ["ingest 1", "ingest 2"];
pub(crate) const WRITERS: [&str; 2] = ["writer 1", "writer 2"];

/// One process.
pub(crate) struct Split {
    pub(crate) name: &'static str,
    pub(crate) world: World,
    pub(crate) broker: Broker,
    pub(crate) finish: Shutdown,
}

impl Split {
    /// # Errors
    /// Something has happened that must not.
    pub(crate) async fn run_ingest(self, entrance: Entrance) -> Result<(), String> {
        let mut lives = Lives::of(&self.world, self.name);
        loop {
            let life = lives.begin();
            let end = self.live_as_ingest(&life, &entrance).await?;
            life.end(end.cause());
            if end == End::StoppedForGood {
                return Ok(());
            }
            lives.pause().await;
        }
    }

    async fn live_as_ingest(&self, life: &Life, entrance: &Entrance) -> Result<End, String> {
        let RunningIngest { assembler, stop } =
            start_ingest(&self.world, life, entrance, self.broker.clone());
        let mut assembling = pin!(assembler.join());
        let end = tokio::select! {
            biased;
            ended = &mut assembling => return Err(format!("the assembler has ended: {ended:?}")),
            end = self.end(life) => end,
        };
        entrance.open(None);
        if end != End::Died {
            stop.request();
            let stopping = tokio::time::timeout(UNPROMISED_FRAMES, assembling);
            if let Ok(Err(panic)) = stopping.await {
                return Err(format!("the assembler has died: {panic}"));
            }
        }
        Ok(end)
    }

    /// # Errors
    /// Something has happened that must not.
    pub(crate) async fn run_writer(self, database: Database, window: Window) -> Result<(), String> {
        let mut lives = Lives::of(&self.world, self.name);
        loop {
            let life = lives.begin();
            let end = self.live_as_writer(&life, &database, &window).await?;
            life.end(end.cause());
            if end == End::StoppedForGood {
                return Ok(());
            }
            lives.pause().await;
        }
    }

    async fn live_as_writer(&self, life: &Life, database: &Database, window: &Window) -> Result<End, String> {
        let broker = self.broker.clone();
        let writer = start_writer(&self.world, life, database, broker.clone(), broker.clone());
        window.open(self.name, broker, &writer.readiness, life);
        let RunningWriter { writer, stop, .. } = writer;
        let mut writing = pin!(writer.join());
        let end = tokio::select! {
            biased;
            ended = &mut writing => return Err(format!("the writer has ended unasked: {ended:?}")),
            end = self.end(life) => end,
        };
        if end == End::Died {
            return Ok(end);
        }
        stop.request();
        tokio::select! {
            biased;
            () = life.over() => Ok(End::Died),
            stopped = &mut writing => match stopped {
                Ok(Ok(())) => Ok(end),
                stopped => Err(format!("the writer does not stop well: {stopped:?}")),
            },
            () = tokio::time::sleep(STOP_TIME_MAX) => Err("it does not stop".to_owned()),
        }
    }

    pub(crate) async fn end(&self, life: &Life) -> End {
        let end = tokio::select! {
            biased;
            () = life.over() => return End::Died,
            () = stop_in_order(&self.world) => End::Stopped,
            () = self.finish.requested() => End::StoppedForGood,
        };
        self.world.tell(&Event::Stops { process: self.name });
        end
    }
}
