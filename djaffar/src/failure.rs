//! Why a command ends badly: one sentence, one exit code.

use std::process::ExitCode;

use shared::lifecycle::TaskError;
use shared::queue::QueueError;
use writer::export::ExportError;

use crate::dump::{DumpError, OutputError};
use crate::logging::{LogFormat, escape};

#[derive(Debug, thiserror::Error)]
pub(crate) enum Failure {
    /// The operator must change something; the sentence names the setting and the remedy. Exit 2.
    #[error("{0}")]
    Misconfigured(String),
    /// Anything else. Exit 1.
    #[error("{0}")]
    Failed(String),
    /// Something that was promised waits for another run; the sentence says where. Exit 3.
    #[error("{0}")]
    Unfinished(String),
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

    /// Of settings that cannot be read; what is said of them may take lines.
    pub(crate) fn report_plainly(&self) -> ExitCode {
        eprintln!("djaffar: {self}");
        ExitCode::from(self.code())
    }

    /// Prints the sentence to stderr, as the log lines are.
    pub(crate) fn report(&self, format: LogFormat) -> ExitCode {
        let code = self.code();
        match (self, format) {
            (Self::Reported(_), _) => {}
            (_, LogFormat::Human) => {
                let sentence = escape(self.to_string().as_bytes(), LogFormat::Human);
                eprintln!("djaffar: {}", String::from_utf8_lossy(&sentence));
            }
            (_, LogFormat::Json) => tracing::error!(exit_code = code, "{self}"),
        }
        ExitCode::from(code)
    }

    fn code(&self) -> u8 {
        match self {
            Self::Failed(_) => 1,
            Self::Misconfigured(_) => 2,
            Self::Unfinished(_) => 3,
            Self::Reported(code) => *code,
        }
    }
}

/// The innermost cause is the one that helps.
pub(crate) fn innermost(error: &dyn std::error::Error) -> String {
    let mut cause = error;
    while let Some(source) = cause.source() {
        cause = source;
    }
    cause.to_string()
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

impl From<ExportError> for Failure {
    fn from(error: ExportError) -> Self {
        match error {
            ExportError::NoRowsYet(_) | ExportError::Unreachable(_) => {
                Self::Misconfigured(format!("database: {error}"))
            }
            ExportError::Output(_) | ExportError::Database(_) | ExportError::Corrupt { .. } => {
                Self::Failed(error.to_string())
            }
        }
    }
}

impl From<DumpError> for Failure {
    fn from(error: DumpError) -> Self {
        match error {
            DumpError::Export(error) => error.into(),
            DumpError::Output(OutputError::Refused(_)) => Self::Misconfigured(error.to_string()),
            DumpError::Output(OutputError::Failed { .. }) | DumpError::Interrupted(_) => {
                Self::Failed(error.to_string())
            }
        }
    }
}
