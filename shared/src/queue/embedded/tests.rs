use tempfile::TempDir;

use super::*;
use crate::queue::contract::Fixture;

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
