//! A look at the registry beside something else, for what is written next.

use std::time::{Duration, Instant};

use tokio::sync::Semaphore;

/// How long a look is good for, at least.
const FRESH: Duration = Duration::from_millis(10);

/// A point that many come to, and that somebody waits for.
pub(super) struct Gate {
    passed: Semaphore,
    all: usize,
}

impl Gate {
    /// A gate that so many pass.
    pub(super) fn new(all: usize) -> Self {
        Self { passed: Semaphore::new(0), all }
    }

    /// One of them has come there, or never will.
    pub(super) fn pass(&self) {
        self.passed.add_permits(1);
    }

    /// Nobody need be waited for any more.
    pub(super) fn open(&self) {
        self.passed.close();
    }

    /// Waits for all.
    pub(super) async fn wait(&self) {
        let all = u32::try_from(self.all).unwrap_or(u32::MAX);
        // It fails where it was opened.
        if let Ok(all) = self.passed.acquire_many(all).await {
            all.forget();
            self.open();
        }
    }
}

/// Looks while something else is done, which saves a round trip; and once more where the other took so much longer that
/// somebody else may have written meanwhile. A look is good for as long as it took.
pub(super) async fn beside<W, T>(work: impl Future<Output = W>, look: impl AsyncFn() -> T) -> (W, T) {
    beside_the_rest(work, &Gate::new(0), look).await
}

/// The same, but looks when a part of the other is done.
pub(super) async fn beside_the_rest<W, T>(
    work: impl Future<Output = W>,
    gate: &Gate,
    look: impl AsyncFn() -> T,
) -> (W, T) {
    let timed = async {
        gate.wait().await;
        let begun = Instant::now();
        let seen = look().await;
        (seen, begun, Instant::now())
    };
    // What many requests need to know is too much for a stack.
    let (done, (seen, begun, at)) = Box::pin(async { tokio::join!(work, timed) }).await;
    if at.elapsed() <= at.duration_since(begun).max(FRESH) {
        return (done, seen);
    }
    drop(seen);
    (done, look().await)
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU32, Ordering};

    use super::*;

    fn sleep(milliseconds: u64) -> impl Future<Output = ()> {
        tokio::time::sleep(Duration::from_millis(milliseconds))
    }

    fn run<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(future)
    }

    /// How often is looked beside something that takes a time, when a look takes another.
    fn looks(work: u64, look: u64) -> u32 {
        let count = AtomicU32::new(0);
        let ((), seen) = run(beside(async { sleep(work).await }, async || {
            let turn = count.fetch_add(1, Ordering::Relaxed) + 1;
            sleep(look).await;
            turn
        }));
        assert_eq!(seen, count.load(Ordering::Relaxed), "the last look counts");
        seen
    }

    #[test]
    fn a_look_that_has_become_old_is_repeated() {
        // Far apart, as a machine may be busy.
        assert_eq!(looks(400, 20), 2);
        assert_eq!(looks(0, 400), 1);
    }

    #[test]
    fn a_look_waits_for_all_at_the_gate_and_not_for_ever() {
        for come in [3, 1] {
            let (gate, passed) = (Gate::new(3), AtomicU32::new(0));
            let work = async {
                for _ in 0..come {
                    sleep(5).await;
                    passed.fetch_add(1, Ordering::Relaxed);
                    gate.pass();
                }
                // Where some broke off, what is left is not waited for.
                gate.open();
            };
            let look = async || passed.load(Ordering::Relaxed);
            assert_eq!(run(beside_the_rest(work, &gate, look)).1, come);
        }
    }
}
