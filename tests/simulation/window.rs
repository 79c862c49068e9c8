//! What can be seen of the processes from outside.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};

use shared::queue::QueueBacklog;
use shared::queue::embedded::EmbeddedQueue;
use shared::readiness::Readiness;

use crate::broker::Broker;
use crate::world::{Life, locked};

/// By the names of the processes that are up. Clones share it.
#[derive(Clone)]
pub(crate) struct Window {
    processes: usize,
    seen: Arc<Mutex<BTreeMap<&'static str, Seen>>>,
}

#[derive(Clone)]
struct Seen {
    queue: Queue,
    readiness: Readiness,
    life: Life,
}

/// What must be empty in the end.
#[derive(Clone)]
pub(crate) enum Queue {
    Embedded(EmbeddedQueue),
    Broker(Broker),
}

impl From<EmbeddedQueue> for Queue {
    fn from(queue: EmbeddedQueue) -> Self {
        Self::Embedded(queue)
    }
}

impl From<Broker> for Queue {
    fn from(broker: Broker) -> Self {
        Self::Broker(broker)
    }
}

impl Window {
    /// So many processes must be up when all is well.
    pub(crate) fn new(processes: usize) -> Self {
        Self { processes, seen: Arc::default() }
    }

    pub(crate) fn open(
        &self,
        process: &'static str,
        queue: impl Into<Queue>,
        readiness: &Readiness,
        life: &Life,
    ) {
        let seen = Seen { queue: queue.into(), readiness: readiness.clone(), life: life.clone() };
        locked(&self.seen).insert(process, seen);
    }

    pub(crate) fn close(&self, process: &'static str) {
        locked(&self.seen).remove(process);
    }

    pub(crate) fn all_lose_power(&self) {
        locked(&self.seen).values().for_each(|seen| seen.life.end("power lost"));
    }

    /// Why the work is not done yet.
    pub(crate) async fn unfinished(&self) -> Option<String> {
        let seen = locked(&self.seen).clone();
        if seen.len() < self.processes {
            return Some(format!("only {:?} are up", seen.keys()));
        }
        for (process, seen) in seen {
            if let Some(reason) = seen.unfinished().await {
                return Some(format!("{process}: {reason}"));
            }
        }
        None
    }
}

impl Seen {
    async fn unfinished(&self) -> Option<String> {
        if self.life.is_over() {
            return Some("it is down".to_owned());
        }
        if let Some((condition, reason)) = self.readiness.reasons().first() {
            return Some(format!("{condition} is red: {reason}"));
        }
        let backlog = match &self.queue {
            Queue::Embedded(queue) => queue.backlog().await,
            Queue::Broker(broker) => broker.backlog().await,
        };
        match backlog {
            Ok(backlog) if backlog.frames == 0 => None,
            Ok(backlog) => Some(format!("{} frames are queued", backlog.frames)),
            Err(error) => Some(error.to_string()),
        }
    }
}
