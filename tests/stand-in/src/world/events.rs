//! What reached whom, in order.

use std::fmt::Write as _;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

#[derive(Debug, Default)]
struct Inner {
    events: Mutex<Vec<(Instant, String)>>,
    news: Condvar,
}

/// A log that many servers write and a test reads.
#[derive(Debug, Default, Clone)]
pub struct Events(Arc<Inner>);

impl Events {
    /// Notes one line.
    pub fn note(&self, line: String) {
        self.0.events.lock().unwrap_or_else(PoisonError::into_inner).push((Instant::now(), line));
        self.0.news.notify_all();
    }

    /// The first event since `since` that holds all words of one of the `choices`, waiting for it until `until`.
    pub fn find(&self, choices: &[Vec<String>], since: Instant, until: Instant) -> Option<String> {
        let mut events = self.0.events.lock().unwrap_or_else(PoisonError::into_inner);
        let mut read = 0;
        loop {
            for (at, line) in &events[read..] {
                if *at >= since && choices.iter().any(|words| holds(line, words)) {
                    return Some(line.clone());
                }
            }
            read = events.len();
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return None;
            }
            let waited = self.0.news.wait_timeout(events, left.min(Duration::from_millis(200)));
            events = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// All lines so far.
    pub fn all(&self) -> Vec<String> {
        let events = self.0.events.lock().unwrap_or_else(PoisonError::into_inner);
        events.iter().map(|(_, line)| line.clone()).collect()
    }
}

fn holds(line: &str, words: &[String]) -> bool {
    words.iter().all(|word| line.contains(word.as_str()))
}

/// Bytes as text of one line: what is not printable ASCII becomes a dot.
pub fn readable(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| if (32..127).contains(byte) { char::from(*byte) } else { '.' }).collect()
}

/// Bytes in hexadecimal.
pub(super) fn hex(bytes: &[u8]) -> String {
    let mut text = String::new();
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_has_all_words_of_a_choice_and_is_not_too_old() {
        let events = Events::default();
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        let choices = [words("dns a0"), words("evil:80 a0")];
        let start = Instant::now();
        events.note("dns b1".to_owned());
        assert_eq!(events.find(&choices, start, Instant::now()), None);
        let late = events.clone();
        let writer = std::thread::spawn(move || late.note("evil:80 | /a0".to_owned()));
        let found = events.find(&choices, start, Instant::now() + Duration::from_secs(5));
        assert_eq!(found.as_deref(), Some("evil:80 | /a0"));
        writer.join().unwrap();
        assert_eq!(events.find(&choices, Instant::now(), Instant::now()), None);
    }
}
