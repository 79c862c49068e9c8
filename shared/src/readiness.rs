//! Whether the process can do its work, and if not, why.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

/// All conditions of a process; ready when none of them has a reason against it. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Readiness(Arc<Mutex<BTreeMap<&'static str, Option<String>>>>);

/// One named condition, held by whoever knows.
#[derive(Clone, Debug)]
pub struct Condition {
    name: &'static str,
    readiness: Readiness,
}

impl Readiness {
    /// Registers a condition. It is red until [`Condition::green`] is called.
    #[must_use]
    pub fn condition(&self, name: &'static str) -> Condition {
        let condition = Condition { name, readiness: self.clone() };
        condition.red("not started yet");
        condition
    }

    /// Name and reason of every red condition; empty means ready.
    #[must_use]
    pub fn reasons(&self) -> Vec<(&'static str, String)> {
        let conditions = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        conditions.iter().filter_map(|(name, reason)| Some((*name, reason.clone()?))).collect()
    }

    fn set(&self, name: &'static str, reason: Option<String>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).insert(name, reason);
    }
}

impl Condition {
    pub fn green(&self) {
        self.readiness.set(self.name, None);
    }

    pub fn red(&self, reason: impl Into<String>) {
        self.readiness.set(self.name, Some(reason.into()));
    }
}

#[cfg(test)]
mod tests {
    use super::Readiness;

    #[test]
    fn ready_means_that_nothing_objects() {
        let readiness = Readiness::default();
        assert!(readiness.reasons().is_empty());
        let queue = readiness.condition("queue");
        assert_eq!(readiness.reasons(), [("queue", "not started yet".to_owned())]);
        queue.green();
        assert!(readiness.reasons().is_empty());
        queue.red("refused");
        assert_eq!(readiness.reasons(), [("queue", "refused".to_owned())]);
    }
}
