//! Frame encodings side by side: why frames are protocol buffers, and whether zstd pays.

use std::hint::black_box;
use std::time::Instant;

use bytes::Bytes;
use serde::{Deserialize, Serialize};
use shared::event::Activity;
use shared::frame::{Compression, EncodedActivity, FrameBuilder, FrameId, decode};

use crate::activities::activity;
use crate::effort;
use crate::report::{Report, median};

const ROUNDS: usize = 5;
const ACTIVITIES_PER_ROUND: usize = 64_000;

/// The same activity as a JSON object with the fields' names.
#[derive(Serialize, Deserialize)]
struct JsonActivity {
    id: String,
    date: String,
    received_at: String,
    session_id: Option<String>,
    user_id: Option<String>,
    ip_address: Option<String>,
    path: String,
    referer: String,
    user_agent: String,
}

impl From<&Activity> for JsonActivity {
    fn from(activity: &Activity) -> Self {
        Self {
            id: activity.id.0.to_string(),
            date: activity.date.instant().to_rfc3339(),
            received_at: activity.received_at.instant().to_rfc3339(),
            session_id: activity.session_id.as_ref().map(|id| id.as_str().to_owned()),
            user_id: None,
            ip_address: activity.ip_address.map(|address| address.to_string()),
            path: activity.path.as_str().to_owned(),
            referer: activity.referer.as_str().to_owned(),
            user_agent: activity.user_agent.as_str().to_owned(),
        }
    }
}

#[derive(Clone, Copy)]
enum Encoding {
    Json,
    JsonZstd,
    Prost,
    ProstZstd,
}

impl Encoding {
    fn name(self) -> &'static str {
        match self {
            Self::Json => "JSON",
            Self::JsonZstd => "JSON, zstd 1",
            Self::Prost => "prost",
            Self::ProstZstd => "prost, zstd 1",
        }
    }

    fn encode(self, activities: Vec<Activity>) -> Vec<u8> {
        match self {
            Self::Json => json(&activities),
            Self::JsonZstd => zstd::bulk::compress(&json(&activities), 1).expect("zstd compresses"),
            Self::Prost => frame(activities, Compression::None),
            Self::ProstZstd => frame(activities, Compression::Zstd),
        }
    }

    fn decode(self, bytes: &[u8]) -> usize {
        let json = |text: &[u8]| {
            serde_json::from_slice::<Vec<JsonActivity>>(text).map(black_box).expect("our own JSON").len()
        };
        match self {
            Self::Json => json(bytes),
            Self::JsonZstd => json(&zstd::bulk::decompress(bytes, 1 << 24).expect("our own zstd")),
            Self::Prost | Self::ProstZstd => {
                let frame = decode(Bytes::copy_from_slice(bytes)).expect("our own frame");
                black_box(frame).activities.len()
            }
        }
    }
}

fn json(activities: &[Activity]) -> Vec<u8> {
    let records: Vec<JsonActivity> = activities.iter().map(JsonActivity::from).collect();
    serde_json::to_vec(&records).expect("JSON takes everything")
}

fn frame(activities: Vec<Activity>, compression: Compression) -> Vec<u8> {
    let mut builder = FrameBuilder::new(usize::MAX);
    for activity in activities {
        builder.push(&EncodedActivity::from(&activity));
    }
    builder.finish(FrameId::generate(), compression).bytes.to_vec()
}

pub(crate) fn run(report: &mut Report) {
    report.heading("Frame encodings");
    report.table(&["encoding", "activities", "ns to encode", "ns to decode", "bytes"]);
    for count in [64, 1000] {
        for encoding in [Encoding::Json, Encoding::JsonZstd, Encoding::Prost, Encoding::ProstZstd] {
            let (encode, decode, bytes) = measure(encoding, count);
            report.row([
                encoding.name().to_owned(),
                count.to_string(),
                format!("{encode:.0}"),
                format!("{decode:.0}"),
                format!("{bytes:.0}"),
            ]);
        }
    }
    report.line("");
    report.line("Per activity, one core; encoding starts from the validated activity, decoding ends with it (JSON: unvalidated).");
}

/// Medians, per activity.
fn measure(encoding: Encoding, count: usize) -> (f64, f64, f64) {
    let (mut encode, mut decode, mut size) = (Vec::new(), Vec::new(), Vec::new());
    let start = shared::time::now();
    for _ in 0..effort::rounds(ROUNDS) {
        let numbers: Vec<u32> = (0..u32::try_from(ACTIVITIES_PER_ROUND).expect("fits")).collect();
        let groups: Vec<Vec<Activity>> = numbers
            .chunks_exact(count)
            .map(|group| group.iter().map(|number| activity(*number, start)).collect())
            .collect();
        let total = (groups.len() * count) as f64;
        let started = Instant::now();
        let encoded: Vec<Vec<u8>> = groups.into_iter().map(|group| encoding.encode(group)).collect();
        encode.push(started.elapsed().as_nanos() as f64 / total);
        let started = Instant::now();
        let decoded: usize = encoded.iter().map(|bytes| encoding.decode(bytes)).sum();
        decode.push(started.elapsed().as_nanos() as f64 / total);
        assert_eq!(decoded as f64, total);
        size.push(encoded.iter().map(Vec::len).sum::<usize>() as f64 / total);
    }
    (median(&encode), median(&decode), median(&size))
}
