//! Another process of the same user, and calls that are made on it.

use std::io;
use std::process::{Child, Command, Stdio};

use rustix::process::Pid;

/// A process of the user, started by the calling thread; it ends with the test.
#[derive(Debug)]
pub(crate) struct Other(Child);

impl Other {
    /// Starts it.
    pub(crate) fn start() -> Self {
        let mut child = Command::new("/bin/sh")
            .args(["-c", "echo ready; read line"])
            .env("TOKEN", "SECRET")
            .current_dir("/")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("a process");
        let mut line = String::new();
        let mut said = io::BufReader::new(child.stdout.take().expect("its output"));
        io::BufRead::read_line(&mut said, &mut line).expect("a line");
        Self(child)
    }

    /// Whose number is this.
    pub(crate) fn pid(&self) -> Pid {
        Pid::from_child(&self.0)
    }
}

impl Drop for Other {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What `/proc` has of it.
pub(crate) fn proc(pid: Pid, name: &str) -> String {
    format!("/proc/{}/{name}", pid.as_raw_nonzero())
}

/// A system call by its number.
#[expect(unsafe_code, reason = "attacks make calls that no crate wraps")]
pub(crate) fn call(number: libc::c_long, arguments: &[i64]) -> io::Result<i64> {
    let at = |index: usize| arguments.get(index).copied().unwrap_or(0);
    // SAFETY: whoever calls names memory of its own, or none.
    match unsafe { libc::syscall(number, at(0), at(1), at(2), at(3), at(4), at(5)) } {
        -1 => Err(io::Error::last_os_error()),
        value => Ok(value),
    }
}
