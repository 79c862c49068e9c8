//! Somebody purges, deletes or remakes the stream (row 22).

use async_nats::jetstream::{self, Context};
use djaffar_tests::checker::judge;
use djaffar_tests::pipeline::Pipeline;
use djaffar_tests::wait_until;

use crate::PATIENCE;

async fn context(pipeline: &Pipeline) -> Context {
    jetstream::new(async_nats::connect(pipeline.nats.url()).await.expect("the broker answers"))
}

#[tokio::test]
async fn nobody_can_purge_the_stream_or_delete_a_frame() {
    let mut pipeline = Pipeline::new().single();
    pipeline.nats.start_ready().await;
    pipeline.ingests[0].start_ready().await;
    let load = pipeline.load(4);
    load.progress(50).await;
    let stream = context(&pipeline).await.get_stream("DJAFFAR").await.expect("the stream");
    assert!(stream.purge().await.is_err(), "a purge is refused");
    let first = stream.cached_info().state.first_sequence;
    assert!(stream.delete_message(first).await.is_err(), "a frame cannot be deleted");
    pipeline.postgres.restart().await;
    pipeline.writers[0].start_ready().await;
    let journal = load.finish().await;
    pipeline.conclude("nobody_can_purge_the_stream_or_delete_a_frame", 1, &journal).await;
}

/// Its frames are gone, which no pipeline can mend: it is said, nothing is doubled, and all goes on.
#[tokio::test]
async fn a_stream_deleted_under_load_is_an_alarm_and_doubles_nothing() {
    let mut pipeline = Pipeline::running().await;
    let load = pipeline.load(16);
    load.progress(200).await;
    context(&pipeline).await.delete_stream("DJAFFAR").await.expect("deleted");
    load.progress(200).await;
    let journal = load.finish().await;
    let verdict = judge(&journal, &pipeline.database(), &pipeline.queue()).await;
    assert_eq!(verdict.figures.doubled, 0, "{verdict:?}");
    assert_eq!(verdict.breaches.len(), verdict.figures.lost, "nothing but what the stream held: {verdict:?}");
    let processes = || pipeline.ingests.iter().chain(&pipeline.writers);
    wait_until("the alarm of every process", PATIENCE, || async {
        processes().all(|process| process.log().contains("deleted and made anew"))
    })
    .await;
    for process in processes() {
        let (_, metrics) = process.admin("/metrics").await.expect("the admin listener answers");
        assert!(metrics.contains("djaffar_queue_stream_recreated_total 1"), "{metrics}");
    }
    pipeline.wait_ready().await;
}
