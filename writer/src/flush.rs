//! A lane: one connection that stores one batch after the other.
//!
//! What to do after a failure is decided in [`retry`](crate::retry) and
//! [`isolate`](crate::isolate); here it is done. A batch is left only when all
//! of it is committed, or when the writer stops: then its frames are handed back.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shared::chance;
use shared::failpoint::{self, Place, Sabotage};
use shared::lifecycle::TaskResult;
use shared::queue::Settle;
use shared::store::{Batch, Store, StoreError, StoreReport};
use tokio::sync::{mpsc, oneshot};
use tokio::time::Instant;

use crate::batch::Work;
use crate::config::WriterConfig;
use crate::gather::IdleLane;
use crate::health::{DatabaseHealth, LaneState};
use crate::isolate::{Isolation, Remainder};
use crate::retry::{self, Next};
use crate::sessions::KnownSessions;
use crate::settle::{self, Keeper, Ticket};
use crate::stop::Stop;
use crate::telemetry::WriterTelemetry;

/// After failed maintenance the next try comes sooner.
const MAINTENANCE_RETRY: Duration = Duration::from_secs(60);

pub(crate) struct Lane<S> {
    pub(crate) store: S,
    pub(crate) number: usize,
    pub(crate) known: Arc<Mutex<KnownSessions>>,
    pub(crate) database: DatabaseHealth,
    pub(crate) telemetry: WriterTelemetry,
    pub(crate) stop: Stop,
    pub(crate) limits: LaneLimits,
    /// When this lane looks after the schema next; `None` for all but the first.
    pub(crate) maintain_at: Option<Instant>,
}

#[derive(Clone, Copy, Debug)]
pub(crate) struct LaneLimits {
    pub(crate) rows_max: usize,
    pub(crate) extend_every: Duration,
    pub(crate) attempt_time_max: Duration,
    pub(crate) maintain_every: Duration,
}

impl From<&WriterConfig> for LaneLimits {
    fn from(config: &WriterConfig) -> Self {
        Self {
            rows_max: config.rows_max,
            extend_every: config.extend_every,
            attempt_time_max: config.attempt_time_max,
            maintain_every: config.maintain_every,
        }
    }
}

/// What a lane remembers from one attempt to the next.
#[derive(Debug)]
struct Memory {
    /// Rows of the next attempt: halved by a timeout, doubled by a COMMIT.
    rows_max: usize,
    /// Dead letters made since a row was last stored.
    guilty: usize,
    /// Failures in a row.
    failures: u32,
    trust: SchemaTrust,
}

/// Whether the schema is believed to fit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SchemaTrust {
    Fits,
    /// Until a whole batch is committed: a few of its rows prove nothing.
    Blamed,
}

impl<S: Store> Lane<S> {
    /// Runs until nobody hands out work any more.
    pub(crate) async fn run<Q: Settle>(mut self, idle: mpsc::Sender<IdleLane<Q>>) -> TaskResult {
        let rows_max = self.limits.rows_max;
        let mut memory = Memory { rows_max, guilty: 0, failures: 0, trust: SchemaTrust::Fits };
        loop {
            self.maintain_if_due().await;
            let (give, take) = oneshot::channel();
            if idle.send(give).await.is_err() {
                return Ok(());
            }
            let Some(work) = self.wait_for(take).await else { return Ok(()) };
            self.flush(work, &mut memory).await;
        }
    }

    async fn wait_for<W>(&mut self, mut take: oneshot::Receiver<W>) -> Option<W> {
        loop {
            let due = self.maintain_at.unwrap_or_else(|| Instant::now() + self.limits.maintain_every);
            tokio::select! {
                biased;
                work = &mut take => return work.ok(),
                () = tokio::time::sleep_until(due) => self.maintain_if_due().await,
            }
        }
    }

    /// A failure is no reason to stop storing: there are months ahead, and what is wrong with
    /// the schema shows in the next batch.
    async fn maintain_if_due(&mut self) {
        if self.maintain_at.is_none_or(|due| Instant::now() < due) {
            return;
        }
        let pause = match self.store.maintain(shared::time::now()).await {
            Ok(()) => self.limits.maintain_every,
            Err(error) => {
                tracing::warn!(%error, "schema and partitions could not be looked after");
                self.telemetry.maintenance_failed();
                MAINTENANCE_RETRY
            }
        };
        self.maintain_at = Some(Instant::now() + pause);
    }

    async fn flush<Q: Settle>(&mut self, work: Work<Ticket<Q>>, memory: &mut Memory) {
        let Work { batch, mut tickets } = work;
        if failpoint::is_armed(Sabotage::AckFirst)
            && let Some(nothing) = Remainder::new(Batch::default(), 0).committed_all()
        {
            settle::stored(std::mem::take(&mut tickets), nothing, &self.telemetry).await;
        }
        let mut keeper = Keeper::new(self.limits.extend_every);
        let mut remainder = Remainder::new(batch, memory.guilty);
        let mut rows_in_table = 0;
        while let Some(batch) = remainder.next(memory.rows_max) {
            match self.attempt(batch, &tickets, &mut keeper).await {
                None => return self.hand_back(tickets).await,
                Some(Ok(report)) => {
                    self.committed(batch, &report);
                    remainder.committed();
                    rows_in_table += report.stored + report.duplicate;
                    memory.rows_max = (memory.rows_max * 2).min(self.limits.rows_max);
                    if memory.trust == SchemaTrust::Fits {
                        memory.failures = 0;
                        self.database.lane(self.number, LaneState::Working);
                    }
                }
                Some(Err(error)) => {
                    self.telemetry.store_failed(error.kind);
                    let rows = batch.activities.len();
                    let Some(pause) = self.judge(&error, rows, &mut remainder, memory) else { continue };
                    if self.pause(pause, &tickets, &mut keeper).await.is_err() {
                        return self.hand_back(tickets).await;
                    }
                    if memory.trust == SchemaTrust::Blamed {
                        self.look_again().await;
                    }
                }
            }
        }
        memory.guilty = if rows_in_table > 0 { 0 } else { memory.guilty + remainder.guilty() };
        (memory.failures, memory.trust) = (0, SchemaTrust::Fits);
        self.database.lane(self.number, LaneState::Working);
        if let Some(committed) = remainder.committed_all() {
            failpoint::reach(Place::BeforeAck);
            settle::stored(tickets, committed, &self.telemetry).await;
        }
    }

    /// `None` once the writer's time to stop is over.
    async fn attempt<Q: Settle>(
        &mut self,
        batch: &Batch,
        tickets: &[Ticket<Q>],
        keeper: &mut Keeper,
    ) -> Option<Result<StoreReport, StoreError>> {
        let started = Instant::now();
        let until = started + self.limits.attempt_time_max;
        self.database.works_until(until);
        let outcome = tokio::select! {
            biased;
            result = self.store.store(batch) => Some(result),
            never = keeper.keep(tickets, until, &self.telemetry) => match never {},
            () = self.stop.expired() => None,
        };
        self.telemetry.store_attempted(started.elapsed());
        outcome
    }

    fn committed(&mut self, batch: &Batch, report: &StoreReport) {
        self.telemetry.batch_committed(batch.delivered, batch.activities.len(), report);
        // Infos of what was suppressed are not stored.
        let stored = if report.suppressed == 0 { batch.session_infos.as_slice() } else { &[] };
        self.known.lock().unwrap_or_else(PoisonError::into_inner).learn(stored, report.infos_version);
    }

    /// How long to wait before the next attempt; `None`: not at all.
    fn judge(
        &self,
        error: &StoreError,
        rows: usize,
        remainder: &mut Remainder,
        memory: &mut Memory,
    ) -> Option<Duration> {
        let failures = memory.failures.saturating_add(1);
        match retry::next(error.kind, failures, chance::fraction()) {
            Next::Retry { after } => {
                memory.failures = failures;
                self.report_failure(error, after, memory.trust);
                Some(after)
            }
            Next::Halve { after } => {
                memory.failures = failures;
                memory.rows_max = (rows / 2).max(1);
                self.report_failure(error, after, memory.trust);
                Some(after)
            }
            Next::Isolate => match remainder.isolate(error, shared::time::now()) {
                Isolation::Narrowed => None,
                Isolation::Guilty => {
                    tracing::error!(%error, "the database refuses an activity; it becomes a dead letter");
                    None
                }
                Isolation::SchemaFault => Some(self.blame_schema(error, memory)),
            },
            Next::AwaitSchema { .. } => Some(self.blame_schema(error, memory)),
        }
    }

    fn report_failure(&self, error: &StoreError, after: Duration, trust: SchemaTrust) {
        tracing::warn!(%error, sqlstate = error.sqlstate, kind = ?error.kind, ?after, "a batch is not stored yet");
        let reason = error.to_string();
        self.database.lane(
            self.number,
            match trust {
                SchemaTrust::Fits => LaneState::Failing(reason),
                SchemaTrust::Blamed => LaneState::AwaitingSchema(reason),
            },
        );
    }

    fn blame_schema(&self, error: &StoreError, memory: &mut Memory) -> Duration {
        memory.failures = memory.failures.saturating_add(1);
        memory.trust = SchemaTrust::Blamed;
        tracing::error!(%error, sqlstate = error.sqlstate, "nothing more is pulled until this is mended");
        let reason = format!("stopped until the schema or a limit is mended: {error}");
        self.database.lane(self.number, LaneState::AwaitingSchema(reason));
        retry::schema_delay(memory.failures, chance::fraction())
    }

    /// Waits while the frames are kept; fails when the writer stops and retrying with it.
    async fn pause<Q: Settle>(
        &mut self,
        pause: Duration,
        tickets: &[Ticket<Q>],
        keeper: &mut Keeper,
    ) -> Result<(), RetriesEnd> {
        let until = Instant::now() + pause;
        self.database.works_until(until + self.limits.extend_every);
        tokio::select! {
            biased;
            () = self.stop.retries_end() => Err(RetriesEnd),
            () = tokio::time::sleep_until(until) => Ok(()),
            never = keeper.keep(tickets, until, &self.telemetry) => match never {},
        }
    }

    /// The migration may have been made meanwhile, or be this process's to make.
    async fn look_again(&mut self) {
        if let Err(error) = self.store.maintain(shared::time::now()).await {
            tracing::warn!(%error, "the schema cannot be brought up to date");
            self.telemetry.maintenance_failed();
        }
    }

    async fn hand_back<Q: Settle>(&mut self, tickets: Vec<Ticket<Q>>) {
        tracing::info!(frames = tickets.len(), "frames that are not stored are handed back");
        settle::retried_later(tickets, Duration::ZERO, &self.telemetry).await;
    }
}

struct RetriesEnd;
