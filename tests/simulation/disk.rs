//! The disk of an embedded queue, what becomes of its operations, and the queue on it.

use std::io::ErrorKind;
use std::sync::{Arc, Mutex};

use shared::lifecycle::{OwnedTask, spawn_owned};
use shared::queue::QueueError;
use shared::queue::embedded::EmbeddedQueue;
use shared::queue::embedded::simulated::{
    self, Committer, Fate, Operation, Reader, SimulatedDisk, Step, Stepped, Verdict,
};

use crate::faults::{Draw, Fault};
use crate::sabotage::Sabotage;
use crate::trace::Event;
use crate::world::{Life, World, locked};

/// A disk from one life of its process to the next.
pub(crate) struct Disk {
    world: World,
    fate: DiskFate,
    disk: Arc<SimulatedDisk>,
}

/// A queue on its disk, and what its threads would do.
pub(crate) struct OpenQueue {
    pub(crate) queue: EmbeddedQueue,
    /// Ends when the queue is closed or its disk has failed.
    pub(crate) committing: OwnedTask<()>,
    pub(crate) _reading: OwnedTask<()>,
}

impl Disk {
    pub(crate) fn new(world: &World) -> Self {
        let fate = DiskFate { world: world.clone(), life: Arc::default() };
        let disk = Arc::new(SimulatedDisk::new(Arc::new(fate.clone())));
        Self { world: world.clone(), fate, disk }
    }

    /// `None` when the disk fails meanwhile.
    ///
    /// # Errors
    /// What was synced is not there any more.
    pub(crate) fn open(&self, life: &Life) -> Result<Option<OpenQueue>, String> {
        *locked(&self.fate.life) = Some(life.clone());
        let plan = self.world.plan();
        match simulated::open(&self.disk, plan.segment_bytes, plan.segments_max) {
            Ok(Stepped { queue, committer, reader }) => Ok(Some(OpenQueue {
                queue,
                committing: spawn_owned(commit(self.world.clone(), committer)),
                _reading: spawn_owned(read(self.world.clone(), reader)),
            })),
            Err(QueueError::Failed { .. }) => Ok(None),
            Err(error) => Err(format!("the queue does not open: {error}")),
        }
    }

    /// The process was killed or has failed, perhaps because the power went.
    pub(crate) fn lose(&mut self) {
        let loses_power = self.world.strikes(Fault::DiskLosesPower) || self.world.is_calm();
        let disk = match loses_power {
            true => self.disk.after_power_loss(self.world.draw(|random| random.number())),
            false => self.disk.after_kill(),
        };
        self.disk = Arc::new(match self.world.is_sabotaged(Sabotage::RecoveryDropsTheLastRecord) {
            true => disk.without_last_write(),
            false => disk,
        });
    }
}

/// What the committing thread does.
async fn commit(world: World, mut committer: Committer) {
    loop {
        committer.work_arrived().await;
        take_disk_time(&world).await;
        if committer.step() == Step::Ended {
            return;
        }
    }
}

/// What the reading thread does.
async fn read(world: World, mut reader: Reader) {
    loop {
        reader.work_arrived().await;
        take_disk_time(&world).await;
        if reader.step() == Step::Ended {
            return;
        }
    }
}

async fn take_disk_time(world: &World) {
    match world.strikes(Fault::DiskSlow) {
        true => world.sleep(0..8000).await,
        false => world.sleep(0..4).await,
    }
}

/// It obeys the process that lives now. Clones share it.
#[derive(Clone)]
struct DiskFate {
    world: World,
    life: Arc<Mutex<Option<Life>>>,
}

impl DiskFate {
    /// The operation is interrupted at some point: before, within or after.
    fn interrupted(&self, operation: Operation, error: ErrorKind) -> Verdict {
        let bytes = match operation {
            Operation::Write { bytes } | Operation::AppendAcks { bytes } => bytes as u64,
            _ => 0,
        };
        self.world.draw(|random| match random.chance(0.3) {
            true => Verdict::DoneUnheard(error),
            false => Verdict::Torn { bytes: random.between(0..bytes + 1) as usize, error },
        })
    }
}

impl Fate for DiskFate {
    fn judge(&self, operation: Operation) -> Verdict {
        let life = locked(&self.life).clone().filter(|life| !life.is_over());
        let Some(life) = life else { return Verdict::Torn { bytes: 0, error: ErrorKind::Other } };
        life.tell(&Event::Disk(operation));
        if life.is_over() {
            return self.interrupted(operation, ErrorKind::Other);
        }
        if self.world.strikes(Fault::DiskFails) {
            life.tell(&Event::DiskFails);
            return self.interrupted(operation, ErrorKind::Other);
        }
        match operation {
            Operation::Create if self.world.disk_is_full() => {
                Verdict::Torn { bytes: 0, error: ErrorKind::StorageFull }
            }
            Operation::Sync if self.world.is_sabotaged(Sabotage::AnswerBeforeSync) => Verdict::Skipped,
            _ => Verdict::Done,
        }
    }

    fn free_bytes(&self) -> u64 {
        match self.world.disk_is_full() && self.world.between(0..2) == 0 {
            true => 0,
            false => u64::MAX / 2,
        }
    }
}
