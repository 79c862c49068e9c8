//! Whole queues whose files have been spoilt; a spool is such a queue too.

use std::collections::BTreeSet;
use std::fs;

use proptest::prelude::*;

use super::*;
use crate::fuzz::{Target, mutated};
use crate::queue::Settle;

/// As they lie there after a stop in order, and one after a kill.
const FILES: [&str; 3] = ["00000000000000000001.log", "00000000000000000001.acks", "format"];

#[test]
fn fuzz_a_queue_with_spoilt_files_opens_without_lies_or_says_what_is_wrong() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().expect("a runtime");
    let _entered = runtime.enter();
    let fixture = Embedded { directory: TempDir::new().expect("a directory"), bytes_max: BYTES_MAX };
    let queue = EmbeddedQueue::open(&fixture.config()).expect("a queue");
    let published: BTreeSet<_> = runtime.block_on(async {
        let frames = [frame(40), frame(400), frame(40)];
        for frame in &frames {
            publish(&queue, frame).await;
        }
        let mut consumer = queue.consumer();
        next(&mut consumer).await.settle.ack().await.expect("an ack");
        frames.into_iter().map(|frame| frame.bytes).collect()
    });
    drop(queue);
    // Behind the seal there are megabytes of nothing.
    let sound = FILES.map(|name| {
        let mut bytes = fs::read(fixture.config().directory.join(name)).unwrap_or_default();
        bytes.truncate(1024);
        bytes
    });
    let spoilt = (0..FILES.len()).prop_flat_map({
        let sound = sound.clone();
        move |file| (Just(file), mutated(Just(sound[file].clone()), &["DJQ1", "\0\0\0\0"]))
    });
    Target::new("queue_files", file!()).cases(20).run(spoilt, |(file, bytes)| {
        let spoilt = Embedded { directory: TempDir::new().expect("a directory"), bytes_max: BYTES_MAX };
        let directory = spoilt.config().directory;
        fs::create_dir(&directory).expect("a directory");
        for (name, sound) in FILES.iter().zip(&sound) {
            fs::write(directory.join(name), sound).expect("a file");
        }
        fs::write(directory.join(FILES[file]), &bytes).expect("a file");
        let queue = match EmbeddedQueue::open(&spoilt.config()) {
            Ok(queue) => queue,
            Err(QueueError::Misconfigured { reason }) => {
                prop_assert!(bytes != sound[file]);
                prop_assert!(reason.contains("embedded queue") || reason.contains("format"), "{}", reason);
                return Ok(());
            }
            Err(other) => return Err(TestCaseError::fail(other.to_string())),
        };
        let delivered = runtime.block_on(async {
            let mut consumer = queue.consumer();
            drain(&queue, &mut consumer).await
        });
        prop_assert!(delivered.is_subset(&published));
        // The acks alone decide which frames are over; without them all come again.
        if file == 1 {
            prop_assert!(delivered.len() >= 2);
        }
        Ok(())
    });
}
