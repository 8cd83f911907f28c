//! The supervisor as a process, with a cell of one program below it.

use std::ffi::OsString;
use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use agent_sandbox::ipc::{self, Mechanism, SocketRules, Supervisor, Turn, filter};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, SocketFlags, SocketType, recvmsg, sendmsg, socketpair,
};

/// `MECHANISM MOVES WRITABLE LISTED PROGRAM...`
pub(crate) fn run(mut arguments: Vec<OsString>) -> ExitCode {
    let program = arguments.split_off(4);
    let mechanism = match arguments[0].to_str().unwrap() {
        "landlock" => Mechanism::Landlock,
        "supervisor" => Mechanism::Supervisor,
        "closed" => Mechanism::Closed,
        other => panic!("no mechanism {other}"),
    };
    let rules = SocketRules {
        shared: Vec::new(),
        moves_are_shut: arguments[1] == "shut",
        writable: vec![PathBuf::from(&arguments[2])],
        listed: vec![PathBuf::from(&arguments[3])],
        mechanism,
    };
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    // Nobody of the same user may look into it.
    rustix::process::set_dumpable_behavior(rustix::process::DumpableBehavior::NotDumpable).unwrap();
    let (ours, theirs) =
        socketpair(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None).unwrap();
    let lines = filter::sockets(mechanism);
    let mut command = Command::new(&program[0]);
    command.args(&program[1..]);
    let enter = move || {
        rustix::thread::set_no_new_privs(true)?;
        if mechanism.notifies() {
            hand_over(&theirs, ipc::install(&lines)?.as_fd())
        } else {
            ipc::install_plain(&lines)
        }
    };
    // SAFETY: makes system calls alone, and allocates nothing.
    let mut child = unsafe { command.pre_exec(enter) }.spawn().unwrap();
    drop(command);
    if mechanism.notifies() {
        let mut supervisor = Supervisor::new(take(&ours), rules).unwrap();
        loop {
            let timeout = supervisor.next().map(|wait| Timespec::try_from(wait).unwrap());
            let mut files = [PollFd::new(&supervisor, PollFlags::IN)];
            let _ = poll(&mut files, timeout.as_ref());
            if supervisor.turn().unwrap() == Turn::Ended {
                break;
            }
        }
    }
    let status = child.wait().unwrap();
    ExitCode::from(u8::from(!status.success()))
}

fn hand_over(to: &OwnedFd, listener: BorrowedFd<'_>) -> std::io::Result<()> {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = SendAncillaryBuffer::new(&mut space);
    let listeners = [listener];
    ancillary.push(SendAncillaryMessage::ScmRights(&listeners));
    sendmsg(to, &[IoSlice::new(b"l")], &mut ancillary, SendFlags::empty())?;
    Ok(())
}

fn take(from: &OwnedFd) -> OwnedFd {
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut ancillary = RecvAncillaryBuffer::new(&mut space);
    let mut byte = [0];
    recvmsg(from, &mut [IoSliceMut::new(&mut byte)], &mut ancillary, RecvFlags::CMSG_CLOEXEC).unwrap();
    let listener = ancillary.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut files) => files.next(),
        _ => None,
    });
    listener.unwrap()
}
