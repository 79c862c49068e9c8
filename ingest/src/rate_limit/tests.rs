use std::collections::HashMap;

use proptest::prelude::*;

use super::*;

const SECOND: u64 = 1_000_000_000;

fn limiter(limit: &str) -> KeyedLimiter {
    KeyedLimiter::new(limit.parse().expect("a rate"))
}

#[test]
fn rates_are_parsed() {
    let parsed = |text: &str| text.parse::<RateLimit>().map(|limit| (limit.interval_nanos, limit.burst));
    assert_eq!(parsed("600/min"), Ok((SECOND / 10, 600)));
    assert_eq!(parsed("10/s,burst=50"), Ok((SECOND / 10, 50)));
    assert_eq!(parsed(" 1/hour, burst=1 "), Ok((3600 * SECOND, 1)));
    assert_eq!(parsed("1000000000/s"), Ok((1, 1_000_000_000)));
    for text in
        ["", "600", "0/s", "-1/s", "1/day", "1/", "/s", "1/s,", "1/s,burst=0", "1/s,50", "2000000000/s"]
    {
        assert_eq!(parsed(text), Err(InvalidRate), "{text}");
    }
}

#[test]
fn a_key_has_its_burst_and_then_its_rate() {
    let limiter = limiter("2/s,burst=3");
    for _ in 0..3 {
        assert_eq!(limiter.charge_at(7, 1, 0), Ok(()));
    }
    let refused = limiter.charge_at(7, 1, 0).expect_err("over its limit");
    assert_eq!((refused.wait, refused.retry_after_seconds()), (Duration::from_millis(500), 1));
    assert_eq!(limiter.charge_at(8, 1, 0), Ok(()), "others are not concerned");
    assert!(limiter.charge_at(7, 1, SECOND / 2 - 1).is_err());
    assert_eq!(limiter.charge_at(7, 1, SECOND / 2), Ok(()));
    assert!(
        limiter.charge_at(7, 1, SECOND / 2).is_err(),
        "what was refused has cost nothing, and no more is owed"
    );
}

#[test]
fn a_batch_beyond_the_burst_is_taken_and_paid_for() {
    let limiter = limiter("1/s,burst=10");
    assert_eq!(limiter.charge_at(7, 1000, 0), Ok(()));
    let refused = limiter.charge_at(7, 1, 0).expect_err("owes 990");
    assert_eq!(refused.retry_after_seconds(), 991);
    assert!(limiter.charge_at(7, 1, 990 * SECOND).is_err());
    assert_eq!(limiter.charge_at(7, 1000, 991 * SECOND), Ok(()), "Retry-After suffices for another batch");
}

#[test]
fn seconds_are_rounded_up() {
    let seconds = |millis| RateLimited { wait: Duration::from_millis(millis) }.retry_after_seconds();
    assert_eq!([1, 999, 1000, 1001, 60_000].map(seconds), [1, 1, 1, 2, 60]);
}

/// A million keys, as an IPv6 /44 has networks of customers: the table stays as it is, and those
/// who are over their limit stay there.
#[test]
fn a_flood_of_keys_frees_nobody_who_is_over_the_limit() {
    const { assert!(KeyedLimiter::BYTES <= 2_300_000) };
    let limiter = limiter("60/min");
    let greedy: Vec<u64> = (0..50).map(|key| limiter.hasher.hash_one(("greedy", key))).collect();
    for key in &greedy {
        assert_eq!(limiter.charge_at(*key, 60, 0), Ok(()));
    }
    for number in 0..1_000_000_u64 {
        let key = limiter.hasher.hash_one(number);
        assert_eq!(limiter.charge_at(key, 1, number), Ok(()), "a new key always has its burst");
    }
    for key in &greedy {
        assert!(limiter.charge_at(*key, 1, 1_000_000).is_err());
    }
}

/// The bucket that the algorithm stands for, with one entry for each key.
struct Buckets {
    limit: RateLimit,
    /// Level and when it was taken, in nanoseconds' worth of tokens.
    levels: HashMap<u64, (i128, u64)>,
}

impl Buckets {
    fn charge(&mut self, key: u64, activities: usize, now: u64) -> bool {
        let token = i128::from(self.limit.interval_nanos);
        let full = token * i128::from(self.limit.burst);
        let (level, then) = self.levels.entry(key).or_insert((full, now));
        *level = (*level + i128::from(now - *then)).min(full);
        *then = now;
        let is_admitted = *level >= token;
        if is_admitted {
            *level -= token * i128::try_from(activities).expect("a few");
        }
        is_admitted
    }
}

proptest! {
    #[test]
    fn it_decides_as_a_token_bucket(
        count in 1..1000_u32,
        burst in 1..50_u32,
        requests in proptest::collection::vec((0..4_u64, 0..30_usize, 0..2 * SECOND), 1..200),
    ) {
        let limiter = limiter(&format!("{count}/s,burst={burst}"));
        let mut buckets = Buckets { limit: limiter.limit, levels: HashMap::new() };
        let mut now = 0;
        for (key, activities, pause) in requests {
            now += pause / u64::from(count);
            let charged = limiter.charge_at(key, activities, now);
            prop_assert_eq!(charged.is_ok(), buckets.charge(key, activities, now));
            if let Err(refused) = charged {
                let then = now + u64::try_from(refused.wait.as_nanos()).expect("not long");
                prop_assert!(limiter.charge_at(key, 0, then - 1).is_err());
                prop_assert!(limiter.charge_at(key, 0, then).is_ok());
            }
        }
    }
}
