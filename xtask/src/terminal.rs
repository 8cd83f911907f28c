//! Standard output and standard error, either of which may be closed or full.

use std::fmt::Display;
use std::io::Write;
use std::sync::{Mutex, PoisonError};

use anyhow::Context as _;
use indicatif::ProgressBar;

use crate::feature::problem::one_line;

/// What is drawn in the last line.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Says something to whoever watches; that nobody can be told is no reason to stop.
pub fn note(text: impl Display) {
    let say = || {
        let _ = line(std::io::stderr().lock(), text);
    };
    match &*BAR.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(bar) => bar.suspend(say),
        None => say(),
    }
}

/// Says why something failed.
pub fn error(error: &anyhow::Error) {
    for line in format!("{error:#}").lines() {
        note(format_args!("error: {}", one_line(line)));
    }
}

/// From now on what is said comes above a bar, or above none.
pub fn step_aside_for(bar: Option<ProgressBar>) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

/// Prints a result, which somebody may be waiting for.
pub fn result(text: impl Display) -> anyhow::Result<()> {
    line(std::io::stdout().lock(), text).context("cannot write to the standard output")
}

/// A whole line in one piece, so that lines of two programs do not mix.
fn line(mut out: impl Write, text: impl Display) -> std::io::Result<()> {
    out.write_all(format!("{text}\n").as_bytes())?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_device_is_an_error_and_no_panic() {
        let full = std::fs::File::options().write(true).open("/dev/full").unwrap();
        assert!(line(full, "x").is_err());
        let mut out = Vec::new();
        line(&mut out, "x").unwrap();
        assert_eq!(out, b"x\n");
    }
}
