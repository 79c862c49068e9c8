//! What was read, and what follows from it. Pure.

use chrono::{DateTime, Utc};
use serde::Serialize;
use serde_json::Value;
use shared::accounting::Accounting;
use writer::store::status::StoreStatus;

/// A frame that waits longer than this has no writer, or a writer in trouble.
const WAIT_SECONDS_MAX: i64 = 10;

#[derive(Clone, Debug, Serialize)]
pub(super) struct Report {
    pub(super) processes: Vec<Process>,
    pub(super) queue: Reading<QueueReading>,
    pub(super) database: Reading<StoreStatus>,
    pub(super) total: Accounting,
    /// `delivered = stored + duplicate + dead + suppressed`, for every writer.
    pub(super) accounts_close: Verdict,
    /// `accepted <= delivered + queued + spooled`, without what was loaded.
    pub(super) nothing_missing: Verdict,
    pub(super) warnings: Vec<String>,
}

/// A value, or why there is none.
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Reading<T> {
    Known(T),
    Unknown(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "verdict", content = "reason")]
pub(super) enum Verdict {
    Holds,
    Broken(String),
    Unknown(String),
}

/// An admin listener and what its `/status` said.
#[derive(Clone, Debug, Serialize)]
pub(super) struct Process {
    pub(super) url: String,
    pub(super) status: Reading<Value>,
}

#[derive(Clone, Debug, Serialize)]
pub(super) struct QueueReading {
    pub(super) name: &'static str,
    pub(super) frames: u64,
    pub(super) activities: Option<u64>,
    pub(super) bytes: u64,
    pub(super) oldest: Option<DateTime<Utc>>,
}

impl Process {
    fn field(&self, pointer: &str) -> Option<u64> {
        match &self.status {
            Reading::Known(status) => status.pointer(pointer)?.as_u64(),
            Reading::Unknown(_) => None,
        }
    }

    pub(super) fn accepted(&self) -> Option<u64> {
        self.field("/ingest/accepted")
    }

    /// Activities in the spool of an ingest.
    pub(super) fn spooled(&self) -> u64 {
        self.field("/spool/activities").unwrap_or_default()
    }

    pub(super) fn spooled_frames(&self) -> u64 {
        self.field("/spool/frames").unwrap_or_default()
    }

    /// The embedded queue, whose only reader is its own process.
    pub(super) fn embedded_queue(&self) -> Option<QueueReading> {
        let Reading::Known(status) = &self.status else { return None };
        if status.get("queue")?.as_str()? != "embedded" {
            return None;
        }
        let oldest = status.pointer("/backlog/oldest").and_then(Value::as_str);
        Some(QueueReading {
            name: "embedded",
            frames: self.field("/backlog/frames")?,
            activities: self.field("/backlog/activities"),
            bytes: self.field("/backlog/bytes")?,
            oldest: oldest.and_then(|text| text.parse().ok()),
        })
    }
}

impl Report {
    pub(super) fn new(
        processes: Vec<Process>,
        queue: Reading<QueueReading>,
        database: Reading<StoreStatus>,
        now: DateTime<Utc>,
    ) -> Self {
        let (total, from_queues) = match &database {
            Reading::Known(store) => (store.total(), store.total_from_queues()),
            Reading::Unknown(_) => Default::default(),
        };
        Self {
            accounts_close: accounts_close(&database),
            nothing_missing: nothing_missing(&processes, &queue, &database, from_queues.delivered),
            warnings: warnings(&processes, &queue, &database, now),
            total,
            processes,
            queue,
            database,
        }
    }

    pub(super) fn is_broken(&self) -> bool {
        [&self.accounts_close, &self.nothing_missing]
            .iter()
            .any(|verdict| matches!(verdict, Verdict::Broken(_)))
    }
}

fn accounts_close(database: &Reading<StoreStatus>) -> Verdict {
    match database {
        Reading::Unknown(reason) => Verdict::Unknown(reason.clone()),
        Reading::Known(store) => match store.accounting.iter().find(|(_, accounts)| !accounts.closes()) {
            Some((writer, _)) => Verdict::Broken(format!("the accounts of writer {writer} do not close")),
            None => Verdict::Holds,
        },
    }
}

fn nothing_missing(
    processes: &[Process],
    queue: &Reading<QueueReading>,
    database: &Reading<StoreStatus>,
    delivered: u64,
) -> Verdict {
    if let Some(silent) = processes.iter().find(|process| matches!(process.status, Reading::Unknown(_))) {
        return Verdict::Unknown(format!("{} does not answer", silent.url));
    }
    let accepted: Vec<u64> = processes.iter().filter_map(Process::accepted).collect();
    if accepted.is_empty() {
        return Verdict::Unknown("no ingest was asked; name its admin listener with --admin".to_owned());
    }
    let accepted: u64 = accepted.iter().sum();
    let spooled: u64 = processes.iter().map(Process::spooled).sum();
    let known = delivered + spooled;
    let queued = match (queue, database) {
        (_, Reading::Unknown(reason)) => return Verdict::Unknown(reason.clone()),
        // Whatever the queue holds is only more.
        (Reading::Unknown(_), _) if accepted <= known => 0,
        (Reading::Unknown(reason), _) => return Verdict::Unknown(reason.clone()),
        (Reading::Known(queue), _) => match (queue.activities, queue.frames) {
            (Some(activities), _) => activities,
            (None, 0) => 0,
            // Each frame holds at least one; enough of them settle it, fewer do not.
            (None, frames) if accepted <= known + frames => frames,
            (None, _) => return Verdict::Unknown("this queue does not count activities".to_owned()),
        },
    };
    if accepted <= known + queued {
        return Verdict::Holds;
    }
    Verdict::Broken(format!(
        "{} accepted activities are neither spooled nor queued nor delivered",
        accepted - known - queued
    ))
}

fn warnings(
    processes: &[Process],
    queue: &Reading<QueueReading>,
    database: &Reading<StoreStatus>,
    now: DateTime<Utc>,
) -> Vec<String> {
    let mut warnings = Vec::new();
    if let Reading::Known(QueueReading { oldest: Some(oldest), .. }) = queue {
        let waits = (now - *oldest).num_seconds();
        if waits > WAIT_SECONDS_MAX {
            warnings.push(format!(
                "the oldest frame waits since {waits} s; is a writer running, and is it ready?"
            ));
        }
    }
    if let Reading::Known(store) = database
        && store.dead_letters.count > 0
    {
        warnings.push(format!("{} dead letters wait for a decision", store.dead_letters.count));
    }
    for process in processes {
        if process.spooled_frames() > 0 {
            let frames = process.spooled_frames();
            warnings.push(format!("{}: {frames} frames in the spool wait for NATS", process.url));
        }
        if let Reading::Known(status) = &process.status
            && let Some(reasons) = status.get("reasons").and_then(Value::as_object)
        {
            let reasons = reasons.iter().map(|(name, reason)| {
                format!("{}: {name}: {}", process.url, reason.as_str().unwrap_or_default())
            });
            warnings.extend(reasons);
        }
    }
    warnings
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use writer::store::status::DeadLetterTotals;

    use super::*;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000, 0).expect("a date")
    }

    fn ingest(accepted: u64) -> Process {
        let status = json!({ "role": "serve", "queue": "embedded", "ingest": { "accepted": accepted },
            "backlog": { "frames": 1, "activities": 3, "bytes": 9, "oldest": "2027-01-15T07:59:00Z" } });
        Process { url: "http://a".to_owned(), status: Reading::Known(status) }
    }

    fn store(delivered: u64, stored: u64) -> Reading<StoreStatus> {
        let accounts = Accounting { delivered, stored, ..Accounting::default() };
        let accounting = vec![("w".to_owned(), accounts)];
        Reading::Known(StoreStatus { accounting, dead_letters: DeadLetterTotals::default() })
    }

    fn report(processes: Vec<Process>, database: Reading<StoreStatus>) -> Report {
        let queue = processes.iter().find_map(Process::embedded_queue);
        let queue = queue.map_or(Reading::Unknown("away".to_owned()), Reading::Known);
        Report::new(processes, queue, database, now())
    }

    #[test]
    fn what_is_accepted_is_queued_or_delivered() {
        let whole = report(vec![ingest(10)], store(7, 7));
        assert_eq!(
            (whole.accounts_close.clone(), whole.nothing_missing.clone()),
            (Verdict::Holds, Verdict::Holds)
        );
        assert!(!whole.is_broken());
        let missing = report(vec![ingest(11)], store(7, 7));
        assert!(matches!(missing.nothing_missing, Verdict::Broken(_)) && missing.is_broken());
    }

    #[test]
    fn what_was_loaded_was_not_accepted() {
        let with = |writer: &str| {
            let accounts = |delivered| Accounting { delivered, stored: delivered, ..Accounting::default() };
            let accounting = vec![("w".to_owned(), accounts(7)), (writer.to_owned(), accounts(100))];
            Reading::Known(StoreStatus { accounting, dead_letters: DeadLetterTotals::default() })
        };
        let loaded = report(vec![ingest(11)], with("load/0"));
        assert!(matches!(loaded.nothing_missing, Verdict::Broken(_)));
        assert_eq!(loaded.total.delivered, 107);
        assert_eq!(report(vec![ingest(11)], with("v")).nothing_missing, Verdict::Holds);
    }

    #[test]
    fn what_is_spooled_is_not_missing() {
        let status = |spooled: u64| {
            let status = json!({ "ingest": { "accepted": 10 }, "queue": "nats",
                "spool": { "frames": 1, "activities": spooled, "bytes": 9 } });
            Process { url: "http://a".to_owned(), status: Reading::Known(status) }
        };
        let queue = || {
            Reading::Known(QueueReading { name: "nats", frames: 0, activities: None, bytes: 0, oldest: None })
        };
        let spooled = Report::new(vec![status(3)], queue(), store(7, 7), now());
        assert_eq!(spooled.nothing_missing, Verdict::Holds);
        assert!(spooled.warnings.iter().any(|warning| warning.contains("spool")), "{:?}", spooled.warnings);
        let missing = Report::new(vec![status(2)], queue(), store(7, 7), now());
        assert!(matches!(missing.nothing_missing, Verdict::Broken(_)));
        let away = || Reading::Unknown("away".to_owned());
        assert_eq!(Report::new(vec![status(3)], away(), store(7, 7), now()).nothing_missing, Verdict::Holds);
        let blind = Report::new(vec![status(2)], away(), store(7, 7), now());
        assert!(matches!(blind.nothing_missing, Verdict::Unknown(_)));
    }

    #[test]
    fn accounts_that_do_not_close_are_broken() {
        let open = report(vec![ingest(1)], store(7, 6));
        assert!(matches!(open.accounts_close, Verdict::Broken(_)) && open.is_broken());
    }

    #[test]
    fn what_cannot_be_asked_is_unknown() {
        let silent = Process { url: "http://b".to_owned(), status: Reading::Unknown("refused".to_owned()) };
        let half = report(vec![ingest(100), silent], store(7, 7));
        assert!(matches!(half.nothing_missing, Verdict::Unknown(_)) && !half.is_broken());
        let blind = report(vec![ingest(1)], Reading::Unknown("refused".to_owned()));
        assert!(matches!(blind.accounts_close, Verdict::Unknown(_)));
        assert!(matches!(report(vec![], store(1, 1)).nothing_missing, Verdict::Unknown(_)));
    }

    #[test]
    fn a_queue_that_nobody_consumes_is_a_warning() {
        let waiting = report(vec![ingest(1)], store(7, 7));
        assert!(waiting.warnings.iter().any(|warning| warning.contains("60 s")), "{:?}", waiting.warnings);
    }
}
