//! The log against a plain model: what was synced and not acked is there, whatever happens.

use std::collections::BTreeSet;
use std::sync::Arc;

use bytes::Bytes;
use proptest::prelude::*;
use tokio::sync::oneshot;
use tokio::time::Instant;

use crate::queue::contract::frame;
use crate::queue::embedded::index::{Index, Place, Taken};
use crate::queue::embedded::log::{Bounds, OpenError, SegmentLog, read_frames};
use crate::queue::embedded::shared::{Batch, Shared, Waiting, Work};
use crate::queue::embedded::simulated::SimulatedDisk;
use crate::queue::embedded::threads::commit_once;

const SALT: u64 = 11;
pub(super) const BOUNDS: Bounds = Bounds { segment_bytes: 4096, segments_max: 4, reserve_bytes: 0 };

#[derive(Clone, Debug)]
enum Action {
    /// One group of frames of these sizes.
    Publish(Vec<usize>),
    /// Takes so many, acks those whose bit is set and hands back the others.
    Consume {
        frames: usize,
        acked: u32,
    },
    CloseAndOpen,
    Kill,
    PowerLoss {
        seed: u64,
    },
    /// The disk fails in the middle of a publish; then the power goes.
    FailThenPowerLoss {
        operations: u32,
        sizes: Vec<usize>,
        seed: u64,
    },
    /// The process is killed in the middle of a publish.
    KillWhilePublishing {
        operations: u32,
        sizes: Vec<usize>,
    },
}

fn sizes() -> impl Strategy<Value = Vec<usize>> {
    prop::collection::vec(40..900_usize, 1..6)
}

fn action() -> impl Strategy<Value = Action> {
    prop_oneof![
        8 => sizes().prop_map(Action::Publish),
        6 => (1..9_usize, any::<u32>()).prop_map(|(frames, acked)| Action::Consume { frames, acked }),
        1 => Just(Action::CloseAndOpen),
        1 => Just(Action::Kill),
        1 => any::<u64>().prop_map(|seed| Action::PowerLoss { seed }),
        1 => (0..5_u32, sizes(), any::<u64>()).prop_map(|(operations, sizes, seed)| {
            Action::FailThenPowerLoss { operations, sizes, seed }
        }),
        1 => (0..5_u32, sizes())
            .prop_map(|(operations, sizes)| Action::KillWhilePublishing { operations, sizes }),
    ]
}

/// What must, may and must not come out.
#[derive(Default)]
struct Model {
    synced: BTreeSet<Bytes>,
    acked: BTreeSet<Bytes>,
    /// Published into a failure: there or not.
    unknown: BTreeSet<Bytes>,
}

struct Machine {
    disk: Arc<SimulatedDisk>,
    log: SegmentLog<SimulatedDisk>,
    shared: Shared,
}

impl Machine {
    fn open(disk: SimulatedDisk) -> Result<Self, OpenError> {
        let disk = Arc::new(disk);
        let (log, recovered) = SegmentLog::open(Arc::clone(&disk), SALT, BOUNDS)?;
        Ok(Self { disk, log, shared: Shared::new(Index::from_recovered(recovered)) })
    }

    /// What the commit thread does with everything that waits.
    fn work(&mut self) -> std::io::Result<()> {
        let work = self.shared.lock().work();
        match work {
            Some(Work::Commit(frames)) => commit_once(&self.shared, &mut self.log, frames),
            Some(Work::Close) | None => Ok(()),
        }
    }

    fn publish(&mut self, sizes: &[usize], model: &mut Model) -> std::io::Result<()> {
        let mut answers = Vec::new();
        for size in sizes {
            let frame = frame(*size);
            let (reply, answer) = oneshot::channel();
            answers.push((frame.bytes.clone(), answer));
            self.shared.submit(Waiting { frame, published_micros: 1, reply }).expect("room to wait");
        }
        let worked = self.work();
        for (bytes, mut answer) in answers {
            match answer.try_recv() {
                Ok(Ok(_)) => drop(model.synced.insert(bytes)),
                // Full: it must not come out.
                Ok(Err(_)) => {}
                Err(_) => drop(model.unknown.insert(bytes)),
            }
        }
        worked
    }

    fn take(&self) -> Option<Vec<(Taken, Bytes)>> {
        match self.shared.take(Instant::now(), 2000).expect("a queue that works") {
            Batch::Wait(_) => None,
            Batch::Cached(taken, bytes) => Some(vec![(taken, bytes)]),
            Batch::OnDisk(taken) => {
                let heads: Vec<_> = taken.iter().map(|taken| taken.head).collect();
                let frames =
                    read_frames(&*self.disk, SALT, taken[0].place.segment, &heads).expect("whole frames");
                Some(taken.into_iter().zip(frames).collect())
            }
        }
    }

    fn consume(&mut self, frames: usize, acked: u32, model: &mut Model) {
        let mut taken = Vec::new();
        while taken.len() < frames {
            match self.take() {
                Some(some) => taken.extend(some),
                None => break,
            }
        }
        for (position, (frame, bytes)) in taken.into_iter().enumerate() {
            if acked >> (position % 32) & 1 == 1 {
                self.shared.ack(frame.place);
                model.acked.insert(bytes);
            } else {
                self.shared.hand_back(frame.place, Instant::now());
            }
        }
        self.work().expect("a disk that works");
    }

    /// Everything that waits, by looking; it waits again afterwards.
    fn contents(&self) -> BTreeSet<Bytes> {
        let taken: Vec<(Taken, Bytes)> = std::iter::from_fn(|| self.take()).flatten().collect();
        let places: Vec<Place> = taken.iter().map(|(taken, _)| taken.place).collect();
        places.into_iter().for_each(|place| self.shared.untake(place));
        taken.into_iter().map(|(_, bytes)| bytes).collect()
    }
}

/// How the last process ended.
#[derive(Clone, Copy, PartialEq)]
enum Acks {
    Kept,
    MayBeLost,
}

fn check(machine: &Machine, model: &mut Model, acks: Acks) {
    let contents = machine.contents();
    let due: BTreeSet<Bytes> = &model.synced - &model.acked;
    assert!(due.is_subset(&contents), "{} synced frames have vanished", (&due - &contents).len());
    let known: BTreeSet<Bytes> = &model.synced | &model.unknown;
    assert!(contents.is_subset(&known), "frames came out that were refused or never published");
    if acks == Acks::Kept {
        assert!(contents.is_disjoint(&model.acked), "acked frames came again after a clean stop");
    }
    // What has come out is there for good: from now on it must stay.
    model.synced.extend(contents.iter().cloned());
    model.acked.retain(|bytes| !contents.contains(bytes));
    let backlog = machine.shared.lock().index.backlog();
    assert_eq!(backlog.frames, contents.len() as u64);
    assert_eq!(backlog.bytes, contents.iter().map(|bytes| bytes.len() as u64).sum::<u64>());
}

fn act(machine: Machine, action: Action, model: &mut Model) -> Machine {
    let mut machine = machine;
    let (disk, acks) = match action {
        Action::Publish(sizes) => {
            machine.publish(&sizes, model).expect("a disk that works");
            check(&machine, model, Acks::Kept);
            return machine;
        }
        Action::Consume { frames, acked } => {
            machine.consume(frames, acked, model);
            check(&machine, model, Acks::Kept);
            return machine;
        }
        Action::CloseAndOpen => {
            let Machine { disk, log, .. } = machine;
            log.close().expect("a disk that works");
            (disk.after_kill(), Acks::Kept)
        }
        Action::Kill => (machine.disk.after_kill(), Acks::Kept),
        Action::PowerLoss { seed } => (machine.disk.after_power_loss(seed), Acks::MayBeLost),
        Action::KillWhilePublishing { operations, sizes } => {
            machine.disk.files().fails_in = Some(operations);
            machine.publish(&sizes, model).ok();
            // Acks that waited in the process are gone with it.
            (machine.disk.after_kill(), Acks::MayBeLost)
        }
        Action::FailThenPowerLoss { operations, sizes, seed } => {
            machine.disk.files().fails_in = Some(operations);
            // Fails, or is over before it would.
            machine.publish(&sizes, model).ok();
            (machine.disk.after_power_loss(seed), Acks::MayBeLost)
        }
    };
    let machine = Machine::open(disk).expect("no damage, since only unsynced bytes were lost");
    check(&machine, model, acks);
    machine
}

#[test]
fn a_recovery_that_dies_leaves_nothing_that_looks_like_damage() {
    for (operations, seed) in
        (0..4_u32).flat_map(|operations| (0..40_u64).map(move |seed| (operations, seed)))
    {
        let mut machine = Machine::open(SimulatedDisk::default()).expect("an empty disk");
        machine.disk.files().fails_in = Some(1);
        machine.publish(&[200], &mut Model::default()).expect_err("written, and killed before the sync");
        let found = Arc::new(machine.disk.after_kill());
        found.files().fails_in = Some(operations);
        // Dies as well, or is over before it would.
        drop(SegmentLog::open(Arc::clone(&found), SALT, BOUNDS));
        let again = Machine::open(found.after_power_loss(seed));
        assert!(again.is_ok(), "died after {operations}, seed {seed}: {:?}", again.err());
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn what_was_synced_stays_until_it_is_acked(actions in prop::collection::vec(action(), 1..60)) {
        let mut model = Model::default();
        let mut machine = Machine::open(SimulatedDisk::default()).expect("an empty disk");
        for action in actions {
            machine = act(machine, action, &mut model);
        }
    }

    #[test]
    fn a_flipped_bit_is_found_or_means_nothing(
        groups in prop::collection::vec(sizes(), 1..6),
        acked in any::<u32>(),
        bit in any::<prop::sample::Index>(),
        file in any::<prop::sample::Index>(),
    ) {
        let mut model = Model::default();
        let mut machine = Machine::open(SimulatedDisk::default()).expect("an empty disk");
        for group in &groups {
            machine.publish(group, &mut model).expect("a disk that works");
        }
        machine.consume(5, acked, &mut model);
        let Machine { disk, log, .. } = machine;
        log.close().expect("a disk that works");
        let disk = disk.after_kill();
        {
            let mut files = disk.files();
            let number = *file.get(&files.segments.keys().copied().collect::<Vec<_>>());
            let segment = files.segments.get_mut(&number).expect("a segment");
            let written = segment.bytes.len();
            let bit = bit.index((written + segment.acks.len()) * 8);
            match segment.bytes.get_mut(bit / 8) {
                Some(byte) => *byte ^= 1 << (bit % 8),
                None => segment.acks[bit / 8 - written] ^= 1 << (bit % 8),
            }
        }
        match Machine::open(disk) {
            Ok(machine) => check(&machine, &mut model, Acks::MayBeLost),
            Err(OpenError::Damaged { .. }) => {}
            Err(error) => panic!("{error:?}"),
        }
    }
}
