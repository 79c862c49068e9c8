//! Gathers decoded frames into batches and hands each to a lane that is idle.
//!
//! A batch that is due while every lane is busy goes on growing to its limits.
//! Frames that wait here are extended while a lane works.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use shared::lifecycle::{TaskError, TaskResult};
use shared::queue::Settle;
use tokio::sync::{mpsc, oneshot};
use tokio::time::{Instant, MissedTickBehavior};

use crate::batch::{Arrival, Gathering, Work};
use crate::health::DatabaseHealth;
use crate::sessions::KnownSessions;
use crate::settle::{self, Ticket};
use crate::stop::Stop;
use crate::telemetry::WriterTelemetry;

/// An idle lane asks for work with one of these.
pub(crate) type IdleLane<S> = oneshot::Sender<Work<Ticket<S>>>;

pub(crate) struct Gather<S> {
    pub(crate) arrivals: mpsc::Receiver<Arrival<Ticket<S>>>,
    pub(crate) idle: mpsc::Receiver<IdleLane<S>>,
    pub(crate) gathering: Gathering<Ticket<S>>,
    /// Decoded frames of the next batches; the room for pulled frames bounds them.
    pub(crate) ahead: VecDeque<Arrival<Ticket<S>>>,
    pub(crate) known: Arc<Mutex<KnownSessions>>,
    pub(crate) database: DatabaseHealth,
    pub(crate) extend_every: Duration,
    pub(crate) telemetry: WriterTelemetry,
    pub(crate) stop: Stop,
}

impl<S: Settle> Gather<S> {
    /// Runs until nothing arrives any more and everything is handed to a lane.
    ///
    /// # Errors
    /// Every lane has died.
    pub(crate) async fn run(mut self) -> TaskResult {
        let mut extend = tokio::time::interval_at(Instant::now() + self.extend_every, self.extend_every);
        extend.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let stop = self.stop.clone();
        let mut open = true;
        let mut hurry = false;
        loop {
            self.fill();
            let due = self.gathering.due();
            if due.is_none() && !open {
                return Ok(());
            }
            // A writer that stops has no time to wait for company.
            let is_due = due.is_some_and(|due| !open || hurry || due <= Instant::now());
            tokio::select! {
                biased;
                () = stop.expired() => {
                    self.hand_back().await;
                    return Ok(());
                }
                () = stop.requested(), if !hurry => hurry = true,
                lane = self.idle.recv(), if is_due => match lane {
                    Some(lane) => self.give(lane).await,
                    None => return Err(TaskError::Failed("every lane of the writer has ended".to_owned())),
                },
                arrival = self.arrivals.recv(), if open => match arrival {
                    Some(arrival) => self.ahead.push_back(arrival),
                    None => open = false,
                },
                () = sleep_until(due), if !is_due => {}
                _ = extend.tick() => self.extend().await,
            }
        }
    }

    fn fill(&mut self) {
        let now = Instant::now();
        while let Some(arrival) = self.ahead.pop_front() {
            if let Err(refused) = self.gathering.offer(arrival, now) {
                self.ahead.push_front(refused);
                return;
            }
        }
    }

    async fn give(&mut self, lane: IdleLane<S>) {
        let work = self.gathering.close(&mut self.known.lock().unwrap_or_else(PoisonError::into_inner));
        if let Err(refused) = lane.send(work) {
            settle::retried_later(refused.tickets, Duration::ZERO, &self.telemetry).await;
        }
    }

    async fn extend(&mut self) {
        if self.database.is_working() {
            let ahead = self.ahead.iter().map(|arrival| &arrival.ticket);
            settle::extended(self.gathering.tickets().iter().chain(ahead), &self.telemetry).await;
        }
    }

    async fn hand_back(mut self) {
        self.arrivals.close();
        while let Some(arrival) = self.arrivals.recv().await {
            self.ahead.push_back(arrival);
        }
        let mut tickets = self.gathering.abandon();
        tickets.extend(self.ahead.into_iter().map(|arrival| arrival.ticket));
        settle::retried_later(tickets, Duration::ZERO, &self.telemetry).await;
    }
}

async fn sleep_until(due: Option<Instant>) {
    match due {
        Some(due) => tokio::time::sleep_until(due).await,
        None => std::future::pending().await,
    }
}
