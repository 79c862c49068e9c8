//! What a seed means: which faults strike and how often, and how large everything is.

use std::num::NonZeroUsize;
use std::ops::Range;
use std::time::Duration;

use shared::simulated::Random;
use writer::{StopMode, WriterConfig};

/// Draws from the seed's numbers.
pub(crate) trait Draw {
    /// From `range.start` up to, not including, `range.end`.
    fn between(&mut self, range: Range<u64>) -> u64;
    fn chance(&mut self, probability: f64) -> bool;
    fn millis(&mut self, range: Range<u64>) -> Duration;
    /// Mostly small, sometimes as large as `most`.
    fn skewed(&mut self, most: u64) -> u64;
}

impl Draw for Random {
    fn between(&mut self, range: Range<u64>) -> u64 {
        range.start + self.number() % (range.end - range.start)
    }

    fn chance(&mut self, probability: f64) -> bool {
        self.fraction() < probability
    }

    fn millis(&mut self, range: Range<u64>) -> Duration {
        Duration::from_millis(self.between(range))
    }

    fn skewed(&mut self, most: u64) -> u64 {
        let magnitude = self.between(0..u64::from(most.ilog2()) + 1);
        self.between(0..(2 << magnitude).min(most) + 1)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Fault {
    /// The client does not hear the answer.
    AnswerLost,
    /// The client hangs up before the answer.
    HangsUp,
    /// The client sends the same again beside itself.
    SentTwice,
    /// The client does not try again.
    GivesUp,
    /// The database refuses an activity.
    Poison,
    DeliveryReordered,
    /// A frame is delivered again while its first delivery lives.
    DeliveredTwice,
    /// The queue has forgotten that it was asked to forget a frame.
    AckLost,
    /// The queue forgets the frame, the answer is lost.
    AckUnheard,
    AckSlow,
    PullFails,
    StoreRefuses,
    StoreSlow,
    CommitUnheard,
    /// COMMIT arrives long after its client has given up.
    CommitLate,
    DiskSlow,
    DiskFails,
    DiskLosesPower,
    PublishLost,
    PublishUnheard,
    PublishLate,
    ClockJumps,
}

const FAULTS: usize = Fault::ClockJumps as usize + 1;

impl Fault {
    /// The highest probability with which it strikes, once per occasion.
    fn rate_max(self) -> f64 {
        match self {
            Self::DiskFails | Self::PullFails => 0.02,
            Self::Poison => 0.06,
            Self::DiskLosesPower => 1.0,
            _ => 0.3,
        }
    }

    const ALL: [Self; FAULTS] = [
        Self::AnswerLost,
        Self::HangsUp,
        Self::SentTwice,
        Self::GivesUp,
        Self::Poison,
        Self::DeliveryReordered,
        Self::DeliveredTwice,
        Self::AckLost,
        Self::AckUnheard,
        Self::AckSlow,
        Self::PullFails,
        Self::StoreRefuses,
        Self::StoreSlow,
        Self::CommitUnheard,
        Self::CommitLate,
        Self::DiskSlow,
        Self::DiskFails,
        Self::DiskLosesPower,
        Self::PublishLost,
        Self::PublishUnheard,
        Self::PublishLate,
        Self::ClockJumps,
    ];
}

/// Which processes there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Topology {
    /// All in one, on the embedded queue.
    Serve,
    /// Two ingests, a broker, two writers.
    Split,
    /// The same, and each ingest has a spool.
    Spooled,
}

/// Everything that is decided before a run begins.
#[derive(Clone, Debug)]
pub(crate) struct Plan {
    rates: [f64; FAULTS],
    pub(crate) topology: Topology,
    /// After so many events in its processes nothing fails any more.
    pub(crate) storm_events: i64,
    pub(crate) clients: u64,
    pub(crate) requests_per_client: u64,
    pub(crate) activities_per_request_max: u64,
    pub(crate) pause_between_requests: Range<u64>,
    /// Deaths of each process.
    pub(crate) deaths_max: u64,
    /// So many events are in a life at most.
    pub(crate) life_events_max: u64,
    pub(crate) stops_in_order: bool,
    pub(crate) segment_bytes: u32,
    pub(crate) segments_max: usize,
    pub(crate) stream_bytes_max: usize,
    pub(crate) frame_bytes_max: usize,
    pub(crate) frames_in_flight: NonZeroUsize,
    /// Longest time of fair weather, of an outage, in milliseconds.
    pub(crate) fair_weather: u64,
    pub(crate) outage: u64,
    pub(crate) lanes: u64,
    pub(crate) writer: WriterConfig,
}

impl Plan {
    pub(crate) fn draw(random: &mut Random) -> Self {
        let mut rates = [0.0; FAULTS];
        for fault in Fault::ALL {
            // Half of them never strike, so that every fault is met without the others too.
            if random.chance(0.5) {
                rates[fault as usize] = random.fraction() * fault.rate_max();
            }
        }
        let frame_bytes_max = random.between(500..3000) as usize;
        Self {
            rates,
            topology: match random.between(0..10) {
                0..5 => Topology::Serve,
                5..7 => Topology::Split,
                _ => Topology::Spooled,
            },
            storm_events: 100 + random.skewed(2000) as i64,
            clients: random.between(1..7),
            requests_per_client: random.between(1..9),
            activities_per_request_max: random.between(1..16),
            pause_between_requests: 0..random.skewed(1000) + 1,
            deaths_max: if random.chance(0.3) { 0 } else { random.between(1..6) },
            life_events_max: 10 + random.skewed(400),
            stops_in_order: random.chance(0.3),
            segment_bytes: random.between(4096..12_288) as u32,
            segments_max: random.between(2..12) as usize,
            stream_bytes_max: random.between(8_000..100_000) as usize,
            frame_bytes_max,
            frames_in_flight: NonZeroUsize::new(random.between(1..4) as usize).unwrap_or(NonZeroUsize::MIN),
            fair_weather: 500 + random.skewed(60_000),
            outage: if random.chance(0.5) { 0 } else { 500 + random.skewed(120_000) },
            lanes: random.between(1..4),
            writer: WriterConfig {
                rows_max: 1 + random.skewed(100) as usize,
                bytes_max: 500 + random.skewed(20_000) as usize,
                age_max: random.millis(0..300),
                known_sessions_max: random.between(1..12) as usize,
                stop: if random.chance(0.5) { StopMode::Pulled } else { StopMode::DrainBacklog },
                stop_time_max: random.millis(100..8000),
                maintain_every: random.millis(1000..100_000),
                ..WriterConfig::default()
            },
        }
    }

    pub(crate) fn rate(&self, fault: Fault) -> f64 {
        self.rates[fault as usize]
    }
}
