//! Several registries begin together or not at all.

use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::Barrier;

/// Where each registry's publish waits until all are let in.
#[derive(Debug)]
pub struct Together {
    barrier: Barrier,
    is_refused: AtomicBool,
}

impl Together {
    /// For so many registries.
    pub fn new(registries: usize) -> Self {
        Self { barrier: Barrier::new(registries), is_refused: AtomicBool::new(false) }
    }

    /// Says whether this registry lets us in, and returns whether all of them do. Each is to say it once.
    pub async fn arrive(&self, let_in: bool) -> bool {
        if !let_in {
            self.is_refused.store(true, Ordering::Release);
        }
        self.barrier.wait().await;
        !self.is_refused.load(Ordering::Acquire)
    }
}
