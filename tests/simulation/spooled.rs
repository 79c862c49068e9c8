//! `djaffar ingest` with a spool before the broker: a disk of its own that outlives the process.

use std::pin::pin;
use std::time::Duration;

use shared::lifecycle::{Shutdown, spawn_owned};
use shared::queue::spool::{Reachability, SpooledQueue};
use shared::readiness::Readiness;

use crate::broker::Broker;
use crate::clients::Entrance;
use crate::disk::{Disk, OpenQueue};
use crate::parts::{End, RunningIngest, STOP_TIME_MAX, UNPROMISED_FRAMES, start_ingest};
use crate::split::Split;
use crate::window::Window;
use crate::world::{Life, Lives};

/// How long a stop goes on draining.
const FAREWELL: Duration = Duration::from_secs(1);
/// How soon a lost connection is noticed.
const NOTICED_MILLIS: std::ops::Range<u64> = 1..200;

impl Reachability for Broker {
    fn is_reachable(&self) -> bool {
        !self.world().broker_is_away()
    }

    async fn away(&self) {
        while self.is_reachable() {
            self.world().sleep(NOTICED_MILLIS).await;
        }
    }
}

impl Split {
    /// # Errors
    /// Something has happened that must not.
    pub(crate) async fn run_ingest_with_spool(
        self,
        entrance: Entrance,
        window: Window,
    ) -> Result<(), String> {
        let mut lives = Lives::of(&self.world, self.name);
        let mut disk = Disk::new(&self.world);
        loop {
            let life = lives.begin();
            let end = match disk.open(&life)? {
                Some(open) => self.live_with_spool(&life, open, &entrance, &window).await?,
                None => End::Died,
            };
            life.end(end.cause());
            entrance.open(None);
            window.close(self.name);
            match end {
                End::StoppedForGood => return Ok(()),
                End::Stopped => {}
                End::Died => disk.lose(),
            }
            lives.pause().await;
        }
    }

    async fn live_with_spool(
        &self,
        life: &Life,
        open: OpenQueue,
        entrance: &Entrance,
        window: &Window,
    ) -> Result<End, String> {
        let OpenQueue { queue, committing, _reading } = open;
        let readiness = Readiness::default();
        let spooled = SpooledQueue::new(self.broker.clone(), queue.clone(), readiness.condition("spool"));
        window.open(self.name, queue, &readiness, life);
        let (stop_draining, drained) = (Shutdown::new(), spooled.clone());
        let asked = stop_draining.clone();
        let draining = spawn_owned(async move { drained.drain(&asked, FAREWELL).await });
        let RunningIngest { assembler, stop } = start_ingest(&self.world, life, entrance, spooled);
        let (mut assembling, mut draining) = (pin!(assembler.join()), pin!(draining.join()));
        let mut committing = pin!(committing.join());
        let end = tokio::select! {
            biased;
            ended = &mut assembling => return Err(format!("the assembler has ended: {ended:?}")),
            ended = &mut draining => return match ended {
                // Its disk has failed.
                Ok(Err(_)) => Ok(End::Died),
                ended => Err(format!("the draining has ended unasked: {ended:?}")),
            },
            ended = &mut committing => return ended.map(|()| End::Died).map_err(|panic| panic.to_string()),
            end = self.end(life) => end,
        };
        if end == End::Died {
            return Ok(end);
        }
        let stopping = async {
            entrance.open(None);
            stop.request();
            if let Ok(Err(panic)) = tokio::time::timeout(UNPROMISED_FRAMES, &mut assembling).await {
                return Err(format!("the assembler has died: {panic}"));
            }
            stop_draining.request();
            let drained = (&mut draining).await.map_err(|panic| format!("the draining has died: {panic}"))?;
            window.close(self.name);
            if drained.is_err() {
                return Ok(End::Died);
            }
            (&mut committing).await.map_err(|panic| format!("the spool has died: {panic}"))?;
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
