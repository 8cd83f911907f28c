//! A filter written down line by line, with names to jump to.

use libc::sock_filter;

/// Where `struct seccomp_data` has what a filter looks at (linux/seccomp.h). Both architectures are little endian.
pub(super) const NUMBER: u32 = 0;
pub(super) const ARCHITECTURE: u32 = 4;

/// The low word of an argument. The kernel takes domains, types, levels and descriptors as `int`: it ignores the rest.
pub(super) const fn argument(index: u32) -> u32 {
    16 + 8 * index
}

// The classes and modes of linux/bpf_common.h that are used here.
const LOAD: u16 = 0x20; // BPF_LD | BPF_W | BPF_ABS
const AND: u16 = 0x54; // BPF_ALU | BPF_AND | BPF_K
const EQUAL: u16 = 0x15; // BPF_JMP | BPF_JEQ | BPF_K
const AT_LEAST: u16 = 0x35; // BPF_JMP | BPF_JGE | BPF_K
const RETURN: u16 = 0x06; // BPF_RET | BPF_K

/// One line, or the name of the next.
enum Line {
    Name(&'static str),
    Plain(u16, u32),
    /// Jumps to the name where the comparison holds (or where it does not), else goes on.
    Jump {
        code: u16,
        value: u32,
        holds: bool,
        to: &'static str,
    },
}

/// Collects lines.
#[derive(Default)]
pub(super) struct Assembler {
    lines: Vec<Line>,
}

impl Assembler {
    pub(super) fn name(&mut self, name: &'static str) -> &mut Self {
        self.lines.push(Line::Name(name));
        self
    }

    pub(super) fn load(&mut self, offset: u32) -> &mut Self {
        self.lines.push(Line::Plain(LOAD, offset));
        self
    }

    pub(super) fn and(&mut self, mask: u32) -> &mut Self {
        self.lines.push(Line::Plain(AND, mask));
        self
    }

    pub(super) fn answer(&mut self, action: u32) -> &mut Self {
        self.lines.push(Line::Plain(RETURN, action));
        self
    }

    pub(super) fn if_equal(&mut self, value: u32, to: &'static str) -> &mut Self {
        self.lines.push(Line::Jump { code: EQUAL, value, holds: true, to });
        self
    }

    pub(super) fn unless_equal(&mut self, value: u32, to: &'static str) -> &mut Self {
        self.lines.push(Line::Jump { code: EQUAL, value, holds: false, to });
        self
    }

    pub(super) fn if_at_least(&mut self, value: u32, to: &'static str) -> &mut Self {
        self.lines.push(Line::Jump { code: AT_LEAST, value, holds: true, to });
        self
    }

    /// The program. A jump backwards, to nowhere or too far becomes one that ends the process: the kernel takes no
    /// other, and the tests of each filter walk all its lines.
    pub(super) fn finish(&self) -> Vec<sock_filter> {
        let mut at = 0;
        let mut names = Vec::new();
        for line in &self.lines {
            match line {
                Line::Name(name) => names.push((*name, at)),
                _ => at += 1,
            }
        }
        let mut program = Vec::with_capacity(at);
        for line in &self.lines {
            let next = program.len() + 1;
            match *line {
                Line::Name(_) => {}
                Line::Plain(code, k) => program.push(sock_filter { code, jt: 0, jf: 0, k }),
                Line::Jump { code, value, holds, to } => {
                    let target = names.iter().find(|(name, _)| *name == to).map(|(_, at)| *at);
                    let distance = target.and_then(|target| target.checked_sub(next));
                    program.push(match distance.and_then(|distance| u8::try_from(distance).ok()) {
                        Some(far) if holds => sock_filter { code, jt: far, jf: 0, k: value },
                        Some(far) => sock_filter { code, jt: 0, jf: far, k: value },
                        None => sock_filter { code: RETURN, jt: 0, jf: 0, k: libc::SECCOMP_RET_KILL_PROCESS },
                    });
                }
            }
        }
        program
    }
}

/// Runs a filter as the kernel would.
#[cfg(test)]
pub(super) fn run(program: &[sock_filter], architecture: u32, number: u32, arguments: [u64; 6]) -> u32 {
    let mut data = Vec::new();
    data.extend(number.to_le_bytes());
    data.extend(architecture.to_le_bytes());
    data.extend(0u64.to_le_bytes());
    data.extend(arguments.iter().flat_map(|argument| argument.to_le_bytes()));
    let (mut accumulator, mut at) = (0u32, 0usize);
    loop {
        let line = program[at];
        at += 1;
        let jump = |holds: bool| usize::from(if holds { line.jt } else { line.jf });
        match line.code {
            LOAD => {
                let from = line.k as usize;
                accumulator = u32::from_le_bytes(data[from..from + 4].try_into().unwrap());
            }
            AND => accumulator &= line.k,
            EQUAL => at += jump(accumulator == line.k),
            AT_LEAST => at += jump(accumulator >= line.k),
            RETURN => return line.k,
            code => panic!("{code:#x} is not used here"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn jumps_find_their_names() {
        let mut lines = Assembler::default();
        lines.load(NUMBER).if_equal(7, "seven").if_at_least(9, "many").unless_equal(3, "other").answer(30);
        lines.name("seven").answer(70).name("many").answer(90).name("other").answer(10);
        let program = lines.finish();
        for (number, answer) in [(7, 70), (9, 90), (u32::MAX, 90), (3, 30), (4, 10), (0, 10)] {
            assert_eq!(run(&program, 0, number, [0; 6]), answer, "{number}");
        }
    }

    #[test]
    fn a_jump_that_cannot_be_written_ends_the_process() {
        let mut lines = Assembler::default();
        lines.name("back").load(NUMBER).if_equal(1, "back").if_equal(2, "nowhere").answer(0);
        let program = lines.finish();
        assert_eq!(run(&program, 0, 1, [0; 6]), libc::SECCOMP_RET_KILL_PROCESS);
    }
}
