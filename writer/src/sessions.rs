//! Which sessions have their info in the database already: sending all of
//! them again would cost a fifth to two fifths of a batch.

use std::collections::HashSet;

use shared::event::SessionId;
use shared::store::SessionInfo;

/// Bounded: forgets the sessions that were longest unseen. Learns only what is committed, so
/// that a forgotten or failed info is sent once more and never too seldom.
#[derive(Debug)]
pub(crate) struct KnownSessions {
    generation_max: usize,
    young: HashSet<SessionId>,
    old: HashSet<SessionId>,
}

impl KnownSessions {
    pub(crate) fn new(sessions_max: usize) -> Self {
        let generation_max = (sessions_max / 2).max(1);
        Self { generation_max, young: HashSet::new(), old: HashSet::new() }
    }

    /// Whether the info is stored; a session that is asked for stays longer.
    pub(crate) fn contains(&mut self, session_id: &SessionId) -> bool {
        if self.young.contains(session_id) {
            return true;
        }
        let Some(session_id) = self.old.take(session_id) else { return false };
        self.insert(session_id);
        true
    }

    /// Call it after COMMIT.
    pub(crate) fn learn(&mut self, infos: &[SessionInfo]) {
        for info in infos {
            if !self.contains(&info.session_id) {
                self.insert(info.session_id.clone());
            }
        }
    }

    fn insert(&mut self, session_id: SessionId) {
        if self.young.len() >= self.generation_max {
            self.old = std::mem::take(&mut self.young);
        }
        self.young.insert(session_id);
    }
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
        known.learn(&[info(1), info(2), info(3)]);
        assert!(known.contains(&info(1).session_id), "asked for, so it stays");
        known.learn(&[info(4)]);
        assert!(known.contains(&info(1).session_id));
        assert!(known.contains(&info(4).session_id));
        assert!(!known.contains(&info(2).session_id));
    }

    #[test]
    fn it_is_bounded() {
        let mut known = KnownSessions::new(100);
        for number in 0..10_000 {
            known.learn(&[info(number)]);
            assert!(known.young.len() + known.old.len() <= 100);
        }
        assert!(known.contains(&info(9_999).session_id));
    }
}
