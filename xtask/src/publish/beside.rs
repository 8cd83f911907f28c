//! A look at the registry beside something else, for what is written next.

use std::time::{Duration, Instant};

/// How long a look is good for, at least.
const FRESH: Duration = Duration::from_millis(10);

/// Looks while something else is done, which saves a round trip; and once more where the other took so much longer that
/// somebody else may have written meanwhile. A look is good for as long as it took.
pub(super) async fn beside<W, T>(work: impl Future<Output = W>, look: impl AsyncFn() -> T) -> (W, T) {
    let begun = Instant::now();
    let timed = async {
        let seen = look().await;
        (seen, Instant::now())
    };
    let (done, (seen, at)) = tokio::join!(work, timed);
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

    /// How often is looked beside something that takes a time, when a look takes another.
    fn looks(work: u64, look: u64) -> u32 {
        let count = AtomicU32::new(0);
        let sleep = |time| tokio::time::sleep(Duration::from_millis(time));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let ((), seen) = runtime.block_on(beside(sleep(work), async || {
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
}
