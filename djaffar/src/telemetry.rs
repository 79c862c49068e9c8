//! The metrics recorder of the process.

use std::time::Duration;

use metrics_exporter_prometheus::{Matcher, PrometheusBuilder, PrometheusHandle};
use shared::lifecycle::{Shutdown, TaskResult};

use crate::failure::Failure;

const SECONDS: [f64; 14] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 30.0];
const BYTES: [f64; 8] = [256.0, 1024.0, 4096.0, 16_384.0, 65_536.0, 262_144.0, 1_048_576.0, 4_194_304.0];
const COUNTS: [f64; 10] = [1.0, 2.0, 5.0, 10.0, 30.0, 100.0, 300.0, 1000.0, 3000.0, 10_000.0];
const UPKEEP: Duration = Duration::from_secs(5);

/// Installs the recorder; telemetry made before this goes nowhere.
pub(crate) fn install() -> Result<PrometheusHandle, Failure> {
    let suffix = |suffix: &str| Matcher::Suffix(suffix.to_owned());
    let builder = PrometheusBuilder::new()
        .set_buckets(&COUNTS)
        .and_then(|builder| builder.set_buckets_for_metric(suffix("_seconds"), &SECONDS))
        .and_then(|builder| builder.set_buckets_for_metric(suffix("_bytes"), &BYTES));
    builder
        .and_then(PrometheusBuilder::install_recorder)
        .map_err(|error| Failure::failed(format!("cannot record metrics: {error}")))
}

/// Samples pile up between upkeeps when nobody scrapes.
pub(crate) async fn upkeep(metrics: PrometheusHandle, shutdown: Shutdown) -> TaskResult {
    let mut interval = tokio::time::interval(UPKEEP);
    loop {
        tokio::select! {
            () = shutdown.requested() => return Ok(()),
            _ = interval.tick() => metrics.run_upkeep(),
        }
    }
}
