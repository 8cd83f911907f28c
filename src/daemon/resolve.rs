//! Asking for names: all that are due at once, each through the container's resolvers in turn.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::thread;
use std::time::Instant;

use crate::egress::query::{Kind, Record, ask};
use crate::firewall::plan::MARK;
use crate::policy::HostName;

/// Questions under way at the same time.
const PARALLEL: usize = 16;

/// When each name is to be asked for.
#[derive(Debug)]
pub(super) struct Schedule {
    due: BTreeMap<HostName, Instant>,
}

impl Schedule {
    /// Everything is due.
    pub(super) fn new<'a>(names: impl Iterator<Item = &'a HostName>, now: Instant) -> Self {
        Self { due: names.map(|name| (name.clone(), now)).collect() }
    }

    /// The names that are due.
    pub(super) fn due(&self, now: Instant) -> Vec<HostName> {
        self.due.iter().filter(|(_, at)| **at <= now).map(|(name, _)| name.clone()).collect()
    }

    /// Notes when to ask for a name again.
    pub(super) fn again(&mut self, name: &HostName, at: Instant) {
        self.due.insert(name.clone(), at);
    }
}

/// What the questions for a name brought.
pub(super) type Answer = (HostName, Result<Vec<Record>, String>);

/// Asks for IPv4 and IPv6 addresses of these names.
pub(super) fn resolve(names: &[HostName], servers: &[IpAddr]) -> Vec<Answer> {
    let mut answers = Vec::new();
    for chunk in names.chunks(PARALLEL / 2) {
        thread::scope(|scope| {
            let questions: Vec<_> = chunk
                .iter()
                .map(|name| {
                    // Where no thread can be made, because somebody used up all of them, this one asks.
                    let question = move |kind| {
                        let ask = move || ask_in_turn(name, kind, servers);
                        thread::Builder::new()
                            .spawn_scoped(scope, ask)
                            .map_err(|_| ask_in_turn(name, kind, servers))
                    };
                    (name, question(Kind::A), question(Kind::Aaaa))
                })
                .collect();
            for (name, v4, v6) in questions {
                answers.push((name.clone(), both(finish(v4), finish(v6))));
            }
        });
    }
    answers
}

type Records = Result<Vec<Record>, String>;

fn finish(question: Result<thread::ScopedJoinHandle<'_, Records>, Records>) -> Records {
    match question {
        Ok(thread) => thread.join().unwrap_or_else(|_| Err("the question was cut short".to_owned())),
        Err(answer) => answer,
    }
}

/// One family without an answer is no failure while the other has addresses.
fn both(v4: Result<Vec<Record>, String>, v6: Result<Vec<Record>, String>) -> Result<Vec<Record>, String> {
    match (v4, v6) {
        (Ok(v4), Ok(v6)) => Ok([v4, v6].concat()),
        (Ok(records), Err(problem)) | (Err(problem), Ok(records)) => {
            if records.is_empty() {
                Err(problem)
            } else {
                Ok(records)
            }
        }
        (Err(problem), Err(_)) => Err(problem),
    }
}

fn ask_in_turn(name: &HostName, kind: Kind, servers: &[IpAddr]) -> Result<Vec<Record>, String> {
    let mut problem = "resolv.conf names no resolver outside the container".to_owned();
    for server in servers {
        match ask(*server, name, kind, MARK) {
            Ok(records) => return Ok(records),
            Err(error) => problem = error.to_string(),
        }
    }
    Err(problem)
}
