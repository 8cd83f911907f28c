//! Unix sockets of the agent's cell against the real kernel: each attack is seen to succeed without the filter, and to
//! fail with it. As root the tests run twice, the first time as a user without rights.
//!
//! Three kinds of process take part: this one is outside the cell and has the listeners that must not be reached, the
//! keeper supervises (`keeper`), and below it runs what attacks (`attack`).

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(unsafe_code, reason = "attacks are made of calls that no library would make")]

mod attack;
mod keeper;
mod world;

use std::process::{Command, ExitCode};

use agent_sandbox::ipc::{self, Mechanism};
use world::{Setting, World};

const NOBODY: u32 = 65534;
const RACES: &str = "20000";

/// What a test is called, and the test.
type Test = (&'static str, fn(&World));

const TESTS: [Test; 16] = [
    ("what works here is found", mechanism),
    ("a cell is known from inside", inside),
    ("paths", paths),
    ("listed sockets", listed),
    ("odd addresses", odd),
    ("moved sockets", moved),
    ("abstract names", abstract_names),
    ("datagrams and pairs", datagrams),
    ("other entries", entries),
    ("binding", binding),
    ("races", races),
    ("races of links", races_of_links),
    ("races of binds", races_of_binds),
    ("full queues and storms", queues),
    ("the label and placeholders", labels),
    ("a killed keeper", killed),
];

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some("attack") => {
            attack::run(&arguments[1..]);
            return ExitCode::SUCCESS;
        }
        Some("keeper") => return keeper::run(std::env::args_os().skip(2).collect()),
        Some("--list") => {
            println!("cell_ipc: test");
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let words: Vec<&String> = arguments.iter().filter(|word| !word.starts_with('-')).collect();
    let world = World::new();
    let mut failed = false;
    if rustix::process::getuid().is_root() {
        use std::os::unix::process::CommandExt as _;
        let mut as_user = Command::new(&world.program);
        as_user.args(&words).uid(NOBODY).gid(NOBODY).env("TMPDIR", "/tmp").current_dir("/");
        failed |= !as_user.status().unwrap().success();
    }
    let who = if rustix::process::getuid().is_root() { "root" } else { "user" };
    if !world::supervisor_works() {
        return ExitCode::SUCCESS;
    }
    for (name, test) in TESTS {
        if words.is_empty() || words.iter().any(|word| name.contains(word.as_str())) {
            println!("{who}: {name}");
            // The others say what they have to say all the same.
            failed |= std::panic::catch_unwind(|| test(&World::new())).is_err();
        }
    }
    ExitCode::from(u8::from(failed))
}

fn mechanism(_: &World) {
    let found = ipc::probe().unwrap();
    assert_eq!(found.notifications, Ok(()));
    let expected = if found.landlock.is_ok() { Mechanism::Landlock } else { Mechanism::Supervisor };
    assert_eq!(found.mechanism, expected);
    println!("    {found:?}");
}

fn inside(world: &World) {
    assert_eq!(world.free(&["inside"]), "false");
    for mechanism in ["landlock", "supervisor", "closed"] {
        assert_eq!(
            world.run(&Setting { mechanism, ..Setting::default() }, &["inside"]),
            "true",
            "{mechanism}"
        );
    }
    // In a cell there is no second one: its filter would decide before ours.
    let nested = Command::new(&world.program)
        .args(["keeper", "supervisor", "shut", "/", "/"])
        .args([world.program.to_str().unwrap(), "keeper", "supervisor", "shut", "/", "/", "/bin/true"])
        .output()
        .unwrap();
    assert!(
        !nested.status.success() && String::from_utf8_lossy(&nested.stderr).contains("code: 16"),
        "{nested:?}"
    );
}

fn paths(world: &World) {
    let cell = world.cell.display();
    let good = world.good();
    let bad = world.bad();
    assert_eq!(world.free(&["connect", "stream", &good]), "g");
    assert_eq!(world.cell(&["connect", "stream", &good]), "g");
    assert_eq!(world.closed(&["connect", "stream", &good]), "ACCES");

    std::os::unix::fs::symlink(&bad, world.cell.join("link")).unwrap();
    std::os::unix::fs::symlink(world.bad.parent().unwrap(), world.cell.join("folder")).unwrap();
    std::fs::hard_link(&world.bad, world.cell.join("hard")).unwrap();
    std::os::unix::fs::symlink("/proc/self/root", world.cell.join("root")).unwrap();
    let real = world.bad.to_str().unwrap();
    let ways = [
        bad.clone(),
        format!("{cell}/link"),
        format!("{cell}/folder/bad"),
        format!("{cell}/hard"),
        format!("{cell}/../outside/bad"),
        format!("{cell}//.././outside///bad"),
        format!("/proc/self/root{real}"),
        format!("/proc/thread-self/root{real}"),
        format!("/proc/1/root{real}"),
        format!("{cell}/root{real}"),
    ];
    for way in &ways {
        let free = world.free(&["connect", "stream", way]);
        // Who may not look at process 1 does not get there either way.
        assert!(free == "b" || way.starts_with("/proc/1/") && free == "ACCES", "{way}: {free}");
        assert_eq!(world.cell(&["connect", "stream", way]), "ACCES", "{way}");
        assert_eq!(world.closed(&["connect", "stream", way]), "ACCES", "{way}");
    }
    for way in
        ["../outside/bad", "link", "./folder/bad", "hard", "/proc/self/cwd/link", "root/../outside/bad"]
    {
        let free = world.free(&["connect-in", &cell.to_string(), way]);
        assert!(free == "b" || way.starts_with("root"), "{way}: {free}");
        assert_eq!(world.cell(&["connect-in", &cell.to_string(), way]), "ACCES", "{way}");
    }
    assert_eq!(world.cell(&["connect-in", &cell.to_string(), "a.sock"]), "g");
    // From a folder outside, too.
    let outside = world.bad.parent().unwrap().display().to_string();
    assert_eq!(world.free(&["connect-in", &outside, "bad"]), "b");
    assert_eq!(world.cell(&["connect-in", &outside, "bad"]), "ACCES");
    assert_eq!(world.cell(&["connect-in", &outside, "../cell/a.sock"]), "g");

    // What there is elsewhere is nobody's business.
    assert_eq!(world.cell(&["connect", "stream", &format!("{cell}/none")]), "NOENT");
    assert_eq!(world.cell(&["connect", "stream", &format!("{cell}/none/none")]), "NOENT");
    assert_eq!(world.cell(&["connect", "stream", &format!("{outside}/none")]), "ACCES");
    std::fs::write(world.cell.join("file"), "").unwrap();
    assert_eq!(world.cell(&["connect", "stream", &format!("{cell}/file")]), "CONNREFUSED");
    std::fs::remove_file(world.cell.join("hard")).unwrap();
}

fn listed(world: &World) {
    let listed = world.listed.display().to_string();
    assert_eq!(world.cell(&["connect", "stream", &listed]), "l");
    let setting = Setting { moves: "open", ..Setting::default() };
    assert_eq!(world.run(&setting, &["connect", "stream", &listed]), "l");
    let other = Setting { listed: Some("/nowhere".into()), ..Setting::default() };
    assert_eq!(world.run(&other, &["connect", "stream", &listed]), "ACCES");
}

/// What the kernel says of an address that is none, we say.
fn odd(world: &World) {
    for (len, first) in
        [("-1", "0"), ("0", "0"), ("1", "0"), ("2", "0"), ("111", "0"), ("129", "0"), ("110", "16")]
    {
        let free = world.free(&["raw", len, first]);
        assert!(free == "INVAL" || free == "FAULT", "{len} {first}: {free}");
        let said = world.cell(&["raw", len, first]);
        assert_eq!(said, free, "{len} {first}");
    }
}

/// Where nothing keeps the cell from moving sockets, who listens is what counts.
fn moved(world: &World) {
    let moved = world.cell.join("moved");
    let open = Setting { moves: "open", ..Setting::default() };
    std::fs::rename(&world.bad, &moved).unwrap();
    let path = moved.to_str().unwrap();
    assert_eq!(world.cell(&["connect", "stream", path]), "b");
    assert_eq!(world.run(&open, &["connect", "stream", path]), "ACCES");
    std::fs::rename(&moved, &world.bad).unwrap();
    // Its own it reaches.
    let within = world.run(&open, &["within", &world.fresh()]);
    assert!(within.contains("sibling=ok") && !within.contains("=no"), "{within}");
}

fn abstract_names(world: &World) {
    assert_eq!(world.free(&["abstract", &world.name]), "b");
    assert_eq!(world.cell(&["abstract", &world.name]), "ACCES");
    assert_eq!(world.cell(&["abstract", "there-is-no-such-name"]), "ACCES");
    assert_eq!(world.closed(&["abstract", &world.name]), "ACCES");
}

fn datagrams(world: &World) {
    let path = world.datagrams.to_str().unwrap();
    assert_eq!(world.free(&["datagrams", path]), "sent sent sent");
    assert_eq!(world.cell(&["datagrams", path]), "ACCES ACCES ACCES");
    assert_eq!(world.closed(&["datagrams", path]), "ACCES ACCES ACCES");
    // The rule that sockets that are connected stay connected is the kernel's own: with and without a cell.
    let kept = "ISCONN kept ISCONN PROTOTYPE";
    assert_eq!(world.free(&["pairs", &world.bad()]), kept);
    assert_eq!(world.cell(&["pairs", &world.bad()]), kept);
}

fn entries(world: &World) {
    let free = world.free(&["entries"]);
    println!("    without a cell: {free}");
    let expected = if cfg!(target_arch = "x86_64") { "NOSYS NOSYS " } else { "" };
    for mechanism in ["landlock", "supervisor", "closed"] {
        let said = world.run(&Setting { mechanism, ..Setting::default() }, &["entries"]);
        assert_eq!(said, format!("{expected}NOSYS PERM AFNOSUPPORT PROTONOSUPPORT"), "{mechanism}");
    }
}

fn binding(world: &World) {
    let outside = world.bad.with_file_name("mine").display().to_string();
    assert_eq!(world.free(&["bind", &outside]), "b");
    std::fs::remove_file(&outside).unwrap();
    assert_eq!(world.cell(&["bind", &outside]), "ACCES");
    let through = format!("{}/out", world.cell.display());
    std::os::unix::fs::symlink(world.bad.parent().unwrap(), &through).unwrap();
    assert_eq!(world.cell(&["bind", &format!("{through}/mine")]), "ACCES");
    assert!(!std::path::Path::new(&outside).exists());
    let expected = "umask=ok sibling=ok packets=ok types=ok bound sockets do not connect=ok told by its path=ok twice=ok relative=ok \
                    chosen name=ok connected is connected=ok descriptors=ok copy=ok";
    assert_eq!(world.cell(&["within", &world.fresh()]), expected);
    for client in [PYTHON, NODE] {
        world.client(client);
    }
}

/// Servers and clients that were written for any system.
const PYTHON: [&str; 3] = [
    "python3",
    "-c",
    "
import socket, sys, threading, multiprocessing.managers
path = sys.argv[1] + '/python'
server = socket.socket(socket.AF_UNIX); server.bind(path); server.listen()
def serve():
    got, _ = server.accept(); got.sendall(got.recv(9)[::-1]); got.close()
threading.Thread(target=serve).start()
client = socket.socket(socket.AF_UNIX); client.settimeout(9); client.connect(path); client.sendall(b'olleh')
assert client.recv(9) == b'hello'
manager = multiprocessing.managers.SyncManager(); manager.start(); shared = manager.dict(); shared['a'] = 1
assert shared['a'] == 1; manager.shutdown()
print('fine')
",
];
const NODE: [&str; 3] = [
    "node",
    "-e",
    "
const net = require('net'), path = process.argv[1] + '/node';
const server = net.createServer(c => c.pipe(c)).listen(path, () => {
  const client = net.connect(path, () => client.write('hello'));
  client.on('data', d => { console.log(d == 'hello' ? 'fine' : 'wrong'); client.end(); server.close(); });
});
",
];

const TRIES: usize = 20;

fn races(world: &World) {
    let (good, bad) = (world.good(), world.bad());
    let cell = world.cell.to_str().unwrap();
    for race in [
        ["race-memory", RACES, &good, &bad],
        ["race-descriptor", RACES, &good, &bad],
        ["race-names", RACES, cell, &bad],
    ] {
        // Who wins is up to the scheduler, and on a busy machine one side may win for a whole run: then it is run again.
        // What must not be is looked at each time.
        let (mut won, mut lost) = (false, false);
        for _ in 0..TRIES {
            let (before, few) = (world.bad_reached(), [race[0], "2000", race[2], race[3]]);
            let free = if won { String::new() } else { world.free(&few) };
            won |= world.bad_reached() > before;
            let reached = world.bad_reached();
            let said = world.cell(&race);
            println!("    {}: without a cell, of 2000, {free}; in the cell, of {RACES}, {said}", race[0]);
            assert!(said.ends_with("bad=0"), "{race:?}: {said}");
            assert_eq!(world.bad_reached(), reached, "not even accepted: {race:?}");
            lost |= !said.starts_with("good=0 ");
            if won && lost {
                break;
            }
        }
        assert!(won, "{race:?}: without a cell it never got through, so nothing was tried");
        assert!(lost, "{race:?}: in the cell it never got to where it may, so nothing was tried");
    }
}

/// A second name for a moment: where nothing keeps the cell from giving it, who listens is what counts.
fn races_of_links(world: &World) {
    let bad = world.bad();
    let free = world.free(&["race-links", "2000", &world.fresh(), &bad]);
    assert!(!free.ends_with("bad=0"), "{free}");
    let open = Setting { moves: "open", ..Setting::default() };
    let said = world.run(&open, &["race-links", RACES, &world.fresh(), &bad]);
    println!("    without a cell, of 2000, {free}; in the cell, of {RACES}, {said}");
    assert!(said.ends_with("bad=0") && !said.starts_with("good=0 "), "{said}");
}

/// What becomes of the path does not matter: nothing is made outside.
fn races_of_binds(world: &World) {
    let outside = world.bad.parent().unwrap();
    let files = || std::fs::read_dir(outside).unwrap().count();
    let before = files();
    let made = world.cell(&["race-bind", "2000", &world.fresh(), outside.to_str().unwrap()]);
    assert_eq!(files(), before, "{made}");
    assert_ne!(made, "0");
    world.free(&["race-bind", "2000", &world.fresh(), outside.to_str().unwrap()]);
    assert!(files() > before);
}

fn queues(world: &World) {
    let full = world.cell.join("full").display().to_string();
    let said = world.cell(&["queue", &full, &world.good()]);
    assert_eq!(said, "AGAIN others=200 waited=true then came through");
    assert_eq!(world.cell(&["storm", "8", "1250", &world.good()]), "10000");
    assert_eq!(world.cell(&["storm", "8", "100", &world.bad()]), "0");
    let free: f64 = world.free(&["time", "2000", &world.good()]).parse().unwrap();
    let cell: f64 = world.cell(&["time", "2000", &world.good()]).parse().unwrap();
    println!("    a connect takes {free} us, in the cell {cell} us");
}

fn labels(world: &World) {
    // Priority and hops: of who listens, of who connects, then three tries to change them, and what is left.
    let kept = "5/61 5/61 PERM done done 5/61 61 61";
    assert_eq!(world.free(&["label", "0"]), "0/64 0/64 done done done 6/64 64 64");
    for mechanism in ["landlock", "supervisor"] {
        assert_eq!(
            world.run(&Setting { mechanism, ..Setting::default() }, &["label", "0"]),
            kept,
            "{mechanism}"
        );
    }
    assert_eq!(world.free(&["placeholder", &world.good()]), "1/true/false 1/true/false");
    assert_eq!(world.cell(&["placeholder", &world.good()]), "2/true/false 1/true/false");
}

fn killed(world: &World) {
    assert_eq!(world.orphan(), "NOSYS NOSYS");
}
