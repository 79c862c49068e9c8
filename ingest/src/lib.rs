//! HTTP in, queue out.
//!
//! The request's life in file names: [`http`] accepts it, [`intake`] turns its
//! body into validated fields, [`identity`] says who sent it, [`assemble`]
//! commits it to the queue together with its neighbours. [`budget`] bounds
//! what all of them hold, [`rate_limit`] what one of them may send, [`privacy`] what is stored of whom, [`telemetry`] tells what became of them.

pub mod assemble;
pub mod budget;
pub mod config;
pub mod http;
pub mod identity;
pub mod intake;
pub mod privacy;
pub mod rate_limit;
pub mod telemetry;

use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use shared::lifecycle::{Shutdown, TaskError, TaskResult, spawn_owned};
use shared::queue::FramePublisher;
use shared::readiness::Readiness;
use tokio::net::TcpListener;

pub use config::IngestConfig;
pub use telemetry::IngestTelemetry;

use assemble::{Assembler, Assembly};
use budget::Budget;
use http::Ingest;
use http::serve::{ConnectionLimits, Connections, serve};
use identity::Authenticator;
use telemetry::Readings;

const READINGS_EVERY: Duration = Duration::from_secs(1);
const UNPROMISED_FRAMES: Duration = Duration::from_millis(500);

/// Serves log requests until asked to stop; returns when every request in flight is answered.
///
/// # Errors
/// [`TaskError::Misconfigured`] for a configuration that [`IngestConfig::check`] refuses.
pub async fn run<P: FramePublisher, A: Authenticator>(
    listener: TcpListener,
    publisher: Arc<P>,
    authenticator: A,
    config: IngestConfig,
    telemetry: IngestTelemetry,
    readiness: &Readiness,
    shutdown: Shutdown,
) -> TaskResult {
    config.check().map_err(|error| TaskError::Misconfigured(error.to_string()))?;
    let listening = readiness.condition("intake");
    let assembly = Assembly::default();
    let budget = Budget::new(config.intake_bytes_max);
    let connections = Connections::new(
        config.connections_max,
        config.connections_per_peer_max,
        config.trusted_proxies.clone(),
    );
    let assembler = Assembler {
        assembly: assembly.clone(),
        publisher,
        frames_in_flight: config.frames_in_flight,
        publish_timeout: config.request_timeout,
        telemetry: telemetry.clone(),
    };
    // A request in flight may wait for the queue so long; one whose body is still on its way may not.
    let drain_timeout = config.request_timeout.min(config.stop_timeout.mul_f32(0.8));
    let limits = ConnectionLimits { drain_timeout, ..config.connection_limits.clone() };
    let ingest = Ingest::new(&config, authenticator, assembly, budget.clone(), telemetry.clone())?;
    let routes = http::routes(&config.base_path, Arc::new(ingest));

    // The assembler stops last: requests in flight wait for it.
    let stop_assembler = Shutdown::new();
    let mut assembling = pin!(spawn_owned(assembler.run(stop_assembler.clone())).join());
    listening.green();
    let serving = serve(listener, routes, limits, connections.clone(), shutdown.clone());
    let reading = async {
        let mut ticks = tokio::time::interval(READINGS_EVERY);
        loop {
            ticks.tick().await;
            telemetry.read(Readings {
                connections_open: connections.open(),
                connections_refused: connections.refused(),
                reserved_bytes: budget.reserved(),
            });
        }
    };
    let stopping = async {
        shutdown.requested().await;
        listening.red("stopping");
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = serving => {}
        () = reading => {}
        () = stopping => {}
        ended = &mut assembling => return Err(assembler_died(ended)),
    }
    listening.red("stopped");
    stop_assembler.request();
    // Whoever was served has been answered, so a frame that is still in flight is promised to nobody.
    match tokio::time::timeout(UNPROMISED_FRAMES, assembling).await {
        Ok(ended) => ended.map_err(|error| assembler_died(Err(error))),
        Err(_) => Ok(()),
    }
}

fn assembler_died(ended: Result<(), tokio::task::JoinError>) -> TaskError {
    let reason = ended.err().map_or_else(|| "it ended unasked".to_owned(), |error| error.to_string());
    TaskError::Failed(format!("the assembler has died: {reason}"))
}
