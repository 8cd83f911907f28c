//! An ordinary day in the agent's cell, with real tools: what people do in their projects works there unmodified.
//!
//! Each row is a shell script beside this file. It runs as a user of its own, in a mount namespace that has this user's
//! folders and a policy; on the machine nothing is left. Without a network in force, which other tests have.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The user, whom no machine has.
const UID: &str = "61234";

/// A kind of work: its name, the tools without which it cannot be tried (one of those between bars), and the script.
struct Row(&'static str, &'static [&'static str], &'static str);

const ROWS: [Row; 9] = [
    Row("c", &["gcc", "make", "gdb", "strace"], include_str!("c.sh")),
    Row("git", &["git"], include_str!("git.sh")),
    Row("go", &["go"], include_str!("go.sh")),
    Row("java", &["javac"], include_str!("java.sh")),
    Row("node", &["node", "npm", "curl"], include_str!("node.sh")),
    Row("python", &["/usr/bin/python3"], include_str!("python.sh")),
    Row("rust", &["/tmp/rust/bin/cargo", "cc"], include_str!("rust.sh")),
    Row(
        "servers",
        &["redis-server", "sshd", "ssh", "docker", "chromium|google-chrome"],
        include_str!("servers.sh"),
    ),
    Row("terminal", &["tmux", "screen", "script", "expect", "bash"], include_str!("terminal.sh")),
];

/// What root makes before it becomes the user: folders of a fresh machine, the toolchain where others may read it, the
/// program, a user, a policy.
const PREPARE: &str = r#"
set -eu
mount --make-rprivate /
mount -t tmpfs day /mnt && cp "$PROGRAM" /mnt/agent-sandbox
mkdir /mnt/etc /mnt/work /mnt/rust
mount --bind "$SYSROOT" /mnt/rust
mount -t overlay -o lowerdir=/etc,upperdir=/mnt/etc,workdir=/mnt/work day /etc
mount -t tmpfs -o mode=1777 day /tmp
mkdir -p /etc/agent-sandbox /tmp/rust /tmp/bin
echo '{"format":3,"mode":"enforce","rules":[],"cell":{"without":["network"]}}' >/etc/agent-sandbox/policy.json
mount --move /mnt/rust /tmp/rust && mv /mnt/agent-sandbox /tmp/bin
echo "day:x:$USER_ID:$USER_ID::/tmp/home:/bin/bash" >>/etc/passwd
echo "day:x:$USER_ID:" >>/etc/group
mkdir -p /tmp/home /tmp/project && chown "$USER_ID:$USER_ID" /tmp/home /tmp/project
for tool in $TOOLS; do
    PATH=$DAY_PATH command -v $(tr '|' ' ' <<<"$tool") >/dev/null || { echo "there is no $tool"; exit 77; }
done
cd /tmp/project
exec setpriv --reuid "$USER_ID" --regid "$USER_ID" --clear-groups --inh-caps=-all \
    env -i HOME=/tmp/home USER=day TERM=xterm LC_ALL=C.UTF-8 "PATH=$DAY_PATH" \
    timeout 300 /tmp/bin/agent-sandbox exec bash -c "$SCRIPT"
"#;

fn sysroot() -> PathBuf {
    let output = Command::new("rustc").args(["--print", "sysroot"]).output().unwrap();
    Path::new(String::from_utf8(output.stdout).unwrap().trim()).to_owned()
}

/// Whether it works; a sentence if it cannot be tried here.
fn day(row: &Row) -> Result<(), String> {
    let Row(name, tools, script) = row;
    let output = Command::new("unshare")
        .args(["--mount", "bash", "-c", PREPARE])
        .env("PROGRAM", env!("CARGO_BIN_EXE_agent-sandbox"))
        .env("SYSROOT", sysroot())
        .env("USER_ID", UID)
        .env("TOOLS", tools.join(" "))
        .env("SCRIPT", script)
        .env("DAY_PATH", "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin:/tmp/rust/bin")
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    match output.status.code() {
        Some(77) => Err(said.lines().last().unwrap_or_default().to_owned()),
        Some(0) => Ok(()),
        _ => panic!("{name}: {} in the cell:\n{said}", output.status),
    }
}

#[test]
fn an_ordinary_day_works_in_the_cell() {
    for row in &ROWS {
        let tried =
            if rustix::process::geteuid().is_root() { day(row) } else { Err("this needs root".to_owned()) };
        if let Err(why) = tried {
            eprintln!("SKIPPED an ordinary day with {}: {why}", row.0);
            assert!(std::env::var_os("CI").is_none(), "CI must run this with all tools");
        }
    }
}
