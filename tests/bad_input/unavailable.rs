//! Sound requests that the queue does not take.

use shared::queue::PublishError;

use super::form;
use crate::server::Server;

const BODY: &str = "date=2016-12-29T07:35:22Z&path=x";

#[tokio::test]
async fn a_queue_that_is_full_or_silent_is_503_and_sets_no_cookie() {
    let server = Server::start().await;
    let reason = "S3NT1NEL".to_owned();
    for (error, name) in [
        (PublishError::Full { reason: reason.clone() }, "queue_full"),
        (PublishError::Unknown { reason }, "queue_unavailable"),
    ] {
        server.queue.refuse(Some(error));
        let mut client = server.client().await;
        client.send(form(BODY)).await;
        let answer = client.answer().await;
        assert_eq!(answer.status, 503);
        assert!(answer.header("retry-after").is_some());
        super::assert_harmless(name, &answer);
        assert_eq!(server.telemetry.snapshot().rejected[name], 1);
        server.queue.refuse(None);
        server.serves(&mut client).await;
    }
}
