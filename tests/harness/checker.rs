//! The judge, in the manner of Jepsen's set test: what was answered against what is stored.
//!
//! After the faults have healed and the queue is empty: every 2xx is stored
//! exactly once, everything stored was sent, each session has its info, the accounts
//! close, and an outage has left no dead letter. `tests/faults/checked.rs` shows that it sees each of these broken.

use std::collections::BTreeSet;
use std::env;
use std::fmt;
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::time::Duration;

use async_nats::jetstream::stream::Stream;
use tokio::time::{Instant, sleep};

use crate::client::{exchange, log_request};
use crate::database::Database;
use crate::journal::{Answer, Breach, Journal};
use crate::wait_until;

/// A killed writer's frames come back after `ack_wait`, 30 s; the rest is a slow machine's.
pub const DRAIN_LIMIT: Duration = Duration::from_secs(150);
const RETRY_PAUSE: Duration = Duration::from_millis(100);

/// Where frames may still wait.
#[derive(Clone, Debug)]
pub enum Queue {
    /// The stream of the broker at this URL.
    JetStream(String),
    /// The embedded queue behind this `/status` page.
    Embedded(String),
    /// Drained by a clean stop.
    Closed,
}

impl Queue {
    /// Frames that wait; `None` while nobody answers.
    pub async fn frames(&self) -> Option<u64> {
        match self {
            Self::JetStream(url) => Some(stream(url).await?.cached_info().state.messages),
            Self::Embedded(status) => {
                let client = reqwest::Client::builder().no_proxy().build().ok()?;
                let status: serde_json::Value = client.get(status).send().await.ok()?.json().await.ok()?;
                status["backlog"]["frames"].as_u64()
            }
            Self::Closed => Some(0),
        }
    }

    /// Of these, frames that a writer was given and has not settled; `None` while nobody says.
    pub async fn frames_given(&self) -> Option<u64> {
        let Self::JetStream(url) = self else { return None };
        let consumer = stream(url).await?.consumer_info("djaffar-writer").await.ok()?;
        u64::try_from(consumer.num_ack_pending).ok()
    }

    /// What is known of frames that do not go away.
    async fn describe(&self) -> String {
        let frames = self.frames().await;
        let Self::JetStream(url) = self else { return format!("{frames:?} frames") };
        let info = async {
            let stream = stream(url).await?;
            let consumer = stream.consumer_info("djaffar-writer").await.ok()?;
            Some(format!("{frames:?} frames, {:?}, {consumer:?}", stream.cached_info().state))
        };
        info.await.unwrap_or_else(|| format!("{frames:?} frames, and the broker does not say more"))
    }
}

async fn stream(servers: &str) -> Option<Stream> {
    let client = async_nats::connect(servers.split(',').collect::<Vec<_>>()).await.ok()?;
    async_nats::jetstream::new(client).get_stream("DJAFFAR").await.ok()
}

/// What a fault test has measured: one row of RELIABILITY.md.
#[derive(Clone, Copy, Debug, Default)]
pub struct Figures {
    pub sent: usize,
    pub acked: usize,
    pub stored: usize,
    pub duplicate: u64,
    pub dead: u64,
    pub lost: usize,
    pub doubled: usize,
    /// The longest time without a 2xx for anybody.
    pub stall: Duration,
    /// From the last answer to the empty queue.
    pub drain: Duration,
}

impl fmt::Display for Figures {
    /// Cells of a table.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { sent, acked, stored, duplicate, dead, lost, doubled, stall, drain } = self;
        let (stall, drain) = (stall.as_secs_f32(), drain.as_secs_f32());
        write!(
            formatter,
            "{sent} | {acked} | {stored} | {duplicate} | {dead} | {lost} | {doubled} | {stall:.1} s | {drain:.1} s"
        )
    }
}

/// Whether the promise was kept.
#[derive(Debug)]
pub struct Verdict {
    pub figures: Figures,
    /// In words; none when it was.
    pub breaches: Vec<String>,
}

impl Verdict {
    /// # Panics
    /// The promise is broken.
    pub fn assert_kept(self) -> Figures {
        let some = &self.breaches[..self.breaches.len().min(5)];
        assert!(
            self.breaches.is_empty(),
            "{} breaches, the first: {some:#?}, {:?}",
            self.breaches.len(),
            self.figures
        );
        self.figures
    }
}

/// Adds a row to the table in the file that `FAULT_REPORT` names.
///
/// # Panics
/// It cannot be written.
pub fn report(test: &str, rounds: usize, figures: &Figures) {
    let row = format!("| `{test}` | {rounds} | {figures} |");
    println!("{row}");
    if let Some(path) = env::var_os("FAULT_REPORT") {
        let mut file =
            File::options().create(true).append(true).open(path).expect("the report can be opened");
        writeln!(file, "{row}").expect("the report can be written");
    }
}

/// Waits until the queue is empty and nothing changes any more, then judges.
pub async fn judge(journal: &Journal, database: &Database, queue: &Queue) -> Verdict {
    let begun = Instant::now();
    let mut breaches = Vec::new();
    let (mut rows, mut accounting);
    let drain = loop {
        if !is_empty(queue).await {
            let left = queue.describe().await;
            breaches.push(format!("the queue is not empty after {DRAIN_LIMIT:?}: {left}"));
        }
        let drain = begun.elapsed();
        rows = database.activities().await;
        accounting = database.accounting().await;
        // A frame that was given up may arrive late: then the rows were read in the middle of it.
        if queue.frames().await == Some(0) && accounting == database.accounting().await
            || begun.elapsed() > DRAIN_LIMIT
        {
            break drain;
        }
    };
    let of_rows = journal.breaches(&rows);
    let count = |kind: fn(&Breach) -> bool| of_rows.iter().filter(|breach| kind(breach)).count();
    let figures = Figures {
        sent: journal.sent.len(),
        acked: journal.accepted(),
        stored: rows.len(),
        duplicate: accounting.duplicate,
        dead: accounting.dead,
        lost: count(|breach| matches!(breach, Breach::Lost(_))),
        doubled: count(|breach| matches!(breach, Breach::Doubled(_))),
        stall: journal.longest_stall,
        drain,
    };
    breaches.extend(of_rows.iter().map(ToString::to_string));
    if !accounting.closes() {
        breaches.push(format!("the accounts do not close: {accounting:?}"));
    }
    if accounting.stored != rows.len() as u64 + journal.erased {
        let erased = journal.erased;
        breaches.push(format!(
            "{} rows are stored, {erased} erased, accounted for are {accounting:?}",
            rows.len()
        ));
    }
    // What is lost is a breach already.
    if accounting.delivered < (journal.accepted() - figures.lost) as u64 {
        breaches.push(format!("{} were accepted, delivered were {accounting:?}", journal.accepted()));
    }
    let infos: BTreeSet<String> = database.session_infos().await.into_iter().map(|(id, _)| id).collect();
    let unknown = rows.iter().filter_map(|row| row.session.as_ref()).filter(|id| !infos.contains(*id));
    breaches.extend(unknown.map(|id| format!("the session {id} has no session info")));
    let letters = database.dead_letters().await;
    if (accounting.dead, letters) != (0, 0) {
        breaches.push(format!("{letters} dead letters, accounted for are {accounting:?}"));
    }
    Verdict { figures, breaches }
}

async fn is_empty(queue: &Queue) -> bool {
    let begun = Instant::now();
    while begun.elapsed() < DRAIN_LIMIT {
        if queue.frames().await == Some(0) {
            return true;
        }
        sleep(Duration::from_millis(50)).await;
    }
    false
}

/// Sends everything unclear again, same ids and dates, until it is accepted; returns how much it was.
///
/// # Panics
/// Nobody accepts it.
pub async fn retry_unclear(journal: &mut Journal, target: SocketAddr) -> usize {
    let mut count = 0;
    for sent in journal.unclear() {
        let request = log_request(sent.id, sent.date, &sent.path, None);
        wait_until("a retry to be accepted", DRAIN_LIMIT, || async {
            let accepted = exchange(target, &request).await.is_ok_and(|response| response.status == 204);
            if !accepted {
                sleep(RETRY_PAUSE).await;
            }
            accepted
        })
        .await;
        // Under which session the first attempt was stored, if it was, nobody knows.
        (sent.answer, sent.session) = (Answer::Accepted, None);
        count += 1;
    }
    count
}
