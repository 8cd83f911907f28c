//! One column of the table: all rows against one network.

use std::fs;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use crate::internet::{Internet, PROXY_PORT, ResolverAsks, Signal};
use crate::rows::{self, Kind, PYTHON, Phase, Row};

/// As long as something may take from the cable into a log.
const GRACE: Duration = Duration::from_millis(500);
/// Rows at a time. They mostly wait.
const AT_ONCE: usize = 10;

/// What stands between the container and the internet.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Network {
    /// Nothing.
    Off,
    /// The seed's firewall.
    Seed,
    /// Our daemon.
    Ours,
}

impl Network {
    /// The columns in order.
    pub(crate) const ALL: [Self; 3] = [Self::Off, Self::Seed, Self::Ours];

    /// Whether a row would be wrong if it failed for want of time alone.
    fn must_let_through(self, row: &Row) -> bool {
        match self {
            Self::Off => row.needs.is_empty(),
            Self::Seed => false,
            Self::Ours => row.kind == Kind::Attack && !row.open.is_empty(),
        }
    }
}

/// How a row went in a network.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    /// Whether the receiving end saw it and, for ordinary use, the client was content.
    pub(crate) succeeded: bool,
    /// What the receiving end noted, or else what the client said.
    pub(crate) detail: String,
    /// What is looked for, and since when.
    sought: Option<(Vec<Vec<String>>, Instant)>,
}

/// A client that runs.
struct Running {
    child: Child,
    stdin: Option<ChildStdin>,
    choices: Vec<Vec<String>>,
    since: Instant,
}

/// Runs all rows.
pub(crate) fn column(network: Network, rows: &[Row]) -> Vec<Outcome> {
    let outcomes: Vec<Mutex<Outcome>> = rows.iter().map(|_| Mutex::default()).collect();
    thread::scope(|scope| {
        for (index, row) in rows.iter().enumerate().filter(|(_, row)| row.phase == Phase::Apart) {
            let outcome = &outcomes[index];
            scope.spawn(move || {
                let lab = Lab::new(network);
                lab.close();
                *outcome.lock().unwrap() = lab.judge(row, lab.start(index, row));
            });
        }
        run_others(&Lab::new(network), rows, &outcomes);
    });
    outcomes.into_iter().map(|outcome| outcome.into_inner().unwrap()).collect()
}

/// Runs the rows that share a container.
fn run_others(lab: &Lab, rows: &[Row], outcomes: &[Mutex<Outcome>]) {
    let set = |index: usize, outcome: Outcome| *outcomes[index].lock().unwrap() = outcome;
    let with = |phase: Phase| rows.iter().enumerate().filter(move |(_, row)| row.phase == phase);
    let early: Vec<_> = with(Phase::Before)
        .map(|(index, row)| {
            let mut running = lab.start(index, row);
            // On a busy machine a client may be too slow for its own limits.
            for _ in 0..2 {
                if lab.is_ready(&mut running) {
                    return (index, row, running);
                }
                running = lab.start(index, row);
            }
            lab.await_word(&mut running);
            (index, row, running)
        })
        .collect();
    lab.close();
    for (index, row, mut running) in early {
        running.since = Instant::now();
        if let Some(mut stdin) = running.stdin.take() {
            let _ = stdin.write_all(b"go\n");
        }
        set(index, lab.judge(row, running));
    }
    for kind in [Kind::Attack, Kind::Ordinary] {
        let together: Vec<_> = with(Phase::Together).filter(|(_, row)| row.kind == kind).collect();
        let next = AtomicUsize::new(0);
        thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    while let Some((index, row)) = together.get(next.fetch_add(1, Ordering::Relaxed)) {
                        set(*index, lab.judge(row, lab.start(*index, row)));
                    }
                });
            }
        });
        // What must be seen to work is given time for it.
        for (index, row) in together {
            for _ in 0..2 {
                if lab.network.must_let_through(row) && !outcomes[index].lock().unwrap().succeeded {
                    set(index, lab.judge(row, lab.start(index, row)));
                }
            }
        }
        for (index, row) in rows.iter().enumerate().filter(|(_, row)| row.kind == kind) {
            match row.phase {
                Phase::Together | Phase::Before | Phase::Apart => {}
                Phase::Alone => {
                    set(index, lab.judge(row, lab.start(index, row)));
                    lab.recover();
                }
                disturbed => set(index, lab.disturb(index, row, disturbed)),
            }
        }
    }
    // On a busy machine a row is over before its event is noted.
    thread::sleep(GRACE);
    for (row, outcome) in rows.iter().zip(outcomes).filter(|(row, _)| row.phase != Phase::Apart) {
        let mut outcome = outcome.lock().unwrap();
        if let (false, Kind::Attack, Some((choices, since))) = (outcome.succeeded, row.kind, &outcome.sought)
            && let Some(event) = lab.internet.events.find(choices, *since, Instant::now())
        {
            (outcome.succeeded, outcome.detail) = (true, event);
        }
    }
    if let Some(file) = std::env::var_os("EGRESS_EVENTS") {
        let name = format!("{}-{:?}", file.to_string_lossy(), lab.network);
        fs::write(name, lab.internet.events.all().join("\n")).unwrap();
    }
}

struct Lab {
    internet: Internet,
    network: Network,
}

impl Lab {
    fn new(network: Network) -> Self {
        // The seed's rules stop Docker's resolver where that asks from the container; they are seen at their best.
        let asks = match network {
            Network::Seed => ResolverAsks::FromTheHost,
            Network::Off | Network::Ours => ResolverAsks::FromTheContainer,
        };
        let lab = Self { internet: Internet::new(asks), network };
        lab.put_clients();
        lab
    }

    fn put_clients(&self) {
        for file in fs::read_dir(rows::clients()).unwrap().flatten() {
            if file.path().extension().is_some_and(|extension| extension == "py") {
                fs::copy(file.path(), self.internet.folder().join(file.file_name())).unwrap();
            }
        }
    }

    fn close(&self) {
        match self.network {
            Network::Off => self.internet.open_proxy(),
            Network::Seed => self.internet.seed_firewall(),
            Network::Ours => self.internet.start_sandbox(),
        }
    }

    fn start(&self, index: usize, row: &Row) -> Running {
        let number = u32::try_from(index).unwrap();
        let token = format!("a{:07x}", (number * 0x9e_3779 + 0x51_7cc1) & 0xfff_ffff);
        let port = 20_000 + u16::try_from(index).unwrap();
        if row.id == "sibling.partner" {
            self.internet.partner(port);
        }
        let mut command = self.internet.command(row.who(self.network != Network::Ours));
        let folder = self.internet.folder();
        command.arg(PYTHON).arg("-B").arg(folder.join("main.py")).arg(&row.id);
        command.env("TOKEN", &token).env("PORT", port.to_string()).env("LIMIT", row.limit.to_string());
        command.env("CA", folder.join("ca.pem")).env("PROXY_PORT", PROXY_PORT.to_string());
        let since = Instant::now();
        let mut child =
            command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let stdin = child.stdin.take();
        Running { child, stdin, choices: row.choices(&token, port), since }
    }

    /// Waits until the client says that it is ready.
    fn await_word(&self, running: &mut Running) {
        assert!(self.is_ready(running), "the client of a row did not become ready");
    }

    /// Waits for the client's word; whether that says that it is ready, where it has to.
    fn is_ready(&self, running: &mut Running) -> bool {
        let mut line = String::new();
        if let Some(stdout) = &mut running.child.stdout {
            let _ = BufReader::new(stdout).read_line(&mut line);
        }
        self.network != Network::Off || line.trim() == "ready"
    }

    /// Waits for the receiving end, and for ordinary use for the client, too.
    fn judge(&self, row: &Row, mut running: Running) -> Outcome {
        let limit = running.since.max(Instant::now()) + Duration::from_secs(row.limit + 1);
        let mut event = None;
        let status = loop {
            if row.kind == Kind::Attack && event.is_none() {
                let soon = Instant::now() + Duration::from_millis(20);
                event = self.internet.events.find(&running.choices, running.since, soon);
            } else {
                thread::sleep(Duration::from_millis(20));
            }
            if event.is_some() && row.kind == Kind::Attack && row.phase != Phase::Alone {
                break None;
            }
            if let Some(status) = running.child.try_wait().unwrap() {
                break Some(status);
            }
            if Instant::now() > limit {
                break None;
            }
        };
        let _ = running.child.kill();
        let mut said = String::new();
        // A client's own child may keep the pipe: what is there by now is enough.
        if status.is_some()
            && let Some(stderr) = &mut running.child.stderr
        {
            let _ = stderr.take(20_000).read_to_string(&mut said);
        }
        let _ = running.child.wait();
        let until = Instant::now() + GRACE;
        let event = event.or_else(|| self.internet.events.find(&running.choices, running.since, until));
        let content = row.kind == Kind::Attack || status.is_some_and(|status| status.success());
        let last = said.lines().last().unwrap_or_default().to_owned();
        let succeeded = event.is_some() && content;
        let detail = match event {
            Some(event) if succeeded => event,
            _ if status.is_none() => "the client did not end in time".to_owned(),
            Some(_) => last,
            None => format!("nothing arrived; the client: {last}"),
        };
        Outcome { succeeded, detail, sought: Some((running.choices, running.since)) }
    }

    /// Runs a row while the sandbox is disturbed.
    fn disturb(&self, index: usize, row: &Row, phase: Phase) -> Outcome {
        let mut running = self.start(index, row);
        self.await_word(&mut running);
        let ours = self.network == Network::Ours;
        if ours {
            let reached = match phase {
                Phase::Workers => self.internet.signal_sandbox(Signal::KILL, true),
                Phase::Freeze => self.internet.signal_sandbox(Signal::STOP, false),
                _ => self.internet.signal_sandbox(Signal::KILL, false),
            };
            assert!(reached > 0, "nothing of the sandbox's runs that could be disturbed");
        }
        if phase == Phase::Restart {
            match self.network {
                Network::Off => {}
                Network::Seed => self.internet.seed_firewall(),
                Network::Ours => self.internet.start_sandbox(),
            }
        }
        let outcome = self.judge(row, running);
        self.recover();
        outcome
    }

    /// Has the sandbox run again, as the next hook or user would.
    fn recover(&self) {
        if self.network == Network::Ours {
            self.internet.signal_sandbox(Signal::CONT, false);
            self.internet.start_sandbox();
        }
    }
}
