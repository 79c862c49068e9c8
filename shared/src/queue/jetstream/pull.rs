//! Asks the durable consumer for frames, and knows how many the server still owes.
//!
//! The client library's own pulls can only be dropped: frames that are on their way then wait for
//! `ack_wait`, half a minute of delay whenever a writer is replaced. This one can come to an end.

use std::time::Duration;

use async_nats::jetstream::{Context, Message};
use async_nats::{Client, StatusCode, Subject, Subscriber};
use bytes::Bytes;
use futures_util::{FutureExt, StreamExt};
use serde_json::json;
use tokio::time::timeout;

/// Frames asked for ahead: at most some 64 MiB, usually one or two.
const FRAMES: usize = 128;
/// How long the server keeps a request, and so how long an end takes at most.
const EXPIRES: Duration = Duration::from_millis(500);
/// Each request is answered, with frames or that it has expired.
const SILENCE_MAX: Duration = Duration::from_secs(5);

/// Errors are reasons to build it anew.
pub(super) struct Pull {
    client: Client,
    context: Context,
    request_subject: Subject,
    inbox: Subject,
    answers: Subscriber,
    /// Frames that were asked for and neither came nor were refused.
    owed: usize,
}

impl Pull {
    pub(super) async fn new(
        client: Client,
        context: Context,
        stream: &str,
        consumer: &str,
    ) -> Result<Self, String> {
        let inbox = Subject::from(client.new_inbox());
        let answers = client.subscribe(inbox.clone()).await.map_err(|error| error.to_string())?;
        let request_subject = Subject::from(format!("$JS.API.CONSUMER.MSG.NEXT.{stream}.{consumer}"));
        Ok(Self { client, context, request_subject, inbox, answers, owed: 0 })
    }

    /// The next frame. Cancel safe.
    pub(super) async fn next(&mut self) -> Result<Message, String> {
        loop {
            if self.owed <= FRAMES / 2 {
                self.ask(FRAMES - self.owed).await?;
            }
            if let Some(message) = self.receive().await? {
                return Ok(message);
            }
        }
    }

    /// The next of the frames that were asked for; `None` when no more can come. Cancel safe.
    pub(super) async fn remaining(&mut self) -> Result<Option<Message>, String> {
        while self.owed > 0 {
            if let Some(message) = self.receive().await? {
                return Ok(Some(message));
            }
        }
        Ok(None)
    }

    /// What has come already.
    pub(super) fn taken_in(&mut self) -> Vec<Message> {
        let mut messages = Vec::new();
        while let Some(Some(answer)) = self.answers.next().now_or_never() {
            messages.extend(self.read(answer).ok().flatten());
        }
        messages
    }

    async fn ask(&mut self, frames: usize) -> Result<(), String> {
        let request = json!({ "batch": frames, "expires": EXPIRES.as_nanos() as u64 });
        let (subject, inbox) = (self.request_subject.clone(), self.inbox.clone());
        let asked = self.client.publish_with_reply(subject, inbox, Bytes::from(request.to_string())).await;
        asked.map_err(|error| error.to_string())?;
        self.owed += frames;
        Ok(())
    }

    /// `None`: an answer without a frame.
    async fn receive(&mut self) -> Result<Option<Message>, String> {
        let answer = timeout(SILENCE_MAX, self.answers.next()).await;
        let answer = answer.map_err(|_| "the server is silent")?;
        self.read(answer.ok_or("the subscription has ended")?)
    }

    fn read(&mut self, answer: async_nats::Message) -> Result<Option<Message>, String> {
        let status = answer.status.unwrap_or(StatusCode::OK);
        match status {
            StatusCode::OK => {
                self.owed = self.owed.saturating_sub(1);
                Ok(Some(Message { message: answer, context: self.context.clone() }))
            }
            StatusCode::TIMEOUT => {
                let refused =
                    answer.headers.as_ref().and_then(|headers| headers.get("Nats-Pending-Messages"));
                let refused = refused.and_then(|count| count.as_str().parse().ok());
                let refused: usize = refused.ok_or("the server does not say what it has refused")?;
                self.owed = self.owed.saturating_sub(refused);
                Ok(None)
            }
            _ => Err(format!("{status}: {}", answer.description.as_deref().unwrap_or_default())),
        }
    }
}
