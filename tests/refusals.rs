//! What a program is told that is refused, by the clients that people use: at once, and in words that mean something.
//! Each is seen to get through without the sandbox first, where it asks for somebody.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[expect(dead_code, reason = "other tests use the rest of it")]
mod internet;
#[expect(dead_code, reason = "other tests use the rest of it")]
mod lab;

use std::process::Output;
use std::time::{Duration, Instant};

use internet::{Internet, ResolverAsks, Who};

/// Nothing is left to run into its own time-out; a busy machine may take this long.
const AT_ONCE: Duration = Duration::from_secs(10);
const PYTHON: &str = "/usr/bin/python3";

/// A program that is refused, with what it says then.
struct Case {
    /// Words of a shell.
    script: String,
    /// What standard output and error must hold, one of them.
    says: &'static [&'static str],
}

fn case(script: &str, says: &'static [&'static str]) -> Case {
    Case { script: script.to_owned(), says }
}

fn python(code: &str, says: &'static [&'static str]) -> Case {
    case(&format!("{PYTHON} -c '{code}'"), says)
}

/// The internet, or why this test does not run.
fn open() -> Option<Internet> {
    if !rustix::process::geteuid().is_root() {
        assert!(std::env::var_os("CI").is_none(), "these tests need root, and CI must run them");
        eprintln!("SKIPPED: this test makes network namespaces and needs root: run it with sudo");
        return None;
    }
    let programs = ["curl", "openssl", "git", "apt-get", "nft", "nsenter", "setpriv"];
    let found = |program: &&str| {
        std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .any(|folder| folder.join(program).exists())
    };
    let missing: Vec<&str> = programs.into_iter().filter(|program| !found(program)).collect();
    if !missing.is_empty() || !std::path::Path::new(PYTHON).exists() {
        assert!(std::env::var_os("CI").is_none(), "CI must have {missing:?} and {PYTHON}");
        eprintln!("SKIPPED: this test needs {PYTHON} and {missing:?}");
        return None;
    }
    Some(Internet::new(ResolverAsks::FromTheContainer))
}

/// Runs a script as a user of the container; it must end by itself.
fn run(internet: &Internet, script: &str) -> (Output, String) {
    let began = Instant::now();
    let mut command = internet.command(Who::User);
    command.env("CA", internet.folder().join("ca.pem"));
    command.args(["timeout", "60", "sh", "-c", script]);
    let output = command.output().unwrap();
    let said = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(began.elapsed() < AT_ONCE, "took {:?}: {script}\n{said}", began.elapsed());
    (output, said)
}

fn check(internet: &Internet, cases: &[Case]) {
    for Case { script, says } in cases {
        let (output, said) = run(internet, script);
        assert!(!output.status.success(), "it was not refused: {script}\n{said}");
        assert!(says.iter().any(|words| said.contains(words)), "expected one of {says:?}: {script}\n{said}");
    }
}

/// Without the sandbox all of them get through.
fn check_that_they_work(internet: &Internet, cases: &[Case]) {
    for Case { script, .. } in cases {
        let (output, said) = run(internet, script);
        assert!(output.status.success(), "without the sandbox: {script}\n{said}");
    }
}

#[test]
fn what_the_gate_refuses_is_told_by_tls_and_http() {
    let Some(internet) = open() else { return };
    let curl = "curl --silent --show-error --fail-with-body --cacert $CA";
    let to_evil = "--resolve www.evil.test:443:203.0.113.66 --resolve www.evil.test:80:203.0.113.66";
    let cases = [
        // access_denied, as RFC 8446 section 6.2 has it, in OpenSSL's words.
        case(&format!("{curl} {to_evil} https://www.evil.test/"), &["alert access denied"]),
        case(
            "openssl s_client -connect 203.0.113.66:443 -servername www.evil.test -CAfile $CA -verify_return_error </dev/null",
            &["alert access denied"],
        ),
        python(
            "import socket, ssl, os; c = ssl.create_default_context(cafile=os.environ[\"CA\"]); \
             c.wrap_socket(socket.create_connection((\"203.0.113.66\", 443)), server_hostname=\"www.evil.test\")",
            &["ALERT_ACCESS_DENIED"],
        ),
        // A sentence, with what it is about and why.
        case(
            &format!("{curl} {to_evil} http://www.evil.test/"),
            &["refused www.evil.test:80: not in the policy"],
        ),
        case(&format!("{curl} http://203.0.113.66/"), &["names an address and no host"]),
        case(
            "git -c http.curloptResolve=www.evil.test:80:203.0.113.66 -c http.emptyAuth=true \
             ls-remote --exit-code http://www.evil.test/x.git; test $? = 2",
            &["The requested URL returned error: 403"],
        ),
    ];
    // The host beyond is no git server: git is content with whatever it answers, and says that it has no refs.
    check_that_they_work(&internet, &cases[..5]);
    internet.start_sandbox();
    check(&internet, &cases);
    let proxied = [
        case(
            &format!("{curl} --proxy http://127.0.0.1:15080 https://www.evil.test/"),
            &["response 403", "code 403"],
        ),
        case(
            &format!("{curl} --proxy http://127.0.0.1:15080 http://www.evil.test/"),
            &["refused www.evil.test:80: not in the policy"],
        ),
    ];
    check(&internet, &proxied);
    // Listed, and with nobody there: not the policy's doing, and told apart.
    let (output, said) = run(
        &internet,
        "curl -sS --resolve rebind-metadata.example:80:203.0.113.10 http://rebind-metadata.example/",
    );
    assert!(output.status.success() && said.contains("cannot be reached"), "{said}");
}

#[test]
fn names_that_are_not_listed_do_not_exist() {
    let Some(internet) = open() else { return };
    let cases = [
        case("getent hosts www.evil.test || { echo status $?; exit 1; }", &["status 2\n"]),
        python(
            "import socket; socket.getaddrinfo(\"www.evil.test\", 443)",
            &["[Errno -2] Name or service not known", "[Errno -5] No address associated with hostname"],
        ),
        // The answer itself: a code of three, from whichever server.
        python(
            "import socket; s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM); \
             q = bytes.fromhex(\"123401000001000000000000\") + b\"\\x03www\\x04evil\\x04test\\0\\0\\1\\0\\1\"; \
             s.sendto(q, (\"203.0.113.66\", 53)); print(\"code\", s.recv(512)[3] & 15); \
             raise SystemExit(1)",
            &["code 3\n"],
        ),
        case("curl -sS https://www.evil.test/", &["Could not resolve host: www.evil.test"]),
        case("git ls-remote https://www.evil.test/x.git", &["Could not resolve host: www.evil.test"]),
        case(
            "d=$(mktemp -d) && mkdir -p $d/lists/partial $d/archives/partial && \
             echo \"deb [trusted=yes] http://www.evil.test/debian x main\" >$d/sources && \
             apt-get -o Dir::State=$d -o Dir::Cache=$d -o Dir::Etc::SourceList=$d/sources \
             -o Dir::Etc::SourceParts=/dev/null -o Acquire::Retries=0 -o APT::Update::Error-Mode=any update",
            &["Could not resolve 'www.evil.test'"],
        ),
    ];
    check_that_they_work(&internet, &cases[..2]);
    internet.start_sandbox();
    check(&internet, &cases);
}

#[test]
fn packets_that_are_refused_are_told_so() {
    let Some(internet) = open() else { return };
    let socket = |family: &str, kind: &str, act: &str| {
        python(
            &format!(
                "import socket, time; s = socket.socket(socket.{family}, {kind}); s.settimeout(30); {act}; print(\"through\")"
            ),
            &[],
        )
    };
    // A datagram's refusal is told when it is sent, or by what the socket says next.
    let twice = "s.send(b\"\\xc3\\0\\0\\0\\1\" + bytes(1200)); time.sleep(0.2); s.send(b\"x\")";
    let udp = "socket.SOCK_DGRAM";
    let icmp = "socket.SOCK_DGRAM, socket.IPPROTO_ICMP";
    let refused = &["[Errno 111]"][..];
    // EPERM, EACCES or EHOSTUNREACH, by where the kernel meets the refusal.
    let prohibited = &["[Errno 1]", "[Errno 13]", "[Errno 113]"][..];
    let tcp = "socket.SOCK_STREAM";
    let (mut cases, mut datagrams) = (Vec::new(), Vec::new());
    for (family, evil, gateway) in
        [("AF_INET", "203.0.113.66", "172.30.0.1"), ("AF_INET6", "2001:db8:113::66", "fd30::1")]
    {
        for (target, port) in [(evil, 8080), (evil, 22), (gateway, 8080), (gateway, 5432)] {
            let connect = format!("s.connect((\"{target}\", {port}))");
            cases.push(Case { says: refused, ..socket(family, tcp, &connect) });
        }
        // QUIC, so that a client that tries it first falls back; and a game, a VPN.
        for port in [443, 27015, 51820] {
            let send = format!("s.connect((\"{evil}\", {port})); {twice}");
            datagrams.push(Case { says: refused, ..socket(family, udp, &send) });
        }
    }
    let echo = "s.connect((\"203.0.113.66\", 0)); s.send(b\"\\x08\\0\\0\\0\\0\\1\\0\\1\"); \
                time.sleep(0.2); s.send(b\"\\x08\\0\\0\\0\\0\\1\\0\\2\")";
    cases.push(Case { says: prohibited, ..socket("AF_INET", icmp, echo) });
    check_that_they_work(&internet, &cases);
    // The host beyond listens on none of these, and says so: the datagrams arrive.
    check(&internet, &datagrams);
    internet.start_sandbox();
    for datagram in &mut datagrams {
        datagram.says = prohibited;
    }
    check(&internet, &cases);
    check(&internet, &datagrams);
}
