//! `agent-sandbox log --follow`: what was refused, and then each refusal as it comes.
//!
//! The daemon's socket tells all it knows to whoever connects and takes no wishes, so it is asked again and again.

use std::collections::BTreeMap;
use std::io::{self, Write};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::client::AskError;
use crate::log;
use crate::status::{Denied, Status};

/// How often the daemon is asked.
const EVERY: Duration = Duration::from_secs(1);

/// In which form refusals are shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Form {
    /// For people.
    Table,
    /// For programs.
    Json,
}

/// Shows refusals until nobody reads them any more. `told` takes what is said beside them.
///
/// A daemon that is gone is waited for; only where none answers at the beginning, that is an error.
pub fn run(
    form: Form,
    ask: impl Fn() -> Result<Status, AskError>,
    mut told: impl FnMut(&str),
) -> Result<(), AskError> {
    let mut follower = Follower::new(form);
    let mut answer = Ok(ask()?);
    let mut out = io::stdout().lock();
    loop {
        let news = follower.take(answer);
        for remark in &news.remarks {
            told(remark);
        }
        // Line by line: whoever reads a pipe reads whole ones.
        let written = news.text.split_inclusive('\n').try_for_each(|line| out.write_all(line.as_bytes()));
        if written.and_then(|()| out.flush()).is_err() || !is_read(&out, EVERY) {
            return Ok(());
        }
        answer = ask();
    }
}

/// Waits, and says whether somebody may still read: the end of a pipe is seen with nothing to write, too.
fn is_read(out: &impl std::os::fd::AsFd, wait: Duration) -> bool {
    let wait = Timespec { tv_sec: i64::try_from(wait.as_secs()).unwrap_or(1), tv_nsec: 0 };
    let mut watched = [PollFd::new(out, PollFlags::empty())];
    match poll(&mut watched, Some(&wait)) {
        Ok(0) | Err(Errno::INTR) => true,
        Ok(_) => !watched[0].revents().intersects(PollFlags::ERR | PollFlags::HUP | PollFlags::NVAL),
        Err(_) => false,
    }
}

/// What has been shown.
#[derive(Debug)]
struct Follower {
    form: Form,
    /// Counts by what was refused, and why.
    shown: BTreeMap<(String, String), u64>,
    others: u64,
    /// When the daemon's table was put there, by which one daemon is told from the next.
    started: Option<u64>,
    is_lost: bool,
}

/// What is to be shown now.
#[derive(Debug, Default, PartialEq, Eq)]
struct News {
    text: String,
    remarks: Vec<String>,
}

impl Follower {
    const fn new(form: Form) -> Self {
        Self { form, shown: BTreeMap::new(), others: 0, started: None, is_lost: false }
    }

    fn take(&mut self, answer: Result<Status, AskError>) -> News {
        let mut news = News::default();
        let status = match answer {
            Ok(status) => status,
            // Others ask it, too.
            Err(AskError::Busy) => return news,
            Err(error) => {
                if !std::mem::replace(&mut self.is_lost, true) {
                    news.remarks.push(format!("{error}; waiting for it"));
                }
                return news;
            }
        };
        let start = status.default_deny_at_ms;
        match self.started.replace(start) {
            None if self.form == Form::Table => news.text.push_str(&log::heading(&status)),
            Some(former) if former != start => {
                news.remarks
                    .push("sandboxd was started anew; what follows was refused since then".to_owned());
                self.shown.clear();
                self.others = 0;
            }
            // One that only did not answer for a while.
            Some(_) if self.is_lost => news.remarks.push("sandboxd answers again".to_owned()),
            _ => {}
        }
        self.is_lost = false;
        // The daemon has the latest first.
        for denied in status.denied.iter().rev() {
            if self.is_new(denied) {
                news.text.push_str(&match self.form {
                    Form::Table => log::row(denied),
                    Form::Json => log::lines(std::slice::from_ref(denied)),
                });
            }
        }
        if status.denied_others > self.others {
            let more = status.denied_others - self.others;
            self.others = status.denied_others;
            news.remarks.push(format!("and {more} further refusals, which are not kept one by one"));
        }
        news
    }

    fn is_new(&mut self, denied: &Denied) -> bool {
        let key = (denied.what.clone(), denied.why.clone());
        self.shown.insert(key, denied.count) != Some(denied.count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::log::tests::status;

    fn with(count: u64, denied: &[&str]) -> Status {
        let mut status = status("", denied);
        for denied in &mut status.denied {
            denied.count = count;
        }
        status
    }

    fn whats(news: &News) -> Vec<(String, u64)> {
        let line = |line: &str| {
            let value: serde_json::Value = serde_json::from_str(line).unwrap();
            (value["what"].as_str().unwrap().to_owned(), value["count"].as_u64().unwrap())
        };
        news.text.lines().map(line).collect()
    }

    #[test]
    fn each_refusal_and_each_raised_count_once() {
        let mut follower = Follower::new(Form::Json);
        let mut news = |status| follower.take(Ok(status));
        let first = news(with(1, &["b.example", "a.example"]));
        assert_eq!(whats(&first), [("a.example".to_owned(), 1), ("b.example".to_owned(), 1)]);
        assert_eq!(news(with(1, &["b.example", "a.example"])), News::default());
        assert_eq!(whats(&news(with(1, &["c.example", "b.example", "a.example"]))).len(), 1);
        let mut raised = with(1, &["a.example", "c.example", "b.example"]);
        raised.denied[0].count = 5;
        assert_eq!(whats(&news(raised)), [("a.example".to_owned(), 5)]);
        let mut others = with(1, &[]);
        others.denied_others = 7;
        assert_eq!(news(others).remarks, ["and 7 further refusals, which are not kept one by one"]);
    }

    #[test]
    fn a_new_daemon_is_told_once_and_begins_anew() {
        let mut follower = Follower::new(Form::Json);
        follower.take(Ok(with(3, &["a.example"])));
        let gone = || Err(AskError::NotRunning(io::ErrorKind::NotFound.into()));
        let told = follower.take(gone()).remarks;
        assert!(told.len() == 1 && told[0].ends_with("; waiting for it"), "{told:?}");
        assert_eq!(follower.take(gone()), News::default());
        assert_eq!(follower.take(Err(AskError::Busy)), News::default());
        let mut anew = with(3, &["a.example"]);
        anew.default_deny_at_ms = 9;
        let news = follower.take(Ok(anew.clone()));
        assert_eq!((news.remarks.len(), whats(&news).len()), (1, 1), "{news:?}");
        assert_eq!(follower.take(Ok(anew.clone())), News::default());
        // One that did not answer and is the same has nothing more to tell.
        follower.take(Err(AskError::Silent));
        let news = follower.take(Ok(anew));
        assert_eq!((news.text.as_str(), news.remarks.len()), ("", 1));
    }

    #[test]
    fn people_get_the_tables_rows() {
        let mut follower = Follower::new(Form::Table);
        let status = status("", &["a.example"]);
        let news = follower.take(Ok(status.clone()));
        assert_eq!(news.text, log::heading(&status) + &log::row(&status.denied[0]));
        assert!(log::table(&status).starts_with(&news.text));
        assert_eq!(follower.take(Ok(status)), News::default());
    }
}
