//! Why a command ends badly: one sentence, one exit code.

use std::process::ExitCode;

use shared::lifecycle::TaskError;
use shared::queue::QueueError;

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The operator must change something; the sentence names the setting and the remedy. Exit 2.
    #[error("{0}")]
    Misconfigured(String),
    /// Anything else. Exit 1.
    #[error("{0}")]
    Failed(String),
    /// Everything has been said already. Exit with this code.
    #[error("")]
    Reported(u8),
}

impl Failure {
    pub(crate) fn misconfigured(sentence: impl Into<String>) -> Self {
        Self::Misconfigured(sentence.into())
    }

    pub(crate) fn failed(sentence: impl Into<String>) -> Self {
        Self::Failed(sentence.into())
    }

    /// Prints the sentence to stderr.
    pub(crate) fn report(&self) -> ExitCode {
        match self {
            Self::Misconfigured(sentence) => {
                eprintln!("djaffar: {sentence}");
                ExitCode::from(2)
            }
            Self::Failed(sentence) => {
                eprintln!("djaffar: {sentence}");
                ExitCode::from(1)
            }
            Self::Reported(code) => ExitCode::from(*code),
        }
    }
}

impl From<TaskError> for Failure {
    fn from(error: TaskError) -> Self {
        match error {
            TaskError::Misconfigured(sentence) => Self::Misconfigured(sentence),
            TaskError::Failed(sentence) => Self::Failed(sentence),
        }
    }
}

impl From<QueueError> for Failure {
    fn from(error: QueueError) -> Self {
        match error {
            QueueError::Misconfigured { reason } => Self::Misconfigured(reason),
            QueueError::Unavailable { .. } | QueueError::Failed { .. } => Self::Failed(error.to_string()),
        }
    }
}
