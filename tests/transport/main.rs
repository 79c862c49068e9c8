//! What connects the processes: who may speak with whom, encrypted, on real servers with
//! certificates of an authority that only the test believes.

mod accounts;
mod https;
mod nats;
mod nats_logins;
mod postgres;

use std::path::Path;

use djaffar_tests::process::{Djaffar, djaffar};
use djaffar_tests::{START_LIMIT, wait_until};

pub(crate) const KEY: &str = "a secret key that all the replicas share";

/// A log request; its status once there is an answer.
pub(crate) async fn log(djaffar: &Djaffar, path: &str) -> Option<u16> {
    let client = reqwest::Client::builder().no_proxy().build().ok()?;
    let request = client.post(format!("http://{}/djaffar/log/", djaffar.listen()));
    let request = request.header("content-type", "application/x-www-form-urlencoded");
    let sent = request.body(format!("date=2026-11-25T00:29:13Z&path={path}")).send().await.ok()?;
    Some(sent.status().as_u16())
}

/// Through `djaffar serve`, its queue included, into its SQLite.
pub(crate) async fn assert_carries(serve: &mut Djaffar) {
    serve.start_ready().await;
    assert_eq!(log(serve, "over/the/queue/").await, Some(204), "{}", serve.log());
    let data = serve.data_directory();
    wait_until("the row", START_LIMIT, || async {
        let dump = djaffar(["dump", "activity", "--data-dir", &data]);
        String::from_utf8_lossy(&dump.stdout).contains("over/the/queue/")
    })
    .await;
}

/// Starts it; it ends with exit code 2 and a sentence that holds these words, and none of these secrets.
pub(crate) async fn assert_refused(mut djaffar: Djaffar, words: &[&str]) {
    djaffar.start();
    let status = djaffar.ended(START_LIMIT).await;
    let log = djaffar.log();
    assert_eq!(status.code(), Some(2), "{words:?}: {log}");
    let sentence = log.lines().find_map(|line| line.strip_prefix("djaffar: "));
    let sentence = sentence.unwrap_or_else(|| panic!("{words:?}: {log}"));
    assert!(words.iter().all(|word| sentence.contains(word)), "{words:?}: {sentence}");
}

/// Waits until it is not ready, for a reason that holds these words.
pub(crate) async fn wait_for_red(djaffar: &Djaffar, words: &str) {
    wait_until(&format!("/readyz to say {words:?}"), START_LIMIT, || async {
        let answer = djaffar.admin("/readyz").await;
        answer.is_some_and(|(status, body)| status == 503 && body.contains(words))
    })
    .await;
}

pub(crate) fn text(path: &Path) -> String {
    path.display().to_string()
}
