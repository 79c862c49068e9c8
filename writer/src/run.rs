//! Wires the parts of the writer and owns their tasks.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use shared::chance;
use shared::frame::BODY_BYTES_MAX;
use shared::lifecycle::{OwnedTask, Shutdown, TaskError, TaskResult, spawn_owned};
use shared::queue::{FrameConsumer, QueueBacklog};
use shared::readiness::Readiness;
use shared::store::{Store, StoreErrorKind};
use tokio::sync::{Semaphore, mpsc};
use tokio::time::Instant;

use crate::batch::{BatchLimits, Gathering};
use crate::config::WriterConfig;
use crate::consume::Consume;
use crate::flush::{Lane, LaneLimits};
use crate::gather::Gather;
use crate::health::{DatabaseHealth, LaneState, QueueHealth};
use crate::retry::{schema_delay, transient_delay};
use crate::sessions::KnownSessions;
use crate::stop::Stop;
use crate::telemetry::WriterTelemetry;

/// How often the queue is asked what waits in it.
const BACKLOG_POLL: Duration = Duration::from_secs(1);
/// An answer about the backlog is not waited for longer than this.
const BACKLOG_TIME_MAX: Duration = Duration::from_secs(5);

/// Stores what the queue delivers until `shutdown` is requested, then stops as `config.stop` says.
///
/// Each of `stores` is a connection to the same database; their transactions overlap, two hide
/// the time of a WAL flush. The conditions `queue` and `database` of `readiness` are the writer's.
///
/// # Errors
/// The queue says that it can never work, its disk has failed, or a part of the writer has died.
/// A database that is away or refuses is waited for.
pub async fn run<C: FrameConsumer, B: QueueBacklog, S: Store>(
    consumer: C,
    backlog: B,
    stores: Vec<S>,
    config: WriterConfig,
    telemetry: WriterTelemetry,
    readiness: &Readiness,
    shutdown: Shutdown,
) -> TaskResult {
    let writer = Writer {
        queue: QueueHealth::new(readiness.condition("queue")),
        database: DatabaseHealth::new(readiness.condition("database"), stores.len()),
        stop: Stop::new(shutdown, config.stop),
        config,
        telemetry,
    };
    writer.run(consumer, Arc::new(backlog), stores).await
}

struct Writer {
    queue: QueueHealth,
    database: DatabaseHealth,
    stop: Stop,
    config: WriterConfig,
    telemetry: WriterTelemetry,
}

impl Writer {
    async fn run<C: FrameConsumer, B: QueueBacklog, S: Store>(
        self,
        consumer: C,
        backlog: Arc<B>,
        mut stores: Vec<S>,
    ) -> TaskResult {
        if stores.is_empty() {
            return Err(TaskError::Misconfigured("the writer has no store".to_owned()));
        }
        let watched = (self.stop.clone(), self.config.stop_time_max);
        let _stop_watch = spawn_owned(async move { watched.0.watch(watched.1).await });
        let _backlog_watch =
            spawn_owned(watch_backlog(Arc::clone(&backlog), self.queue.clone(), self.telemetry.clone()));
        let Some(first) = stores.first_mut() else { return Ok(()) };
        tokio::select! {
            biased;
            () = self.stop.retries_end() => return Ok(()),
            () = self.reach(first) => {}
        }
        let mut tasks = self.start(consumer, backlog, stores);
        let mut outcome = Ok(());
        while let Some(ended) = tasks.next().await {
            let ended =
                ended.map_err(|error| TaskError::Failed(format!("a part of the writer died: {error}")));
            outcome = outcome.and(ended.and_then(|result| result));
            if outcome.is_err() {
                break;
            }
        }
        outcome
    }

    /// Waits for the database, however long it takes.
    async fn reach(&self, store: &mut impl Store) {
        let mut failures = 0;
        while let Err(error) = store.maintain(shared::time::now()).await {
            failures += 1;
            let pause = match error.kind {
                StoreErrorKind::Schema | StoreErrorKind::Data => schema_delay(failures, chance::fraction()),
                StoreErrorKind::Transient | StoreErrorKind::Timeout => {
                    transient_delay(failures, chance::fraction())
                }
            };
            tracing::warn!(%error, sqlstate = error.sqlstate, "the database cannot be used yet");
            self.database.lane(0, LaneState::Failing(error.to_string()));
            self.telemetry.maintenance_failed();
            tokio::time::sleep(pause).await;
        }
        self.database.reached();
    }

    /// Each part ends when the one before it has: consume, gather, the lanes.
    fn start<C: FrameConsumer, B: QueueBacklog, S: Store>(
        &self,
        consumer: C,
        backlog: Arc<B>,
        stores: Vec<S>,
    ) -> FuturesUnordered<impl Future<Output = Result<TaskResult, tokio::task::JoinError>>> {
        // Room for one: what is pulled waits in `gather`, where it is extended.
        let (arrivals, arrived) = mpsc::channel(1);
        let (idle, idle_lanes) = mpsc::channel(stores.len());
        let known = Arc::new(Mutex::new(KnownSessions::new(self.config.known_sessions_max)));
        let room = self.config.pulled_bytes_max.clamp(BODY_BYTES_MAX, Semaphore::MAX_PERMITS);
        let consume = Consume {
            consumer,
            backlog,
            arrivals,
            room: Arc::new(Semaphore::new(room)),
            paused: self.database.paused(),
            health: self.queue.clone(),
            telemetry: self.telemetry.clone(),
            stop: self.stop.clone(),
        };
        let gather = Gather {
            arrivals: arrived,
            idle: idle_lanes,
            gathering: Gathering::new(BatchLimits::from(&self.config)),
            ahead: VecDeque::new(),
            known: Arc::clone(&known),
            database: self.database.clone(),
            extend_every: self.config.extend_every,
            telemetry: self.telemetry.clone(),
            stop: self.stop.clone(),
        };
        let tasks: FuturesUnordered<_> = FuturesUnordered::new();
        tasks.push(OwnedTask::join(spawn_owned(consume.run())));
        tasks.push(OwnedTask::join(spawn_owned(gather.run())));
        for (number, store) in stores.into_iter().enumerate() {
            let lane = Lane {
                store,
                number,
                known: Arc::clone(&known),
                database: self.database.clone(),
                telemetry: self.telemetry.clone(),
                stop: self.stop.clone(),
                limits: LaneLimits::from(&self.config),
                maintain_at: (number == 0).then(|| Instant::now() + self.config.maintain_every),
            };
            tasks.push(OwnedTask::join(spawn_owned(lane.run(idle.clone()))));
        }
        tasks
    }
}

async fn watch_backlog<B: QueueBacklog>(backlog: Arc<B>, health: QueueHealth, telemetry: WriterTelemetry) {
    loop {
        match tokio::time::timeout(BACKLOG_TIME_MAX, backlog.backlog()).await {
            Ok(Ok(seen)) => {
                health.available();
                telemetry.backlog_seen(Some(&seen), shared::time::now());
            }
            Ok(Err(error)) => {
                health.unavailable(error.to_string());
                telemetry.backlog_seen(None, shared::time::now());
            }
            Err(_) => {
                health.unavailable(format!("the queue has not answered within {BACKLOG_TIME_MAX:?}"));
                telemetry.backlog_seen(None, shared::time::now());
            }
        }
        tokio::time::sleep(BACKLOG_POLL).await;
    }
}
