//! When a request is sent again, and after how long.
//!
//! Answers that ask for it (RFC 9110, 10.2.3 `Retry-After`; RFC 6585, 429) and connections that break are tried again:
//! first after a quarter of a second, then each time after twice as long, give or take a quarter, so that many clients
//! that failed together do not come back together.

use std::hash::{BuildHasher as _, RandomState};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use reqwest::StatusCode;

/// How often a request is sent in all.
pub const ATTEMPTS: u32 = 6;
/// The first pause.
const FIRST_PAUSE: Duration = Duration::from_millis(250);
/// No pause that we choose is longer.
const LONGEST_PAUSE: Duration = Duration::from_secs(8);
/// A registry that wants a longer pause is not waited for.
pub const MAX_RETRY_AFTER: Duration = Duration::from_secs(120);

/// Whether an answer may be another one a moment later.
pub fn is_temporary(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// The pause before the next attempt. `attempt` counts those that failed, from 1; `chance` is between 0 and 1.
pub fn pause(attempt: u32, chance: f64) -> Duration {
    let doubled =
        FIRST_PAUSE.saturating_mul(1_u32.checked_shl(attempt.saturating_sub(1)).unwrap_or(u32::MAX));
    doubled.min(LONGEST_PAUSE).mul_f64(0.75 + chance.clamp(0.0, 1.0) / 2.0)
}

/// A number between 0 and 1; it spreads load, and protects nothing.
pub fn chance() -> f64 {
    // Each `RandomState` has keys of its own.
    f64::from(u32::try_from(RandomState::new().hash_one(0) >> 32).unwrap_or(0)) / f64::from(u32::MAX)
}

/// Reads `Retry-After`: seconds, also fractional or with a unit as some registries write them (`12.5ms`), or a date.
pub fn retry_after(value: &str, now: SystemTime) -> Option<Duration> {
    let value = value.trim();
    let (number, unit) =
        value.split_at(value.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(value.len()));
    let scale = match unit.trim() {
        "" | "s" => Some(1.0),
        "ms" => Some(1e-3),
        "m" => Some(60.0),
        _ => None,
    };
    match (scale, number.parse::<f64>()) {
        (Some(scale), Ok(number)) => Duration::try_from_secs_f64(number * scale).ok(),
        _ => http_date(value).map(|date| date.duration_since(now).unwrap_or_default()),
    }
}

/// A length of time in whole units, rounded up.
pub fn in_words(time: Duration) -> String {
    let seconds = time.as_secs_f64().ceil();
    let (unit, name) = match seconds {
        seconds if seconds < 2.0 * 60.0 => (1.0, "second"),
        seconds if seconds < 2.0 * 3600.0 => (60.0, "minute"),
        _ => (3600.0, "hour"),
    };
    let count = (seconds / unit).ceil();
    format!("{count} {name}{}", if count > 1.0 { "s" } else { "" })
}

/// Reads the preferred form of an HTTP date: `Sun, 06 Nov 1994 08:49:37 GMT` (RFC 9110, 5.6.7).
pub fn http_date(text: &str) -> Option<SystemTime> {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let (_, rest) = text.split_once(", ")?;
    let [day, month, year, time, "GMT"] = rest.split(' ').collect::<Vec<_>>()[..] else {
        return None;
    };
    let month = MONTHS.iter().position(|name| *name == month)?;
    let number = |text: &str, most: u64| text.parse::<u64>().ok().filter(|number| *number <= most);
    let (day, year) = (number(day, 31)?, number(year, 9999).filter(|year| *year >= 1970)?);
    let [hour, minute, second] = time.split(':').collect::<Vec<_>>()[..] else {
        return None;
    };
    let (hour, minute, second) = (number(hour, 23)?, number(minute, 59)?, number(second, 60)?);
    let leap = |year: u64| year.is_multiple_of(4) && (!year.is_multiple_of(100) || year.is_multiple_of(400));
    let before_year: u64 = (1970..year).map(|year| if leap(year) { 366 } else { 365 }).sum();
    let lengths = [31, if leap(year) { 29 } else { 28 }, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
    let days = before_year + lengths[..month].iter().sum::<u64>() + day.checked_sub(1)?;
    Some(UNIX_EPOCH + Duration::from_secs(((days * 24 + hour) * 60 + minute) * 60 + second))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_double_up_to_a_bound_and_vary_by_a_quarter() {
        for (attempt, chance, expected) in [
            (1, 0.5, 250),
            (1, 0.0, 187),
            (1, 1.0, 312),
            (2, 0.5, 500),
            (3, 0.5, 1000),
            (6, 0.5, 8000),
            (7, 0.5, 8000),
            (u32::MAX, 1.0, 10_000),
        ] {
            assert_eq!(pause(attempt, chance).as_millis(), expected, "{attempt} {chance}");
        }
        let chances: Vec<f64> = (0..100).map(|_| chance()).collect();
        assert!(chances.iter().all(|chance| (0.0..=1.0).contains(chance)));
        assert!(chances.iter().any(|chance| (chance - chances[0]).abs() > 0.01));
    }

    #[test]
    fn retry_after_in_all_its_forms() {
        let now = UNIX_EPOCH + Duration::from_secs(784_111_777);
        for (text, milliseconds) in [
            ("0", Some(0)),
            ("2", Some(2000)),
            (" 2 ", Some(2000)),
            ("0.25", Some(250)),
            ("12.5ms", Some(12)),
            ("1s", Some(1000)),
            ("2m", Some(120_000)),
            ("Sun, 06 Nov 1994 08:49:47 GMT", Some(10_000)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("Mon, 29 Feb 2024 00:00:00 GMT", Some(925_053_023_000)),
            ("Sun, 06 Nov 94 08:49:37 GMT", None),
            ("Sun, 00 Nov 1994 08:49:37 GMT", None),
            ("soon", None),
            ("-1", None),
            ("1e400", None),
            ("1.2.3", None),
            ("", None),
        ] {
            let read = retry_after(text, now).map(|duration| duration.as_millis());
            assert_eq!(read, milliseconds, "{text:?}");
        }
    }

    #[test]
    fn times_in_words() {
        for (milliseconds, expected) in [
            (10, "1 second"),
            (1500, "2 seconds"),
            (119_000, "119 seconds"),
            (120_000, "2 minutes"),
            (601_000, "11 minutes"),
            (7_200_000, "2 hours"),
            (99_999_000, "28 hours"),
        ] {
            assert_eq!(in_words(Duration::from_millis(milliseconds)), expected);
        }
    }

    #[test]
    fn only_what_may_change_is_tried_again() {
        for status in [408, 425, 429, 500, 502, 503, 504] {
            assert!(is_temporary(StatusCode::from_u16(status).unwrap()), "{status}");
        }
        for status in [200, 201, 301, 400, 401, 403, 404, 409, 411, 413, 416, 501] {
            assert!(!is_temporary(StatusCode::from_u16(status).unwrap()), "{status}");
        }
    }
}
