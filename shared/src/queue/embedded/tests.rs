mod fuzz;
mod model;

use tempfile::TempDir;

use super::simulated::SimulatedDisk;
use super::{
    Arc, EmbeddedConfig, EmbeddedConsumer, EmbeddedQueue, FramePublisher, Instant, PublishError, QueueError,
};
use crate::queue::FrameConsumer;
use crate::queue::contract::{BYTES_MAX, Fixture, PATIENCE, backlog_until, drain, frame, next, publish};

struct Embedded {
    directory: TempDir,
    bytes_max: u64,
}

impl Embedded {
    fn config(&self) -> EmbeddedConfig {
        EmbeddedConfig { directory: self.directory.path().join("queue"), bytes_max: self.bytes_max }
    }
}

impl Fixture for Embedded {
    type Queue = EmbeddedQueue;
    type Consumer = EmbeddedConsumer;

    async fn open(bytes_max: u64) -> (Self, EmbeddedQueue) {
        let fixture = Self { directory: TempDir::new().expect("a directory"), bytes_max };
        let queue = EmbeddedQueue::open(&fixture.config()).expect("a queue");
        (fixture, queue)
    }

    async fn consumer(&self, queue: &EmbeddedQueue) -> EmbeddedConsumer {
        queue.consumer()
    }

    async fn reopen(&mut self, queue: EmbeddedQueue) -> EmbeddedQueue {
        drop(queue);
        EmbeddedQueue::open(&self.config()).expect("the queue again")
    }
}

crate::queue_contract!(Embedded);

fn refusal(config: &EmbeddedConfig) -> String {
    match EmbeddedQueue::open(config) {
        Err(QueueError::Misconfigured { reason }) => reason,
        other => panic!("no refusal: {other:?}"),
    }
}

#[tokio::test]
async fn a_second_process_is_told_who_holds_the_directory() {
    let (fixture, queue) = Embedded::open(BYTES_MAX).await;
    let reason = refusal(&fixture.config());
    let holder = format!("in use by process {}", std::process::id());
    assert!(reason.contains(&holder) && reason.contains("--data-dir"), "{reason}");
    drop(queue);
    assert!(EmbeddedQueue::open(&fixture.config()).is_ok());
}

#[tokio::test]
async fn a_queue_too_small_for_a_frame_is_refused() {
    let fixture = Embedded { directory: TempDir::new().expect("a directory"), bytes_max: 1000 };
    assert!(refusal(&fixture.config()).contains("--embedded-queue-max"));
}

#[tokio::test]
async fn damage_is_loud_and_names_the_file() {
    let (fixture, queue) = Embedded::open(BYTES_MAX).await;
    for _ in 0..3 {
        publish(&queue, &frame(1000)).await;
    }
    drop(queue);
    let path = fixture.config().directory.join("00000000000000000001.log");
    let mut bytes = std::fs::read(&path).expect("the segment");
    bytes[1500] ^= 4;
    std::fs::write(&path, bytes).expect("the segment");
    let reason = refusal(&fixture.config());
    assert!(reason.contains("00000000000000000001.log has changed at byte 1048"), "{reason}");
    std::fs::remove_file(fixture.config().directory.join("format")).expect("the format file");
    assert!(refusal(&fixture.config()).contains("format is missing"));
}

#[tokio::test]
async fn a_backlog_is_read_from_the_disk_and_segments_are_used_again() {
    let (fixture, queue) = Embedded::open(BYTES_MAX).await;
    let mut consumer = queue.consumer();
    for _ in 0..4 {
        let mut published = std::collections::BTreeSet::new();
        for _ in 0..60 {
            let frame = frame(100_000);
            publish(&queue, &frame).await;
            published.insert(frame.bytes);
        }
        assert_eq!(drain(&queue, &mut consumer).await, published);
    }
    let files = || std::fs::read_dir(fixture.config().directory).expect("the directory").count();
    // lock, format, the active segment with its acks, and one spare.
    backlog_until(&queue, |_| files() <= 5).await;
}

#[tokio::test]
async fn a_failing_disk_fails_every_publish_and_says_so() {
    let disk = Arc::new(SimulatedDisk::default());
    let lock = tempfile::tempfile().expect("a file");
    let queue = EmbeddedQueue::start(&disk, 1, model::BOUNDS, lock).expect("a queue");
    let mut consumer = queue.consumer();
    let deadline = || Instant::now() + PATIENCE;
    publish(&queue, &frame(100)).await;
    disk.files().fails_in = Some(1);
    let failed = queue.publish(&frame(100), deadline()).await;
    assert!(matches!(failed, Err(PublishError::Unknown { .. })), "{failed:?}");
    // Healed or not: what a failed sync has left behind is not to be trusted.
    disk.files().fails_in = None;
    let reason = queue.failed().await;
    assert!(reason.contains("--data-dir"), "{reason}");
    let later = queue.publish(&frame(100), deadline()).await;
    assert_eq!(later, Err(PublishError::Unknown { reason: reason.clone() }));
    assert_eq!(consumer.next().await.expect_err("a failure"), QueueError::Failed { reason });
}

#[tokio::test]
async fn bytes_that_change_while_the_queue_runs_are_never_delivered() {
    let disk = Arc::new(SimulatedDisk::default());
    let lock = tempfile::tempfile().expect("a file");
    let queue = EmbeddedQueue::start(&disk, 1, model::BOUNDS, lock).expect("a queue");
    let mut consumer = queue.consumer();
    publish(&queue, &frame(100)).await;
    // Handed back, so that it is read again.
    drop(next(&mut consumer).await);
    disk.files().segments.get_mut(&1).expect("the segment").bytes[100] ^= 1;
    let failure = consumer.next().await;
    assert!(matches!(failure, Err(QueueError::Failed { .. })), "{failure:?}");
}
