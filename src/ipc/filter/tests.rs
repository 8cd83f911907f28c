use super::*;
use crate::ipc::assembler::run;

use Mechanism::{Closed, Landlock, LandlockUnlabelled, Supervisor};

const EVERY: [Mechanism; 4] = [Landlock, LandlockUnlabelled, Supervisor, Closed];
const INTERFACES: [&Interface; 2] = [&X86_64, &AARCH64];
const STREAM: u64 = 1;
const DATAGRAM: u64 = 2;
const RAW: u64 = 3;
const PACKETS: u64 = 5;
/// `SOCK_NONBLOCK | SOCK_CLOEXEC`.
const FLAGS: u64 = 0o4000 | 0o200_0000;
/// What the kernel ignores of a 64-bit register that holds an `int`.
const HIGH: u64 = 0xdead_beef_0000_0000;

fn ask(mechanism: Mechanism, calls: &Interface, number: u32, arguments: [u64; 3]) -> u32 {
    let [a, b, c] = arguments;
    run(&build(mechanism, calls), calls.architecture, number, [a, b, c, 0, 0, 0])
}

/// For each mechanism in the order of [`EVERY`], on both architectures, with every disguise of the arguments.
#[track_caller]
fn table(number: impl Fn(&Interface) -> u32, arguments: [u64; 3], expected: [u32; 4]) {
    for calls in INTERFACES {
        for (mechanism, expected) in EVERY.into_iter().zip(expected) {
            for disguise in [0, HIGH] {
                let disguised = arguments.map(|argument| argument | disguise);
                let found = ask(mechanism, calls, number(calls), disguised);
                assert_eq!(found, expected, "{mechanism:?} {arguments:?}");
            }
        }
    }
}

const REFUSED: u32 = refuse(libc::EACCES);

#[test]
fn unix_sockets() {
    for flags in [0, FLAGS] {
        for kind in [STREAM, PACKETS] {
            table(|calls| calls.socket, [1, kind | flags, 0], [ALLOW, ALLOW, NOTIFY, REFUSED]);
            table(|calls| calls.socketpair, [1, kind | flags, 0], [ALLOW; 4]);
        }
        for kind in [DATAGRAM, RAW, 0, 4, 6, 10, 15] {
            table(|calls| calls.socket, [1, kind | flags, 0], [ALLOW, ALLOW, REFUSED, REFUSED]);
            table(|calls| calls.socketpair, [1, kind | flags, 0], [ALLOW, ALLOW, REFUSED, REFUSED]);
        }
    }
    table(|calls| calls.connect, [3, 0, 16], [ALLOW, ALLOW, NOTIFY, ALLOW]);
    table(|calls| calls.bind, [3, 0, 16], [ALLOW, ALLOW, NOTIFY, ALLOW]);
}

#[test]
fn internet_sockets() {
    const NONE: u32 = refuse(libc::EPROTONOSUPPORT);
    const FOREIGN: u32 = refuse(libc::EAFNOSUPPORT);
    for family in [2, 10] {
        for flags in [0, FLAGS] {
            for protocol in [0, 6] {
                let labelled = [NOTIFY, ALLOW, NOTIFY, ALLOW];
                table(|calls| calls.socket, [family, STREAM | flags, protocol], labelled);
            }
            for protocol in [132, 262] {
                table(|calls| calls.socket, [family, STREAM | flags, protocol], [NONE; 4]);
            }
            for kind in [0, 4, PACKETS, 6, 10] {
                table(|calls| calls.socket, [family, kind | flags, 0], [NONE; 4]);
            }
            for kind in [DATAGRAM, RAW] {
                table(|calls| calls.socket, [family, kind | flags, 17], [ALLOW; 4]);
            }
        }
    }
    table(|calls| calls.socket, [16, RAW, 0], [ALLOW; 4]);
    for family in [0, 3, 17, 21, 30, 38, 40, 41, 43, 44, 0xffff_ffff] {
        table(|calls| calls.socket, [family, STREAM, 0], [FOREIGN; 4]);
        table(|calls| calls.socketpair, [family, STREAM, 0], [FOREIGN; 4]);
    }
}

#[test]
fn the_label_stays() {
    const NO: u32 = refuse(libc::EPERM);
    let set = |calls: &Interface| calls.setsockopt;
    table(set, [3, 1, 12], [NO, ALLOW, NO, ALLOW]);
    table(set, [3, 0, 4], [NO, ALLOW, NO, ALLOW]);
    for (level, option) in [(0, 1), (0, 2), (41, 67), (41, 16)] {
        table(set, [3, level, option], [PRETEND, ALLOW, PRETEND, ALLOW]);
    }
    for (level, option) in [(1, 2), (1, 13), (0, 12), (0, 67), (6, 1), (6, 12), (41, 1), (41, 12)] {
        table(set, [3, level, option], [ALLOW; 4]);
    }
}

#[test]
fn ways_around_are_closed() {
    const ABSENT: u32 = refuse(libc::ENOSYS);
    for number in [425, 426, 427] {
        table(|_| number, [0, 0, 0], [ABSENT; 4]);
    }
    table(|_| 438, [0, 0, 0], [refuse(libc::EPERM); 4]);
    for calls in INTERFACES {
        for mechanism in EVERY {
            let program = build(mechanism, calls);
            // i386, arm, riscv64 and the other of the two, whatever the number.
            let other = INTERFACES.iter().find(|other| other.architecture != calls.architecture).unwrap();
            for architecture in [0x4000_0003, 0x4000_0028, 0xC000_00F3, other.architecture, 0] {
                for number in 0..500 {
                    assert_eq!(run(&program, architecture, number, [1, 1, 0, 0, 0, 0]), ABSENT);
                }
            }
            if calls.x32 {
                for number in [X32 | calls.connect, X32 | 0x207, X32, u32::MAX] {
                    assert_eq!(run(&program, calls.architecture, number, [0; 6]), ABSENT);
                }
            }
        }
    }
}

#[test]
fn the_cell_can_be_told() {
    let inside = u64::from(INSIDE_PROBE.cast_unsigned());
    table(|calls| calls.prctl, [inside, 0, 0], [refuse(INSIDE_ERRNO); 4]);
    table(|calls| calls.prctl, [15, 0, 0], [ALLOW; 4]);
    // PR_SET_DUMPABLE.
    table(|calls| calls.prctl, [4, 0, 0], [ALLOW, ALLOW, PRETEND, ALLOW]);
    table(|calls| calls.prctl, [4, 1, 0], [ALLOW; 4]);
}

#[test]
fn everything_else_is_left_alone() {
    for calls in INTERFACES {
        for mechanism in EVERY {
            let program = build(mechanism, calls);
            let known =
                [calls.socket, calls.socketpair, calls.bind, calls.connect, calls.setsockopt, calls.prctl];
            for number in (0..600).filter(|number| !known.contains(number)) {
                if !matches!(number, 425..=427 | 438) {
                    assert_eq!(
                        run(&program, calls.architecture, number, [1, 2, 12, 0, 0, 0]),
                        ALLOW,
                        "{number}"
                    );
                }
            }
        }
    }
}

#[cfg(any(target_arch = "x86_64", target_arch = "aarch64"))]
#[test]
fn numbers_are_those_of_this_machine() {
    let native = |number: libc::c_long| u32::try_from(number).unwrap();
    assert_eq!(NATIVE.socket, native(libc::SYS_socket));
    assert_eq!(NATIVE.socketpair, native(libc::SYS_socketpair));
    assert_eq!(NATIVE.bind, native(libc::SYS_bind));
    assert_eq!(NATIVE.connect, native(libc::SYS_connect));
    assert_eq!(NATIVE.setsockopt, native(libc::SYS_setsockopt));
    assert_eq!(NATIVE.prctl, native(libc::SYS_prctl));
    assert_eq!(IO_URING_SETUP, native(libc::SYS_io_uring_setup));
    assert_eq!(PIDFD_GETFD, native(libc::SYS_pidfd_getfd));
}
