#!/usr/bin/env python3
"""Races sockets.js for its sockets, by every way that leads to one, and prints what it got as one line of JSON.

Usage: racer.py FOLDER OWN RACES. FOLDER is where sockets.js says what exists, OWN a folder that the racer may write on
the same file system as /tmp. A race is a socket that was seen and then tried, by its path and by a detour. The racer goes on until it
has run so many, and judges by the other side's greeting.
"""
import contextlib
import ctypes
import json
import mmap
import os
import signal
import socket
import struct
import sys
import threading
import time

folder, own, wanted = sys.argv[1], sys.argv[2], int(sys.argv[3])
watched = ["/tmp", f"/tmp/runtime-{os.getuid()}", f"/tmp/user/{os.getuid()}", "/home/vscode/.gnupg-like"]
# A hang is a failure; a slow machine is none.
PATIENCE = 400
libc = ctypes.CDLL(None, use_errno=True)
started = time.monotonic()
attempts, usable, errors = {}, {}, {}


def read(name):
    with contextlib.suppress(OSError), open(os.path.join(folder, name)) as file:
        return file.read()
    return ""


def count(table, key):
    table[key] = table.get(key, 0) + 1


def greets(connection):
    connection.settimeout(2)
    with contextlib.suppress(OSError):
        return connection.recv(16)
    return b""


def attempt(trick, address, family=socket.AF_UNIX, kind=socket.SOCK_STREAM):
    """One connect; whether the other side is the one outside."""
    count(attempts, trick)
    try:
        with socket.socket(family, kind) as connection:
            connection.connect(address)
            # Only the one outside says so; the racer's own listener says something else.
            if kind == socket.SOCK_STREAM and greets(connection) != b"bridge\n":
                return False
    except OSError as error:
        count(errors, error.strerror or "other")
        return False
    count(usable, trick)
    return True


def by_link(trick, make, target, number):
    place = os.path.join(own, f"{trick}-{os.getpid()}-{number}")
    try:
        make(target, place)
    except OSError as error:
        count(attempts, trick)
        count(errors, error.strerror or "other")
        return
    attempt(trick, place)
    with contextlib.suppress(OSError):
        os.unlink(place)


def by_folder(target, number):
    """Through a link to the folder, and through the folder as an open file."""
    parent, name = os.path.split(target)
    place = os.path.join(own, f"folder-{os.getpid()}-{number}")
    with contextlib.suppress(OSError):
        os.symlink(parent, place)
        attempt("through-a-linked-folder", os.path.join(place, name))
        os.unlink(place)
    with contextlib.suppress(OSError):
        pinned = os.open(parent, os.O_PATH | os.O_DIRECTORY)
        attempt("folder-fd", f"/proc/self/fd/{pinned}/{name}")
        os.close(pinned)


def by_name(target):
    parent, name = os.path.split(target)
    with contextlib.suppress(OSError):
        os.chdir(parent)
        attempt("relative", name)
    attempt("dots", os.path.join(parent, "..", os.path.basename(parent), ".", name))


def by_process(target, maker):
    parent, name = os.path.split(target)
    attempt("proc-root", f"/proc/{maker}/root{target}")
    attempt("proc-self-root", f"/proc/self/root{target}")
    if parent == "/tmp":
        attempt("proc-cwd", f"/proc/{maker}/cwd/{name}")
    with contextlib.suppress(OSError):
        pinned = os.open(target, os.O_PATH)
        attempt("proc-self-fd", f"/proc/self/fd/{pinned}")
        os.close(pinned)


def tricks(target, number, maker):
    """The path, and then one kind of detour after the other, so that a socket is met while it is young."""
    attempt("path", target)
    kind = number % 6
    if kind == 0:
        by_name(target)
    elif kind == 1:
        by_link("symlink", os.symlink, target, number)
        by_link("hard-link", os.link, target, number)
    elif kind == 2:
        by_folder(target, number)
    elif kind == 3:
        by_process(target, maker)
    elif kind == 4:
        attempt("datagram", target, kind=socket.SOCK_DGRAM)
        attempt("seqpacket", target, kind=socket.SOCK_SEQPACKET)
    else:
        by_link("rename", os.rename, target, number)


def sockets():
    for place in watched:
        with contextlib.suppress(OSError), os.scandir(place) as entries:
            for entry in entries:
                if entry.name.startswith(("vscode-", "S.gpg")):
                    with contextlib.suppress(OSError):
                        yield entry.path, entry.inode()


def listen(path):
    """The racer's own, which the cell may reach: what is swapped with the one outside."""
    with contextlib.suppress(OSError):
        os.unlink(path)
    server = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    server.bind(path)
    server.listen(64)

    def accept():
        while True:
            connection, _ = server.accept()
            with contextlib.suppress(OSError), connection:
                connection.sendall(b"own\n")

    threading.Thread(target=accept, daemon=True).start()


def flipping(turn):
    """A process that does nothing but this, for as long as the one that started it lives."""
    parent = os.getpid()
    child = os.fork()
    if child == 0:
        # PR_SET_PDEATHSIG, linux/prctl.h.
        libc.prctl(1, signal.SIGKILL)
        while os.getppid() == parent:
            turn()
        os._exit(0)
    return child


def end(child):
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)


def address_of(path):
    return struct.pack("=H", socket.AF_UNIX) + path.encode() + b"\0" * (108 - len(path))


def swapping(report):
    """While connect is on its way, another process changes the address that it was called with."""
    mine = os.path.join(own, "mine.sock")
    listen(mine)
    memory = mmap.mmap(-1, 4096)
    names = read("again").split()
    # An Internet address is among them, with which the kernel is let go on by itself.
    internet = struct.pack("=H", socket.AF_INET) + b"\0\x09\x7f\0\0\1" + b"\0" * 102
    both = [address_of(path) for path in [mine, *names]] + [internet]

    def turn():
        for one in both:
            memory[0:110] = one

    flipper = flipping(turn)
    buffer = ctypes.c_char.from_buffer(memory)
    seen = {b"own\n": 0}
    while not report.done():
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.settimeout(None)
            count(attempts, "swapped-address")
            if libc.connect(connection.fileno(), ctypes.byref(buffer), 110) == 0:
                said = greets(connection)
                seen[said] = seen.get(said, 0) + 1
                if said == b"bridge\n":
                    count(usable, "swapped-address")
    end(flipper)
    return seen[b"own\n"]


def swapping_links(report):
    """The same with a link whose end changes."""
    mine, link = os.path.join(own, "mine-too.sock"), os.path.join(own, "link.sock")
    listen(mine)
    names = read("again").split()

    def turn():
        for target in [mine, *names]:
            with contextlib.suppress(OSError):
                os.unlink(f"{link}.new")
            with contextlib.suppress(OSError):
                os.symlink(target, f"{link}.new")
                os.rename(f"{link}.new", link)

    flipper = flipping(turn)
    reached = 0
    while not report.done():
        count(attempts, "swapped-link")
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
            connection.connect(link)
            said = greets(connection)
            reached += said == b"own\n"
            if said == b"bridge\n":
                count(usable, "swapped-link")
    end(flipper)
    return reached


def blind(report):
    """Names that come again: no look first, nothing but connect."""
    names = read("again").split()
    while not report.done():
        for name in names:
            attempt("tight-loop", name)
    return 0


def ports(report):
    last, races = "", 0
    while not report.done():
        port = read("ports")
        if port and port != last:
            last, races = port, races + 1
            for host in ("127.0.0.1", "0.0.0.0", "localhost"):
                attempt("port", (host, int(port)), family=socket.AF_INET)
            attempt("port-mapped", ("::ffff:127.0.0.1", int(port)), family=socket.AF_INET6)
        time.sleep(0.005)
    return races


def abstract(report):
    """Names without a file, which a listener beside sockets.js makes anew all the time."""
    while not report.done():
        attempt("abstract", "\0vscode-abstract")
        time.sleep(0.001)
    return 0


class Report:
    """How many races have been run, counted by one process and seen by all."""

    def __init__(self):
        self.memory = mmap.mmap(-1, 8)

    def add(self, number):
        self.memory[:] = struct.pack("=q", struct.unpack("=q", self.memory[:])[0] + number)

    def races(self):
        return struct.unpack("=q", self.memory[:])[0]

    def done(self):
        return self.races() >= wanted or time.monotonic() - started > PATIENCE


def seeing(report):
    maker, seen, number = read("pid").strip(), set(), 0
    while not report.done():
        for target, inode in sockets():
            # An inode's number is given again; with the name it is another socket.
            if (target, inode) in seen:
                continue
            seen.add((target, inode))
            number += 1
            tricks(target, number, maker)
            report.add(1)
            if report.done():
                break
    return 0


def main():
    report = Report()
    works = [seeing, swapping, swapping_links, blind, ports, abstract]
    pipes = []
    for work in works:
        here, there = os.pipe()
        if os.fork() == 0:
            os.close(here)
            # Those that turn without a pause leave room for the one that counts, and for whoever makes the sockets.
            if work in (swapping, swapping_links, blind):
                os.nice(15)
            result = {"result": work(report), "attempts": attempts, "usable": usable, "errors": errors}
            with os.fdopen(there, "w") as file:
                json.dump(result, file)
            os._exit(0)
        os.close(there)
        pipes.append((work.__name__, here))
    total = {"races": 0, "attempts": {}, "usable": {}, "errors": {}}
    for name, pipe in pipes:
        with os.fdopen(pipe) as file:
            result = json.load(file)
        total[name] = result["result"]
        for table in ("attempts", "usable", "errors"):
            for key, value in result[table].items():
                total[table][key] = total[table].get(key, 0) + value
    total["races"] = report.races()
    total["attempted"] = sum(total["attempts"].values())
    total["connected"] = sum(total["usable"].values())
    total["seconds"] = round(time.monotonic() - started)
    print(json.dumps(total))


main()
