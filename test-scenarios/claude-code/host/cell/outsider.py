#!/usr/bin/env python3
"""What a user's container holds beside the agent: sockets, agents, secrets, programs and processes of the same user.

Usage: outsider.py AIMS WORKSPACE SETUID LAUNCHER. Runs outside the cell until it is ended; AIMS is where attacks.py reads what there
is. SECRET is in its environment and in its memory.
"""
import ctypes
import json
import os
import pty
import signal
import socket
import subprocess
import sys
import threading
import time
import uuid

where, workspace, setuid, launcher = sys.argv[1:5]
home, secret = "/home/vscode", os.environ["SECRET"]
libc = ctypes.CDLL(None, use_errno=True)
children = []


def start(*command, **options):
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, **options)
    children.append(child)
    return child.pid


def serve(server, says=b"bridge\n"):
    server.listen(64)

    def accept():
        while True:
            connection, _ = server.accept()
            try:
                with connection:
                    connection.sendall(says)
            except OSError:
                pass

    threading.Thread(target=accept, daemon=True).start()


def unix(path, kind=socket.SOCK_STREAM, says=b"bridge\n"):
    if os.path.exists(path):
        os.unlink(path)
    server = socket.socket(socket.AF_UNIX, kind)
    server.bind(path)
    if kind != socket.SOCK_DGRAM:
        serve(server, says)
    return server, path


def wait_for(path):
    while not os.path.exists(path):
        time.sleep(0.05)
    return path


name = uuid.uuid4()
aims = {"home": home, "workspace": workspace, "secret": secret, "marker": f"planted-{name}", "setuid": setuid}
aims["launcher"] = launcher
aims["own"] = "/tmp/agent-sandbox-1000/tmp"
kept = [
    unix(f"/tmp/vscode-ipc-{name}.sock"),
    unix(f"/tmp/vscode-git-{name}.sock"),
    unix(f"/tmp/datagram-{name}.sock", socket.SOCK_DGRAM),
    unix(f"/tmp/seqpacket-{name}.sock", socket.SOCK_SEQPACKET),
    unix(f"{workspace}/planted.sock"),
]
aims.update(zip(["socket", "spare", "datagram", "seqpacket", "planted"], [path for _, path in kept]))
# Whom the credential helper in git's system-wide configuration asks.
helper = unix("/tmp/vscode-remote-containers-git.sock", says=f"username=u\npassword={secret}\n".encode())
aims["abstract"] = f"vscode-{name}"
unnamed = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
unnamed.bind("\0" + aims["abstract"])
serve(unnamed)
port = socket.socket(socket.AF_INET, socket.SOCK_STREAM)
port.bind(("127.0.0.1", 0))
serve(port)
aims["port"] = port.getsockname()[1]
aims["variables"] = ["VSCODE_IPC_HOOK_CLI", "SSH_AUTH_SOCK", "GIT_ASKPASS", "REMOTE_CONTAINERS_IPC"]

for path in [".ssh", ".config/gh", ".aws", ".docker", ".local/bin", ".vscode-server/data/Machine", ".config/git",
             ".vscode-server/extensions", ".vscode-server/bin", ".config/systemd/user", ".config/autostart", ".cargo",
             ".gnupg"]:
    os.makedirs(os.path.join(home, path), mode=0o700, exist_ok=True)
for path in [".netrc", ".git-credentials", ".config/gh/hosts.yml", ".aws/credentials", ".npmrc", ".docker/config.json",
             ".bash_history", ".vscode-server/data/Machine/.connection-token", ".removable", ".local/bin/tool"]:
    with open(os.path.join(home, path), "w") as file:
        file.write(f"{secret}\n")
aims["code"] = os.path.join(home, ".vscode-server/bin/code")
with open(aims["code"], "w") as file:
    file.write('#!/bin/sh\nexec socat -u "UNIX-CONNECT:$VSCODE_IPC_HOOK_CLI" -\n')
os.chmod(aims["code"], 0o755)

# The key that ssh-agent holds; what lies there is read as a secret, so its text is one.
key = os.path.join(home, ".ssh/agent-key")
if not os.path.exists(key):
    subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", key], check=True)
with open(os.path.join(home, ".ssh/id_ed25519"), "w") as file:
    file.write(f"{secret}\n")
aims["ssh_agent"] = f"/tmp/vscode-ssh-auth-{name}.sock"
start("ssh-agent", "-D", "-a", aims["ssh_agent"])
wait_for(aims["ssh_agent"])
subprocess.run(["ssh-add", "-q", key], check=True, env={**os.environ, "SSH_AUTH_SOCK": aims["ssh_agent"]})
aims["gpg_agent"] = os.path.join(home, ".gnupg/S.gpg-agent")
start("gpg-agent", "--homedir", os.path.join(home, ".gnupg"), "--daemon", "sleep", "1000")
aims["dbus"] = f"/tmp/dbus-{name}"
start("dbus-daemon", "--session", "--nofork", f"--address=unix:path={aims['dbus']}")
for path in (aims["gpg_agent"], aims["dbus"]):
    wait_for(path)

held = ctypes.create_string_buffer(secret.encode())
aims["outsider"], aims["address"] = os.getpid(), ctypes.addressof(held)
aims["victims"] = {
    victim: start("sleep", "1000") for victim in ["kill", "stop", "pidfd", "ptrace", "limit", "priority"]
}
_, slave = pty.openpty()
aims["terminal"] = os.ttyname(slave)
aims["shared"] = f"/dev/shm/outsider-{name}"
with open(aims["shared"], "w") as file:
    file.write("x" * 64)
aims["sysv"] = os.getpid()
libc.shmget(aims["sysv"], 16, 0o1600)

# Another agent's cell, whose keeper is somebody to attack.
start("agent-sandbox", "exec", "sleep", "987", cwd=workspace)
aims["keeper"] = 0
while not aims["keeper"]:
    time.sleep(0.05)
    for process in filter(str.isdigit, os.listdir("/proc")):
        try:
            with open(f"/proc/{process}/cmdline") as file:
                if file.read() != "sleep\x00987\x00":
                    continue
            with open(f"/proc/{process}/status") as file:
                aims["keeper"] = next(int(line.split()[1]) for line in file if line.startswith("PPid:"))
        except OSError:
            pass

os.chdir(home)
with open(f"{where}.new", "w") as file:
    json.dump(aims, file)
os.rename(f"{where}.new", where)


def end(*_):
    for child in children:
        child.kill()
    os._exit(0)


signal.signal(signal.SIGTERM, end)
while True:
    time.sleep(1)
    for child in children:
        child.poll()
