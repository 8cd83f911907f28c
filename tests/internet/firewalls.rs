//! What is put between the container and the internet: nothing, the seed's firewall, or the sandbox.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::net::Ipv4Addr;
use std::process::Stdio;

use super::{Internet, Who};

/// What the seed's script leaves in the kernel, written anew for nft: everything is dropped but loopback, the
/// embedded resolver, the host's gateway on all ports, what is established, and the addresses that the names had at
/// the start, on any port and by any protocol. It tries to switch IPv6 off by a sysctl, which a container may not
/// write, and drops it.
pub(super) fn seed(allowed: &BTreeSet<Ipv4Addr>) -> String {
    let allowed: Vec<String> = allowed.iter().map(ToString::to_string).collect();
    format!(
        "add table ip seed; flush table ip seed; \
         add table ip6 seed; flush table ip6 seed; \
         add set ip seed allowed {{ type ipv4_addr; elements = {{ {} }}; }}; \
         add chain ip seed input {{ type filter hook input priority filter; policy drop; }}; \
         add chain ip seed forward {{ type filter hook forward priority filter; policy drop; }}; \
         add chain ip seed output {{ type filter hook output priority filter; policy drop; }}; \
         add chain ip6 seed input {{ type filter hook input priority filter; policy drop; }}; \
         add chain ip6 seed forward {{ type filter hook forward priority filter; policy drop; }}; \
         add chain ip6 seed output {{ type filter hook output priority filter; policy drop; }}; \
         add rule ip seed output ip daddr 127.0.0.11 udp dport 53 accept; \
         add rule ip seed output ip daddr 127.0.0.11 tcp dport 53 accept; \
         add rule ip seed input ip saddr 127.0.0.11 udp sport 53 accept; \
         add rule ip seed input ip saddr 127.0.0.11 tcp sport 53 accept; \
         add rule ip seed input iifname lo accept; \
         add rule ip seed output oifname lo accept; \
         add rule ip seed input ip saddr 172.30.0.1 accept; \
         add rule ip seed output ip daddr 172.30.0.1 accept; \
         add rule ip seed input ct state established,related accept; \
         add rule ip seed output ct state established,related accept; \
         add rule ip seed output ip daddr @allowed accept; \
         add rule ip seed output reject with icmp admin-prohibited",
        allowed.join(", ")
    )
}

/// As the Feature's entrypoint starts the daemon, and as its hook waits for it.
pub(super) fn start_sandbox(internet: &Internet) {
    let folder = internet.folder().join("bin");
    for (who, program, word) in
        [(Who::Entrypoint, "sandboxd", "ensure"), (Who::Entrypoint, "agent-sandbox", "wait")]
    {
        let mut command = internet.command(who);
        command.arg(folder.join(program)).arg(word).stdin(Stdio::null()).stdout(Stdio::null());
        // The daemon keeps what its starter had as standard error, so a pipe would not end.
        let said = internet.folder().join("said");
        command.stderr(File::create(&said).expect("a file"));
        let status = command.status().expect("run a program");
        assert!(status.success(), "{program} {word}: {}", fs::read_to_string(&said).unwrap_or_default());
    }
}
