//! What was sent and answered, held against what is stored.

use std::collections::{BTreeSet, HashMap};

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

#[derive(Clone, Debug)]
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
    /// Answers by status, and attempts without an answer as 0.
    pub attempts: HashMap<u16, u64>,
}

impl Journal {
    pub fn extend(&mut self, other: Self) {
        self.sent.extend(other.sent);
        for (status, count) in other.attempts {
            *self.attempts.entry(status).or_default() += count;
        }
    }

    #[must_use]
    pub fn accepted(&self) -> usize {
        self.sent.iter().filter(|sent| sent.answer == Answer::Accepted).count()
    }

    /// Every breach of the promise, in words; empty when it is kept.
    ///
    /// A 2xx is stored exactly once and unchanged, an unclear one at most once,
    /// a rejected one never, and nothing is stored that was not sent.
    #[must_use]
    pub fn breaches(&self, stored: &[Stored]) -> Vec<String> {
        let sent: HashMap<Uuid, &Sent> = self.sent.iter().map(|sent| (sent.id, sent)).collect();
        let mut breaches = Vec::new();
        let mut seen = BTreeSet::new();
        for row in stored {
            let Some(sent) = sent.get(&row.id) else {
                breaches.push(format!("{} is stored and was never sent", row.id));
                continue;
            };
            if !seen.insert(row.id) {
                breaches.push(format!("{} is stored twice", row.id));
            }
            if sent.answer == Answer::Rejected {
                breaches.push(format!("{} is stored and was rejected", row.id));
            }
            if (row.date, &row.path) != (sent.date, &sent.path) {
                breaches.push(format!("{} has changed: sent {sent:?}, stored {row:?}", row.id));
            }
            if sent.session.is_some() && row.session != sent.session {
                breaches.push(format!("{} has the wrong session", row.id));
            }
        }
        let lost =
            self.sent.iter().filter(|sent| sent.answer == Answer::Accepted && !seen.contains(&sent.id));
        breaches.extend(lost.map(|sent| format!("{} was accepted and is not stored", sent.id)));
        breaches
    }

    /// # Panics
    /// The promise is broken.
    pub fn assert_kept(&self, stored: &[Stored]) {
        let breaches = self.breaches(stored);
        assert!(
            breaches.is_empty(),
            "{} breaches ({} sent, {} accepted, {} stored, attempts {:?}), the first: {:#?}",
            breaches.len(),
            self.sent.len(),
            self.accepted(),
            stored.len(),
            self.attempts,
            &breaches[..breaches.len().min(5)]
        );
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
        assert_eq!(journal.breaches(&[row(1), row(2)]), Vec::<String>::new());
    }

    #[test]
    fn every_kind_of_breach_is_seen() {
        let journal = Journal {
            sent: vec![sent(1, Answer::Accepted), sent(2, Answer::Rejected)],
            ..Journal::default()
        };
        let breach = |stored: &[Stored]| journal.breaches(stored).join("; ");
        assert!(breach(&[]).ends_with("was accepted and is not stored"));
        assert!(breach(&[row(1), row(1)]).ends_with("is stored twice"));
        assert!(breach(&[row(1), row(2)]).ends_with("was rejected"));
        assert!(breach(&[row(1), row(3)]).ends_with("was never sent"));
        assert!(breach(&[Stored { path: "/x".into(), ..row(1) }]).contains("has changed"));
        assert!(breach(&[Stored { session: None, ..row(1) }]).ends_with("has the wrong session"));
    }
}
