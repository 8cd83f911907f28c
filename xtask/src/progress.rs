//! The bar that shows how far uploads are, on a terminal that somebody looks at.

use std::io::IsTerminal as _;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use crate::oci::meter::Meter;
use crate::terminal;

/// What is smaller is there before anybody has read a bar.
const WORTH_A_BAR: u64 = 1 << 20;
/// How often the bar is drawn.
const TICK: Duration = Duration::from_millis(100);

/// Draws a bar as long as it is awaited; for ever, so that it is raced against the uploads.
pub async fn draw(meters: Vec<Arc<Meter>>) -> std::convert::Infallible {
    if !is_watched() {
        return std::future::pending().await;
    }
    let mut bar: Option<Bar> = None;
    loop {
        let total: u64 = meters.iter().map(|meter| meter.total()).sum();
        let sent: u64 = meters.iter().map(|meter| meter.sent()).sum();
        if total >= WORTH_A_BAR {
            let bar = bar.get_or_insert_with(Bar::new);
            bar.0.set_length(total);
            bar.0.set_position(sent);
        }
        tokio::time::sleep(TICK).await;
    }
}

/// Whether somebody looks: not where lines are kept in a log.
fn is_watched() -> bool {
    let is_ci = std::env::var_os("CI").is_some_and(|value| !value.is_empty() && value != "false");
    std::io::stderr().is_terminal() && !is_ci
}

/// The bar, which is gone when it is dropped.
struct Bar(ProgressBar);

impl Bar {
    fn new() -> Self {
        let bar = ProgressBar::new(0);
        // The template is our own, and one that could not be read would leave indicatif's.
        if let Ok(style) = ProgressStyle::with_template("uploading {bytes} of {total_bytes} {wide_bar} {eta}")
        {
            bar.set_style(style);
        }
        terminal::step_aside_for(Some(bar.clone()));
        Self(bar)
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        terminal::step_aside_for(None);
        self.0.finish_and_clear();
    }
}
