//! How much is measured: all of it, or, with `BENCH_QUICK` set, just enough to see that everything works.

use std::env;
use std::sync::LazyLock;

static IS_QUICK: LazyLock<bool> = LazyLock::new(|| env::var_os("BENCH_QUICK").is_some());

pub(crate) fn rounds(usual: usize) -> usize {
    if *IS_QUICK { 1 } else { usual }
}

pub(crate) fn seconds(usual: u32) -> u32 {
    if *IS_QUICK { 1 } else { usual }
}

pub(crate) fn rows(usual: u32) -> u32 {
    if *IS_QUICK { usual / 10 } else { usual }
}
