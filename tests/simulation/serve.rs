//! `djaffar serve` in one process: assembler, embedded queue and writer, killed and started again.

use std::pin::pin;

use shared::lifecycle::Shutdown;

use crate::clients::Entrance;
use crate::database::Database;
use crate::disk::{Disk, OpenQueue};
use crate::parts::{
    End, RunningIngest, RunningWriter, STOP_TIME_MAX, UNPROMISED_FRAMES, start_ingest, start_writer,
    stop_in_order,
};
use crate::trace::Event;
use crate::window::Window;
use crate::world::{Life, Lives, World};

const NAME: &str = "serve";

pub(crate) struct Serve {
    pub(crate) world: World,
    pub(crate) database: Database,
    pub(crate) entrance: Entrance,
    pub(crate) window: Window,
    pub(crate) finish: Shutdown,
}

impl Serve {
    /// Lives and dies as the seed says, until it is stopped for good.
    ///
    /// # Errors
    /// Something has happened that must not.
    pub(crate) async fn run(self) -> Result<(), String> {
        let mut lives = Lives::of(&self.world, NAME);
        let mut disk = Disk::new(&self.world);
        loop {
            let life = lives.begin();
            let end = match disk.open(&life)? {
                Some(open) => self.live(&life, open).await?,
                None => End::Died,
            };
            life.end(end.cause());
            self.entrance.open(None);
            self.window.close(NAME);
            match end {
                End::StoppedForGood => return Ok(()),
                End::Stopped => {}
                End::Died => disk.lose(),
            }
            lives.pause().await;
        }
    }

    async fn live(&self, life: &Life, open: OpenQueue) -> Result<End, String> {
        let OpenQueue { queue, committing, _reading } = open;
        let ingest = start_ingest(&self.world, life, &self.entrance, queue.clone());
        let writer = start_writer(&self.world, life, &self.database, queue.consumer(), queue.clone());
        self.window.open(NAME, queue.clone(), &writer.readiness, life);
        let RunningIngest { assembler, stop: stop_ingest } = ingest;
        let RunningWriter { writer, stop: stop_writer, .. } = writer;
        let (mut assembling, mut writing) = (pin!(assembler.join()), pin!(writer.join()));
        let mut committing = pin!(committing.join());
        let end = tokio::select! {
            biased;
            () = life.over() => return Ok(End::Died),
            ended = &mut writing => return match ended {
                // Its disk has failed.
                Ok(Err(_)) => Ok(End::Died),
                Ok(Ok(())) => Err("the writer has ended unasked".to_owned()),
                Err(panic) => Err(format!("the writer has died: {panic}")),
            },
            ended = &mut assembling => return Err(format!("the assembler has ended: {ended:?}")),
            ended = &mut committing => return ended.map(|()| End::Died).map_err(|panic| panic.to_string()),
            () = stop_in_order(&self.world) => End::Stopped,
            () = self.finish.requested() => End::StoppedForGood,
        };
        self.world.tell(&Event::Stops { process: NAME });
        let stopping = async {
            self.entrance.open(None);
            stop_ingest.request();
            if let Ok(ended) = tokio::time::timeout(UNPROMISED_FRAMES, &mut assembling).await {
                ended.map_err(|panic| format!("the assembler has died: {panic}"))?;
            }
            stop_writer.request();
            let stopped = (&mut writing).await.map_err(|panic| format!("the writer has died: {panic}"))?;
            self.window.close(NAME);
            drop(queue);
            if stopped.is_err() {
                return Ok(End::Died);
            }
            (&mut committing).await.map_err(|panic| format!("the queue has died: {panic}"))?;
            Ok(end)
        };
        tokio::select! {
            biased;
            () = life.over() => Ok(End::Died),
            stopped = stopping => stopped,
            () = tokio::time::sleep(STOP_TIME_MAX) => Err("it does not stop".to_owned()),
        }
    }
}
