//! Parts that are broken on purpose: a simulation that has never failed proves nothing.

/// What is wrong in this run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Sabotage {
    /// Frames are acked when they are delivered, before their COMMIT.
    AckBeforeCommit,
    /// The disk says that it has synced and has not.
    AnswerBeforeSync,
    /// Recovery leaves out the last thing that was written.
    RecoveryDropsTheLastRecord,
    /// Half the rows of a transaction that has failed are there all the same.
    StoreWithoutRollback,
    /// Some frames are acked with their neighbour and never looked at.
    BatchForgetsAFrame,
    /// An outage looks like a data error.
    OutageTakenForPoison,
}
