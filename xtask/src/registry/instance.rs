//! Which process serves a folder now, so that two commands share one registry.

use std::io::{self, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::server::{self, INSTANCE_HEADER, Options, ServeError, Serving};

const FILE_NAME: &str = "serve.json";
const PATIENCE: Duration = Duration::from_secs(2);

#[derive(Debug, Serialize, Deserialize)]
struct Notice {
    port: u16,
    pid: u32,
    instance: String,
}

/// A registry for the time of one command.
#[derive(Debug)]
pub enum Local {
    /// Somebody serves the folder already.
    Borrowed(u16),
    /// We serve it, on a free port.
    Own(Serving),
}

impl Local {
    /// The port to push to.
    pub fn port(&self) -> u16 {
        match self {
            Self::Borrowed(port) => *port,
            Self::Own(serving) => serving.port(),
        }
    }

    /// The port that stays when this command has ended, if there is one.
    pub fn serving_port(&self) -> Option<u16> {
        match self {
            Self::Borrowed(port) => Some(*port),
            Self::Own(_) => None,
        }
    }

    /// Ends it if it is ours.
    pub fn stop(self) {
        if let Self::Own(serving) = self {
            serving.stop();
        }
    }
}

/// The process that serves a folder, or one of our own.
pub fn borrow_or_start(root: &Path) -> Result<Local, ServeError> {
    match running(root) {
        Some(port) => Ok(Local::Borrowed(port)),
        None => server::serve(root, &Options::default()).map(Local::Own),
    }
}

/// The port on which a folder is served now; a notice of a process that is gone does not count.
pub fn running(root: &Path) -> Option<u16> {
    let text = std::fs::read(root.join(FILE_NAME)).ok()?;
    let notice: Notice = serde_json::from_slice(&text).ok()?;
    let instance = ask(notice.port).ok()?;
    (instance.as_deref() == Some(notice.instance.as_str())).then_some(notice.port)
}

/// Says that a folder is served.
pub fn announce(root: &Path, serving: &Serving) -> io::Result<()> {
    let notice =
        Notice { port: serving.port(), pid: std::process::id(), instance: serving.instance().to_owned() };
    let mut file = tempfile::NamedTempFile::new_in(root)?;
    file.write_all(serde_json::to_string(&notice)?.as_bytes())?;
    file.persist(root.join(FILE_NAME))?;
    Ok(())
}

/// Takes our own notice back, and nobody else's.
pub fn withdraw(root: &Path, instance: &str) {
    let path = root.join(FILE_NAME);
    let ours = std::fs::read(&path)
        .ok()
        .and_then(|text| serde_json::from_slice::<Notice>(&text).ok())
        .is_some_and(|notice| notice.instance == instance);
    if ours {
        // A notice that stays is recognised as stale.
        let _ = std::fs::remove_file(path);
    }
}

/// Asks whoever listens on a port for the header that only our registry sends.
fn ask(port: u16) -> io::Result<Option<String>> {
    let address = (std::net::Ipv4Addr::LOCALHOST, port).into();
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    write!(stream, "GET /v2/ HTTP/1.1\r\nHost: localhost:{port}\r\nConnection: close\r\n\r\n")?;
    let mut answer = Vec::new();
    stream.take(16 << 10).read_to_end(&mut answer)?;
    let answer = String::from_utf8_lossy(&answer);
    let header = answer
        .lines()
        .take_while(|line| !line.is_empty())
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case(INSTANCE_HEADER));
    Ok(header.map(|(_, value)| value.trim().to_owned()))
}
