//! What a program in the cell tries. Each says in one line what came of it.

use std::io::{IoSlice, IoSliceMut, Read as _, Write as _};
use std::mem::MaybeUninit;
use std::net::{TcpListener, TcpStream};
use std::os::fd::{AsFd as _, AsRawFd as _, BorrowedFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use agent_sandbox::ipc;
use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketAddrUnix, SocketFlags, SocketType, recvmsg, sendmsg, socket_with,
    socketpair,
};

type Tried<T> = Result<T, Errno>;

/// Runs one and prints what it says.
pub(crate) fn run(arguments: &[String]) {
    let words: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let said = match words[..] {
        ["connect", kind, path] => said(connect(kind, path).map(|socket| who(&socket))),
        ["connect-in", folder, path] => {
            std::env::set_current_dir(folder).unwrap();
            said(connect("stream", path).map(|socket| who(&socket)))
        }
        ["abstract", name] => said(connect_abstract(name).map(|socket| who(&socket))),
        ["raw", len, first] => said(raw_address(len.parse().unwrap(), first.parse().unwrap())),
        ["bind", path] => said(bind("stream", path).map(|_| 'b')),
        ["datagrams", path] => datagrams(path),
        ["pairs", path] => pairs(path),
        ["entries"] => entries(),
        ["race-memory", times, good, bad] => race_memory(times.parse().unwrap(), good, bad),
        ["race-descriptor", times, good, bad] => race_descriptor(times.parse().unwrap(), good, bad),
        ["race-names", times, folder, bad] => race_names(times.parse().unwrap(), folder, bad),
        ["race-links", times, folder, bad] => race_links(times.parse().unwrap(), folder, bad),
        ["race-bind", times, folder, bad] => race_bind(times.parse().unwrap(), folder, bad),
        ["within", folder] => within(folder),
        ["queue", path, good] => queue(path, good),
        ["storm", processes, each, path] => storm(processes.parse().unwrap(), each.parse().unwrap(), path),
        ["storm-one", each, path] => {
            (0..each.parse().unwrap()).filter(|_| UnixStream::connect(path).is_ok()).count().to_string()
        }
        ["orphan", good] => orphan(good),
        ["label", port] => label(port.parse().unwrap()),
        ["placeholder", path] => placeholder(path),
        ["time", times, path] => time(times.parse().unwrap(), path),
        ["inside"] => ipc::is_inside().to_string(),
        _ => panic!("no attack {words:?}"),
    };
    println!("{said}");
}

fn said<T: ToString>(tried: Tried<T>) -> String {
    match tried {
        Ok(it) => it.to_string(),
        Err(error) => name(error),
    }
}

fn name(error: Errno) -> String {
    let known = [
        (Errno::PERM, "PERM"),
        (Errno::NOENT, "NOENT"),
        (Errno::AGAIN, "AGAIN"),
        (Errno::ACCESS, "ACCES"),
        (Errno::FAULT, "FAULT"),
        (Errno::INVAL, "INVAL"),
        (Errno::NOSYS, "NOSYS"),
        (Errno::PROTONOSUPPORT, "PROTONOSUPPORT"),
        (Errno::AFNOSUPPORT, "AFNOSUPPORT"),
        (Errno::ISCONN, "ISCONN"),
        (Errno::PROTOTYPE, "PROTOTYPE"),
        (Errno::CONNREFUSED, "CONNREFUSED"),
    ];
    let name = known.iter().find(|(known, _)| *known == error);
    name.map_or_else(|| error.raw_os_error().to_string(), |(_, name)| (*name).to_owned())
}

fn kind(kind: &str) -> SocketType {
    match kind {
        "stream" => SocketType::STREAM,
        "packets" => SocketType::SEQPACKET,
        "datagram" => SocketType::DGRAM,
        other => panic!("no kind {other}"),
    }
}

fn socket(of: &str) -> Tried<OwnedFd> {
    socket_with(AddressFamily::UNIX, kind(of), SocketFlags::CLOEXEC, None)
}

fn connect(of: &str, path: &str) -> Tried<OwnedFd> {
    let socket = socket(of)?;
    rustix::net::connect(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

fn connect_abstract(name: &str) -> Tried<OwnedFd> {
    let socket = socket("stream")?;
    rustix::net::connect(&socket, &SocketAddrUnix::new_abstract_name(name.as_bytes())?)?;
    Ok(socket)
}

fn bind(of: &str, path: &str) -> Tried<OwnedFd> {
    let socket = socket(of)?;
    rustix::net::bind(&socket, &SocketAddrUnix::new(path)?)?;
    Ok(socket)
}

/// The letter that the listener answers with.
fn who(socket: &OwnedFd) -> char {
    let mut letter = [b'?'];
    match rustix::net::recv(socket, &mut letter[..], RecvFlags::empty()) {
        Ok((1, _)) => char::from(letter[0]),
        _ => '-',
    }
}

/// An address as long as it says, or not, at any place in memory.
fn call_connect(fd: i32, address: *const u8, len: i32) -> Tried<()> {
    // SAFETY: the kernel checks the address; whoever calls this wants to see what comes of a wrong one.
    let result = unsafe { libc::syscall(libc::SYS_connect, fd, address, len) };
    if result == 0 { Ok(()) } else { Err(last()) }
}

fn last() -> Errno {
    Errno::from_io_error(&std::io::Error::last_os_error()).unwrap()
}

fn raw_address(len: i32, first: u64) -> Tried<char> {
    let mut bytes = vec![b'/'; 256];
    bytes[..2].copy_from_slice(&1u16.to_ne_bytes());
    let address = if first == 0 {
        bytes.as_ptr()
    } else {
        std::ptr::without_provenance(usize::try_from(first).unwrap())
    };
    call_connect(socket("stream")?.as_raw_fd(), address, len)?;
    Ok('!')
}

fn datagrams(path: &str) -> String {
    let send = |socket: &OwnedFd| {
        let address = SocketAddrUnix::new(path)?;
        rustix::net::sendto(socket, b"x", SendFlags::empty(), &address).map(|_| "sent")
    };
    let flags = SocketFlags::CLOEXEC;
    let lone = socket("datagram").and_then(|socket| send(&socket));
    let raw = socket_with(AddressFamily::UNIX, SocketType::RAW, flags, None).and_then(|socket| send(&socket));
    let pair =
        socketpair(AddressFamily::UNIX, SocketType::DGRAM, flags, None).and_then(|(socket, _)| send(&socket));
    [lone, raw, pair].map(said).join(" ")
}

/// Connected sockets that are told to send elsewhere: whether the other end of the pair got it, or nobody.
fn pairs(path: &str) -> String {
    let send = |of| {
        let (socket, other) = socketpair(AddressFamily::UNIX, kind(of), SocketFlags::CLOEXEC, None)?;
        let address = SocketAddrUnix::new(path)?;
        rustix::net::sendto(&socket, b"x", SendFlags::NOSIGNAL, &address)?;
        rustix::net::recv(&other, &mut [0; 1][..], RecvFlags::DONTWAIT).map(|_| "kept")
    };
    let again = |of| {
        let (socket, _other) = socketpair(AddressFamily::UNIX, kind(of), SocketFlags::CLOEXEC, None)?;
        rustix::net::connect(&socket, &SocketAddrUnix::new(path)?).map(|()| "connected")
    };
    [send("stream"), send("packets"), again("stream"), again("packets")].map(said).join(" ")
}

/// Other ways into the kernel: i386, x32, `io_uring`, other families, taking descriptors.
fn entries() -> String {
    let call = |number: i64, a: i64, b: i64, c: i64| {
        // SAFETY: no argument is a pointer that the kernel would write to.
        let result = unsafe { libc::syscall(number, a, b, c) };
        if result >= 0 { "open".to_owned() } else { name(last()) }
    };
    let mut said = Vec::new();
    #[cfg(target_arch = "x86_64")]
    {
        let result: i64;
        // SAFETY: i386's getpid, which touches nothing but the register that it answers in.
        unsafe {
            std::arch::asm!("int 0x80", inlateout("rax") 20_i64 => result, out("r8") _, out("r9") _, out("r10") _, out("r11") _);
        };
        said.push(if result > 0 {
            "open".to_owned()
        } else {
            name(Errno::from_raw_os_error(i32::try_from(-result).unwrap()))
        });
        said.push(call(0x4000_0000 | libc::SYS_socket, 1, 1, 0));
    }
    said.push(call(libc::SYS_io_uring_setup, 0, 0, 0));
    said.push(call(libc::SYS_pidfd_getfd, -1, 0, 0));
    said.push(call(libc::SYS_socket, libc::AF_VSOCK.into(), 1, 0));
    said.push(call(libc::SYS_socket, libc::AF_INET.into(), 1, 262));
    said.join(" ")
}

fn bytes_of(path: &str) -> [u8; 110] {
    let mut bytes = [0; 110];
    bytes[..2].copy_from_slice(&1u16.to_ne_bytes());
    bytes[2..2 + path.len()].copy_from_slice(path.as_bytes());
    bytes
}

/// Another thread changes the address while the call is made: how often the wrong and the right one were reached.
fn race_memory(times: u32, good: &str, bad: &str) -> String {
    let (good, bad) = (bytes_of(good), bytes_of(bad));
    let mut internet = [0; 110];
    internet[..2].copy_from_slice(&2u16.to_ne_bytes());
    let word = |bytes: &[u8; 110], at: usize| {
        let mut word = [0; 8];
        let end = (at * 8 + 8).min(110);
        word[..end - at * 8].copy_from_slice(&bytes[at * 8..end]);
        u64::from_ne_bytes(word)
    };
    let place: Arc<[AtomicU64; 14]> = Arc::new(std::array::from_fn(|at| AtomicU64::new(word(&good, at))));
    let stop = Arc::new(AtomicBool::new(false));
    let swapper = {
        let (place, stop) = (place.clone(), stop.clone());
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                for bytes in [&good, &bad, &internet, &bad] {
                    (0..14).for_each(|at| place[at].store(word(bytes, at), Ordering::Relaxed));
                    (0..200).for_each(|_| std::hint::spin_loop());
                }
            }
        })
    };
    let reached = count(times, || {
        let socket = socket("stream").unwrap();
        call_connect(socket.as_raw_fd(), place.as_ptr().cast(), 110)?;
        Ok(socket)
    });
    stop.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    reached
}

/// Another thread changes what the descriptor stands for.
fn race_descriptor(times: u32, good: &str, bad: &str) -> String {
    let target = socket("stream").unwrap();
    let number = target.as_raw_fd();
    let stop = Arc::new(AtomicBool::new(false));
    let swapper = {
        let stop = stop.clone();
        thread::spawn(move || {
            let (pair, _other) =
                socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
            let tcp =
                socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
            while !stop.load(Ordering::Relaxed) {
                let fresh = socket("stream").unwrap();
                for source in [&fresh, &pair, &tcp] {
                    // SAFETY: the number is a socket's of this test alone, which nobody else relies on.
                    unsafe { libc::dup2(source.as_raw_fd(), number) };
                }
            }
        })
    };
    let addresses = [bytes_of(good), bytes_of(bad)];
    let mut turn = 0;
    let reached = count(times, || {
        turn += 1;
        call_connect(number, addresses[turn % 2].as_ptr(), 110)?;
        // SAFETY: open until the end of this function, whatever it stands for.
        Ok(unsafe { BorrowedFd::borrow_raw(number) }.try_clone_to_owned().unwrap())
    });
    stop.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    reached
}

/// Another thread changes what the path leads to.
fn race_names(times: u32, folder: &str, bad: &str) -> String {
    let path = format!("{folder}/swapped");
    let stop = Arc::new(AtomicBool::new(false));
    let swapper = {
        let (stop, folder, bad, path) = (stop.clone(), folder.to_owned(), bad.to_owned(), path.clone());
        thread::spawn(move || {
            let other = format!("{folder}/next");
            while !stop.load(Ordering::Relaxed) {
                for target in ["a.sock", &bad] {
                    let _ = std::fs::remove_file(&other);
                    std::os::unix::fs::symlink(target, &other).unwrap();
                    std::fs::rename(&other, &path).unwrap();
                }
            }
        })
    };
    let reached = count(times, || connect("stream", &path));
    stop.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    reached
}

/// Another thread gives the wrong socket a name beside the right one's, which it takes away before anybody looks.
fn race_links(times: u32, folder: &str, bad: &str) -> String {
    let path = format!("{folder}/swapped");
    let own = UnixListener::bind(format!("{folder}/own")).unwrap();
    thread::spawn(move || {
        for stream in own.incoming() {
            let _ = stream.and_then(|mut stream| stream.write_all(b"g"));
        }
    });
    let stop = Arc::new(AtomicBool::new(false));
    let swapper = {
        let (stop, folder, bad, path) = (stop.clone(), folder.to_owned(), bad.to_owned(), path.clone());
        thread::spawn(move || {
            let other = format!("{folder}/next");
            while !stop.load(Ordering::Relaxed) {
                for target in [&format!("{folder}/own"), &bad] {
                    let _ = std::fs::remove_file(&other);
                    std::fs::hard_link(target, &other).unwrap();
                    std::fs::rename(&other, &path).unwrap();
                    let _ = std::fs::remove_file(&other);
                    std::os::unix::fs::symlink("own", &other).unwrap();
                    std::fs::rename(&other, &path).unwrap();
                }
            }
        })
    };
    let reached = count(times, || connect("stream", &path));
    stop.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    reached
}

/// Another thread changes where the folder is in which a socket is made: how often one was made.
fn race_bind(times: u32, folder: &str, bad: &str) -> String {
    let inside = format!("{folder}/inside");
    std::fs::create_dir(&inside).unwrap();
    let stop = Arc::new(AtomicBool::new(false));
    let swapper = {
        let (stop, folder, bad) = (stop.clone(), folder.to_owned(), bad.to_owned());
        thread::spawn(move || {
            while !stop.load(Ordering::Relaxed) {
                for target in [&inside, &bad] {
                    let _ = std::os::unix::fs::symlink(target, format!("{folder}/next"));
                    std::fs::rename(format!("{folder}/next"), format!("{folder}/way")).unwrap();
                }
            }
        })
    };
    let made = (0..times).filter(|number| bind("stream", &format!("{folder}/way/{number}")).is_ok()).count();
    stop.store(true, Ordering::Relaxed);
    swapper.join().unwrap();
    made.to_string()
}

fn count(times: u32, mut attempt: impl FnMut() -> Tried<OwnedFd>) -> String {
    let (mut good, mut bad) = (0, 0);
    for _ in 0..times {
        if let Ok(socket) = attempt() {
            let _ = rustix::net::sockopt::set_socket_timeout(
                &socket,
                rustix::net::sockopt::Timeout::Recv,
                Some(Duration::from_millis(200)),
            );
            match who(&socket) {
                'g' => good += 1,
                'b' => bad += 1,
                _ => {}
            }
        }
    }
    format!("good={good} bad={bad}")
}

/// What processes of the cell do with each other.
fn within(folder: &str) -> String {
    let mut said = Vec::new();
    let mut note = |what: &str, held: bool| said.push(format!("{what}={}", if held { "ok" } else { "no" }));

    let path = format!("{folder}/server");
    // SAFETY: changes nothing but the rights of files made from here on.
    unsafe { libc::umask(0o077) };
    let server = UnixListener::bind(&path).unwrap();
    let mode = std::fs::symlink_metadata(&path).unwrap();
    note("umask", std::os::unix::fs::PermissionsExt::mode(&mode.permissions()) & 0o777 == 0o700);
    let itself = std::env::current_exe().unwrap();
    let mut sibling = Command::new(itself);
    sibling.args(["attack", "connect", "stream", &path]).stdout(std::process::Stdio::piped());
    let sibling = sibling.spawn().unwrap();
    server.accept().unwrap().0.write_all(b"w").unwrap();
    note("sibling", sibling.wait_with_output().unwrap().stdout == b"w\n");

    let packets = bind("packets", &format!("{folder}/packets")).unwrap();
    rustix::net::listen(&packets, 5).unwrap();
    let client = connect("packets", &format!("{folder}/packets"));
    note("packets", client.is_ok());
    note(
        "types",
        connect("stream", &format!("{folder}/packets")).is_err_and(|error| error == Errno::PROTOTYPE),
    );

    let bound = bind("stream", &format!("{folder}/bound")).unwrap();
    let result = rustix::net::connect(&bound, &SocketAddrUnix::new(&path).unwrap());
    note("bound sockets do not connect", result == Err(Errno::INVAL));
    let told = SocketAddrUnix::try_from(rustix::net::getsockname(&bound).unwrap()).unwrap();
    note("told by its path", told.path_bytes() == Some(format!("{folder}/bound").as_bytes()));
    note("twice", bind("stream", &path).is_err_and(|error| error == Errno::ADDRINUSE));

    std::env::set_current_dir(folder).unwrap();
    let relative = bind("stream", "relative").unwrap();
    rustix::net::listen(&relative, 1).unwrap();
    note(
        "relative",
        connect("stream", "./relative").is_ok() && connect("stream", &format!("{folder}/relative")).is_ok(),
    );

    // The kernel chooses a name.
    let chosen = socket("stream").unwrap();
    // SAFETY: an address of two bytes, which is the family.
    let result = unsafe {
        let family = 1u16;
        libc::bind(chosen.as_raw_fd(), (&raw const family).cast(), 2)
    };
    rustix::net::listen(&chosen, 1).unwrap();
    let address = SocketAddrUnix::try_from(rustix::net::getsockname(&chosen).unwrap()).unwrap();
    let client = socket("stream").unwrap();
    note("chosen name", result == 0 && rustix::net::connect(&client, &address).is_ok());
    let again = rustix::net::connect(&client, &address);
    note("connected is connected", again == Err(Errno::ISCONN));

    // Descriptors travel.
    let (one, other) = UnixStream::pair().unwrap();
    let carrier = UnixStream::connect(&path).unwrap();
    let (accepted, _) = server.accept().unwrap();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let files = [one.as_fd()];
    ancillary.push(SendAncillaryMessage::ScmRights(&files));
    sendmsg(&carrier, &[IoSlice::new(b"f")], &mut ancillary, SendFlags::empty()).unwrap();
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    recvmsg(&accepted, &mut [IoSliceMut::new(&mut [0])], &mut ancillary, RecvFlags::empty()).unwrap();
    let arrived = ancillary.drain().any(|message| matches!(message, RecvAncillaryMessage::ScmRights(_)));
    drop(other);
    note("descriptors", arrived);

    // The copy of a placeholder stays one; so does a child's.
    let original = socket("stream").unwrap();
    let copy = original.try_clone().unwrap();
    rustix::net::connect(&original, &SocketAddrUnix::new(&path).unwrap()).unwrap();
    note("copy", rustix::net::connect(&copy, &SocketAddrUnix::new(&path).unwrap()).is_ok());
    said.join(" ")
}

/// A full queue: who must not wait is told; who waits does not keep others from connecting.
fn queue(path: &str, good: &str) -> String {
    let listener = bind("stream", path).unwrap();
    rustix::net::listen(&listener, 1).unwrap();
    let hurried = || {
        let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
        let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
        rustix::net::connect(&socket, &SocketAddrUnix::new(path).unwrap()).map(|()| socket)
    };
    let mut held = Vec::new();
    let full = loop {
        match hurried() {
            Ok(socket) => held.push(socket),
            Err(error) => break error,
        }
    };
    let patient = {
        let path = path.to_owned();
        thread::spawn(move || said(connect("stream", &path).map(|_| "came through")))
    };
    // The patient one waits now, or will; others go on all the while.
    let others = (0..200).filter(|_| connect("stream", good).is_ok_and(|socket| who(&socket) == 'g')).count();
    let waited = !patient.is_finished();
    rustix::net::accept(&listener).unwrap();
    format!("{} others={others} waited={waited} then {}", name(full), patient.join().unwrap())
}

fn storm(processes: usize, each: u32, path: &str) -> String {
    let itself = std::env::current_exe().unwrap();
    let children: Vec<_> = (0..processes)
        .map(|_| {
            let mut command = Command::new(&itself);
            command
                .args(["attack", "storm-one", &each.to_string(), path])
                .stdout(std::process::Stdio::piped());
            command.spawn().unwrap()
        })
        .collect();
    let came: u32 = children
        .into_iter()
        .map(|child| {
            String::from_utf8(child.wait_with_output().unwrap().stdout)
                .unwrap()
                .trim()
                .parse::<u32>()
                .unwrap()
        })
        .sum();
    came.to_string()
}

/// Waits until the keeper has been killed, and goes on.
fn orphan(good: &str) -> String {
    let before = UnixStream::connect(good).is_ok();
    let placeholder = socket("stream").unwrap();
    println!("ready {before} {}", std::process::id());
    std::io::stdout().flush().unwrap();
    std::io::stdin().read_exact(&mut [0]).unwrap();
    let fresh = socket("stream").map(|_| "made");
    let old = rustix::net::connect(&placeholder, &SocketAddrUnix::new(good).unwrap()).map(|()| "connected");
    [said(fresh), said(old)].join(" ")
}

/// The TCP sockets' label: on a new one, after trying to take it off, on an accepted one that is used anew.
fn label(port: u16) -> String {
    let listener = TcpListener::bind(("127.0.0.1", port)).unwrap();
    let stream = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (accepted, _) = listener.accept().unwrap();
    let option = |fd: BorrowedFd<'_>, level, name| {
        let (mut value, mut len) = (0i32, 4u32);
        // SAFETY: both point to locals of the length given.
        let result =
            unsafe { libc::getsockopt(fd.as_raw_fd(), level, name, (&raw mut value).cast(), &raw mut len) };
        assert_eq!(result, 0);
        value
    };
    let set = |fd: BorrowedFd<'_>, level, name, value: i32| {
        // SAFETY: points to a local of the length given.
        let result = unsafe { libc::setsockopt(fd.as_raw_fd(), level, name, (&raw const value).cast(), 4) };
        if result == 0 { "done".to_owned() } else { self::name(last()) }
    };
    let shows = |fd: BorrowedFd<'_>| format!("{}/{}", option(fd, 1, 12), option(fd, 0, 2));
    let mut said = vec![shows(listener.as_fd()), shows(stream.as_fd())];
    said.push(set(stream.as_fd(), 1, 12, 0));
    said.push(set(stream.as_fd(), 0, 1, 0x10));
    said.push(set(stream.as_fd(), 0, 2, 64));
    said.push(shows(stream.as_fd()));
    said.push(option(accepted.as_fd(), 0, 2).to_string());
    let none = [0u8; 16];
    call_connect(accepted.as_raw_fd(), none.as_ptr(), 16).unwrap();
    said.push(option(accepted.as_fd(), 0, 2).to_string());
    said.join(" ")
}

/// What a socket says of itself before it is connected, and afterwards, with what was set on it.
fn placeholder(path: &str) -> String {
    let flags = SocketFlags::NONBLOCK;
    let socket = socket_with(AddressFamily::UNIX, SocketType::STREAM, flags, None).unwrap();
    let about = |socket: &OwnedFd| {
        let of = rustix::net::sockopt::socket_domain(socket).unwrap();
        let nonblocking = rustix::fs::fcntl_getfl(socket).unwrap().contains(rustix::fs::OFlags::NONBLOCK);
        let closes = rustix::io::fcntl_getfd(socket).unwrap().contains(rustix::io::FdFlags::CLOEXEC);
        format!("{}/{nonblocking}/{closes}", of.as_raw())
    };
    let before = about(&socket);
    rustix::net::connect(&socket, &SocketAddrUnix::new(path).unwrap()).unwrap();
    format!("{before} {}", about(&socket))
}

fn time(times: u32, path: &str) -> String {
    let mut took: Vec<Duration> = (0..times)
        .map(|_| {
            let socket = socket("stream").unwrap();
            let address = SocketAddrUnix::new(path).unwrap();
            let start = Instant::now();
            rustix::net::connect(&socket, &address).unwrap();
            start.elapsed()
        })
        .collect();
    took.sort_unstable();
    format!("{:.1}", took[took.len() / 2].as_secs_f64() * 1e6)
}
