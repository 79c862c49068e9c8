//! What one part has measured and a later one needs as its ceiling.

use crate::servers::Kind;

/// Of this run; `None` for what was not asked for.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// Log requests per second, the most of any number of connections.
    pub(crate) jetstream_requests: Option<f64>,
    pub(crate) embedded_requests: Option<f64>,
    /// Activities of batches per second.
    pub(crate) jetstream_batched: Option<f64>,
    /// Rows per second of the queue's consumer alone.
    pub(crate) postgres_rows: Option<f64>,
    pub(crate) sqlite_rows: Option<f64>,
}

impl Figures {
    pub(crate) fn requests(&mut self, kind: Kind, rate: f64) {
        let figure = match kind {
            Kind::JetStreamAlways => &mut self.jetstream_requests,
            Kind::Embedded => &mut self.embedded_requests,
            Kind::Ceiling | Kind::JetStreamDefault => return,
        };
        *figure = Some(figure.map_or(rate, |before| before.max(rate)));
    }
}
