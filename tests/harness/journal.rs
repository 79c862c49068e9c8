//! What was sent and answered, held against what is stored.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::time::Duration;

use chrono::{DateTime, Utc};
use uuid::Uuid;

/// What the client knows about one log request, all its attempts together.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Answer {
    /// A 2xx: it must be stored.
    Accepted,
    /// No 2xx came: it may be stored or not.
    Unclear,
    /// Only answers that promise nothing is stored (4xx).
    Rejected,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sent {
    pub id: Uuid,
    pub date: DateTime<Utc>,
    pub path: String,
    /// Named by the cookie that was sent, or that came with the answer.
    pub session: Option<String>,
    pub answer: Answer,
}

/// A row of `activity`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stored {
    pub id: Uuid,
    pub date: DateTime<Utc>,
    pub path: String,
    pub session: Option<String>,
}

/// Everything that the clients sent.
#[derive(Debug, Default)]
pub struct Journal {
    pub sent: Vec<Sent>,
    /// Answers by status, and attempts that were sent and had no answer as 0.
    pub attempts: HashMap<u16, u64>,
    /// Attempts that found nobody to connect to.
    pub refused: u64,
    /// The longest time without a 2xx for anybody.
    pub longest_stall: Duration,
    /// The longest time from an attempt to its answer.
    pub longest_answer: Duration,
    /// Rows that were stored and erased since, as the reports say.
    pub erased: u64,
}

/// One way in which the promise is broken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Breach {
    NeverSent(Uuid),
    Doubled(Uuid),
    StoredThoughRejected(Uuid),
    Changed { sent: Sent, stored: Stored },
    WrongSession(Uuid),
    Lost(Uuid),
}

impl fmt::Display for Breach {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NeverSent(id) => write!(formatter, "{id} is stored and was never sent"),
            Self::Doubled(id) => write!(formatter, "{id} is stored twice"),
            Self::StoredThoughRejected(id) => write!(formatter, "{id} is stored and was rejected"),
            Self::Changed { sent, stored } => {
                write!(formatter, "{} has changed: sent {sent:?}, stored {stored:?}", sent.id)
            }
            Self::WrongSession(id) => write!(formatter, "{id} has the wrong session"),
            Self::Lost(id) => write!(formatter, "{id} was accepted and is not stored"),
        }
    }
}

impl Journal {
    pub fn extend(&mut self, other: Self) {
        self.sent.extend(other.sent);
        for (status, count) in other.attempts {
            *self.attempts.entry(status).or_default() += count;
        }
        self.refused += other.refused;
        self.erased += other.erased;
        self.longest_answer = self.longest_answer.max(other.longest_answer);
        self.longest_stall = self.longest_stall.max(other.longest_stall);
    }

    /// Those that may be stored or not.
    pub fn unclear(&mut self) -> impl Iterator<Item = &mut Sent> {
        self.sent.iter_mut().filter(|sent| sent.answer == Answer::Unclear)
    }

    #[must_use]
    pub fn accepted(&self) -> usize {
        self.sent.iter().filter(|sent| sent.answer == Answer::Accepted).count()
    }

    /// Every breach of the promise; none when it is kept.
    ///
    /// A 2xx is stored exactly once and unchanged, an unclear one at most once,
    /// a rejected one never, and nothing is stored that was not sent.
    #[must_use]
    pub fn breaches(&self, stored: &[Stored]) -> Vec<Breach> {
        let sent: HashMap<Uuid, &Sent> = self.sent.iter().map(|sent| (sent.id, sent)).collect();
        let mut breaches = Vec::new();
        let mut seen = BTreeSet::new();
        for row in stored {
            let Some(sent) = sent.get(&row.id).copied() else {
                breaches.push(Breach::NeverSent(row.id));
                continue;
            };
            if !seen.insert(row.id) {
                breaches.push(Breach::Doubled(row.id));
            }
            if sent.answer == Answer::Rejected {
                breaches.push(Breach::StoredThoughRejected(row.id));
            }
            if (row.date, &row.path) != (sent.date, &sent.path) {
                breaches.push(Breach::Changed { sent: sent.clone(), stored: row.clone() });
            }
            if sent.session.is_some() && row.session != sent.session {
                breaches.push(Breach::WrongSession(row.id));
            }
        }
        let lost =
            self.sent.iter().filter(|sent| sent.answer == Answer::Accepted && !seen.contains(&sent.id));
        breaches.extend(lost.map(|sent| Breach::Lost(sent.id)));
        breaches
    }

    /// Of the rows alone; [`crate::checker`] judges the rest too.
    ///
    /// # Panics
    /// The promise is broken.
    pub fn assert_kept(&self, stored: &[Stored]) {
        let breaches = self.breaches(stored);
        let some = &breaches[..breaches.len().min(5)];
        assert!(breaches.is_empty(), "{} breaches, the first: {some:#?}", breaches.len());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sent(number: u128, answer: Answer) -> Sent {
        let row = row(number);
        Sent { id: row.id, date: row.date, path: row.path, session: row.session, answer }
    }

    fn row(number: u128) -> Stored {
        Stored {
            id: Uuid::from_u128(number),
            date: DateTime::UNIX_EPOCH,
            path: format!("/{number}"),
            session: Some("s".into()),
        }
    }

    #[test]
    fn a_kept_promise_has_no_breaches() {
        let journal = Journal {
            sent: vec![
                sent(1, Answer::Accepted),
                sent(2, Answer::Unclear),
                sent(3, Answer::Unclear),
                sent(4, Answer::Rejected),
            ],
            ..Journal::default()
        };
        assert_eq!(journal.breaches(&[row(1), row(2)]), []);
    }

    #[test]
    fn every_kind_of_breach_is_seen() {
        let journal = Journal {
            sent: vec![sent(1, Answer::Accepted), sent(2, Answer::Rejected)],
            ..Journal::default()
        };
        let id = Uuid::from_u128;
        assert_eq!(journal.breaches(&[]), [Breach::Lost(id(1))]);
        assert_eq!(journal.breaches(&[row(1), row(1)]), [Breach::Doubled(id(1))]);
        assert_eq!(journal.breaches(&[row(1), row(2)]), [Breach::StoredThoughRejected(id(2))]);
        assert_eq!(journal.breaches(&[row(1), row(3)]), [Breach::NeverSent(id(3))]);
        let changed = journal.breaches(&[Stored { path: "/x".into(), ..row(1) }]);
        assert!(matches!(changed[..], [Breach::Changed { .. }]), "{changed:?}");
        assert_eq!(journal.breaches(&[Stored { session: None, ..row(1) }]), [Breach::WrongSession(id(1))]);
    }
}
