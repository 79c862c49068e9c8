//! Where frames wait for the writer.

use std::path::PathBuf;

use clap::Args;
use shared::queue::jetstream::Access;
use shared::secret::Secret;

use super::nats::NatsSettings;
use super::size::Size;
use super::twin;
use crate::failure::Failure;

#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Queue")]
pub(crate) struct QueueSettings {
    /// Queue: `embedded` (a log in the data directory) or NATS servers, `nats://host:4222[,nats://...]`, `tls://` for TLS [default: embedded]
    #[arg(long, value_name = "URL", value_parser = super::secret)]
    queue: Option<Secret>,
    /// File that holds the value of --queue, for URLs with a password in them
    #[arg(long, value_name = "FILE")]
    queue_file: Option<PathBuf>,
    /// JetStream stream that holds the frames; made when it is missing
    #[arg(long, value_name = "NAME", default_value = "DJAFFAR", value_parser = stream_name)]
    pub(crate) stream: String,
    /// NATS servers that keep a copy of each frame: 1, 3 or 5
    #[arg(long, value_name = "COUNT", default_value = "1", value_parser = replicas)]
    pub(crate) stream_replicas: u8,
    /// Bytes that the stream may hold; beyond it log requests are answered 503
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    pub(crate) stream_bytes_max: Size,
    /// Bytes on disk that the embedded queue may hold; beyond it log requests are answered 503
    #[arg(long, value_name = "SIZE", default_value = "1GiB")]
    pub(crate) embedded_queue_max: Size,
    #[command(flatten)]
    nats: NatsSettings,
}

/// The queue that was asked for.
#[derive(Clone, Debug)]
pub(crate) enum QueueChoice {
    Embedded,
    Nats(NatsServers),
}

#[derive(Clone, Debug)]
pub(crate) struct NatsServers {
    /// One or more, divided by commas.
    pub(crate) urls: Secret,
    pub(crate) access: Access,
}

const FORMS: &str = "use `embedded` or nats://host:4222[,nats://...]";

impl QueueSettings {
    pub(crate) fn choice(&self) -> Result<QueueChoice, Failure> {
        let secret = twin::resolve("queue", self.queue.as_ref(), self.queue_file.as_deref())?;
        let Some(secret) = secret.filter(|secret| secret.expose() != "embedded") else {
            return match self.nats.useless() {
                None => Ok(QueueChoice::Embedded),
                Some(name) => Err(Failure::misconfigured(format!(
                    "{name} is set, but the queue is the embedded one; name the NATS servers with queue, or remove it"
                ))),
            };
        };
        let schemes = ["nats://", "tls://"];
        let is_server = |url: &str| {
            schemes.iter().any(|scheme| url.strip_prefix(scheme).is_some_and(|rest| !rest.is_empty()))
        };
        if secret.expose().split(',').all(|url| is_server(url.trim())) {
            let access = self.nats.access()?;
            access.check(secret.expose())?;
            return Ok(QueueChoice::Nats(NatsServers { urls: secret, access }));
        }
        Err(Failure::misconfigured(format!("queue is neither embedded nor a NATS URL; {FORMS}")))
    }

    /// For the split pipeline, whose processes share no data directory.
    pub(crate) fn servers(&self, command: &str) -> Result<NatsServers, Failure> {
        match self.choice()? {
            QueueChoice::Nats(servers) => Ok(servers),
            QueueChoice::Embedded => Err(Failure::misconfigured(format!(
                "queue is needed by `djaffar {command}`: name the NATS servers as --queue nats://host:4222, or \
                 use `djaffar serve` for the embedded queue"
            ))),
        }
    }
}

fn stream_name(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    if !text.is_empty() && text.len() <= 32 && text.bytes().all(allowed) {
        return Ok(text.to_owned());
    }
    Err("a stream name is 1 to 32 letters, digits, - or _".to_owned())
}

fn replicas(text: &str) -> Result<u8, String> {
    match text {
        "1" => Ok(1),
        "3" => Ok(3),
        "5" => Ok(5),
        _ => Err("replicas are 1, 3 or 5".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(queue: Option<&str>) -> QueueSettings {
        QueueSettings {
            queue: queue.map(Secret::new),
            queue_file: None,
            stream: "DJAFFAR".to_owned(),
            stream_replicas: 1,
            stream_bytes_max: Size(1 << 30),
            embedded_queue_max: Size(1 << 30),
            nats: NatsSettings::default(),
        }
    }

    #[test]
    fn the_queue_is_embedded_or_nats() {
        assert!(matches!(settings(None).choice(), Ok(QueueChoice::Embedded)));
        assert!(matches!(settings(Some("embedded")).choice(), Ok(QueueChoice::Embedded)));
        assert!(matches!(settings(Some("nats://a:4222,tls://b")).choice(), Ok(QueueChoice::Nats(_))));
        for wrong in ["", "nats://", "kafka://a", "nats://a,b", "a:4222"] {
            assert!(settings(Some(wrong)).choice().is_err(), "{wrong}");
        }
    }

    #[test]
    fn names_and_replicas() {
        assert!(stream_name("DJAFFAR-2_b").is_ok());
        assert!(stream_name("a.b").is_err());
        assert!(replicas("2").is_err());
    }
}
