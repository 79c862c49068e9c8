//! How a process lives and stops. The only caller of `tokio::spawn`.
//!
//! Every task has a name and an owner, the [`Lifecycle`]. One that ends before
//! it was asked to stops the process with an error. The stop is a sequence:
//! not ready, [`Shutdown`] is requested, tasks finish what they hold within
//! the stop budget, what is left is aborted and named.

use std::future::Future;
use std::time::Duration;

use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

/// Why a task cannot go on; one sentence for the operator.
#[derive(Debug, thiserror::Error)]
pub enum TaskError {
    /// Setting and remedy: the process exits with 2.
    #[error("{0}")]
    Misconfigured(String),
    /// Anything else: the process exits with 1.
    #[error("{0}")]
    Failed(String),
}

pub type TaskResult = Result<(), TaskError>;

/// The request to stop. Clones see the same request.
#[derive(Clone, Debug, Default)]
pub struct Shutdown(CancellationToken);

impl Shutdown {
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Asks everybody who holds a clone to stop.
    pub fn request(&self) {
        self.0.cancel();
    }

    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.is_cancelled()
    }

    /// Resolves when the stop is requested. Cancel safe.
    pub async fn requested(&self) {
        self.0.cancelled().await;
    }
}

/// Spawns a task that lives no longer than its owner: dropping the handle aborts it.
///
/// For tasks that a component owns itself; a process's main tasks belong to a [`Lifecycle`].
pub fn spawn_owned<T: Send + 'static>(future: impl Future<Output = T> + Send + 'static) -> OwnedTask<T> {
    #[expect(clippy::disallowed_methods, reason = "the handle owns the task")]
    OwnedTask(tokio::spawn(future))
}

/// A task that is aborted when this is dropped.
#[derive(Debug)]
pub struct OwnedTask<T>(tokio::task::JoinHandle<T>);

impl<T> OwnedTask<T> {
    /// Waits for the task's end.
    ///
    /// # Errors
    /// The task has panicked.
    pub async fn join(mut self) -> Result<T, tokio::task::JoinError> {
        (&mut self.0).await
    }
}

impl<T> Drop for OwnedTask<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// The main tasks of a process.
#[derive(Debug, Default)]
pub struct Lifecycle {
    tasks: JoinSet<(&'static str, TaskResult)>,
    running: Vec<&'static str>,
    shutdown: Shutdown,
}

impl Lifecycle {
    /// `shutdown` is what the tasks listen to; [`Lifecycle::run`] requests it.
    #[must_use]
    pub fn new(shutdown: Shutdown) -> Self {
        Self { tasks: JoinSet::new(), running: Vec::new(), shutdown }
    }

    /// Starts a task. Its name appears in errors and in the log.
    pub fn spawn(&mut self, name: &'static str, task: impl Future<Output = TaskResult> + Send + 'static) {
        self.running.push(name);
        self.tasks.spawn(async move { (name, task.await) });
    }

    /// Runs until `signal` resolves or a task ends, then stops everything within `stop_timeout`.
    ///
    /// # Errors
    /// The first task that failed, panicked, ended unasked or did not stop in time.
    pub async fn run(mut self, signal: impl Future<Output = ()>, stop_timeout: Duration) -> TaskResult {
        let first = tokio::select! {
            () = signal => None,
            ended = self.tasks.join_next() => ended,
        };
        let mut outcome = first.map_or(Ok(()), |ended| self.judge(ended, Asked::No));
        self.shutdown.request();
        let deadline = tokio::time::sleep(stop_timeout);
        tokio::pin!(deadline);
        loop {
            tokio::select! {
                ended = self.tasks.join_next() => match ended {
                    None => break,
                    Some(ended) => outcome = outcome.and(self.judge(ended, Asked::Yes)),
                },
                () = &mut deadline => {
                    let late = self.running.join(", ");
                    self.tasks.shutdown().await;
                    return outcome.and(Err(TaskError::Failed(format!(
                        "not stopped within {stop_timeout:?}: {late}; what was not settled is delivered again"
                    ))));
                }
            }
        }
        outcome
    }

    fn judge(
        &mut self,
        ended: Result<(&'static str, TaskResult), tokio::task::JoinError>,
        asked: Asked,
    ) -> TaskResult {
        let (name, result) = ended.map_err(|error| TaskError::Failed(format!("a task has died: {error}")))?;
        self.running.retain(|running| *running != name);
        match (result, asked) {
            (Ok(()), Asked::No) => Err(TaskError::Failed(format!("{name} has ended unasked"))),
            (result, _) => result,
        }
    }
}

#[derive(Clone, Copy)]
enum Asked {
    Yes,
    No,
}

#[cfg(test)]
mod tests {
    use super::*;

    const BUDGET: Duration = Duration::from_secs(5);

    #[tokio::test(start_paused = true)]
    async fn tasks_that_stop_when_asked_end_well() {
        let shutdown = Shutdown::new();
        let mut lifecycle = Lifecycle::new(shutdown.clone());
        lifecycle.spawn("worker", async move {
            shutdown.requested().await;
            Ok(())
        });
        lifecycle.run(async {}, BUDGET).await.expect("a clean stop");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_ends_unasked_stops_the_others() {
        let shutdown = Shutdown::new();
        let mut lifecycle = Lifecycle::new(shutdown.clone());
        lifecycle.spawn("brief", async { Ok(()) });
        lifecycle.spawn("worker", async move {
            shutdown.requested().await;
            Ok(())
        });
        let error = lifecycle.run(std::future::pending(), BUDGET).await.expect_err("an error");
        assert_eq!(error.to_string(), "brief has ended unasked");
    }

    #[tokio::test(start_paused = true)]
    async fn a_task_that_does_not_stop_is_named() {
        let mut lifecycle = Lifecycle::new(Shutdown::new());
        lifecycle.spawn("deaf", std::future::pending());
        let error = lifecycle.run(async {}, BUDGET).await.expect_err("an error");
        assert!(error.to_string().contains("within 5s: deaf"), "{error}");
    }

    #[tokio::test]
    async fn a_panic_is_an_error() {
        let mut lifecycle = Lifecycle::new(Shutdown::new());
        lifecycle.spawn("clumsy", async { panic!("oops") });
        assert!(lifecycle.run(std::future::pending(), BUDGET).await.is_err());
    }
}
