//! A day's work in the cell.

use std::process::Command;

use crate::skip::{PATH, has, landlock};
use crate::world::World;

/// Runs a script in the workspace, in the cell; it must succeed.
fn works(test: &str, programs: &[&str], script: &str) {
    if !programs.iter().all(|program| has(test, program)) {
        return;
    }
    let world = World::new();
    let output = world.inside(|| {
        Command::new("/bin/sh")
            .args(["-euc", script])
            .env_clear()
            .env("PATH", PATH)
            .env("HOME", world.path("temporary"))
            .env("TMPDIR", world.path("temporary"))
            .current_dir(world.path("workspace"))
            .output()
            .expect("a shell")
    });
    let said = [output.stdout, output.stderr].map(|said| String::from_utf8_lossy(&said).into_owned());
    assert!(output.status.success(), "{test}: {}\n{}\n{}", output.status, said[0], said[1]);
}

#[test]
fn git() {
    works(
        "git",
        &["git"],
        "git init -q . && git config user.name A && git config user.email a@example.com && git add . && \
         git commit -qm first && git checkout -qb other && echo x >new && git add . && git commit -qm second && \
         git gc -q && git worktree add -q ../temporary/tree && git -C ../temporary/tree log --oneline | grep -c . && \
         git clone -q . ../temporary/clone && git status --porcelain",
    );
}

#[test]
fn a_compiler() {
    works(
        "a_compiler",
        &["cc"],
        "cc -O1 -o main main.c && ./main && cc -c main.c && ar rc lib.a main.o && mv lib.a ../temporary/",
    );
}

#[test]
fn python() {
    let script = r#"cat >run.py <<'END'
import asyncio, multiprocessing, os, pty, signal, subprocess, sys, tempfile, threading, time
from multiprocessing import shared_memory

def square(number):
    return number * number

def main():
    assert subprocess.run(["/bin/echo", "x"], stdout=subprocess.PIPE).stdout == b"x\n"
    with multiprocessing.Pool(2) as pool:
        assert pool.map(square, range(5)) == [0, 1, 4, 9, 16]
    lock, queue = multiprocessing.Lock(), multiprocessing.Queue()
    worker = multiprocessing.Process(target=queue.put, args=(1,))
    worker.start(); assert queue.get() == 1; worker.join()
    block = shared_memory.SharedMemory(create=True, size=64); block.buf[0] = 7; block.close(); block.unlink()
    threads = [threading.Thread(target=time.sleep, args=(0,)) for _ in range(8)]
    [thread.start() for thread in threads]; [thread.join() for thread in threads]
    child = subprocess.Popen(["sleep", "600"]); child.terminate(); assert child.wait() == -signal.SIGTERM
    pid, terminal = pty.fork()
    if pid == 0:
        os.execv("/bin/sh", ["sh", "-c", "tty; stty size; : >/dev/tty"])
    said = b""
    try:
        while part := os.read(terminal, 1024): said += part
    except OSError:
        pass
    assert os.waitpid(pid, 0)[1] == 0, said
    assert b"/dev/pts/" in said, said
    os.posix_spawn("/bin/true", ["true"], {}); os.wait()
    with tempfile.TemporaryFile() as file: file.write(b"x")
    async def server():
        async def answer(reader, writer):
            writer.write(await reader.read(1)); writer.close()
        listening = await asyncio.start_server(answer, "127.0.0.1", 0)
        reader, writer = await asyncio.open_connection(*listening.sockets[0].getsockname())
        writer.write(b"x"); assert await reader.read() == b"x"
    asyncio.run(server())
    import socket
    assert socket.if_nameindex()
    socket.getaddrinfo("127.0.0.1", 80)

if __name__ == "__main__":
    main()
END
/usr/bin/python3 run.py"#;
    works("python", &["python3"], script);
}

#[test]
fn node() {
    let script = r#"cat >run.js <<'END'
const { execFileSync, spawn } = require("child_process");
const { Worker } = require("worker_threads");
const fs = require("fs"), http = require("http"), os = require("os");
if (execFileSync("/bin/echo", ["x"]).toString() !== "x\n") process.exit(1);
new Worker("require('worker_threads').parentPort.postMessage(1)", { eval: true }).on("message", () => {
  fs.mkdtempSync(os.tmpdir() + "/x"); os.networkInterfaces();
  const server = http.createServer((_, answer) => answer.end("x")).listen(0, "127.0.0.1", () =>
    http.get({ port: server.address().port, host: "127.0.0.1" }, answer => {
      const child = spawn("sleep", ["600"]);
      child.on("exit", (_, signal) => process.exit(answer.statusCode === 200 && signal === "SIGTERM" ? 0 : 2));
      child.kill();
    }));
});
END
node run.js"#;
    works("node", &["node"], script);
}

#[test]
fn a_tracer() {
    works("a_tracer", &["strace"], "strace -f -o trace /bin/sh -c '/bin/true; :' && grep -q execve trace");
}

#[test]
fn a_debugger() {
    works(
        "a_debugger",
        &["gdb", "cc"],
        "printf 'int number = 1;\\nint main(void) { return number - 1; }\\n' >d.c && cc -g -o d d.c && \
         gdb -nx -batch -ex 'break main' -ex run -ex 'set var number = 43' -ex continue ./d >said 2>&1; cat said; \
         grep -q 'exited with code 052' said",
    );
}

#[test]
fn a_terminal_multiplexer() {
    works(
        "a_terminal_multiplexer",
        &["tmux"],
        "export TMUX_TMPDIR=$TMPDIR; tmux -f /dev/null new-session -d 'echo done >made; sleep 600'; \
         until test -s made; do sleep 0.05; done; tmux kill-server",
    );
}

#[test]
fn a_second_cell_inside() {
    use agent_sandbox::confine::rules::RulesError;
    if !landlock("a_second_cell_inside", 1) {
        return;
    }
    let world = World::new();
    world.inside(|| {
        for layer in 2..=16 {
            assert!(world.prepare().restrict_self().is_ok(), "layer {layer}");
        }
        let one_more = world.prepare().restrict_self();
        assert!(matches!(one_more, Err(RulesError::TooManyLayers)), "{one_more:?}");
        std::fs::write(world.path("workspace/still"), "works").expect("a file");
    });
}
