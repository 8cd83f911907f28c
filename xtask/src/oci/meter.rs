//! How much of the uploads is done, for whoever watches.

use std::sync::atomic::{AtomicU64, Ordering};

/// Counts bytes of blobs. Several uploads count at the same time.
#[derive(Debug, Default)]
pub struct Meter {
    total: AtomicU64,
    done: AtomicU64,
    /// Sent, and not acknowledged yet.
    flying: AtomicU64,
}

impl Meter {
    /// Bytes that are to be sent, as far as is known.
    pub fn total(&self) -> u64 {
        self.total.load(Ordering::Relaxed)
    }

    /// Bytes that were sent. They get fewer where something has to be sent again.
    pub fn sent(&self) -> u64 {
        (self.done.load(Ordering::Relaxed) + self.flying.load(Ordering::Relaxed)).min(self.total())
    }

    pub(super) fn expect(&self, bytes: u64) {
        self.total.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn acknowledge(&self, bytes: u64) {
        self.done.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(super) fn take_back(&self, bytes: u64) {
        self.done.fetch_sub(bytes, Ordering::Relaxed);
    }

    pub(super) fn send(&self, bytes: u64) {
        self.flying.fetch_add(bytes, Ordering::Relaxed);
    }

    /// A request ended, in whatever way.
    pub(super) fn land(&self, bytes: u64) {
        self.flying.fetch_sub(bytes, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_has_to_be_sent_again_does_not_count_twice() {
        let meter = Meter::default();
        meter.expect(100);
        meter.send(60);
        assert_eq!((meter.sent(), meter.total()), (60, 100));
        meter.land(60);
        assert_eq!(meter.sent(), 0);
        meter.send(100);
        meter.land(100);
        meter.acknowledge(100);
        assert_eq!((meter.sent(), meter.total()), (100, 100));
        meter.take_back(40);
        assert_eq!(meter.sent(), 60);
    }
}
