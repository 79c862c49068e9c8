//! The letters that a command works on, a page at a time; none that come while it runs.

use writer::dead_letters::{DeadLetters, LetterFilter, LetterHead};

use crate::cli::WhichLetters;
use crate::failure::Failure;

pub(super) const PAGE: u32 = 500;

#[derive(Clone, Debug)]
pub(super) enum Chosen {
    Letters(Vec<LetterHead>),
    Filtered { filter: LetterFilter, after: i64, newest: i64 },
}

impl Chosen {
    /// # Errors
    /// An id that is not there: nothing has been done yet.
    pub(super) async fn new(which: WhichLetters, letters: &mut DeadLetters) -> Result<Self, Failure> {
        if which.all {
            let newest = letters.newest().await?;
            return Ok(Self::Filtered { filter: which.filter.into(), after: 0, newest });
        }
        let mut heads = Vec::with_capacity(which.ids.len());
        for id in which.ids {
            let letter = letters.letter(id).await?;
            heads.push(letter.ok_or_else(|| missing(id))?.head);
        }
        heads.sort_by_key(|head| head.id);
        heads.dedup_by_key(|head| head.id);
        Ok(Self::Letters(heads))
    }

    /// The next page; empty at the end.
    pub(super) async fn next(&mut self, letters: &mut DeadLetters) -> Result<Vec<LetterHead>, Failure> {
        match self {
            Self::Letters(heads) => Ok(std::mem::take(heads)),
            Self::Filtered { filter, after, newest } => {
                let mut page = letters.page(filter, *after, PAGE).await?;
                page.retain(|head| head.id <= *newest);
                *after = page.last().map_or(*newest, |last| last.id);
                Ok(page)
            }
        }
    }
}

pub(super) fn missing(id: i64) -> Failure {
    Failure::failed(format!("there is no dead letter {id}; see `djaffar dead-letters list`"))
}
