//! Names to addresses without the C library, whose static form cannot do that.

mod files;
mod query;

use std::fs;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use simple_dns::TYPE;
use ureq::config::Config;
use ureq::http::Uri;
use ureq::unversioned::resolver::{ResolvedSocketAddrs, Resolver};
use ureq::unversioned::transport::NextTimeout;

use files::{ResolvConf, in_hosts_file};
use query::ask;

/// How often each server is asked before the next one is.
const ATTEMPTS: usize = 2;

/// As many addresses as the HTTP client keeps.
const MAX_ADDRESSES: usize = 16;

/// Resolves with `/etc/hosts`, then with the servers in `/etc/resolv.conf`.
#[derive(Debug)]
pub(super) struct SystemFiles;

impl Resolver for SystemFiles {
    fn resolve(
        &self,
        uri: &Uri,
        _config: &Config,
        _timeout: NextTimeout,
    ) -> Result<ResolvedSocketAddrs, ureq::Error> {
        let host = uri.host().ok_or(ureq::Error::HostNotFound)?;
        let default = if uri.scheme_str() == Some("http") { 80 } else { 443 };
        let port = uri.port_u16().unwrap_or(default);
        let found = addresses(host).map_err(ureq::Error::Io)?;
        let mut result = self.empty();
        for address in found.into_iter().take(MAX_ADDRESSES) {
            result.push(SocketAddr::new(address, port));
        }
        if result.is_empty() { Err(ureq::Error::HostNotFound) } else { Ok(result) }
    }
}

/// The addresses of `host`; none means that the name does not exist.
fn addresses(host: &str) -> io::Result<Vec<IpAddr>> {
    let host = host.trim_start_matches('[').trim_end_matches(']');
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    // Not left to a server, which could send "this machine" to another one over plain http.
    if host.eq_ignore_ascii_case("localhost") {
        return Ok(vec![Ipv4Addr::LOCALHOST.into(), Ipv6Addr::LOCALHOST.into()]);
    }
    // An image need not have either file; the C library goes on without, too.
    let hosts = fs::read_to_string("/etc/hosts").unwrap_or_default();
    let listed = in_hosts_file(&hosts, host);
    if !listed.is_empty() {
        return Ok(listed);
    }
    let conf = ResolvConf::parse(&fs::read_to_string("/etc/resolv.conf").unwrap_or_default());
    let mut failure = None;
    for name in conf.candidates(host) {
        match ask_all(&conf.servers, &name) {
            Ok(found) if !found.is_empty() => return Ok(found),
            Ok(_) => {}
            Err(error) => failure = Some(error),
        }
    }
    failure.map_or(Ok(Vec::new()), Err)
}

/// Asks the servers in turn for both families; the first that answers decides.
fn ask_all(servers: &[SocketAddr], name: &str) -> io::Result<Vec<IpAddr>> {
    let mut failure = io::Error::other("no name server is configured");
    for server in servers.iter().flat_map(|server| [*server; ATTEMPTS]) {
        let answers = ask(server, name, TYPE::A).map(|mut found| {
            // Without this family the other may still do, so its failure is not one of the name.
            found.extend(ask(server, name, TYPE::AAAA).unwrap_or_default());
            found
        });
        match answers {
            Ok(found) => return Ok(found),
            Err(error) => {
                let text = format!("the name server {} gave no answer for {name}: {error}", server.ip());
                failure = io::Error::new(error.kind(), text);
            }
        }
    }
    Err(failure)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn literals_and_this_machine_ask_nobody() {
        assert_eq!(addresses("[::1]").unwrap(), [IpAddr::from(Ipv6Addr::LOCALHOST)]);
        assert_eq!(addresses("127.0.0.9").unwrap(), ["127.0.0.9".parse::<IpAddr>().unwrap()]);
        assert_eq!(addresses("localhost").unwrap().len(), 2);
    }
}
