use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::DateTime;
use futures_util::future::join_all;
use proptest::prelude::*;
use shared::event::{Activity, EventDate, EventId, PagePath, Referer, UserAgent};
use shared::frame::{Decoded, decode};
use shared::lifecycle::spawn_owned;
use shared::queue::Synced;
use tokio::sync::{Semaphore, mpsc};

use super::*;
use crate::budget::Budget;

fn activity(number: u64, path_characters: usize) -> Activity {
    let date = EventDate::new(DateTime::UNIX_EPOCH).expect("a date");
    Activity {
        id: EventId(uuid::Uuid::from_u64_pair(0, number)),
        date,
        received_at: date,
        session_id: None,
        user_id: None,
        ip_address: None,
        path: PagePath::new("p".repeat(path_characters)).expect("a path"),
        referer: Referer::default(),
        user_agent: UserAgent::default(),
    }
}

fn encoded(number: u64, path_characters: usize) -> EncodedActivity {
    EncodedActivity::from(&activity(number, path_characters))
}

fn passenger() -> (Passenger, Fate) {
    Passenger::new(Budget::new(1).reserve(0).expect("nothing is asked for"))
}

fn waiting(number: u64, path_characters: usize) -> (Waiting, Fate) {
    let (passenger, fate) = passenger();
    (Waiting::One { activity: encoded(number, path_characters), passenger }, fate)
}

fn batch(numbers: std::ops::Range<u64>, path_characters: usize) -> (Waiting, Fate) {
    let (passenger, fate) = passenger();
    let activities = numbers.map(|number| encoded(number, path_characters)).collect();
    (Waiting::many(activities, passenger).expect("not empty"), fate)
}

/// The numbers of the activities in a frame.
fn numbers(frame: &Frame) -> Vec<u64> {
    let frame = decode(frame.bytes.clone()).expect("a sound frame");
    let number = |activity: Activity| activity.id.0.as_u64_pair().1;
    let activities = frame.activities.into_iter().map(|activity| match activity.decoded {
        Decoded::Activity(activity) => number(activity),
        Decoded::Invalid(reason) => panic!("{reason}"),
    });
    activities.collect()
}

proptest! {
    #[test]
    fn every_activity_whose_client_waits_is_in_one_frame_in_order(
        clients in proptest::collection::vec((1..9_u64, 1..200_usize, any::<bool>()), 0..40),
        frame_bytes_max in 400..2000_usize,
    ) {
        let mut queue = VecDeque::new();
        let mut fates = Vec::new();
        let mut expected = Vec::new();
        let mut number = 0;
        for (activities, path_characters, stays) in clients {
            let numbers = number..number + activities;
            number += activities;
            let (waiting, fate) = match activities {
                1 => waiting(numbers.start, path_characters),
                _ => batch(numbers.clone(), path_characters),
            };
            queue.push_back(waiting);
            if stays {
                expected.extend(numbers.clone());
                fates.push((numbers.end, fate));
            }
        }
        let mut seen = Vec::new();
        while let Some(group) = next_group(&mut queue, frame_bytes_max) {
            prop_assert!(group.frame.bytes.len() <= frame_bytes_max);
            let carried = numbers(&group.frame);
            prop_assert_eq!(group.frame.count as usize, carried.len());
            seen.extend(carried);
            for (_, fate) in &mut fates {
                prop_assert!(fate.try_recv().is_err(), "nobody hears before the frame is synced");
            }
            group.settle(Ok(()));
            let reached = seen.last().copied();
            let told: Vec<_> = fates.extract_if(.., |(end, _)| reached.is_some_and(|last| *end <= last + 1)).collect();
            for (_, mut fate) in told {
                prop_assert_eq!(fate.try_recv(), Ok(Ok(())), "whoever is synced whole hears at once");
            }
        }
        prop_assert!(queue.is_empty());
        prop_assert!(fates.is_empty());
        prop_assert_eq!(seen, expected);
    }
}

#[test]
fn an_activity_that_fits_no_frame_is_refused_and_holds_nobody_up() {
    let (large, mut large_fate) = waiting(1, 1000);
    let (small, _small_fate) = waiting(2, 10);
    let mut queue = VecDeque::from([large, small]);
    let group = next_group(&mut queue, 300).expect("the small one");
    assert_eq!(numbers(&group.frame), [2]);
    assert_eq!(large_fate.try_recv(), Ok(Err(NotSynced::TooLarge)));
}

#[test]
fn one_failed_frame_fails_the_batch_and_what_is_left_of_it_stays_behind() {
    let (batch, mut fate) = batch(0..9, 100);
    let mut queue = VecDeque::from([batch]);
    let first = next_group(&mut queue, 500).expect("a first part");
    let second = next_group(&mut queue, 500).expect("a second part");
    assert!(!queue.is_empty(), "and a third");
    second.settle(Err(NotSynced::Full));
    assert_eq!(fate.try_recv(), Ok(Err(NotSynced::Full)));
    first.settle(Ok(()));
    assert!(next_group(&mut queue, 500).is_none());
    assert!(queue.is_empty());
}

#[test]
fn a_batch_with_an_activity_that_fits_no_frame_is_refused() {
    let (passenger, mut fate) = passenger();
    let activities = vec![encoded(1, 10), encoded(2, 1000), encoded(3, 10)];
    let mut queue = VecDeque::from([Waiting::many(activities, passenger).expect("not empty")]);
    if let Some(group) = next_group(&mut queue, 300) {
        group.settle(Ok(()));
    }
    assert_eq!(fate.try_recv(), Ok(Err(NotSynced::TooLarge)));
    assert!(queue.is_empty());
}

#[test]
fn nothing_is_synced_at_once() {
    let (passenger, mut fate) = passenger();
    assert!(Waiting::many(Vec::new(), passenger).is_none());
    assert_eq!(fate.try_recv(), Ok(Ok(())));
}

/// Tells of each frame and answers it when the test permits.
struct Gate {
    frames: mpsc::UnboundedSender<Vec<u64>>,
    permits: Semaphore,
    at_once: AtomicUsize,
    answer: Result<Synced, PublishError>,
}

impl FramePublisher for Gate {
    fn frame_bytes_max(&self) -> usize {
        4096
    }

    async fn publish(&self, frame: &Frame, deadline: Instant) -> Result<Synced, PublishError> {
        self.at_once.fetch_add(1, Ordering::SeqCst);
        self.frames.send(numbers(frame)).expect("the test listens");
        let permit = tokio::time::timeout_at(deadline, self.permits.acquire()).await;
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        match permit {
            Ok(permit) => {
                permit.expect("never closed").forget();
                self.answer.clone()
            }
            Err(_) => Err(PublishError::Unknown { reason: "no answer".to_owned() }),
        }
    }
}

struct Rig {
    assembly: Assembly,
    gate: Arc<Gate>,
    frames: mpsc::UnboundedReceiver<Vec<u64>>,
    budget: Budget,
    stop: Shutdown,
    task: shared::lifecycle::OwnedTask<()>,
}

fn rig(frames_in_flight: usize, answer: Result<Synced, PublishError>) -> Rig {
    let (sender, frames) = mpsc::unbounded_channel();
    let gate =
        Arc::new(Gate { frames: sender, permits: Semaphore::new(0), at_once: AtomicUsize::new(0), answer });
    let assembly = Assembly::default();
    let stop = Shutdown::new();
    let assembler = Assembler {
        assembly: assembly.clone(),
        publisher: Arc::clone(&gate),
        frames_in_flight: NonZeroUsize::new(frames_in_flight).expect("at least one"),
        publish_timeout: Duration::from_secs(5),
        telemetry: IngestTelemetry::new(),
    };
    let task = spawn_owned(assembler.run(stop.clone()));
    Rig { assembly, gate, frames, budget: Budget::new(1_000_000), stop, task }
}

impl Rig {
    /// Hands activities over; the returned task waits for their fates.
    fn commit(
        &self,
        numbers: std::ops::Range<u64>,
    ) -> shared::lifecycle::OwnedTask<Vec<Result<(), NotSynced>>> {
        let assembly = self.assembly.clone();
        let budget = self.budget.clone();
        spawn_owned(async move {
            let commits = numbers.map(|number| {
                let reservation = budget.reserve(100).expect("memory");
                assembly.commit(encoded(number, 10), reservation)
            });
            join_all(commits).await
        })
    }

    async fn frame(&mut self) -> Vec<u64> {
        self.frames.recv().await.expect("a frame")
    }

    /// Until that many activities wait for a frame.
    async fn gathered(&self, count: usize) {
        while self.assembly.0.waiting.lock().expect("not poisoned").len() < count {
            tokio::task::yield_now().await;
        }
    }
}

const SYNCED: Result<Synced, PublishError> = Ok(Synced { duplicate: false });

#[tokio::test(start_paused = true)]
async fn what_gathers_while_a_frame_is_in_flight_is_the_next_frame() {
    let mut rig = rig(1, SYNCED);
    let first = rig.commit(0..1);
    assert_eq!(rig.frame().await, [0], "a lone activity goes out at once");
    let rest = rig.commit(1..6);
    rig.gathered(5).await;
    assert!(rig.frames.try_recv().is_err());
    rig.gate.permits.add_permits(1);
    assert_eq!(first.join().await.expect("no panic"), [Ok(())]);
    assert_eq!(rig.frame().await, [1, 2, 3, 4, 5]);
    assert_eq!(rig.budget.reserved(), 500);
    rig.gate.permits.add_permits(1);
    assert_eq!(rest.join().await.expect("no panic"), [Ok(()); 5]);
    assert_eq!(rig.budget.reserved(), 0, "memory comes back with the answer");
}

#[tokio::test(start_paused = true)]
async fn a_batch_shares_a_frame_with_its_neighbours_and_has_one_answer() {
    let mut rig = rig(1, SYNCED);
    let first = rig.commit(0..1);
    assert_eq!(rig.frame().await, [0]);
    let alone = rig.commit(1..2);
    rig.gathered(1).await;
    let (assembly, reservation) = (rig.assembly.clone(), rig.budget.reserve(100).expect("memory"));
    let activities = (2..5).map(|number| encoded(number, 10)).collect();
    let batch = spawn_owned(async move { assembly.commit_all(activities, reservation).await });
    rig.gathered(2).await;
    rig.gate.permits.add_permits(2);
    assert_eq!(rig.frame().await, [1, 2, 3, 4]);
    assert_eq!(batch.join().await.expect("no panic"), Ok(()));
    assert_eq!(first.join().await.expect("no panic"), [Ok(())]);
    assert_eq!(alone.join().await.expect("no panic"), [Ok(())]);
    assert_eq!(rig.budget.reserved(), 0);
}

#[tokio::test(start_paused = true)]
async fn no_more_frames_are_in_flight_than_configured() {
    let mut rig = rig(2, SYNCED);
    let _first = rig.commit(0..1);
    assert_eq!(rig.frame().await, [0]);
    let _second = rig.commit(1..2);
    assert_eq!(rig.frame().await, [1]);
    let _third = rig.commit(2..3);
    rig.gathered(1).await;
    assert_eq!(rig.gate.at_once.load(Ordering::SeqCst), 2);
    assert!(rig.frames.try_recv().is_err());
    rig.gate.permits.add_permits(1);
    assert_eq!(rig.frame().await, [2]);
}

#[tokio::test(start_paused = true)]
async fn everybody_in_a_frame_hears_its_fate() {
    for (answer, fate) in [
        (PublishError::Full { reason: "no space".to_owned() }, NotSynced::Full),
        (PublishError::Unknown { reason: "no answer".to_owned() }, NotSynced::Unknown),
    ] {
        let mut rig = rig(1, Err(answer));
        let clients = rig.commit(0..3);
        assert_eq!(rig.frame().await, [0, 1, 2]);
        rig.gate.permits.add_permits(1);
        assert_eq!(clients.join().await.expect("no panic"), [Err(fate); 3]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_silent_queue_delays_the_next_frame_no_longer_than_the_timeout() {
    let mut rig = rig(1, SYNCED);
    let begun = Instant::now();
    let first = rig.commit(0..1);
    assert_eq!(rig.frame().await, [0]);
    let gone = rig.commit(1..2);
    rig.gathered(1).await;
    drop(gone);
    tokio::task::yield_now().await;
    let second = rig.commit(2..3);
    rig.gathered(2).await;
    assert_eq!(first.join().await.expect("no panic"), [Err(NotSynced::Unknown)]);
    assert_eq!(rig.frame().await, [2], "whoever has gone is left out");
    assert_eq!(begun.elapsed(), Duration::from_secs(5));
    rig.gate.permits.add_permits(1);
    assert_eq!(second.join().await.expect("no panic"), [Ok(())]);
}

#[tokio::test(start_paused = true)]
async fn a_stop_finishes_what_waits() {
    let mut rig = rig(1, SYNCED);
    let first = rig.commit(0..1);
    assert_eq!(rig.frame().await, [0]);
    let second = rig.commit(1..2);
    rig.gathered(1).await;
    rig.stop.request();
    rig.gate.permits.add_permits(2);
    assert_eq!(rig.frame().await, [1]);
    assert_eq!(first.join().await.expect("no panic"), [Ok(())]);
    assert_eq!(second.join().await.expect("no panic"), [Ok(())]);
    rig.task.join().await.expect("a clean end");
}
