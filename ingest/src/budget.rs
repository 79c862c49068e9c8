//! Bounds bodies and waiting activities together (`--intake-bytes-max`).
//!
//! Bytes are reserved before they are read. The reservation moves with the
//! data, from the body to the activity that waits for its frame, and is
//! released by whoever drops it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What all requests may hold in memory at once. Clones share it.
#[derive(Clone, Debug)]
pub struct Budget(Arc<Account>);

#[derive(Debug)]
struct Account {
    bytes_max: usize,
    reserved: AtomicUsize,
}

/// Bytes of the budget, given back on drop.
#[derive(Debug)]
pub struct Reservation {
    account: Arc<Account>,
    bytes: usize,
}

impl Budget {
    #[must_use]
    pub fn new(bytes_max: usize) -> Self {
        Self(Arc::new(Account { bytes_max, reserved: AtomicUsize::new(0) }))
    }

    /// `None` when the budget is spent.
    #[must_use]
    pub fn reserve(&self, bytes: usize) -> Option<Reservation> {
        self.0.take(bytes)?;
        Some(Reservation { account: Arc::clone(&self.0), bytes })
    }

    /// Bytes reserved now.
    #[must_use]
    pub fn reserved(&self) -> usize {
        self.0.reserved.load(Ordering::Relaxed)
    }
}

impl Account {
    fn take(&self, bytes: usize) -> Option<()> {
        let before = self.reserved.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) <= self.bytes_max {
            return Some(());
        }
        self.reserved.fetch_sub(bytes, Ordering::Relaxed);
        None
    }
}

impl Reservation {
    /// Takes `bytes` more; `None`, and nothing taken, when the budget is spent.
    #[must_use]
    pub fn grow(&mut self, bytes: usize) -> Option<()> {
        self.account.take(bytes)?;
        self.bytes += bytes;
        Some(())
    }

    /// Corrects the reservation to what the data takes after all. Growing is not
    /// refused: what grows is already in memory and has a limit of its own.
    pub fn resize(&mut self, bytes: usize) {
        if bytes < self.bytes {
            self.account.reserved.fetch_sub(self.bytes - bytes, Ordering::Relaxed);
        } else {
            self.account.reserved.fetch_add(bytes - self.bytes, Ordering::Relaxed);
        }
        self.bytes = bytes;
    }
}

impl Drop for Reservation {
    fn drop(&mut self) {
        self.account.reserved.fetch_sub(self.bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::Budget;

    #[test]
    fn a_spent_budget_refuses_until_bytes_come_back() {
        let budget = Budget::new(100);
        let mut first = budget.reserve(60).expect("room");
        assert!(budget.reserve(41).is_none());
        assert_eq!(budget.reserved(), 60, "a refusal leaves nothing behind");
        let second = budget.reserve(40).expect("room");
        first.resize(10);
        assert_eq!(budget.reserved(), 50);
        assert!(first.grow(51).is_none());
        assert_eq!(budget.reserved(), 50);
        first.grow(5).expect("room");
        first.resize(20);
        assert_eq!(budget.reserved(), 60);
        drop((first, second));
        assert_eq!(budget.reserved(), 0);
        assert!(budget.reserve(usize::MAX).is_none(), "does not wrap");
    }
}
