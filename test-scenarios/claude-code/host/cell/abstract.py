#!/usr/bin/env python3
"""Listens on an abstract name, which has no file, and makes it anew all the time; greets as sockets.js does."""
import contextlib
import random
import socket
import time

while True:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as server:
        server.bind("\0vscode-abstract")
        server.listen(16)
        server.settimeout(0.05)
        end = time.monotonic() + 0.1
        while time.monotonic() < end:
            with contextlib.suppress(OSError):
                connection, _ = server.accept()
                with connection, open("/tmp/greeted", "a") as greeted:
                    greeted.write("greeted abstract\n")
                    connection.sendall(b"bridge\n")
    time.sleep(random.uniform(0.001, 0.02))
