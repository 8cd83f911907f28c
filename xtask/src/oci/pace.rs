//! How many requests a registry gets at once, and when it gets none.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant, SystemTime};

use reqwest::Url;
use reqwest::header::{DATE, HeaderMap, HeaderName, RETRY_AFTER};
use tokio::sync::{Semaphore, SemaphorePermit};

use super::error::OciError;
use super::retry;
use super::transport::{Client, Reply, Take};

/// The most requests at once. Most of them wait for the network; a registry that has enough of it answers 429.
pub const MAX_REQUESTS: usize = 64;

/// A wait of fewer seconds is not worth a word.
const WORTH_A_WORD: f64 = 2.0;

/// What all requests to a registry share.
pub(super) struct Pace {
    room: Semaphore,
    /// Until when the registry wants nothing from us.
    pause_until: Mutex<Option<Instant>>,
    /// Whether anything was ever reached: a name that leads nowhere is not asked again and again.
    reached: AtomicBool,
    /// Why something was asked again last.
    trouble: Mutex<Option<String>>,
    /// Until when nobody need be told that we wait: many requests wait for the same.
    told_until: Mutex<Option<Instant>>,
}

impl Default for Pace {
    fn default() -> Self {
        Self {
            room: Semaphore::new(MAX_REQUESTS),
            pause_until: Mutex::default(),
            reached: AtomicBool::new(false),
            trouble: Mutex::default(),
            told_until: Mutex::default(),
        }
    }
}

impl Pace {
    /// Waits until there is room for a request, and the registry does not want us to wait.
    pub(super) async fn turn(&self) -> Option<SemaphorePermit<'_>> {
        // It is never closed.
        let turn = self.room.acquire().await.ok();
        loop {
            match self.left() {
                Duration::ZERO => return turn,
                left => tokio::time::sleep(left).await,
            }
        }
    }

    /// For how long the registry still wants nothing from us.
    fn left(&self) -> Duration {
        let until = *self.pause_until.lock().unwrap_or_else(PoisonError::into_inner);
        until.map(|until| until.saturating_duration_since(Instant::now())).unwrap_or_default()
    }

    /// Takes note that somebody is there.
    pub(super) fn reached(&self) {
        self.reached.store(true, Ordering::Relaxed);
    }

    /// How long to wait before a request is sent again; `None` where that is of no use.
    pub(super) fn pause(&self, outcome: &Result<Reply, OciError>, attempt: u32) -> Option<Duration> {
        if attempt >= retry::ATTEMPTS {
            return None;
        }
        let pause = retry::pause(attempt, retry::chance());
        match outcome {
            Ok(reply) if retry::is_temporary(reply.status) => match self.heed(reply) {
                None => Some(pause),
                // Spread over the time after it: whatever waits for the same moment would come at once.
                Some(wanted) if wanted <= retry::MAX_RETRY_AFTER => {
                    Some(wanted + pause.mul_f64(retry::chance()))
                }
                Some(_) => None,
            },
            Err(OciError::Unreachable { .. }) if self.reached.load(Ordering::Relaxed) => Some(pause),
            _ => None,
        }
    }

    /// Whether nobody was told of this pause yet.
    fn is_news(&self, pause: Duration) -> bool {
        let now = Instant::now();
        let mut told = self.told_until.lock().unwrap_or_else(PoisonError::into_inner);
        if told.is_some_and(|until| now < until) {
            return false;
        }
        *told = Some(now + pause);
        true
    }

    /// Takes note of how long the registry wants to be left alone: it is the registry that needs the pause, so all
    /// requests wait.
    pub(super) fn heed(&self, reply: &Reply) -> Option<Duration> {
        let wanted = wanted_pause(&reply.headers)?;
        if wanted <= retry::MAX_RETRY_AFTER {
            let until = Instant::now() + wanted;
            let mut known = self.pause_until.lock().unwrap_or_else(PoisonError::into_inner);
            *known = Some(known.map_or(until, |known| known.max(until)));
        }
        Some(wanted)
    }
}

/// For how long an answer wants no further request. A date is the registry's, whose clock need not agree with ours.
fn wanted_pause(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: HeaderName| headers.get(name).and_then(|value| value.to_str().ok());
    let its_time = text(DATE).and_then(retry::http_date).unwrap_or_else(SystemTime::now);
    retry::retry_after(text(RETRY_AFTER)?, its_time)
}

/// What a refusal says of a pause that is too long to wait for.
pub(super) fn too_long(headers: &HeaderMap) -> Option<String> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?;
    let wanted =
        retry::retry_after(value, SystemTime::now()).filter(|time| *time > retry::MAX_RETRY_AFTER)?;
    Some(format!("; it wants to be left alone for {}, so try again then", retry::in_words(wanted)))
}

impl Client {
    /// Sends a request, which is made anew each time, until its answer is more than that it failed for the moment; only
    /// once where it may not be sent `again`.
    pub(super) async fn persist(
        &self,
        request: impl Fn() -> reqwest::RequestBuilder,
        url: &Url,
        describe: &str,
        take: Take,
        again: bool,
    ) -> Result<Reply, OciError> {
        let mut attempt = 1;
        loop {
            let outcome = {
                let _turn = self.pace.turn().await;
                self.receive(request(), url, describe.to_owned(), take).await
            };
            if outcome.is_ok() {
                self.pace.reached();
            }
            let pause = if again { self.pace.pause(&outcome, attempt) } else { None };
            let Some(pause) = pause else {
                let mut reply = outcome.map_err(|error| error.after(attempt))?;
                reply.attempts = attempt;
                return Ok(reply);
            };
            self.tell_pause(
                &outcome.map_or_else(|error| error, |reply| self.refused(&reply)),
                pause,
                attempt,
            );
            tokio::time::sleep(pause).await;
            attempt += 1;
        }
    }

    /// Takes note of why there is a pause, and tells of a long one, once for all that wait for the same.
    pub(super) fn tell_pause(&self, error: &OciError, pause: Duration, attempt: u32) {
        let trouble = match error {
            OciError::Refused { host, status, request, .. } => {
                format!("{host} answered {status} to {request}")
            }
            OciError::Unreachable { host, reason, .. } => format!("{host} cannot be reached: {reason}"),
            _ => return,
        };
        let pause = pause.max(self.pace.left());
        let seconds = pause.as_secs_f64();
        if seconds.round() >= WORTH_A_WORD && self.pace.is_news(pause) {
            self.note(&format!(
                "{trouble}; trying again in {} s ({} of {})",
                seconds.ceil(),
                attempt + 1,
                retry::ATTEMPTS
            ));
        }
        *self.pace.trouble.lock().unwrap_or_else(PoisonError::into_inner) = Some(trouble);
    }

    /// Why something was asked again last, if anything was.
    pub fn last_trouble(&self) -> Option<String> {
        self.pace.trouble.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_that_wait_for_the_same_are_one_piece_of_news() {
        let pace = Pace::default();
        let told = [60_000, 60_000, 1].map(|milliseconds| pace.is_news(Duration::from_millis(milliseconds)));
        assert_eq!(told, [true, false, false]);
        let pace = Pace::default();
        assert!(pace.is_news(Duration::ZERO) && pace.is_news(Duration::ZERO), "that is over");
    }

    #[test]
    fn a_date_is_read_by_the_clock_that_it_is_from() {
        let headers = |pairs: &[(HeaderName, &'static str)]| -> HeaderMap {
            pairs.iter().map(|(name, value)| (name.clone(), value.parse().unwrap())).collect()
        };
        let at = (RETRY_AFTER, "Sun, 06 Nov 1994 08:50:00 GMT");
        for (date, seconds) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 23),
            ("Sun, 06 Nov 1994 08:50:00 GMT", 0),
            ("Sun, 06 Nov 1994 08:51:00 GMT", 0),
            // Our own clock is long past it.
            ("yesterday", 0),
        ] {
            let wanted = wanted_pause(&headers(&[at.clone(), (DATE, date)]));
            assert_eq!(wanted, Some(Duration::from_secs(seconds)), "{date}");
        }
        let never = wanted_pause(&headers(&[(DATE, at.1)]));
        assert_eq!(never, None);
    }
}
