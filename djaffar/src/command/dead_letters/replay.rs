//! `djaffar dead-letters replay`: published again, removed after the queue's synced ack.
//!
//! Rule of safety: a letter is removed only when the queue has its activity,
//! so that at any moment at least one of them holds it. A replay that dies in
//! between leaves a letter whose activity is stored; the next one finds it
//! counted as a duplicate. Each frame has an id of its own: under the old one a
//! second refusal would be taken for the letter that is about to be removed.
//! Held by `tests/end_to_end/dead_letters.rs`.

use shared::frame::{Compression, EncodedActivity, FrameBuilder, FrameId};
use writer::dead_letters::{DeadLetters, LetterHead};

use super::chosen::Chosen;
use super::text::{self, Content};
use super::{counted, open};
use crate::adapters::ReplayQueue;
use crate::cli::ReplayArguments;
use crate::command::print;
use crate::failure::Failure;

pub(super) async fn run(arguments: ReplayArguments) -> Result<(), Failure> {
    let mut letters = open(&arguments.store).await?;
    let chosen = Chosen::new(arguments.which, &mut letters).await?;
    let queue = ReplayQueue::open(&arguments.queue, &arguments.store.data.data_dir).await?;
    let mut replay = Replay {
        letters,
        builder: FrameBuilder::new(queue.frame_bytes_max()),
        aboard: Vec::new(),
        queue,
        replayed: 0,
        kept: 0,
    };
    let outcome = replay.run(chosen).await;
    let Replay { replayed, kept, .. } = replay;
    let kept = if kept == 0 { String::new() } else { format!(", {} kept", counted(kept)) };
    let told = format!("{} replayed{kept}", counted(replayed));
    match outcome {
        Ok(()) => print(&told),
        Err(failure) => {
            return Err(Failure::failed(format!("{failure}; {told}, the rest is kept: run it again")));
        }
    }
    Ok(())
}

struct Replay {
    letters: DeadLetters,
    queue: ReplayQueue,
    builder: FrameBuilder,
    /// Letters of the frame that is being built.
    aboard: Vec<LetterHead>,
    replayed: u64,
    kept: u64,
}

impl Replay {
    async fn run(&mut self, mut chosen: Chosen) -> Result<(), Failure> {
        loop {
            let page = chosen.next(&mut self.letters).await?;
            if page.is_empty() {
                return Ok(());
            }
            for head in page {
                self.take(head).await?;
            }
            self.send().await?;
        }
    }

    async fn take(&mut self, head: LetterHead) -> Result<(), Failure> {
        // Somebody else may have removed it since.
        let Some(letter) = self.letters.letter(head.id).await? else { return Ok(()) };
        if let Content::Unreadable(reason) = text::content(&letter) {
            self.keep(&head, &format!("it cannot be read: {reason}"));
            return Ok(());
        }
        let activity = EncodedActivity::from_raw(&letter.bytes);
        if !self.builder.can_hold(&activity) {
            self.keep(&head, "the queue takes no message of its size");
            return Ok(());
        }
        if !self.builder.has_room_for(&activity) {
            self.send().await?;
        }
        self.builder.push(&activity);
        self.aboard.push(head);
        Ok(())
    }

    fn keep(&mut self, head: &LetterHead, reason: &str) {
        self.kept += 1;
        eprintln!("djaffar: dead letter {} is kept: {}", head.id, reason.escape_debug());
    }

    async fn send(&mut self) -> Result<(), Failure> {
        if self.aboard.is_empty() {
            return Ok(());
        }
        let frame = self.builder.finish(FrameId::generate(), Compression::None);
        let aboard = std::mem::take(&mut self.aboard);
        self.queue.publish(&frame).await?;
        self.letters.remove(&aboard).await?;
        self.replayed += aboard.len() as u64;
        Ok(())
    }
}
