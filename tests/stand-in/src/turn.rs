//! Hosts that take turns: a name that moves from one address to the next, and at each a host that is there for its turn
//! and a while longer. All go by the machine's clock, so that programs that know nothing of each other agree.

use std::time::{Duration, SystemTime};

use anyhow::{Context as _, ensure};

/// Whose turn it is changes every `period`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Turn {
    place: u64,
    of: u64,
    period: Duration,
}

impl Turn {
    /// `PLACE/OF`, counted from zero.
    pub(crate) fn parse(text: &str, period: Duration) -> anyhow::Result<Self> {
        let (place, of) = text.split_once('/').with_context(|| format!("turn `{text}` is not PLACE/OF"))?;
        let turn = Self { place: place.parse()?, of: of.parse()?, period };
        ensure!(turn.place < turn.of, "turn `{text}` never comes");
        ensure!(!period.is_zero(), "turn `{text}` has no --rotate SECONDS before it");
        Ok(turn)
    }

    /// Whether the host is there: in its turn, and for one turn more, since answers that name it may be that old; and a
    /// little before, as it takes a while to notice that its turn has come, and its name may be told by then.
    pub(crate) fn is_there(self, since_epoch: Duration) -> bool {
        let (before, soon) = (since_epoch.saturating_sub(self.period), since_epoch + self.period / 4);
        [since_epoch, before, soon].iter().any(|at| place(*at, self.period, self.of) == self.place)
    }
}

/// Which of `of` it is now.
pub(crate) fn place(since_epoch: Duration, period: Duration, of: u64) -> u64 {
    let step = since_epoch.as_millis() / period.as_millis().max(1);
    u64::try_from(step % u128::from(of.max(1))).unwrap_or_default()
}

/// The machine's time.
pub(crate) fn now() -> Duration {
    SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn turns() {
        let period = Duration::from_secs(4);
        let turn = |text: &str| Turn::parse(text, period);
        let there =
            |place: u64, second| turn(&format!("{place}/3")).unwrap().is_there(Duration::from_secs(second));
        for (second, expected) in
            [(0, [true, false, false]), (5, [true, true, false]), (10, [false, true, true]), (11, [true; 3])]
        {
            assert_eq!([there(0, second), there(1, second), there(2, second)], expected, "{second}");
        }
        assert_eq!(place(Duration::from_millis(12_500), period, 3), 0);
        for wrong in ["3/3", "1", "a/b", ""] {
            assert!(turn(wrong).is_err(), "{wrong}");
        }
        assert!(Turn::parse("0/2", Duration::ZERO).is_err());
    }
}
