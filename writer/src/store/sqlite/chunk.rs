//! How much one transaction takes: the file has one write lock, and it is the writer's.

use std::time::Duration;

use tokio::time::{Instant, sleep};

/// Of a transaction, its sync included; nobody is held up for 50 ms.
const TARGET: Duration = Duration::from_millis(20);
const ROWS_MIN: usize = 10;
const ROWS_MAX: usize = 2000;

/// Learns from each transaction how many rows the next may have.
#[derive(Debug)]
pub(super) struct Chunk {
    rows: usize,
    begun: Instant,
}

impl Chunk {
    pub(super) fn new() -> Self {
        Self { rows: 100, begun: Instant::now() }
    }

    /// Begins a transaction of so many rows, once the lock is held.
    pub(super) fn begin(&mut self) {
        self.begun = Instant::now();
    }

    pub(super) fn rows(&self) -> usize {
        self.rows
    }

    /// After COMMIT; leaves the writer its turn.
    pub(super) async fn end(&mut self) {
        let held = self.begun.elapsed();
        self.rows = next(self.rows, held);
        sleep(held.max(Duration::from_millis(5))).await;
    }
}

fn next(rows: usize, held: Duration) -> usize {
    let next = if held > TARGET {
        rows / 2
    } else if held < TARGET / 2 {
        rows * 2
    } else {
        rows
    };
    next.clamp(ROWS_MIN, ROWS_MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slow_disk_gets_less() {
        let millis = Duration::from_millis;
        assert_eq!(next(100, millis(30)), 50);
        assert_eq!(next(100, millis(15)), 100);
        assert_eq!(next(100, millis(3)), 200);
        assert_eq!((next(10, millis(900)), next(2000, millis(0))), (ROWS_MIN, ROWS_MAX));
    }
}
