//! How a fuzz target runs, and what spoils its valid inputs.
//!
//! A target is a test whose name contains `fuzz`: a [`Strategy`] that knows the grammar of its
//! parser, often [`mutated`], and a property of whatever comes out. `cargo test` tries a few cases
//! of each, always the same; with [`SECONDS`] in the environment each goes on for that long with others. What fails is shrunk,
//! printed, and kept as a seed under `proptest-regressions`, which every later run tries first.

use std::env;
use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, RngSeed, TestCaseResult, TestRunner};

/// The variable that says for how many seconds each target runs.
pub const SECONDS: &str = "FUZZ_SECONDS";
/// A moment, also without optimisation.
const CASES: u32 = 100;
/// A test that fails must fail again.
const ALWAYS_THE_SAME: RngSeed = RngSeed::Fixed(7);
/// Between two looks at the clock.
const CASES_PER_ROUND: u32 = 1000;
/// One more changes little: what is left of the input is noise.
const MUTATIONS_MAX: usize = 8;

/// One target; `source_file` is `file!()`, beside which failures are kept.
#[derive(Clone, Copy, Debug)]
pub struct Target {
    pub name: &'static str,
    pub source_file: &'static str,
    /// Tried by default.
    pub cases: u32,
}

impl Target {
    #[must_use]
    pub fn new(name: &'static str, source_file: &'static str) -> Self {
        Self { name, source_file, cases: CASES }
    }

    /// For inputs that cost more than the usual microseconds.
    #[must_use]
    pub fn cases(self, cases: u32) -> Self {
        Self { cases, ..self }
    }

    /// Holds the property against values of the strategy.
    ///
    /// # Panics
    /// A value breaks it, or panics; the smallest such value is printed. Also when [`SECONDS`] is no number.
    pub fn run<S: Strategy>(self, strategy: S, property: impl Fn(S::Value) -> TestCaseResult) {
        let seconds = env::var(SECONDS).ok().map(|text| {
            text.parse().unwrap_or_else(|_| panic!("{SECONDS} is a number of seconds, such as 600"))
        });
        let Some(seconds) = seconds else {
            return self.round(self.cases, ALWAYS_THE_SAME, &strategy, &property);
        };
        let (begun, limit) = (Instant::now(), Duration::from_secs(seconds));
        let cases = CASES_PER_ROUND.min(self.cases);
        let mut tried = 0_u64;
        while begun.elapsed() < limit {
            self.round(cases, RngSeed::Random, &strategy, &property);
            tried += u64::from(cases);
        }
        println!("fuzz target {}: {tried} cases in {} s", self.name, begun.elapsed().as_secs());
    }

    fn round<S: Strategy>(
        self,
        cases: u32,
        seed: RngSeed,
        strategy: &S,
        property: &impl Fn(S::Value) -> TestCaseResult,
    ) {
        let mut config = Config {
            test_name: Some(self.name),
            source_file: Some(self.source_file),
            ..Config::with_cases(cases)
        };
        // One of the environment goes first.
        if config.rng_seed == RngSeed::Random {
            config.rng_seed = seed;
        }
        if let Err(failure) = TestRunner::new(config).run(strategy, property) {
            panic!("fuzz target {}: {failure}", self.name);
        }
    }
}

/// The inputs of `valid`, most of them spoilt in some places; `dictionary` holds what the parser knows.
pub fn mutated(
    valid: impl Strategy<Value = Vec<u8>>,
    dictionary: &'static [&'static str],
) -> impl Strategy<Value = Vec<u8>> {
    let mutations = proptest::collection::vec(mutation(dictionary), 0..MUTATIONS_MAX);
    (valid, mutations).prop_map(|(mut bytes, mutations)| {
        mutations.iter().for_each(|mutation| mutation.apply(&mut bytes));
        bytes
    })
}

/// [`mutated`] for a parser of texts: what is no UTF-8 any more is replaced.
pub fn mutated_text(
    valid: impl Strategy<Value = String>,
    dictionary: &'static [&'static str],
) -> impl Strategy<Value = String> {
    mutated(valid.prop_map(String::into_bytes), dictionary)
        .prop_map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
}

/// One of the examples.
pub fn one_of(corpus: &'static [&'static str]) -> impl Strategy<Value = String> {
    proptest::sample::select(corpus).prop_map(str::to_owned)
}

#[derive(Clone, Debug)]
enum Mutation {
    FlipBit(Index, u8),
    Set(Index, u8),
    Insert(Index, Vec<u8>),
    Remove(Index, u8),
    /// Copies so many bytes behind themselves, so many times.
    Repeat(Index, u8, u8),
    Swap(Index, Index),
    Cut(Index),
}

fn mutation(dictionary: &'static [&'static str]) -> impl Strategy<Value = Mutation> {
    let at = any::<Index>;
    let byte = || {
        prop_oneof![
            any::<u8>(),
            proptest::sample::select(&b"\0\t\r\n \"%&+,-./09:;=AZ[\\]az{}\x7f\x80\xff"[..])
        ]
    };
    let inserted = prop_oneof![
        4 => proptest::sample::select(if dictionary.is_empty() { &[""][..] } else { dictionary })
            .prop_map(|word| word.as_bytes().to_vec()),
        1 => proptest::collection::vec(byte(), 1..6),
        1 => "\\PC".prop_map(String::into_bytes),
    ];
    prop_oneof![
        2 => (at(), 0_u8..8).prop_map(|(at, bit)| Mutation::FlipBit(at, bit)),
        2 => (at(), byte()).prop_map(|(at, byte)| Mutation::Set(at, byte)),
        3 => (at(), inserted).prop_map(|(at, bytes)| Mutation::Insert(at, bytes)),
        2 => (at(), 1_u8..20).prop_map(|(at, count)| Mutation::Remove(at, count)),
        1 => (at(), 1_u8..20, 1_u8..40).prop_map(|(at, count, times)| Mutation::Repeat(at, count, times)),
        1 => (at(), at()).prop_map(|(one, other)| Mutation::Swap(one, other)),
        1 => at().prop_map(Mutation::Cut),
    ]
}

impl Mutation {
    fn apply(&self, bytes: &mut Vec<u8>) {
        let length = bytes.len();
        // A position in the input, and one behind its end.
        let place = |at: &Index| at.index(length.max(1)).min(length.saturating_sub(1));
        let gap = |at: &Index| at.index(length + 1);
        match self {
            Self::Insert(at, inserted) => {
                let at = gap(at);
                bytes.splice(at..at, inserted.iter().copied());
            }
            Self::Cut(at) => bytes.truncate(gap(at)),
            _ if length == 0 => {}
            Self::FlipBit(at, bit) => bytes[place(at)] ^= 1 << bit,
            Self::Set(at, byte) => bytes[place(at)] = *byte,
            Self::Remove(at, count) => {
                let at = place(at);
                bytes.drain(at..length.min(at + usize::from(*count)));
            }
            Self::Repeat(at, count, times) => {
                let at = place(at);
                let end = length.min(at + usize::from(*count));
                let copies = bytes[at..end].repeat(usize::from(*times));
                bytes.splice(end..end, copies);
            }
            Self::Swap(one, other) => bytes.swap(place(one), place(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;
    use std::panic::{AssertUnwindSafe, catch_unwind};

    use proptest::test_runner::TestError;

    use super::*;

    fn target() -> Target {
        Target::new("self", file!())
    }

    #[test]
    fn the_input_itself_is_tried_and_others() {
        let (whole, other) = (Cell::new(0), Cell::new(0));
        target().run(mutated(Just(b"valid".to_vec()), &["word"]), |bytes| {
            let seen = if bytes == b"valid" { &whole } else { &other };
            seen.set(seen.get() + 1);
            Ok(())
        });
        assert!(whole.get() > 0 && other.get() > 20, "{whole:?} {other:?}");
    }

    #[test]
    fn a_broken_property_is_told_with_its_smallest_input() {
        // Nothing is kept of this one, which fails on purpose.
        let config =
            Config { failure_persistence: None, rng_seed: ALWAYS_THE_SAME, ..Config::with_cases(2000) };
        let strategy = mutated(Just(Vec::new()), &["word"]);
        let failed = TestRunner::new(config).run(&strategy, |bytes| {
            prop_assert!(!bytes.ends_with(b"word"));
            Ok(())
        });
        let Err(TestError::Fail(_, smallest)) = failed else { panic!("it does not fail: {failed:?}") };
        assert_eq!(smallest.escape_ascii().to_string(), "word");
        let told = catch_unwind(AssertUnwindSafe(|| {
            Target { source_file: "nowhere/at/all.rs", ..target() }
                .run(Just(()), |()| Err(TestCaseError::fail("always")));
        }));
        let told = told.expect_err("a panic");
        assert!(told.downcast_ref::<String>().is_some_and(|text| text.starts_with("fuzz target self: ")));
    }
}
