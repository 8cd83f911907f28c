//! A user's home, a workspace, and threads that are in the cell or not.

use std::fmt::Debug;
use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown};
use std::path::{Path, PathBuf};

use agent_sandbox::confine::calls::{self, Tracing};
use agent_sandbox::confine::rights;
use agent_sandbox::confine::rules::{self, Ground, Prepared};
use rustix::process::{Gid, Uid};
use tempfile::TempDir;

/// Whose home it is, where the tests are root.
const USER: u32 = 47_110;

/// Everything that a test writes.
#[derive(Debug)]
pub(crate) struct World {
    root: TempDir,
}

impl World {
    /// A home with settings and secrets, a workspace, and a place for temporary files.
    pub(crate) fn new() -> Self {
        let root = tempfile::tempdir_in("/tmp").expect("a folder");
        fs::set_permissions(root.path(), fs::Permissions::from_mode(0o755)).expect("its mode");
        let world = Self { root };
        for (path, text) in [
            ("home/.bashrc", "# settings\n"),
            ("home/.profile", "# settings\n"),
            ("home/.ssh/id_ed25519", "SECRET"),
            ("home/.npmrc", "SECRET"),
            ("home/.config/gh/hosts.yml", "SECRET"),
            ("home/.config/tool/settings", "plain"),
            ("home/.cargo/credentials.toml", "SECRET"),
            ("home/.cargo/config.toml", "plain"),
            ("home/.vscode-server/data/token", "SECRET"),
            ("home/.bash_history", "SECRET"),
            ("home/server.pem", "SECRET"),
            ("home/notes", "plain"),
            ("home/bin/tool", "#!/bin/sh\nexit 0\n"),
            ("elsewhere/aws/credentials", "SECRET"),
            ("elsewhere/plain", "plain"),
            ("workspace/main.c", "int main(void) { return 0; }\n"),
            ("temporary/old", "old"),
        ] {
            world.write(path, text);
        }
        std::os::unix::fs::symlink(world.path("elsewhere/aws"), world.path("home/.aws")).expect("a link");
        world.own();
        world
    }

    /// Below the world's own folder.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    /// A file, and the folders above it.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().expect("a folder")).expect("folders");
        fs::write(&path, text).expect("a file");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("a mode");
    }

    /// Gives all of it to the user.
    pub(crate) fn own(&self) {
        if rustix::process::geteuid().is_root() {
            give(self.root.path());
        }
    }

    /// The rules for this world.
    pub(crate) fn prepare(&self) -> Prepared {
        let writable = [self.path("workspace"), self.path("temporary")];
        let listed = [self.path("elsewhere/listed.sock")];
        let ground = Ground {
            writable: &writable,
            shared: &[],
            real_home: &self.path("home"),
            listed_sockets: &listed,
        };
        rules::prepare(ground).expect("the rules")
    }

    /// Runs it as the user.
    pub(crate) fn outside<T: Send>(run: impl FnOnce() -> T + Send) -> T {
        on_a_thread(|| {
            become_user();
            run()
        })
    }

    /// Runs it as the user, in the cell.
    pub(crate) fn inside<T: Send>(&self, run: impl FnOnce() -> T + Send) -> T {
        on_a_thread(|| {
            become_user();
            let prepared = self.prepare();
            rights::core_limit().expect("no core");
            rights::empty_capabilities().expect("no capability");
            assert_eq!(prepared.enforced(), prepared.restrict_self().expect("the rules"));
            seccompiler::apply_filter(&calls::filter(Tracing::Inside)).expect("the filter");
            run()
        })
    }
}

/// What is confined is the thread, and what it starts.
pub(crate) fn on_a_thread<T: Send>(run: impl FnOnce() -> T + Send) -> T {
    std::thread::scope(|scope| match scope.spawn(run).join() {
        Ok(done) => done,
        Err(panic) => std::panic::resume_unwind(panic),
    })
}

fn become_user() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let (uid, gid) = (Uid::from_raw(USER), Gid::from_raw(USER));
    rustix::thread::set_thread_groups(&[]).expect("no group");
    rustix::thread::set_thread_res_gid(gid, gid, gid).expect("the group");
    rustix::thread::set_thread_res_uid(uid, uid, uid).expect("the user");
}

fn give(path: &Path) {
    std::os::unix::fs::lchown(path, Some(USER), Some(USER)).expect("an owner");
    if path.is_dir() && !path.is_symlink() {
        for entry in fs::read_dir(path).expect("a folder") {
            give(&entry.expect("an entry").path());
        }
    }
    if !path.is_symlink() {
        chown(path, Some(USER), Some(USER)).expect("an owner");
    }
}

/// An error's number, or 0.
pub(crate) fn errno<T: Debug>(result: std::io::Result<T>) -> i32 {
    result.map_or_else(|error| error.raw_os_error().unwrap_or(-1), |_| 0)
}

/// By the path and no descriptor, which is a call of its own.
#[expect(unsafe_code, reason = "no crate here has the call; it reads one string")]
pub(crate) fn truncate(path: &Path) -> std::io::Result<()> {
    let path = std::ffi::CString::new(path.as_os_str().as_encoded_bytes()).expect("a path");
    // SAFETY: the string lives as long as the call.
    match unsafe { libc::truncate(path.as_ptr(), 0) } {
        0 => Ok(()),
        _ => Err(std::io::Error::last_os_error()),
    }
}
