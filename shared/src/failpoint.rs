//! Places where a test kills, stops or sabotages the process, to see what is lost there.
//!
//! Only with the cargo feature `failpoints`. Without it every call is empty, and neither a name
//! nor the variable is in the binary: `tests/faults/checked.rs` proves it.

/// Where a process may die or freeze.
#[derive(Clone, Copy)]
pub enum Place {
    /// The frame is made, the queue has not heard of it.
    BeforePublish,
    /// The embedded queue has written the group and not synced it.
    BeforeSync,
    /// The queue has synced the frame, its clients have no answer.
    BeforeAnswer,
    /// Rows are sent and the COPY is not ended.
    MidCopy,
    /// Everything is sent but COMMIT.
    BeforeCommit,
    /// Committed, and the queue does not know.
    BeforeAck,
}

/// How a pipeline may break its promise, so that the checker of the tests has something to find.
#[derive(Clone, Copy)]
pub enum Sabotage {
    /// Frames are acked before they are stored.
    AckFirst,
    /// A frame is answered with 2xx and never published.
    DropFrame,
    /// A frame is published twice, under two ids.
    DoubleFrame,
}

#[cfg(not(feature = "failpoints"))]
#[inline]
pub const fn reach(_: Place) {}

#[cfg(not(feature = "failpoints"))]
#[inline]
#[must_use]
pub const fn is_armed(_: Sabotage) -> bool {
    false
}

#[cfg(feature = "failpoints")]
pub use armed::{is_armed, reach};

/// A point is armed by a file of its name in the directory that `FAILPOINTS` names.
#[cfg(feature = "failpoints")]
mod armed {
    use std::env;
    use std::fs;
    use std::path::PathBuf;
    use std::sync::LazyLock;

    use rustix::process::{Signal, getpid, kill_process};

    use super::{Place, Sabotage};

    static DIRECTORY: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| env::var_os("FAILPOINTS").map(PathBuf::from));

    impl Place {
        const fn name(self) -> &'static str {
            match self {
                Self::BeforePublish => "before_publish",
                Self::BeforeSync => "before_sync",
                Self::BeforeAnswer => "before_answer",
                Self::MidCopy => "mid_copy",
                Self::BeforeCommit => "before_commit",
                Self::BeforeAck => "before_ack",
            }
        }
    }

    impl Sabotage {
        const fn name(self) -> &'static str {
            match self {
                Self::AckFirst => "ack_first",
                Self::DropFrame => "drop_frame",
                Self::DoubleFrame => "double_frame",
            }
        }
    }

    /// Kills or stops the process, as the file says; once, because whoever removes it does it.
    pub fn reach(place: Place) {
        let Some(directory) = &*DIRECTORY else { return };
        let file = directory.join(place.name());
        let Ok(action) = fs::read_to_string(&file) else { return };
        if fs::remove_file(&file).is_err() {
            return;
        }
        let signal = if action.trim() == "stop" { Signal::STOP } else { Signal::KILL };
        kill_process(getpid(), signal).expect("a process may signal itself");
    }

    /// True while the file is there.
    pub fn is_armed(sabotage: Sabotage) -> bool {
        DIRECTORY.as_ref().is_some_and(|directory| directory.join(sabotage.name()).exists())
    }
}
