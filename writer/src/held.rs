//! Reads everything that is held about one person, for `djaffar export`: an [`Export`] of what is theirs.

use std::io;

use shared::event::Activity;

use crate::dead_letters::{Letter, LetterHead, refused_activity};
use crate::export::{
    ActivityOrder, ActivityRow, Export, ExportError, ExportFilter, ExportSource, SessionInfoRow,
};
use crate::subject::Subject;

/// A dead letter that can be read, and whose it is.
#[derive(Clone, Debug)]
pub struct HeldLetter {
    pub head: LetterHead,
    pub activity: Activity,
}

/// A snapshot of the database.
#[derive(Debug)]
pub struct Held {
    export: Export,
    filter: ExportFilter,
    subject: Subject,
}

impl Held {
    /// # Errors
    /// The database is not there or cannot be reached.
    pub async fn open(source: &ExportSource, subject: Subject) -> Result<Self, ExportError> {
        let export = Export::open(source).await?;
        Ok(Self { export, filter: ExportFilter::from(&subject), subject })
    }

    /// Their rows, by date and id.
    ///
    /// # Errors
    /// The database fails or `visit` does.
    pub async fn activities(
        &mut self,
        visit: impl FnMut(&ActivityRow<'_>) -> io::Result<()>,
    ) -> Result<u64, ExportError> {
        self.export.activities(ActivityOrder::Date, &self.filter, visit).await
    }

    /// Those of the sessions of their rows, by session id.
    ///
    /// # Errors
    /// The database fails or `visit` does.
    pub async fn session_infos(
        &mut self,
        visit: impl FnMut(&SessionInfoRow<'_>) -> io::Result<()>,
    ) -> Result<u64, ExportError> {
        self.export.session_infos(&self.filter, visit).await
    }

    /// Their activities that the database has refused, by letter; returns how many letters nobody can read.
    ///
    /// # Errors
    /// The database fails or `visit` does.
    pub async fn dead_letters(
        &mut self,
        mut visit: impl FnMut(&HeldLetter) -> io::Result<()>,
    ) -> Result<u64, ExportError> {
        let mut unreadable = 0;
        let subject = &self.subject;
        let look_at = |letter: Letter| {
            let head = letter.head;
            match refused_activity(head.frame_id.is_some(), letter.bytes) {
                Some(activity) if subject.owns(&activity) => visit(&HeldLetter { head, activity }),
                Some(_) => Ok(()),
                None => {
                    unreadable += 1;
                    Ok(())
                }
            }
        };
        self.export.dead_letters(look_at).await?;
        Ok(unreadable)
    }
}
