//! Sessions whose info is in the database: upserting all of them again would
//! cost a fifth to two fifths of a batch.

use std::collections::HashSet;

use shared::event::SessionId;
use shared::store::SessionInfo;

/// Of each of the two generations; about 10 MB together.
const SESSIONS_MAX: usize = 50_000;

/// Forgets the older half when full. Learns only after COMMIT.
#[derive(Debug, Default)]
pub(super) struct KnownSessions {
    young: HashSet<SessionId>,
    old: HashSet<SessionId>,
}

impl KnownSessions {
    /// Those that the database may not have yet, in the same order.
    pub(super) fn unknown<'a>(&self, infos: &'a [SessionInfo]) -> Vec<&'a SessionInfo> {
        infos.iter().filter(|info| !self.knows(&info.session_id)).collect()
    }

    /// Takes note of what a transaction has committed.
    pub(super) fn learn(&mut self, infos: &[SessionInfo]) {
        for info in infos {
            if self.young.contains(&info.session_id) {
                continue;
            }
            if self.young.len() >= SESSIONS_MAX {
                self.old = std::mem::take(&mut self.young);
            }
            self.young.insert(info.session_id.clone());
        }
    }

    fn knows(&self, id: &SessionId) -> bool {
        self.young.contains(id) || self.old.contains(id)
    }
}

#[cfg(test)]
mod tests {
    use chrono::DateTime;
    use shared::event::UserAgent;

    use super::*;

    fn infos(numbers: std::ops::Range<usize>) -> Vec<SessionInfo> {
        let info = |number: usize| SessionInfo {
            session_id: SessionId::new(format!("{number:032x}")).expect("a session id"),
            user_agent: UserAgent::default(),
            first_seen: DateTime::UNIX_EPOCH,
        };
        numbers.map(info).collect()
    }

    #[test]
    fn the_known_are_left_out() {
        let mut known = KnownSessions::default();
        known.learn(&infos(0..2));
        let infos = infos(0..4);
        let unknown = known.unknown(&infos);
        assert_eq!(unknown, [&infos[2], &infos[3]]);
    }

    #[test]
    fn the_longest_known_are_forgotten() {
        let mut known = KnownSessions::default();
        known.learn(&infos(0..SESSIONS_MAX));
        known.learn(&infos(SESSIONS_MAX..SESSIONS_MAX + 1));
        assert!(known.unknown(&infos(0..SESSIONS_MAX + 1)).is_empty());
        known.learn(&infos(SESSIONS_MAX..2 * SESSIONS_MAX + 1));
        assert_eq!(known.unknown(&infos(0..SESSIONS_MAX + 1)).len(), SESSIONS_MAX);
    }
}
