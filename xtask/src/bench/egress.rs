//! `bench egress`: the gate beside Debian's haproxy, which reads the hello's name as well, and the DNS filter beside
//! dnsmasq.
//!
//! All of it runs in network namespaces without a way out: ours as in a container, the peers on the same ports behind
//! the same table, and for what is added to a connection's time a third place with nothing between. They take turns, so
//! that whatever else the machine does falls on all of them.

pub mod figures;
mod hello;
pub(super) mod inside;
mod lab;
mod load;
mod peers;
mod server;

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context as _, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::cli::BenchArgs;
use crate::{apt, terminal};
use figures::{Kind, Row};
use hello::Purpose;
use lab::Lab;
use peers::{NAME, Running};
use server::Counter;

const HAPROXY: &str = "haproxy";
const DNSMASQ: &str = "dnsmasq";
/// How long a program may take until it answers.
const PATIENCE: Duration = Duration::from_secs(30);
/// Descriptors of this process: both ends of all idle connections, and some.
const DESCRIPTORS: u64 = 16_384;

/// How much is measured.
#[derive(Debug, Clone, Copy)]
struct Amounts {
    /// How long each flow, and each flood of connections or questions, is measured.
    time: Duration,
    round_trips: usize,
    first_bytes: usize,
    idle: usize,
}

const USUAL: Amounts =
    Amounts { time: Duration::from_millis(600), round_trips: 3000, first_bytes: 600, idle: 1000 };
/// So little that it shows no more than that all of it works.
const QUICK: Amounts =
    Amounts { time: Duration::from_millis(100), round_trips: 200, first_bytes: 100, idle: 100 };

/// One place in which is measured.
struct Place {
    name: String,
    lab: Lab,
    /// Bytes that its servers have received.
    received: Counter,
    running: Option<Running>,
}

struct Places {
    ours: Place,
    theirs: Place,
    direct: Place,
    hello: Vec<u8>,
    amounts: Amounts,
}

/// Runs it.
pub(super) fn run(args: &BenchArgs, runs: u32) -> anyhow::Result<()> {
    ensure!(
        rustix::process::geteuid().is_root(),
        "`bench egress` makes network namespaces, which takes root; run it with sudo"
    );
    apt::ensure(&["iproute2", "nftables", "haproxy", "dnsmasq-base"])?;
    let sandboxd = match &args.sandboxd {
        Some(path) => path.canonicalize().with_context(|| path.display().to_string())?,
        None => super::shipped(["sandboxd"])?.remove(0),
    };
    let (amounts, runs) = if args.quick { (QUICK, 1) } else { (USUAL, runs) };
    let most = getrlimit(Resource::Nofile).maximum;
    let enough = most.map_or(DESCRIPTORS, |most| most.min(DESCRIPTORS));
    setrlimit(Resource::Nofile, Rlimit { current: Some(enough), maximum: most })?;

    let wanted =
        |rows: &[Row]| args.filter.as_ref().is_none_or(|text| rows.iter().any(|row| row.case.contains(text)));
    let mut cases: Vec<(Case, Vec<Row>)> = CASES.map(|case| (case, case.rows(amounts))).into();
    cases.retain(|(_, rows)| wanted(rows));
    ensure!(!cases.is_empty(), "no case of `bench egress` has that in its name");
    let places = Places::open(&sandboxd, amounts)?;
    // The first round warms up.
    for round in u32::from(args.quick)..=runs {
        for (case, rows) in &mut cases {
            let figures = places.measure(*case, round % 2 == 0)?;
            for (row, [ours, theirs, direct]) in rows.iter_mut().zip(figures).filter(|_| round > 0) {
                row.ours.push(ours);
                row.theirs.push(theirs);
                row.direct.extend(direct.is_finite().then_some(direct));
            }
        }
        terminal::note(format_args!("round {round} of {runs} is done"));
    }
    let rows: Vec<Row> = cases.into_iter().flat_map(|(_, rows)| rows).collect();
    terminal::result(if args.json { figures::json(&rows, runs) } else { figures::table(&rows) })
}

/// What is measured at once.
#[derive(Debug, Clone, Copy)]
enum Case {
    /// Bytes over so many connections.
    Flow(usize, Purpose),
    SetUps,
    RoundTrips,
    FirstBytes,
    Questions,
    Memory,
}

const CASES: [Case; 11] = [
    Case::Flow(1, Purpose::Down),
    Case::Flow(1, Purpose::Up),
    Case::Flow(1, Purpose::Both),
    Case::Flow(64, Purpose::Down),
    Case::Flow(64, Purpose::Up),
    Case::Flow(64, Purpose::Both),
    Case::SetUps,
    Case::RoundTrips,
    Case::FirstBytes,
    Case::Questions,
    Case::Memory,
];

impl Case {
    /// The table's lines for it.
    fn rows(self, amounts: Amounts) -> Vec<Row> {
        let times = |what: &str| {
            let row = |which: &str, kind| Row::new(format!("{what}, {which}"), kind, HAPROXY);
            vec![row("median", Kind::Time), row("99 %", Kind::SlowTime)]
        };
        match self {
            Self::Flow(count, purpose) => {
                let way = match purpose {
                    Purpose::Down => "to the client",
                    Purpose::Up => "to the server",
                    Purpose::Both | Purpose::Echo => "both ways",
                };
                let plural = if count == 1 { "" } else { "s" };
                vec![Row::new(format!("{count} connection{plural}, {way}"), Kind::Throughput, HAPROXY)]
            }
            Self::SetUps => vec![Row::new("connections made", Kind::Rate, HAPROXY)],
            Self::RoundTrips => times("small request"),
            Self::FirstBytes => times("connect to first byte"),
            Self::Questions => vec![Row::new("cached DNS answers", Kind::Rate, DNSMASQ)],
            Self::Memory => {
                let case = format!("memory with {} idle connections", amounts.idle);
                vec![Row::new(case, Kind::Memory, HAPROXY)]
            }
        }
    }
}

impl Places {
    fn open(sandboxd: &std::path::Path, amounts: Amounts) -> anyhow::Result<Self> {
        let hello = hello::for_host(NAME)?;
        let place = |name: &str, start: &dyn Fn(&Lab) -> anyhow::Result<Option<Running>>| {
            let lab = Lab::new(name)?;
            let received = server::start(&lab, hello.len())?;
            let running = start(&lab)?;
            if running.is_some() {
                lab.forget_ended_connections()?;
            }
            let deadline = Instant::now() + PATIENCE;
            while let Err(error) = lab.inside(|| load::open(&hello))? {
                ensure!(Instant::now() < deadline, "nothing comes through ({name}): {error:#}");
                thread::sleep(Duration::from_millis(50));
            }
            while running.is_some() && !lab.inside(load::names_are_known)? {
                ensure!(Instant::now() < deadline, "no names are answered ({name})");
                thread::sleep(Duration::from_millis(50));
            }
            anyhow::Ok(Place { name: name.to_owned(), lab, received, running })
        };
        let ours = place("ours", &|lab| peers::ours(lab, sandboxd).map(Some))?;
        Ok(Self {
            theirs: place("peers", &|lab| peers::theirs(lab, &ours.lab).map(Some))?,
            ours,
            direct: place("direct", &|_| Ok(None))?,
            amounts,
            hello,
        })
    }

    /// A figure for each of the case's rows: ours, the peer's, and with nothing between.
    fn measure(&self, case: Case, ours_first: bool) -> anyhow::Result<Vec<[f64; 3]>> {
        let (hello, amounts) = (&self.hello, self.amounts);
        let one = |work: &(dyn Fn(&Place) -> anyhow::Result<f64> + Sync)| {
            self.in_turn(ours_first, work).map(|figures| vec![figures])
        };
        match case {
            Case::Flow(count, purpose) => {
                one(&|place| load::throughput(hello, count, purpose, &place.received, amounts.time))
            }
            Case::SetUps => one(&|_| load::set_ups(hello, amounts.time)),
            Case::RoundTrips => self.times(ours_first, || load::round_trips(hello, amounts.round_trips)),
            Case::FirstBytes => self.times(ours_first, || load::first_bytes(hello, amounts.first_bytes)),
            Case::Questions => one(&|_| load::questions(amounts.time)),
            Case::Memory => one(&|place| {
                let connections = load::idle(hello, amounts.idle)?;
                thread::sleep(Duration::from_millis(100));
                let resident = place.running.as_ref().context("a program")?.resident()?;
                drop(connections);
                #[expect(clippy::cast_precision_loss, reason = "a figure for people")]
                Ok(resident as f64)
            }),
        }
    }

    /// One after the other, each in its place.
    fn in_turn(
        &self,
        ours_first: bool,
        work: &(dyn Fn(&Place) -> anyhow::Result<f64> + Sync),
    ) -> anyhow::Result<[f64; 3]> {
        let at = |place: &Place| {
            let figure =
                place.lab.inside(|| work(place))?.with_context(|| format!("measuring {}", place.name));
            // Whatever is still on its way belongs to nobody.
            thread::sleep(Duration::from_millis(20));
            figure
        };
        if ours_first {
            let ours = at(&self.ours)?;
            Ok([ours, at(&self.theirs)?, f64::NAN])
        } else {
            let theirs = at(&self.theirs)?;
            Ok([at(&self.ours)?, theirs, f64::NAN])
        }
    }

    /// The median of some times, and the one that 99 of a hundred do not exceed.
    fn times(
        &self,
        ours_first: bool,
        work: impl Fn() -> anyhow::Result<Vec<Duration>> + Sync,
    ) -> anyhow::Result<Vec<[f64; 3]>> {
        let at = |place: &Place| {
            let mut times = place.lab.inside(&work)?.with_context(|| format!("measuring {}", place.name))?;
            times.sort_unstable();
            let of = |percent: usize| {
                let index = (times.len() * percent).div_ceil(100).saturating_sub(1);
                times.get(index).map_or(f64::NAN, Duration::as_secs_f64)
            };
            anyhow::Ok([of(50), of(99)])
        };
        let direct = at(&self.direct)?;
        let (ours, theirs) = if ours_first {
            let ours = at(&self.ours)?;
            (ours, at(&self.theirs)?)
        } else {
            let theirs = at(&self.theirs)?;
            (at(&self.ours)?, theirs)
        };
        Ok([0, 1].map(|which| [ours[which], theirs[which], direct[which]]).to_vec())
    }
}
