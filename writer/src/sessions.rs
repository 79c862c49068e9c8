//! Which sessions have their info in the database already: sending all of
//! them again would cost a fifth to two fifths of a batch.

use std::collections::{BTreeMap, HashSet};

use shared::event::SessionId;
use shared::store::{InfosVersion, SessionInfo, StoredActivity};

/// Bounded: forgets the sessions that were longest unseen. Learns only what is committed, so
/// that a forgotten or failed info is sent once more and never too seldom. What it has learnt holds
/// for one version of the store's infos: when some have been removed, all are forgotten.
#[derive(Debug)]
pub(crate) struct KnownSessions {
    version: InfosVersion,
    generation_max: usize,
    // Copies: a session id that was decoded would keep its whole frame.
    young: HashSet<Box<str>>,
    old: HashSet<Box<str>>,
}

impl KnownSessions {
    pub(crate) fn new(sessions_max: usize) -> Self {
        let generation_max = (sessions_max / 2).max(1);
        Self { version: InfosVersion(0), generation_max, young: HashSet::new(), old: HashSet::new() }
    }

    pub(crate) fn version(&self) -> InfosVersion {
        self.version
    }

    /// Whether the info is stored; a session that is asked for stays longer.
    pub(crate) fn contains(&mut self, session_id: &SessionId) -> bool {
        if self.young.contains(session_id.as_str()) {
            return true;
        }
        let Some(session_id) = self.old.take(session_id.as_str()) else { return false };
        self.insert(session_id);
        true
    }

    /// Call it after COMMIT, with the version that the transaction has found.
    pub(crate) fn learn(&mut self, infos: &[SessionInfo], version: InfosVersion) {
        if version != self.version {
            // What an older transaction has stored may have been removed since.
            if version < self.version {
                return;
            }
            (self.young, self.old) = (HashSet::new(), HashSet::new());
            self.version = version;
        }
        for info in infos {
            if !self.contains(&info.session_id) {
                self.insert(info.session_id.as_str().into());
            }
        }
    }

    fn insert(&mut self, session_id: Box<str>) {
        if self.young.len() >= self.generation_max {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(session_id);
    }
}

/// One info per session that is `wanted`, that of its earliest activity, sorted by session.
pub(crate) fn infos_of(
    activities: &[StoredActivity],
    mut wanted: impl FnMut(&SessionId) -> bool,
) -> Vec<SessionInfo> {
    let mut earliest: BTreeMap<&SessionId, &StoredActivity> = BTreeMap::new();
    for row in activities {
        let Some(session_id) = row.activity.session_id.as_ref().filter(|id| wanted(id)) else { continue };
        let first = earliest.entry(session_id).or_insert(row);
        if row.activity.received_at < first.activity.received_at {
            *first = row;
        }
    }
    let info = |(session_id, row): (&SessionId, &StoredActivity)| SessionInfo {
        session_id: session_id.clone(),
        user_agent: row.activity.user_agent.clone(),
        first_seen: row.activity.received_at.instant(),
    };
    earliest.into_iter().map(info).collect()
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use shared::event::UserAgent;

    use super::*;

    fn info(number: usize) -> SessionInfo {
        let session_id = SessionId::new(number.to_string()).expect("digits");
        SessionInfo { session_id, user_agent: UserAgent::default(), first_seen: DateTime::UNIX_EPOCH }
    }

    #[test]
    fn it_forgets_what_was_longest_unseen() {
        let mut known = KnownSessions::new(4);
        known.learn(&[info(1), info(2), info(3)], InfosVersion(0));
        assert!(known.contains(&info(1).session_id), "asked for, so it stays");
        known.learn(&[info(4)], InfosVersion(0));
        assert!(known.contains(&info(1).session_id));
        assert!(known.contains(&info(4).session_id));
        assert!(!known.contains(&info(2).session_id));
    }

    #[test]
    fn it_forgets_all_when_infos_were_removed() {
        let mut known = KnownSessions::new(4);
        known.learn(&[info(1)], InfosVersion(7));
        known.learn(&[info(2)], InfosVersion(8));
        known.learn(&[info(3)], InfosVersion(7));
        let contained = [1, 2, 3].map(|number| known.contains(&info(number).session_id));
        assert_eq!((contained, known.version()), ([false, true, false], InfosVersion(8)));
    }

    #[test]
    fn it_is_bounded() {
        let mut known = KnownSessions::new(100);
        for number in 0..10_000 {
            known.learn(&[info(number)], InfosVersion(0));
            assert!(known.young.len() + known.old.len() <= 100);
        }
        assert!(known.contains(&info(9_999).session_id));
    }
}
