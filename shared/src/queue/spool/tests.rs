use std::collections::BTreeSet;

use tempfile::TempDir;
use tokio::sync::watch;

use super::*;
use crate::frame::FRAME_BYTES_MAX;
use crate::lifecycle::{OwnedTask, spawn_owned};
use crate::queue::contract::{BYTES_MAX, Fixture, PATIENCE, backlog_until, drain, frame, next, publish};
use crate::queue::embedded::{BYTES_MAX_LEAST, EmbeddedConfig};
use crate::queue::memory::{MemoryConsumer, MemoryQueue};
use crate::readiness::Readiness;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mood {
    Away,
    /// Takes frames and does not answer.
    Silent,
    Answering,
}

/// A memory queue that can be away or silent.
#[derive(Clone, Debug)]
struct Moody {
    queue: MemoryQueue,
    mood: watch::Sender<Mood>,
    asked: Arc<std::sync::Mutex<Vec<FrameId>>>,
}

impl Moody {
    fn new(bytes_max: u64, mood: Mood) -> Self {
        Self { queue: MemoryQueue::new(bytes_max), mood: watch::Sender::new(mood), asked: Arc::default() }
    }

    fn turn(&self, mood: Mood) {
        self.mood.send_replace(mood);
    }

    async fn until(&self, fits: impl Fn(Mood) -> bool) {
        self.mood.subscribe().wait_for(|mood| fits(*mood)).await.expect("the sender lives");
    }

    fn asked(&self) -> usize {
        self.asked.lock().expect("no panic").len()
    }
}

impl FramePublisher for Moody {
    fn frame_bytes_max(&self) -> usize {
        FRAME_BYTES_MAX
    }

    async fn publish(&self, frame: &Frame, deadline: Instant) -> Result<Synced, PublishError> {
        self.asked.lock().expect("no panic").push(frame.id);
        if *self.mood.borrow() == Mood::Silent {
            self.queue.publish(frame, deadline).await?;
        }
        let answer = async {
            self.until(|mood| mood == Mood::Answering).await;
            self.queue.publish(frame, deadline).await
        };
        let late = |_| Err(PublishError::Unknown { reason: "no answer".to_owned() });
        tokio::time::timeout_at(deadline, answer).await.unwrap_or_else(late)
    }
}

impl Reachability for Moody {
    fn is_reachable(&self) -> bool {
        *self.mood.borrow() != Mood::Away
    }

    async fn away(&self) {
        self.until(|mood| mood == Mood::Away).await;
    }
}

impl QueueBacklog for Moody {
    async fn backlog(&self) -> Result<Backlog, QueueError> {
        self.queue.backlog().await
    }
}

fn embedded(directory: &TempDir, bytes_max: u64) -> EmbeddedQueue {
    EmbeddedQueue::open(&EmbeddedConfig { directory: directory.path().join("spool"), bytes_max })
        .expect("a queue")
}

/// A spool before a moody queue, not drained yet.
struct World {
    behind: Moody,
    queue: SpooledQueue<Moody>,
    readiness: Readiness,
    shutdown: Shutdown,
    directory: TempDir,
}

impl World {
    fn new(mood: Mood) -> Self {
        Self::of(Moody::new(BYTES_MAX, mood), BYTES_MAX, TempDir::new().expect("a directory"))
    }

    fn of(behind: Moody, bytes_max: u64, directory: TempDir) -> Self {
        let readiness = Readiness::default();
        let spool = embedded(&directory, bytes_max);
        let queue = SpooledQueue::new(behind.clone(), spool, readiness.condition("spool"));
        Self { behind, queue, readiness, shutdown: Shutdown::new(), directory }
    }

    fn drained(&self, farewell: Duration) -> OwnedTask<TaskResult> {
        let (queue, shutdown) = (self.queue.clone(), self.shutdown.clone());
        spawn_owned(async move { queue.drain(&shutdown, farewell).await })
    }

    async fn publish_within(&self, frame: &Frame, time: Duration) -> Result<Synced, PublishError> {
        self.queue.publish(frame, Instant::now() + time).await
    }

    async fn emptied(&self) {
        let waiting = async {
            while self.queue.spooled().frames > 0 {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        timeout(PATIENCE, waiting).await.expect("an empty spool in time");
    }
}

/// The queue behind is there: the spool is not in the way.
mod there {
    use super::*;

    struct There {
        behind: Moody,
        _directory: TempDir,
    }

    impl Fixture for There {
        type Queue = SpooledQueue<Moody>;
        type Consumer = MemoryConsumer;

        async fn open(bytes_max: u64) -> (Self, Self::Queue) {
            let behind = Moody::new(bytes_max, Mood::Answering);
            let World { behind, queue, directory, .. } =
                World::of(behind, BYTES_MAX, TempDir::new().expect("a directory"));
            (Self { behind, _directory: directory }, queue)
        }

        async fn consumer(&self, _queue: &Self::Queue) -> MemoryConsumer {
            self.behind.queue.consumer()
        }

        async fn reopen(&mut self, queue: Self::Queue) -> Self::Queue {
            self.behind.queue.reopen();
            queue
        }
    }

    crate::queue_contract!(There);
}

/// The queue behind is away: the spool keeps the contract in its stead.
mod gone {
    use super::*;

    struct Gone {
        directory: TempDir,
        bytes_max: u64,
    }

    /// Whose backlog is the spool's.
    #[derive(Clone)]
    struct Spool(SpooledQueue<Moody>);

    impl FramePublisher for Spool {
        fn frame_bytes_max(&self) -> usize {
            self.0.frame_bytes_max()
        }

        async fn publish(&self, frame: &Frame, deadline: Instant) -> Result<Synced, PublishError> {
            self.0.publish(frame, deadline).await
        }
    }

    impl QueueBacklog for Spool {
        async fn backlog(&self) -> Result<Backlog, QueueError> {
            Ok(self.0.spooled())
        }
    }

    impl Gone {
        fn queue(&self) -> Spool {
            let spool = embedded(&self.directory, self.bytes_max);
            let condition = Readiness::default().condition("spool");
            Spool(SpooledQueue::new(Moody::new(BYTES_MAX, Mood::Away), spool, condition))
        }
    }

    impl Fixture for Gone {
        type Queue = Spool;
        type Consumer = EmbeddedConsumer;

        async fn open(bytes_max: u64) -> (Self, Spool) {
            let fixture = Self { directory: TempDir::new().expect("a directory"), bytes_max };
            let queue = fixture.queue();
            (fixture, queue)
        }

        async fn consumer(&self, queue: &Spool) -> EmbeddedConsumer {
            queue.0.spool.consumer()
        }

        async fn reopen(&mut self, queue: Spool) -> Spool {
            drop(queue);
            self.queue()
        }
    }

    crate::queue_contract!(Gone);
}

fn contents(frames: &[Frame]) -> BTreeSet<Bytes> {
    frames.iter().map(|frame| frame.bytes.clone()).collect()
}

#[tokio::test]
async fn what_was_spooled_is_drained_when_the_queue_is_back() {
    let world = World::new(Mood::Away);
    let frames: Vec<Frame> = (0..50).map(|_| frame(500)).collect();
    for frame in &frames {
        publish(&world.queue, frame).await;
    }
    assert_eq!((world.queue.spooled().frames, world.behind.asked()), (50, 0));
    assert!(world.readiness.reasons().is_empty(), "the spool has room");
    let draining = world.drained(Duration::ZERO);
    world.behind.turn(Mood::Answering);
    world.emptied().await;
    assert_eq!(drain(&world.behind, &mut world.behind.queue.consumer()).await, contents(&frames));
    world.shutdown.request();
    draining.join().await.expect("no panic").expect("a clean end");
}

#[tokio::test]
async fn a_spool_that_is_left_is_drained_by_the_next_process() {
    let world = World::new(Mood::Away);
    let frames: Vec<Frame> = (0..20).map(|_| frame(500)).collect();
    for frame in &frames {
        publish(&world.queue, frame).await;
    }
    let World { directory, queue, .. } = world;
    drop(queue);
    let world = World::of(Moody::new(BYTES_MAX, Mood::Answering), BYTES_MAX, directory);
    let _draining = world.drained(Duration::ZERO);
    world.emptied().await;
    assert_eq!(drain(&world.behind, &mut world.behind.queue.consumer()).await, contents(&frames));
}

/// Only the first frame of a silence waits, and none of them the whole of its time.
#[tokio::test]
async fn a_silent_queue_holds_up_one_frame() {
    let world = World::new(Mood::Silent);
    let limit = Duration::from_secs(8);
    let started = Instant::now();
    assert!(world.publish_within(&frame(100), limit).await.is_ok());
    let first = started.elapsed();
    assert!(first >= limit / 4 && first < limit / 2, "{first:?}");
    for _ in 0..20 {
        assert!(world.publish_within(&frame(100), limit).await.is_ok());
    }
    assert!(started.elapsed() - first < limit / 4, "{:?}", started.elapsed());
    assert_eq!((world.queue.spooled().frames, world.behind.asked()), (21, 1));

    let _draining = world.drained(Duration::ZERO);
    world.behind.turn(Mood::Answering);
    world.emptied().await;
    assert!(world.publish_within(&frame(100), limit).await.is_ok());
    assert_eq!(world.queue.spooled().frames, 0, "new frames go to the queue again");
}

/// The frame whose fate is unknown is kept as well: it may be there twice, under one id, and never not at all.
#[tokio::test]
async fn a_frame_without_an_answer_is_spooled_under_its_id() {
    let world = World::new(Mood::Silent);
    let mut builder = frame::FrameBuilder::new(FRAME_BYTES_MAX);
    builder.push(&frame::EncodedActivity::from_raw(b"any"));
    let real = builder.finish(FrameId::generate(), frame::Compression::None);
    assert!(world.publish_within(&real, Duration::from_millis(200)).await.is_ok());
    world.behind.turn(Mood::Answering);
    let _draining = world.drained(Duration::ZERO);
    world.emptied().await;
    let asked = world.behind.asked.lock().expect("no panic").clone();
    assert_eq!(asked, [real.id, real.id]);
    assert_eq!(drain(&world.behind, &mut world.behind.queue.consumer()).await, contents(&[real]));
}

#[tokio::test]
async fn a_connection_that_breaks_spools_at_once_what_was_on_its_way() {
    let world = World::new(Mood::Silent);
    let started = Instant::now();
    let frame = frame(100);
    let breaking = async {
        tokio::time::sleep(Duration::from_millis(20)).await;
        world.behind.turn(Mood::Away);
    };
    let (published, ()) = tokio::join!(world.publish_within(&frame, 4 * PATIENCE), breaking);
    assert!(published.is_ok() && started.elapsed() < PATIENCE, "{published:?}, {:?}", started.elapsed());
    assert_eq!(world.queue.spooled().frames, 1);
}

#[tokio::test]
async fn a_full_queue_is_back_pressure_and_spools_nothing() {
    let world = World::new(Mood::Answering);
    let reason = "it holds enough".to_owned();
    world.behind.queue.refuse(Some(PublishError::Full { reason }));
    let refused = world.publish_within(&frame(100), PATIENCE).await;
    assert!(matches!(refused, Err(PublishError::Full { .. })), "{refused:?}");
    assert_eq!(world.queue.spooled().frames, 0);
}

#[tokio::test]
async fn a_full_spool_says_so_and_makes_room_when_it_is_drained() {
    let directory = TempDir::new().expect("a directory");
    let world = World::of(Moody::new(1 << 30, Mood::Away), BYTES_MAX_LEAST, directory);
    let mut taken = Vec::new();
    let refused = loop {
        let frame = frame(50_000);
        match world.publish_within(&frame, PATIENCE).await {
            Ok(_) => taken.push(frame),
            Err(error) => break error,
        }
    };
    assert!(matches!(refused, PublishError::Full { .. }), "{refused}");
    assert!(world.readiness.reasons()[0].1.contains("the spool is full"), "{:?}", world.readiness.reasons());
    let _draining = world.drained(Duration::ZERO);
    world.behind.turn(Mood::Answering);
    world.emptied().await;
    assert_eq!(drain(&world.behind, &mut world.behind.queue.consumer()).await, contents(&taken));
    world.behind.turn(Mood::Away);
    assert!(world.publish_within(&frame(50_000), PATIENCE).await.is_ok());
    assert!(world.readiness.reasons().is_empty());
}

#[tokio::test]
async fn a_stop_drains_what_can_be_drained_and_no_longer() {
    let world = World::new(Mood::Away);
    for _ in 0..10 {
        publish(&world.queue, &frame(100)).await;
    }
    world.shutdown.request();
    world.drained(PATIENCE).join().await.expect("no panic").expect("a clean end");
    assert_eq!(world.queue.spooled().frames, 10, "nobody is there to take them");
    world.behind.turn(Mood::Answering);
    world.drained(PATIENCE).join().await.expect("no panic").expect("a clean end");
    backlog_until(&world.behind, |backlog| backlog.frames == 10).await;
    assert_eq!(world.queue.spooled().frames, 0);
    next(&mut world.behind.queue.consumer()).await.settle.ack().await.expect("an ack");
}

#[tokio::test]
async fn what_the_queue_does_not_take_stays_in_the_spool() {
    let world = World::new(Mood::Away);
    let frames: Vec<Frame> = (0..5).map(|_| frame(100)).collect();
    for frame in &frames {
        publish(&world.queue, frame).await;
    }
    world.behind.queue.refuse(Some(PublishError::Full { reason: "it holds enough".to_owned() }));
    world.behind.turn(Mood::Answering);
    let _draining = world.drained(Duration::ZERO);
    let attempts = async {
        while world.behind.asked() < 3 {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    timeout(PATIENCE, attempts).await.expect("attempts in time");
    assert_eq!(world.queue.spooled().frames, 5);
    world.behind.queue.refuse(None);
    world.emptied().await;
    assert_eq!(drain(&world.behind, &mut world.behind.queue.consumer()).await, contents(&frames));
}
