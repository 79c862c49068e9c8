//! Creates the stream, and refuses one that would lose what was answered.

use std::time::Duration;

use async_nats::jetstream::context::{
    CreateStreamError, CreateStreamErrorKind, GetStreamError, GetStreamErrorKind,
};
use async_nats::jetstream::stream::{
    Config, DiscardPolicy, Info, PersistenceMode, RetentionPolicy, StorageType,
};
use async_nats::jetstream::{Context, ErrorCode};

use super::JetStreamConfig;
use crate::queue::QueueError;

pub(super) const SUBJECTS: &str = "djaffar.frames.>";
/// Where frames go; more subjects would be shards.
pub(super) const SUBJECT: &str = "djaffar.frames.0";
/// Older ones can lose acked messages when peers change (Jepsen, NATS 2.12.1).
const SERVER_VERSION_LEAST: (u64, u64, u64) = (2, 12, 3);
/// A frame must carry the largest activity.
pub(super) const PAYLOAD_LEAST: usize = 128 * 1024;
/// How the sentence about it starts.
pub(super) const NOT_ENABLED: &str = "JetStream is not enabled on the nats-server of --queue";
const STREAM_BYTES_LEAST: i64 = 1024 * 1024;

/// What the stream must be; [`judge`] holds an existing one against it.
pub(super) fn wanted(config: &JetStreamConfig) -> Config {
    Config {
        name: config.stream.clone(),
        description: Some("Frames of log requests, from djaffar ingest to djaffar writer".to_owned()),
        subjects: vec![SUBJECTS.to_owned()],
        storage: StorageType::File,
        retention: RetentionPolicy::WorkQueue,
        discard: DiscardPolicy::New,
        max_bytes: i64::try_from(config.bytes_max).unwrap_or(i64::MAX),
        max_messages: -1,
        max_messages_per_subject: -1,
        max_consumers: -1,
        max_message_size: -1,
        max_age: Duration::ZERO,
        num_replicas: usize::from(config.replicas),
        // A frame leaves the stream by its ack alone.
        deny_delete: true,
        deny_purge: true,
        ..Config::default()
    }
}

/// Why this stream must not be used: one sentence with the setting and the remedy.
pub(super) fn judge(stream: &Config) -> Result<(), String> {
    let name = &stream.name;
    let edit = |setting: &str| format!("mend it with `nats stream edit {name} {setting}`");
    let again = "drain it, delete it, and Djaffar makes a new one";
    let refused = if stream.storage == StorageType::Memory {
        Some(("storage memory, which no restart survives".to_owned(), again.to_owned()))
    } else if stream.retention != RetentionPolicy::WorkQueue {
        Some((
            format!("retention {:?} and not workqueue, so frames are lost or never leave", stream.retention),
            again.to_owned(),
        ))
    } else if stream.discard != DiscardPolicy::New {
        Some(("discard old, which deletes unread frames when it is full".to_owned(), edit("--discard new")))
    } else if !stream.max_age.is_zero() {
        Some((format!("max_age {:?}, which deletes unread frames", stream.max_age), edit("--max-age 0")))
    } else if stream.no_ack {
        Some(("no_ack, so no publish is ever confirmed".to_owned(), edit("--ack")))
    } else if stream.persist_mode == Some(PersistenceMode::Async) {
        Some(("persist_mode async, which confirms before the disk has it".to_owned(), again.to_owned()))
    } else if stream.max_messages_per_subject > 0 {
        Some((
            "max_msgs_per_subject, which deletes unread frames".to_owned(),
            edit("--max-msgs-per-subject=-1"),
        ))
    } else if stream.max_message_size > 0 && (stream.max_message_size as usize) < PAYLOAD_LEAST {
        Some((
            format!("max_msg_size {}, too small for a frame", stream.max_message_size),
            edit("--max-msg-size=-1"),
        ))
    } else if stream.sealed || stream.mirror.is_some() {
        Some(("sealed or a mirror, so it takes no frames".to_owned(), again.to_owned()))
    } else if !stream.subjects.iter().any(|subject| covers(subject)) {
        Some((format!("no subject {SUBJECTS}"), edit(&format!("--subjects {SUBJECTS}"))))
    } else {
        None
    };
    match refused {
        None => Ok(()),
        Some((what, remedy)) => Err(format!("the stream {name} (--stream) has {what}: {remedy}")),
    }
}

fn covers(subject: &str) -> bool {
    [SUBJECTS, SUBJECT, "djaffar.frames.*", "djaffar.>", ">"].contains(&subject)
}

/// Refuses a server that cannot keep the promise.
pub(super) fn judge_server(version: &str, payload_max: usize) -> Result<(), String> {
    let least = SERVER_VERSION_LEAST;
    if parse_version(version).is_none_or(|version| version < least) {
        return Err(format!(
            "nats-server is version {version} (--queue), which can lose confirmed frames: upgrade it to {}.{}.{} or later",
            least.0, least.1, least.2
        ));
    }
    if payload_max < PAYLOAD_LEAST {
        return Err(format!(
            "nats-server has max_payload {payload_max} (--queue), too small for a frame: set it to {PAYLOAD_LEAST} or more, 1048576 is its default"
        ));
    }
    Ok(())
}

fn parse_version(version: &str) -> Option<(u64, u64, u64)> {
    let release = version.trim_start_matches('v').split(['-', '+']).next()?;
    let mut numbers = release.split('.').map(|number| number.parse().ok());
    Some((numbers.next()??, numbers.next()??, numbers.next()??))
}

/// The stream as the server has it, made if it is missing.
pub(super) async fn ensure(context: &Context, config: &JetStreamConfig) -> Result<Info, QueueError> {
    let info = match look(context, config).await? {
        Some(info) => info,
        None => create(context, config).await?,
    };
    judge(&info.config).map_err(|reason| QueueError::Misconfigured { reason })?;
    Ok(info)
}

/// The stream as the server has it, if it is there.
pub(super) async fn find(context: &Context, config: &JetStreamConfig) -> Result<Option<Info>, QueueError> {
    let info = look(context, config).await?;
    if let Some(info) = &info {
        judge(&info.config).map_err(|reason| QueueError::Misconfigured { reason })?;
    }
    Ok(info)
}

async fn look(context: &Context, config: &JetStreamConfig) -> Result<Option<Info>, QueueError> {
    match context.get_stream(&config.stream).await {
        Ok(stream) => Ok(Some(stream.cached_info().clone())),
        Err(error) if is_missing(&error) => Ok(None),
        Err(error) => Err(classify_get(context, &error)),
    }
}

fn is_missing(error: &GetStreamError) -> bool {
    matches!(error.kind(), GetStreamErrorKind::JetStream(error) if error.error_code() == ErrorCode::STREAM_NOT_FOUND)
}

fn classify_get(context: &Context, error: &GetStreamError) -> QueueError {
    match error.kind() {
        GetStreamErrorKind::JetStream(error) => classify(&error),
        GetStreamErrorKind::EmptyName | GetStreamErrorKind::InvalidStreamName => QueueError::Misconfigured {
            reason: "--stream is no stream name: use letters, digits, - and _".to_owned(),
        },
        // A server without JetStream has nobody who could answer.
        GetStreamErrorKind::Request if !context.client().server_info().jetstream => not_enabled(),
        GetStreamErrorKind::Request => {
            QueueError::Unavailable { reason: format!("JetStream does not answer ({error})") }
        }
    }
}

fn not_enabled() -> QueueError {
    QueueError::Misconfigured {
        reason: format!("{NOT_ENABLED}: start it with -js, or give its account jetstream: enabled"),
    }
}

fn classify(error: &async_nats::jetstream::Error) -> QueueError {
    match error.error_code() {
        ErrorCode::JETSTREAM_NOT_ENABLED | ErrorCode::JETSTREAM_NOT_ENABLED_FOR_ACCOUNT => not_enabled(),
        ErrorCode::STREAM_SUBJECT_OVERLAP => QueueError::Misconfigured {
            reason: format!("another stream takes {SUBJECTS} already: name it with --stream, or delete it"),
        },
        _ => QueueError::Unavailable { reason: format!("JetStream says: {error}") },
    }
}

/// Creates the stream, as large as asked or as large as the server allows.
async fn create(context: &Context, config: &JetStreamConfig) -> Result<Info, QueueError> {
    let mut wanted = wanted(config);
    loop {
        let error = match context.create_stream(&wanted).await {
            Ok(stream) => {
                let bytes_max = wanted.max_bytes;
                if u64::try_from(bytes_max).is_ok_and(|bytes_max| bytes_max < config.bytes_max) {
                    tracing::warn!(
                        bytes_max,
                        asked = config.bytes_max,
                        "the server allows the stream less than --stream-bytes-max"
                    );
                }
                tracing::info!(stream = config.stream, bytes_max, "stream created");
                return Ok(stream.cached_info().clone());
            }
            Err(error) => error,
        };
        match code(&error) {
            Some(
                ErrorCode::STORAGE_RESOURCES_EXCEEDED
                | ErrorCode::INSUFFICIENT_RESOURCES
                | ErrorCode::ACCOUNT_RESOURCES_EXCEEDED,
            ) if wanted.max_bytes / 2 >= STREAM_BYTES_LEAST => wanted.max_bytes /= 2,
            // Another process was quicker; its stream is judged like any other.
            Some(ErrorCode::STREAM_NAME_EXIST) => match context.get_stream(&config.stream).await {
                Ok(stream) => return Ok(stream.cached_info().clone()),
                Err(error) => return Err(classify_get(context, &error)),
            },
            _ => {
                return Err(match error.kind() {
                    CreateStreamErrorKind::JetStream(error) => classify(&error),
                    _ => {
                        QueueError::Unavailable { reason: format!("the stream cannot be created ({error})") }
                    }
                });
            }
        }
    }
}

fn code(error: &CreateStreamError) -> Option<ErrorCode> {
    match error.kind() {
        CreateStreamErrorKind::JetStream(error) => Some(error.error_code()),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn good() -> Config {
        wanted(&JetStreamConfig::default())
    }

    #[test]
    fn what_djaffar_makes_it_accepts() {
        assert_eq!(judge(&good()), Ok(()));
    }

    #[test]
    fn what_would_lose_frames_is_refused_with_a_remedy() {
        type Spoil = fn(&mut Config);
        let cases: [(&str, Spoil); 10] = [
            ("storage memory", |stream| stream.storage = StorageType::Memory),
            ("retention Limits", |stream| stream.retention = RetentionPolicy::Limits),
            ("retention Interest", |stream| stream.retention = RetentionPolicy::Interest),
            ("discard old", |stream| stream.discard = DiscardPolicy::Old),
            ("max_age", |stream| stream.max_age = Duration::from_secs(9)),
            ("no_ack", |stream| stream.no_ack = true),
            ("persist_mode async", |stream| stream.persist_mode = Some(PersistenceMode::Async)),
            ("max_msgs_per_subject", |stream| stream.max_messages_per_subject = 1),
            ("max_msg_size", |stream| stream.max_message_size = 1000),
            ("no subject", |stream| stream.subjects = vec!["other.>".to_owned()]),
        ];
        for (words, spoil) in cases {
            let mut stream = good();
            spoil(&mut stream);
            let sentence = judge(&stream).expect_err(words);
            assert!(sentence.contains(words) && sentence.contains("--stream"), "{sentence}");
            assert!(sentence.contains("mend it") || sentence.contains("Djaffar makes"), "{sentence}");
        }
    }

    #[test]
    fn old_and_narrow_servers_are_refused() {
        for version in ["2.9.10", "2.12.2", "2.11.99", "1.4", "", "git"] {
            assert!(judge_server(version, 1 << 20).is_err(), "{version}");
        }
        for version in ["2.12.3", "v2.15.1", "2.14.0-RC.2", "3.0.0"] {
            assert_eq!(judge_server(version, 1 << 20), Ok(()), "{version}");
        }
        assert!(judge_server("2.15.1", 65_536).is_err());
    }
}
