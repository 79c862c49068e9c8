//! Where dead letters are published again: NATS, the embedded queue, or the process that has it open.

use std::path::Path;
use std::time::Duration;

use reqwest::StatusCode;
use shared::frame::{FRAME_BYTES_MAX, Frame};
use shared::lifecycle::{OwnedTask, Shutdown, TaskResult, spawn_owned};
use shared::queue::{FramePublisher, QueueBacklog};
use shared::readiness::Readiness;
use tokio::time::Instant;

use super::AnyQueue;
use crate::data_directory::{self, AdminAccess, DataDirectory};
use crate::failure::{Failure, innermost};
use crate::settings::queue::{QueueChoice, QueueSettings};

/// Longest wait for the synced ack of one frame.
const PUBLISH_TIMEOUT: Duration = Duration::from_secs(30);

pub(crate) enum ReplayQueue {
    Nats {
        queue: AnyQueue,
        _watch: OwnedTask<TaskResult>,
    },
    /// Nobody else has it open, and nobody else gets it meanwhile.
    Embedded {
        queue: AnyQueue,
        _directory: DataDirectory,
    },
    /// Only the running process opens its queue, so the frames go through its admin listener.
    Running {
        client: reqwest::Client,
        access: AdminAccess,
    },
}

impl ReplayQueue {
    pub(crate) async fn open(settings: &QueueSettings, data_directory: &Path) -> Result<Self, Failure> {
        match settings.choice()? {
            QueueChoice::Nats(servers) => {
                let queue = AnyQueue::nats(settings, &servers, &Readiness::default()).await?;
                // A queue that is away now is a reason to end now.
                queue.backlog().await.map_err(|error| Failure::misconfigured(format!("queue: {error}")))?;
                let watch = spawn_owned(queue.clone().watch(Shutdown::new()));
                Ok(Self::Nats { queue, _watch: watch })
            }
            QueueChoice::Embedded if data_directory::is_in_use(data_directory) => {
                let access = AdminAccess::read(data_directory)?;
                let client = reqwest::Client::builder().timeout(PUBLISH_TIMEOUT).no_proxy().build();
                let client = client.map_err(|error| Failure::failed(error.to_string()))?;
                Ok(Self::Running { client, access })
            }
            QueueChoice::Embedded => {
                let directory = DataDirectory::open(data_directory)?;
                let queue = AnyQueue::embedded(settings, directory.queue())?;
                Ok(Self::Embedded { queue, _directory: directory })
            }
        }
    }

    pub(crate) fn frame_bytes_max(&self) -> usize {
        match self {
            Self::Nats { queue, .. } | Self::Embedded { queue, .. } => queue.frame_bytes_max(),
            Self::Running { .. } => FRAME_BYTES_MAX,
        }
    }

    /// Returns after the synced ack.
    pub(crate) async fn publish(&self, frame: &Frame) -> Result<(), Failure> {
        match self {
            Self::Nats { queue, .. } | Self::Embedded { queue, .. } => {
                let published = queue.publish(frame, Instant::now() + PUBLISH_TIMEOUT).await;
                published.map(drop).map_err(|error| Failure::failed(error.to_string()))
            }
            Self::Running { client, access } => {
                let request = client.post(format!("{}/frames", access.url)).bearer_auth(access.key.expose());
                let answer = request.body(frame.bytes.clone()).send().await;
                let answer = answer.map_err(|error| {
                    Failure::failed(format!("{} does not answer ({})", access.url, innermost(&error)))
                })?;
                match answer.status() {
                    StatusCode::NO_CONTENT => Ok(()),
                    status => {
                        let said = answer.text().await.unwrap_or_default();
                        Err(Failure::failed(format!(
                            "{} answers {status}: {}",
                            access.url,
                            said.escape_debug()
                        )))
                    }
                }
            }
        }
    }
}
