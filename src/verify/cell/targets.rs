//! What somebody outside the cell has, set up to be attempted and gone in the end.

use std::fs;
use std::io;
use std::net::{Ipv4Addr, TcpListener};
use std::os::linux::net::SocketAddrExt as _;
use std::os::unix::net::{SocketAddr, UnixDatagram, UnixListener};
use std::path::{Path, PathBuf};

use super::Aims;

/// Variables of each kind that VS Code, agents for keys and people put into an environment.
const VARIABLES: [&str; 8] = [
    "VSCODE_IPC_HOOK_CLI",
    "VSCODE_GIT_IPC_HANDLE",
    "REMOTE_CONTAINERS_IPC",
    "SSH_AUTH_SOCK",
    "GPG_AGENT_INFO",
    "GITHUB_TOKEN",
    "AWS_SECRET_ACCESS_KEY",
    "NPM_TOKEN",
];

/// A port that is refused to the cell and not told, as that is what it is tried for. Where somebody has it, any other
/// does, and is told.
pub const PORT: u16 = 15081;

pub(super) struct Targets {
    pub(super) aims: Aims,
    folder: PathBuf,
    _listeners: (UnixListener, UnixListener, UnixDatagram, TcpListener),
}

impl Targets {
    pub(super) fn new() -> io::Result<Self> {
        let own = std::process::id();
        // Where VS Code has its sockets.
        let folder = Path::new("/tmp").join(format!("vscode-agent-sandbox-verify-{own}"));
        fs::create_dir(&folder)?;
        let (socket, datagram) = (folder.join("ipc.sock"), folder.join("datagram.sock"));
        let abstract_name = format!("vscode-agent-sandbox-verify-{own}");
        let listeners = (
            UnixListener::bind(&socket)?,
            UnixListener::bind_addr(&SocketAddr::from_abstract_name(&abstract_name)?)?,
            UnixDatagram::bind(&datagram)?,
            TcpListener::bind((Ipv4Addr::LOCALHOST, PORT))
                .or_else(|_| TcpListener::bind((Ipv4Addr::LOCALHOST, 0)))?,
        );
        let home = std::env::home_dir().unwrap_or_else(|| PathBuf::from("/"));
        let aims = Aims {
            socket: socket.to_string_lossy().into_owned(),
            abstract_name,
            datagram: datagram.to_string_lossy().into_owned(),
            port: listeners.3.local_addr()?.port(),
            process: i32::try_from(own).unwrap_or(i32::MAX),
            file: home.join(format!(".agent-sandbox-verify-{own}")).to_string_lossy().into_owned(),
            variables: VARIABLES.map(str::to_owned).to_vec(),
        };
        Ok(Self { aims, folder, _listeners: listeners })
    }

    /// What an attempt has left behind.
    pub(super) fn clear(&self) {
        let _ = fs::remove_file(&self.aims.file);
    }
}

impl Drop for Targets {
    fn drop(&mut self) {
        self.clear();
        let _ = fs::remove_dir_all(&self.folder);
    }
}
