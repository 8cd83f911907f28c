//! The filter's verdicts, by a reading of its instructions.

use super::*;

/// What the kernel hands to a filter.
struct Call {
    number: u32,
    architecture: u32,
    arguments: [u64; 6],
}

fn call(number: libc::c_long, arguments: &[u64]) -> Call {
    let mut all = [0; 6];
    all[..arguments.len()].copy_from_slice(arguments);
    Call { number: u32::try_from(number).unwrap(), architecture: ARCHITECTURE, arguments: all }
}

/// 0 for allowed, an error otherwise. An instruction that is not known here, or a jump past the end, panics.
fn verdict(program: &BpfProgram, call: &Call) -> i32 {
    let word = |offset: u32| match offset {
        0 => call.number,
        4 => call.architecture,
        _ => {
            let (argument, upper) = ((offset - 16) / 8, (offset - 16) % 8);
            assert!(upper == 0 || upper == 4, "offset {offset}");
            let value = call.arguments[argument as usize] >> (8 * upper);
            u32::try_from(value & 0xffff_ffff).unwrap()
        }
    };
    let (mut at, mut loaded) = (0, 0);
    loop {
        let step = &program[at];
        let jump = |holds: bool| 1 + usize::from(if holds { step.jt } else { step.jf });
        at += match step.code {
            0x20 => {
                loaded = word(step.k);
                1
            }
            0x54 => {
                loaded &= step.k;
                1
            }
            0x15 => jump(loaded == step.k),
            0x25 => jump(loaded > step.k),
            0x45 => jump(loaded & step.k != 0),
            0x06 if step.k == libc::SECCOMP_RET_ALLOW => return 0,
            0x06 => {
                assert_eq!(step.k & 0xffff_0000, libc::SECCOMP_RET_ERRNO);
                return (step.k & 0xffff).cast_signed();
            }
            other => panic!("no such instruction: {other:#x}"),
        };
    }
}

#[test]
fn what_is_listed_is_refused() {
    for tracing in [Tracing::Inside, Tracing::Closed] {
        let program = filter(tracing);
        for (number, errno) in table::REFUSED.iter().chain(table::ARCHITECTURE) {
            assert_eq!(verdict(&program, &call(*number, &[])), *errno, "{number}");
        }
        for (number, errno) in table::TRACING {
            let expected = if tracing == Tracing::Closed { *errno } else { 0 };
            assert_eq!(verdict(&program, &call(*number, &[])), expected, "{number}");
        }
    }
}

#[test]
fn nothing_is_listed_twice() {
    let all = table::REFUSED.iter().chain(table::ARCHITECTURE).chain(table::TRACING).map(|(call, _)| *call);
    let mut all: Vec<_> = all.chain(looked_into().into_iter().map(|(call, _)| call)).collect();
    let before = all.len();
    all.sort_unstable();
    all.dedup();
    assert_eq!(all.len(), before, "the first rule of two would hide the second");
}

#[test]
fn everything_else_is_allowed_up_to_the_newest() {
    let program = filter(Tracing::Closed);
    let listed = |number: u32| {
        let number = libc::c_long::from(number);
        table::REFUSED
            .iter()
            .chain(table::ARCHITECTURE)
            .chain(table::TRACING)
            .any(|(call, _)| *call == number)
            || looked_into().iter().any(|(call, _)| *call == number)
    };
    for number in (0..=NEWEST).filter(|number| !listed(*number)) {
        assert_eq!(verdict(&program, &call(number.into(), &[])), 0, "{number}");
    }
    for number in [NEWEST + 1, 0x3fff_ffff, 0x4000_0000, 0x4000_0027, 0x7fff_ffff, 0xffff_fffe] {
        assert_eq!(verdict(&program, &call(number.into(), &[])), libc::ENOSYS, "{number:#x}");
    }
    assert_eq!(verdict(&program, &call(u32::MAX.into(), &[])), 0, "what a tracer skips");
}

#[test]
fn other_architectures_have_no_calls() {
    let program = filter(Tracing::Inside);
    // 32-bit x86, 32-bit ARM, and the other one of ours.
    let other = if cfg!(target_arch = "x86_64") { 0xc000_00b7 } else { 0xc000_003e };
    for architecture in [0x4000_0003, 0x4000_0028, other, 0] {
        for number in [0, 20, u32::MAX] {
            let call = Call { number, architecture, arguments: [0; 6] };
            assert_eq!(verdict(&program, &call), libc::ENOSYS, "{architecture:#x}");
        }
    }
}

#[test]
fn arguments_decide() {
    use libc::{EAFNOSUPPORT, EPERM, EPROTONOSUPPORT};
    let rows: &[(libc::c_long, &[u64], i32)] = &[
        // A thread, as the C library asks for it, and a process.
        (libc::SYS_clone, &[0x003d_0f00], 0),
        (libc::SYS_clone, &[0x0120_0011], 0),
        (libc::SYS_clone, &[0x1000_0011], EPERM),
        (libc::SYS_clone, &[0x0002_0000], EPERM),
        // There the lowest bits are a signal.
        (libc::SYS_clone, &[0x80], 0),
        (libc::SYS_unshare, &[0x80], EPERM),
        (libc::SYS_unshare, &[0x200], 0),
        (libc::SYS_ioctl, &[0, 0x5401], 0),
        (libc::SYS_ioctl, &[0, 0x5412], EPERM),
        (libc::SYS_ioctl, &[0, 0xffff_ffff_0000_5412], EPERM),
        (libc::SYS_prlimit64, &[0, 7, 1], 0),
        (libc::SYS_prlimit64, &[1, 7, 0], 0),
        (libc::SYS_prlimit64, &[1, 7, 1], EPERM),
        (libc::SYS_prlimit64, &[1, 7, 0x1_0000_0000], EPERM),
        (libc::SYS_prlimit64, &[0x1_0000_0000, 7, 1], 0),
        (libc::SYS_socket, &[1, 1, 0], 0),
        (libc::SYS_socket, &[2, 0x8_0801, 0], 0),
        (libc::SYS_socket, &[2, 1, 262], EPROTONOSUPPORT),
        (libc::SYS_socket, &[10, 2, 58], 0),
        (libc::SYS_socket, &[10, 3, 58], EPERM),
        (libc::SYS_socket, &[16, 3, 0], 0),
        (libc::SYS_socket, &[16, 3, 4], EPROTONOSUPPORT),
        (libc::SYS_socket, &[17, 3, 0], EAFNOSUPPORT),
        (libc::SYS_socketpair, &[1, 1, 0], 0),
        (libc::SYS_socketpair, &[30, 1, 0], libc::EOPNOTSUPP),
        (libc::SYS_personality, &[0x4_0000], 0),
        (libc::SYS_personality, &[0x40_0000], EPERM),
        (libc::SYS_prctl, &[15], 0),
        (libc::SYS_prctl, &[35], EPERM),
    ];
    let program = filter(Tracing::Inside);
    for (number, arguments, errno) in rows {
        assert_eq!(verdict(&program, &call(*number, arguments)), *errno, "{number} {arguments:x?}");
    }
}

/// Numbers that were looked up in the kernel's tables, and not in the headers that the filter is built from.
#[test]
fn numbers_are_the_architectures_own() {
    let [clone, unshare, ioctl, ptrace, mount, keyctl, bpf] = if cfg!(target_arch = "x86_64") {
        [56, 272, 16, 101, 165, 250, 321]
    } else {
        [220, 97, 29, 117, 40, 219, 280]
    };
    assert_eq!([libc::SYS_clone, libc::SYS_unshare, libc::SYS_ioctl], [clone, unshare, ioctl]);
    let program = filter(Tracing::Closed);
    for number in [ptrace, mount, keyctl, bpf] {
        assert_eq!(verdict(&program, &call(number, &[])), libc::EPERM, "{number}");
    }
}
