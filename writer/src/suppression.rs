//! Whose activities are not stored any more, although they were accepted: pure.
//!
//! Erasing deletes what is stored; what still waits in a queue or a spool is
//! met by the writers, who hold each batch against this list. An entry knows a
//! keyed digest and an instant: whoever returns after it is stored again.

use std::borrow::Cow;
use std::collections::{BTreeSet, HashMap};

use chrono::{DateTime, Utc};
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use shared::event::{Activity, SessionId};
use shared::store::{Batch, DeadLetter, InfosVersion, SessionInfo, StoreReport, StoredActivity};

use crate::dead_letters::refused_activity;
use crate::sessions::infos_of;
use crate::subject::SubjectKind;

/// What becomes of somebody's rows.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum ErasureMode {
    /// They go.
    Erase,
    /// They stay, without user, session and address.
    Anonymise,
}

impl ErasureMode {
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Erase => "erase",
            Self::Anonymise => "anonymise",
        }
    }
}

pub type Digest = [u8; 32];

/// Makes the digests of one database.
#[derive(Clone)]
pub struct SubjectDigests(Hmac<Sha256>);

impl SubjectDigests {
    #[must_use]
    pub fn new(salt: &[u8]) -> Self {
        Self(Hmac::new_from_slice(salt).expect("HMAC takes a key of any length"))
    }

    #[must_use]
    pub fn digest(&self, kind: SubjectKind, value: &str) -> Digest {
        let mut state = self.0.clone();
        state.update(kind.name().as_bytes());
        state.update(b"\0");
        state.update(value.as_bytes());
        state.finalize().into_bytes().into()
    }
}

/// One row of `suppression`.
#[derive(Clone, Debug)]
pub struct Suppression {
    pub kind: SubjectKind,
    pub mode: ErasureMode,
    pub digest: Digest,
    /// What was received later is not meant.
    pub received_until: DateTime<Utc>,
}

impl Suppression {
    /// `None` for one that this build does not know.
    pub(crate) fn from_row(
        kind: &str,
        mode: &str,
        digest: &[u8],
        received_until: DateTime<Utc>,
    ) -> Option<Self> {
        Some(Self {
            kind: SubjectKind::ALL.into_iter().find(|known| known.name() == kind)?,
            mode: [ErasureMode::Erase, ErasureMode::Anonymise]
                .into_iter()
                .find(|known| known.name() == mode)?,
            digest: digest.try_into().ok()?,
            received_until,
        })
    }
}

/// The list as of one version.
#[derive(Clone)]
pub(crate) struct Suppressions {
    version: i64,
    digests: SubjectDigests,
    /// Until when, in microseconds since 1970.
    entries: HashMap<(SubjectKind, ErasureMode, Digest), i64>,
    kinds: BTreeSet<SubjectKind>,
    /// Spares everything that was received since the last erasure the digests.
    latest: Option<i64>,
}

impl std::fmt::Debug for Suppressions {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Suppressions").field("version", &self.version).finish_non_exhaustive()
    }
}

impl Suppressions {
    pub(crate) fn new(version: i64, salt: &[u8], entries: impl IntoIterator<Item = Suppression>) -> Self {
        let mut list = Self {
            version,
            digests: SubjectDigests::new(salt),
            entries: HashMap::new(),
            kinds: BTreeSet::new(),
            latest: None,
        };
        for Suppression { kind, mode, digest, received_until } in entries {
            let until = received_until.timestamp_micros();
            list.kinds.insert(kind);
            list.latest = list.latest.max(Some(until));
            list.entries.insert((kind, mode, digest), until);
        }
        list
    }

    /// Of no version: the first transaction of a connection reads them.
    pub(crate) fn unread() -> Self {
        Self::new(-1, &[], [])
    }

    pub(crate) fn version(&self) -> i64 {
        self.version
    }

    fn may_mean(&self, activity: &Activity) -> bool {
        self.latest.is_some_and(|latest| activity.received_at.micros() <= latest)
    }

    /// Erasing beats anonymising.
    fn verdict(&self, activity: &Activity) -> Option<ErasureMode> {
        if !self.may_mean(activity) {
            return None;
        }
        let received_at = activity.received_at.micros();
        let mut verdict = None;
        for kind in &self.kinds {
            let Some(value) = kind.of(activity) else { continue };
            let digest = self.digests.digest(*kind, &value);
            let applies =
                |mode| self.entries.get(&(*kind, mode, digest)).is_some_and(|until| received_at <= *until);
            if applies(ErasureMode::Erase) {
                return Some(ErasureMode::Erase);
            }
            if applies(ErasureMode::Anonymise) {
                verdict = Some(ErasureMode::Anonymise);
            }
        }
        verdict
    }

    /// A letter holds the original bytes, which cannot be anonymised.
    fn keeps_letter(&self, letter: &DeadLetter) -> bool {
        let activity = refused_activity(letter.origin.frame_id.is_some(), letter.bytes.clone());
        activity.is_none_or(|activity| self.verdict(&activity).is_none())
    }

    fn keeps_info(&self, info: &SessionInfo) -> bool {
        let digest = self.digests.digest(SubjectKind::Session, info.session_id.as_str());
        let until = |mode| self.entries.get(&(SubjectKind::Session, mode, digest));
        [ErasureMode::Erase, ErasureMode::Anonymise]
            .into_iter()
            .filter_map(until)
            .all(|until| info.first_seen.timestamp_micros() > *until)
    }

    /// What of the batch may be stored now, in a store whose infos have this version.
    pub(crate) fn screen<'b>(&self, batch: &'b Batch, infos: InfosVersion) -> Screened<'b> {
        let mut screened = Screened {
            activities: Cow::Borrowed(&batch.activities),
            session_infos: Cow::Borrowed(&batch.session_infos),
            dead_letters: Cow::Borrowed(&batch.dead_letters),
            delivered: batch.delivered,
            suppressed: 0,
            infos_version: infos,
        };
        if self.latest.is_some() && !batch.dead_letters.iter().all(|letter| self.keeps_letter(letter)) {
            let kept = batch.dead_letters.iter().filter(|letter| self.keeps_letter(letter)).cloned();
            screened.dead_letters = Cow::Owned(kept.collect());
        }
        let is_touched = |row: &StoredActivity| self.verdict(&row.activity).is_some();
        let touched = batch.activities.iter().any(is_touched);
        if touched {
            let stored = |row: &StoredActivity| as_stored(row, self.verdict(&row.activity));
            screened.activities = batch.activities.iter().filter_map(stored).collect();
        }
        let left_out = (batch.activities.len() - screened.activities.len())
            + (batch.dead_letters.len() - screened.dead_letters.len());
        screened.suppressed = left_out as u64;
        if batch.infos_known.is_some_and(|known| known != infos || touched) {
            screened.session_infos = Cow::Owned(infos_of(&screened.activities, |_| true));
        } else if touched
            || self.latest.is_some() && !batch.session_infos.iter().all(|info| self.keeps_info(info))
        {
            screened.session_infos = self.infos_left(batch, &screened.activities);
        }
        screened
    }

    /// Without those of sessions that only suppressed activities had, and of suppressed sessions.
    fn infos_left(&self, batch: &Batch, left: &[StoredActivity]) -> Cow<'static, [SessionInfo]> {
        let sessions = |rows: &[StoredActivity]| -> BTreeSet<SessionId> {
            rows.iter().filter_map(|row| row.activity.session_id.clone()).collect()
        };
        let (before, after) = (sessions(&batch.activities), sessions(left));
        let stays = |info: &&SessionInfo| {
            after.contains(&info.session_id) || !before.contains(&info.session_id) && self.keeps_info(info)
        };
        batch.session_infos.iter().filter(stays).cloned().collect()
    }
}

fn as_stored(row: &StoredActivity, verdict: Option<ErasureMode>) -> Option<StoredActivity> {
    match verdict {
        None => Some(row.clone()),
        Some(ErasureMode::Erase) => None,
        Some(ErasureMode::Anonymise) => {
            let mut row = row.clone();
            let activity = &mut row.activity;
            (activity.user_id, activity.session_id, activity.ip_address) = (None, None, None);
            Some(row)
        }
    }
}

/// A batch as it is stored.
#[derive(Debug)]
pub(crate) struct Screened<'b> {
    pub(crate) activities: Cow<'b, [StoredActivity]>,
    pub(crate) session_infos: Cow<'b, [SessionInfo]>,
    pub(crate) dead_letters: Cow<'b, [DeadLetter]>,
    delivered: u64,
    suppressed: u64,
    infos_version: InfosVersion,
}

impl Screened<'_> {
    /// What a transaction did that has put `stored` new rows of it into the table.
    pub(crate) fn report(&self, stored: u64) -> StoreReport {
        let (dead, suppressed) = (self.dead_letters.len() as u64, self.suppressed);
        StoreReport {
            stored,
            duplicate: self.delivered.saturating_sub(stored + dead + suppressed),
            dead,
            suppressed,
            infos_version: self.infos_version,
        }
    }
}

#[cfg(test)]
mod tests {
    use shared::event::UserId;
    use shared::store::Origin;

    use super::*;
    use crate::store::contract::{activity, batch, instant, session, with_infos};

    const INFOS: InfosVersion = InfosVersion(4);

    fn list(entries: &[(SubjectKind, ErasureMode, &str, i64)]) -> Suppressions {
        let digests = SubjectDigests::new(b"salt");
        let entry = |&(kind, mode, value, until): &(SubjectKind, ErasureMode, &str, i64)| Suppression {
            kind,
            mode,
            digest: digests.digest(kind, value),
            received_until: instant(until),
        };
        Suppressions::new(1, b"salt", entries.iter().map(entry))
    }

    fn numbers(screened: &Screened<'_>) -> Vec<String> {
        screened.activities.iter().map(|row| row.activity.path.as_str().to_owned()).collect()
    }

    #[test]
    fn only_what_was_received_until_then_is_left_out() {
        use ErasureMode::Erase;
        // Received 3 ms after its date; every third activity has a user, its number.
        let rows = batch((0..10).map(activity));
        let of_user = list(&[(SubjectKind::User, Erase, "6", 9)]).screen(&rows, INFOS).report(9);
        assert_eq!((of_user.suppressed, of_user.duplicate), (1, 0));
        let earlier = list(&[(SubjectKind::User, Erase, "6", 8)]).screen(&rows, INFOS).report(10);
        assert_eq!(earlier.suppressed, 0);
        let until = list(&[(SubjectKind::Session, Erase, session(0).as_str(), 6)]);
        assert_eq!(numbers(&until.screen(&rows, INFOS))[..2], ["page/4", "page/5"]);
        let everybody = list(&[(SubjectKind::Ip, Erase, "192.0.2.7", 100)]);
        assert!(everybody.screen(&rows, INFOS).activities.is_empty());
    }

    #[test]
    fn a_batch_that_nobody_was_erased_from_is_taken_as_it_is() {
        let rows = Batch { infos_known: Some(INFOS), ..with_infos(batch((0..10).map(activity))) };
        let list = list(&[(SubjectKind::User, ErasureMode::Erase, "7", 100)]);
        let screened = list.screen(&rows, INFOS);
        assert!(matches!(screened.activities, Cow::Borrowed(_)));
        assert!(matches!(screened.session_infos, Cow::Borrowed(_)));
    }

    #[test]
    fn the_anonymous_keep_neither_user_session_nor_address() {
        use ErasureMode::{Anonymise, Erase};
        let rows = Batch { infos_known: Some(INFOS), ..with_infos(batch([activity(6), activity(7)])) };
        let key = session(0);
        let anonymise = (SubjectKind::Session, Anonymise, key.as_str(), 100);
        let screened = list(&[anonymise]).screen(&rows, INFOS);
        assert_eq!((screened.activities.len(), screened.session_infos.len()), (2, 0));
        let first = &screened.activities[0].activity;
        assert_eq!((&first.user_id, &first.session_id, first.ip_address), (&None, &None, None));
        assert_eq!(screened.report(2).suppressed, 0);
        let erase = (SubjectKind::User, Erase, "6", 100);
        assert_eq!(numbers(&list(&[anonymise, erase]).screen(&rows, INFOS)), ["page/7"]);
    }

    #[test]
    fn infos_are_those_of_what_is_stored() {
        let mut guest = activity(7);
        guest.user_agent = shared::event::UserAgent::from_header(b"guest");
        let rows = with_infos(batch([activity(6), guest, activity(12)]));
        let list = list(&[(SubjectKind::User, ErasureMode::Erase, "12", 100)]);
        for (known, expected) in [(None, 1), (Some(INFOS), 1), (Some(InfosVersion(3)), 1)] {
            let rows = Batch { infos_known: known, ..rows.clone() };
            assert_eq!(list.screen(&rows, INFOS).session_infos.len(), expected, "{known:?}");
        }
        let nothing_new = Batch { session_infos: vec![], infos_known: Some(InfosVersion(3)), ..rows };
        assert_eq!(self::list(&[]).screen(&nothing_new, INFOS).session_infos.len(), 2, "stored anew");
        assert!(self::list(&[]).screen(&nothing_new, InfosVersion(3)).session_infos.is_empty());
    }

    #[test]
    fn letters_are_judged_by_what_they_hold() {
        let letter = |bytes: bytes::Bytes| DeadLetter {
            bytes,
            reason: String::new(),
            sqlstate: None,
            origin: Origin { frame_id: Some(shared::frame::FrameId::generate()), index: 0 },
            first_seen: instant(0),
        };
        let raw = |number| {
            let frame = crate::tests::frame([activity(number)]);
            let Ok(frame) = shared::frame::decode(frame.bytes) else { panic!("our own frame") };
            letter(frame.activities[0].raw.to_bytes())
        };
        let dead_letters = vec![raw(6), raw(7), letter(bytes::Bytes::from_static(b"?"))];
        let rows = Batch { dead_letters, delivered: 3, ..Batch::default() };
        let list = list(&[(SubjectKind::User, ErasureMode::Anonymise, "6", 100)]);
        let report = list.screen(&rows, INFOS).report(0);
        assert_eq!((report.dead, report.suppressed, report.duplicate), (2, 1, 0));
        assert_eq!(UserId::new("6").ok(), activity(6).user_id);
    }
}
