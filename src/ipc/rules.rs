//! Which Unix sockets the cell may reach. Decides on real paths alone, and does no I/O.

use std::path::{Path, PathBuf};

use super::Mechanism;

/// What the cell may reach by Unix sockets.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SocketRules {
    /// Folders, by real path, in which the cell may make sockets and reach any.
    pub writable: Vec<PathBuf>,
    /// Sockets elsewhere that it may reach.
    pub listed: Vec<PathBuf>,
    /// Whether something else (Landlock) keeps the cell from moving or linking sockets of others into its folders. Where
    /// nothing does, a socket counts for the cell's only if a process of the cell listens on it.
    pub moves_are_shut: bool,
    /// How all this is enforced.
    pub mechanism: Mechanism,
}

/// What is to become of a connect to one socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// It may be reached.
    Open,
    /// It may be reached if a process of the cell listens on it.
    OpenAmongUs,
    /// It may not.
    Closed,
}

/// What the kernel appends to the name of what has been removed (`d_path`). A socket whose own name ends so is refused,
/// too: nothing tells the two apart for certain.
const REMOVED: &[u8] = b" (deleted)";

impl SocketRules {
    /// For the socket that has this real path.
    pub fn connect(&self, real: &Path) -> Verdict {
        if removed(real) {
            Verdict::Closed
        } else if self.listed.iter().any(|listed| listed == real) {
            Verdict::Open
        } else if self.is_writable(real) && !self.writable.iter().any(|place| place == real) {
            if self.moves_are_shut { Verdict::Open } else { Verdict::OpenAmongUs }
        } else {
            Verdict::Closed
        }
    }

    /// Whether the cell may make a socket in the folder that has this real path.
    pub fn bind_in(&self, folder: &Path) -> bool {
        !removed(folder) && self.is_writable(folder)
    }

    /// Whether the cell may learn what there is at this real path.
    pub(super) fn may_know(&self, real: &Path) -> bool {
        self.is_writable(real) || self.listed.iter().any(|listed| listed == real)
    }

    fn is_writable(&self, real: &Path) -> bool {
        // By whole components; a real path has no `.` and no `..`.
        real.is_absolute() && self.writable.iter().any(|place| place.is_absolute() && real.starts_with(place))
    }

    /// The same rules by real paths, as far as there is something at them. A socket that is yet to come has the real
    /// path of its folder.
    pub(super) fn by_real_paths(mut self) -> Self {
        for place in &mut self.writable {
            if let Ok(real) = place.canonicalize() {
                *place = real;
            }
        }
        for socket in &mut self.listed {
            let folder = socket.parent().and_then(|folder| folder.canonicalize().ok());
            if let Some((folder, name)) = folder.zip(socket.file_name()) {
                *socket = folder.join(name);
            }
        }
        self
    }
}

fn removed(real: &Path) -> bool {
    real.as_os_str().as_encoded_bytes().ends_with(REMOVED)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rules(moves_are_shut: bool) -> SocketRules {
        SocketRules {
            writable: vec!["/work/space".into(), "/run/cell/tmp".into()],
            listed: vec!["/run/agent-sandbox/control.sock".into()],
            moves_are_shut,
            mechanism: Mechanism::Supervisor,
        }
    }

    #[test]
    fn connects() {
        let table = [
            ("/work/space/a.sock", true),
            ("/work/space/x/y/z", true),
            ("/run/cell/tmp/X11-unix/X0", true),
            ("/work/space", false),
            ("/work/space2/a.sock", false),
            ("/work/spac", false),
            ("/work", false),
            ("/tmp/vscode-ipc-1.sock", false),
            ("/run/agent-sandbox/control.sock2", false),
            ("/run/agent-sandbox", false),
            ("work/space/a.sock", false),
            ("", false),
            ("socket:[123]", false),
            ("/work/space/a.sock (deleted)", false),
            ("/work/space/a (deleted).sock", true),
            ("/run/agent-sandbox/control.sock (deleted)", false),
        ];
        for (path, open) in table {
            let path = Path::new(path);
            let expected = |verdict| if open { verdict } else { Verdict::Closed };
            assert_eq!(rules(true).connect(path), expected(Verdict::Open), "{path:?}");
            assert_eq!(rules(false).connect(path), expected(Verdict::OpenAmongUs), "{path:?}");
        }
        for shut in [true, false] {
            assert_eq!(rules(shut).connect(Path::new("/run/agent-sandbox/control.sock")), Verdict::Open);
        }
    }

    #[test]
    fn binds() {
        for (folder, open) in [
            ("/work/space", true),
            ("/work/space/sub", true),
            ("/work/space/sub (deleted)", false),
            ("/work/space2", false),
            ("/work", false),
            ("/", false),
            ("/run/agent-sandbox", false),
        ] {
            assert_eq!(rules(true).bind_in(Path::new(folder)), open, "{folder}");
        }
    }

    #[test]
    fn nothing_is_open_by_default() {
        let none = SocketRules {
            writable: Vec::new(),
            listed: Vec::new(),
            moves_are_shut: true,
            mechanism: Mechanism::Supervisor,
        };
        assert_eq!(none.connect(Path::new("/tmp/a")), Verdict::Closed);
        assert!(!none.bind_in(Path::new("/tmp")));
    }
}
