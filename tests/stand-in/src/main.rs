//! The internet of the container tests: DNS, HTTP, TCP and UDP servers that say that they were reached, and
//! a scripted Messages API. One JSON line on standard output for everything that happens.

mod dns;
mod http;
mod log;
mod messages;
mod serve;
mod tcp;
mod tls;
mod turn;
mod udp;
mod web;
mod zone;

use std::net::SocketAddr;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use anyhow::Context as _;
use lexopt::{Arg, ValueExt as _};

use messages::{Call, Script};
use serve::Manner;
use turn::Turn;
use zone::Zones;

const USAGE: &str = "\
usage: stand-in [FLAG VALUE]...

  --dns ADDR:PORT       answer DNS over UDP and TCP from the zones, NXDOMAIN else
  --zone NAME=IP[,IP]   a name and its addresses
  --ttl SECONDS         how long DNS answers hold (60)
  --delay MS            how long a DNS answer over UDP takes (0)
  --messages ADDR:PORT  a Messages API that lets the agent use its tools
  --command TEXT        the command of the next tool call; after the last one the agent is done
  --call TOOL=JSON      the next tool call is of another tool
  --times N             all calls so many times over (1)
  --rotate SECONDS      a name with several addresses moves to its next one
  --tls FOLDER          the Messages API speaks TLS, with the folder's certificate.pem and key.pem
  --turn PLACE/OF       the Messages API is there when it is its turn, and one turn more; after --rotate
  --http ADDR:PORT      answer every HTTP request with 200
  --tcp ADDR:PORT       greet every TCP connection
  --udp ADDR:PORT       send every UDP datagram back

Flags that stand for servers, names and calls may be given several times. An IPv6 address is written [::1]:53.
";

/// What the flags ask for.
#[derive(Debug, Default)]
struct Plan {
    help: bool,
    dns: Vec<SocketAddr>,
    messages: Vec<SocketAddr>,
    http: Vec<SocketAddr>,
    tcp: Vec<SocketAddr>,
    udp: Vec<SocketAddr>,
    zones: Zones,
    script: Script,
    manner: Manner,
}

fn main() -> ExitCode {
    let plan = match parse(lexopt::Parser::from_env()) {
        Ok(plan) if plan.help => {
            print!("{USAGE}");
            return ExitCode::SUCCESS;
        }
        Ok(plan) => plan,
        Err(error) => {
            eprintln!("stand-in: {error:#}; see --help");
            return ExitCode::from(2);
        }
    };
    match run(plan) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("stand-in: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn parse(mut parser: lexopt::Parser) -> anyhow::Result<Plan> {
    let mut plan = Plan::default();
    while let Some(arg) = parser.next()? {
        match arg {
            Arg::Long("dns") => plan.dns.push(parser.value()?.parse()?),
            Arg::Long("messages") => plan.messages.push(parser.value()?.parse()?),
            Arg::Long("http") => plan.http.push(parser.value()?.parse()?),
            Arg::Long("tcp") => plan.tcp.push(parser.value()?.parse()?),
            Arg::Long("udp") => plan.udp.push(parser.value()?.parse()?),
            Arg::Long("zone") => plan.zones.add(&parser.value()?.string()?)?,
            Arg::Long("ttl") => plan.zones.ttl = parser.value()?.parse()?,
            Arg::Long("delay") => plan.zones.delay = Duration::from_millis(parser.value()?.parse()?),
            Arg::Long("command") => plan.script.calls.push(Call::command(&parser.value()?.string()?)),
            Arg::Long("call") => plan.script.calls.push(Call::parse(&parser.value()?.string()?)?),
            Arg::Long("times") => plan.script.times = parser.value()?.parse()?,
            Arg::Long("rotate") => plan.zones.rotate = Duration::from_secs(parser.value()?.parse()?),
            Arg::Long("turn") => {
                plan.manner.turn = Some(Turn::parse(&parser.value()?.string()?, plan.zones.rotate)?);
            }
            Arg::Long("tls") => plan.manner.tls = Some(tls::load(Path::new(&parser.value()?))?),
            Arg::Short('h') | Arg::Long("help") => plan.help = true,
            other => return Err(other.unexpected().into()),
        }
    }
    let servers = [&plan.dns, &plan.messages, &plan.http, &plan.tcp, &plan.udp];
    anyhow::ensure!(plan.help || servers.iter().any(|list| !list.is_empty()), "no server was asked for");
    Ok(plan)
}

/// Binds every address before it serves any, so that a wrong one is told at once.
fn run(plan: Plan) -> anyhow::Result<()> {
    let (zones, script) = (Arc::new(plan.zones), Arc::new(plan.script));
    let mut threads = Vec::new();
    for address in plan.dns {
        let zones_udp = Arc::clone(&zones);
        let (socket, bound) = serve::bind_udp("dns", address)?;
        threads.push(thread::spawn(move || dns::serve_udp(&socket, &zones_udp)));
        // The same port for both when the system was left to pick one.
        let zones = Arc::clone(&zones);
        let handle = move |peer: &serve::Peer| dns::serve_tcp(peer, &zones);
        threads.push(serve::tcp("dns-tcp", bound, Manner::default(), handle)?);
    }
    for address in plan.messages {
        let script = Arc::clone(&script);
        let handle = move |peer: &serve::Peer| messages::serve(peer, &script);
        threads.push(serve::tcp("messages", address, plan.manner.clone(), handle)?);
    }
    for address in plan.http {
        threads.push(serve::tcp("http", address, Manner::default(), web::serve)?);
    }
    for address in plan.tcp {
        threads.push(serve::tcp("tcp", address, Manner::default(), tcp::serve)?);
    }
    for address in plan.udp {
        let (socket, bound) = serve::bind_udp("udp", address)?;
        threads.push(thread::spawn(move || udp::serve(&socket, bound)));
    }
    log::line(&serde_json::json!({"ready": true}));
    for thread in threads {
        thread.join().ok().context("a server ended")?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn plan(args: &[&str]) -> anyhow::Result<Plan> {
        parse(lexopt::Parser::from_args(args))
    }

    #[test]
    fn flags() {
        let plan = plan(&[
            "--dns",
            "[::1]:53",
            "--dns",
            "127.0.0.1:53",
            "--zone",
            "a.example=10.0.0.1,fd00::1",
            "--ttl=5",
            "--messages",
            "127.0.0.1:8099",
            "--command",
            "id -u",
            "--command",
            "true",
            "--call",
            "Read={}",
            "--times=3",
            "--rotate=4",
            "--turn=1/4",
            "--http",
            "[fd00::2]:80",
            "--udp",
            "0.0.0.0:443",
            "--tcp",
            "0.0.0.0:22",
        ])
        .unwrap();
        assert_eq!(plan.dns.len(), 2);
        assert_eq!(plan.zones.ttl, 5);
        let calls = [Call::command("id -u"), Call::command("true"), Call::parse("Read={}").unwrap()];
        assert_eq!(plan.script.calls, calls);
        assert_eq!(plan.script.times, 3);
        assert!(plan.manner.turn.is_some());
        assert_eq!(plan.http, ["[fd00::2]:80".parse().unwrap()]);
    }

    #[test]
    fn refused() {
        for args in [
            &[][..],
            &["--dns", "::1"],
            &["--dns", "localhost:53"],
            &["--tcp", "1.2.3.4:22", "--zone", "a.example"],
            &["--tcp", "1.2.3.4:22", "--zone", "a.example=host"],
            &["--tcp", "1.2.3.4:22", "extra"],
            &["--messages", "1.2.3.4:80", "--turn", "0/2"],
            &["--messages", "1.2.3.4:80", "--call", "Read"],
            &["--messages", "1.2.3.4:443", "--tls", "/nowhere"],
        ] {
            assert!(plan(args).is_err(), "{args:?}");
        }
    }
}
