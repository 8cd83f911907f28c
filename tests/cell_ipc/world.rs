//! What is outside the cell, and running things inside it.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use agent_sandbox::ipc;

pub(crate) struct World {
    /// This program, where any user can run it.
    pub(crate) program: PathBuf,
    /// The folder that the cell may write.
    pub(crate) cell: PathBuf,
    /// A socket beside it, as an editor has one.
    pub(crate) bad: PathBuf,
    pub(crate) datagrams: PathBuf,
    pub(crate) listed: PathBuf,
    /// An abstract name of ours.
    pub(crate) name: String,
    reached: Arc<AtomicUsize>,
    _receiver: UnixDatagram,
    _folder: tempfile::TempDir,
}

/// How a cell is set up.
pub(crate) struct Setting {
    pub(crate) mechanism: &'static str,
    pub(crate) moves: &'static str,
    pub(crate) listed: Option<PathBuf>,
}

impl Default for Setting {
    fn default() -> Self {
        Self { mechanism: "supervisor", moves: "shut", listed: None }
    }
}

/// Whether it does; else says so.
pub(crate) fn supervisor_works() -> bool {
    match ipc::probe().and_then(|found| found.notifications) {
        Ok(()) => true,
        Err(reason) => {
            assert!(std::env::var_os("CI").is_none(), "{reason}, and CI must run these tests");
            eprintln!("SKIPPED: the cell's Unix sockets: {reason}");
            false
        }
    }
}

impl World {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().canonicalize().unwrap();
        open_to_all(&root);
        let itself = std::env::current_exe().unwrap();
        let program = if rustix::process::getuid().is_root() && std::env::var_os("TMPDIR").is_none() {
            let copy = root.join("program");
            std::fs::copy(&itself, &copy).unwrap();
            open_to_all(&copy);
            copy
        } else {
            itself
        };
        let [cell, outside] = ["cell", "outside"].map(|name| root.join(name));
        std::fs::create_dir(&cell).unwrap();
        std::fs::create_dir(&outside).unwrap();
        let reached = Arc::new(AtomicUsize::new(0));
        let none = Arc::new(AtomicUsize::new(0));
        let serve_at = |path: &Path, letter, count: &Arc<AtomicUsize>| {
            serve(UnixListener::bind(path).unwrap(), letter, count.clone());
        };
        let (bad, listed, datagrams) =
            (outside.join("bad"), outside.join("listed"), outside.join("datagrams"));
        serve_at(&bad, b'b', &reached);
        serve_at(&listed, b'l', &none);
        serve_at(&cell.join("a.sock"), b'g', &none);
        let name = format!("outside-{}-{}", std::process::id(), root.file_name().unwrap().display());
        let address = SocketAddr::from_abstract_name(&name).unwrap();
        serve(UnixListener::bind_addr(&address).unwrap(), b'b', reached.clone());
        let receiver = UnixDatagram::bind(&datagrams).unwrap();
        Self { program, cell, bad, datagrams, listed, name, reached, _receiver: receiver, _folder: folder }
    }

    pub(crate) fn good(&self) -> String {
        self.cell.join("a.sock").display().to_string()
    }

    pub(crate) fn bad(&self) -> String {
        self.bad.display().to_string()
    }

    /// Connections that came to where none must.
    pub(crate) fn bad_reached(&self) -> usize {
        self.reached.load(Ordering::SeqCst)
    }

    /// An empty folder in the cell's.
    pub(crate) fn fresh(&self) -> String {
        let folder = tempfile::tempdir_in(&self.cell).unwrap().keep();
        folder.display().to_string()
    }

    /// What an attack says that runs without a cell.
    pub(crate) fn free(&self, attack: &[&str]) -> String {
        said(Command::new(&self.program).arg("attack").args(attack))
    }

    /// What it says in a cell with a supervisor.
    pub(crate) fn cell(&self, attack: &[&str]) -> String {
        self.run(&Setting::default(), attack)
    }

    /// What it says where Unix sockets are closed.
    pub(crate) fn closed(&self, attack: &[&str]) -> String {
        self.run(&Setting { mechanism: "closed", ..Setting::default() }, attack)
    }

    pub(crate) fn run(&self, setting: &Setting, attack: &[&str]) -> String {
        said(self.keeper(setting).arg(&self.program).arg("attack").args(attack))
    }

    /// Runs a program in the cell that says `fine`, if there is such a program.
    pub(crate) fn client(&self, command: [&str; 3]) {
        if Command::new(command[0]).arg("--version").output().is_err() {
            assert!(std::env::var_os("CI").is_none(), "CI must have {}", command[0]);
            eprintln!("SKIPPED: {} in the cell: it is not there", command[0]);
            return;
        }
        let folder = self.fresh();
        let said = said(self.keeper(&Setting::default()).args(command).arg(&folder).env("TMPDIR", &folder));
        assert_eq!(said, "fine", "{}", command[0]);
    }

    /// What a process of the cell can do when its keeper has been killed.
    pub(crate) fn orphan(&self) -> String {
        let mut command = self.keeper(&Setting::default());
        command.arg(&self.program).args(["attack", "orphan", &self.good()]);
        let mut keeper = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let mut stdout = BufReader::new(keeper.stdout.take().unwrap());
        let mut line = String::new();
        stdout.read_line(&mut line).unwrap();
        assert!(line.starts_with("ready true "), "{line}");
        let mut stdin = keeper.stdin.take().unwrap();
        keeper.kill().unwrap();
        keeper.wait().unwrap();
        stdin.write_all(b"x").unwrap();
        line.clear();
        stdout.read_line(&mut line).unwrap();
        line.trim().to_owned()
    }

    fn keeper(&self, setting: &Setting) -> Command {
        let mut command = Command::new(&self.program);
        command.args(["keeper", setting.mechanism, setting.moves]).arg(&self.cell);
        command.arg(setting.listed.as_ref().unwrap_or(&self.listed));
        command
    }
}

/// Answers everybody with a letter.
fn serve(listener: UnixListener, letter: u8, count: Arc<AtomicUsize>) {
    thread::spawn(move || {
        for stream in listener.incoming() {
            count.fetch_add(1, Ordering::SeqCst);
            let _ = stream.and_then(|mut stream| stream.write_all(&[letter]));
        }
    });
}

fn said(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).stderr(Stdio::inherit()).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap().trim().to_owned();
    assert!(output.status.success(), "{command:?}: {} {text}", output.status);
    text
}

fn open_to_all(path: &Path) {
    use std::os::unix::fs::PermissionsExt as _;
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}
