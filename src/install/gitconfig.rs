//! The guard on `git push` in the system's git configuration: a block of our own, everything else as it is. Pure.
//!
//! Git sends every address that is pushed to through the longest `pushInsteadOf` that it begins with
//! (git-config(1)). An empty one is the beginning of all, so they come to the helper
//! [`git_guard`](crate::git_guard); what is a path for sure has a longer one that leaves it as it is. A `pushurl` is
//! not rewritten; for that there is a hook, which git before 2.54 does not know.

use std::fmt::Write as _;

use serde::Serialize;

use crate::git_guard::{PRE_PUSH, SCHEME};

/// The option `gitPush`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum GitPush {
    /// `git push` to another machine is refused.
    #[default]
    Refuse,
    /// Git is left alone.
    Allow,
}

impl GitPush {
    /// Reads the option; what is empty was not set.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "" | "refuse" => Some(Self::Refuse),
            "allow" => Some(Self::Allow),
            _ => None,
        }
    }
}

const BEGIN: &str = "# agent-sandbox begin";
const END: &str = "# agent-sandbox end";
/// A hook's command is a shell's, whose PATH may be another; git itself looks for a remote helper on its own.
const HELPER: &str = "/usr/local/bin/git-remote-agent-sandbox-push";
const PATHS: [&str; 4] = ["/", "./", "../", "file://"];
/// Git passes it over at a file's beginning, and nowhere else.
const BYTE_ORDER_MARK: &[u8] = b"\xef\xbb\xbf";

/// The file `old` with the guard or without it, whatever it had before.
///
/// The block comes first: of prefixes that are equally long the first counts, and a file may end in the middle of a
/// line.
pub fn with(old: &[u8], push: GitPush) -> Vec<u8> {
    let (mark, text) = match old.strip_prefix(BYTE_ORDER_MARK) {
        Some(rest) => (BYTE_ORDER_MARK, rest),
        None => (&[][..], old),
    };
    let block = match push {
        GitPush::Refuse => block(),
        GitPush::Allow => String::new(),
    };
    [mark, block.as_bytes(), &without_block(text)].concat()
}

fn block() -> String {
    let mut block =
        format!("{BEGIN}: git push to another machine is refused, see the Feature's option gitPush\n");
    let _ = write!(block, "[url \"{SCHEME}\"]\n\tpushInsteadOf = \"\"\n");
    for path in PATHS {
        let _ = write!(block, "[url \"{path}\"]\n\tpushInsteadOf = {path}\n");
    }
    let _ =
        write!(block, "[hook \"agent-sandbox-push\"]\n\tevent = pre-push\n\tcommand = {HELPER} {PRE_PUSH}\n");
    let _ = writeln!(block, "{END}");
    block
}

/// A block that was begun and does not end is somebody else's by now.
fn without_block(text: &[u8]) -> Vec<u8> {
    let lines: Vec<&[u8]> = text.split_inclusive(|byte| *byte == b'\n').collect();
    let is = |mark: &str, line: &[u8]| line.starts_with(mark.as_bytes());
    let block = lines.iter().enumerate().filter(|(_, line)| is(END, line)).find_map(|(end, _)| {
        let begin = lines[..end].iter().rposition(|line| is(BEGIN, line))?;
        Some((begin, end))
    });
    match block {
        Some((begin, end)) => without_block(&[&lines[..begin], &lines[end + 1..]].concat().concat()),
        None => text.to_vec(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn everything_else_stays() {
        for old in [
            &b""[..],
            b"[user]\n\tname = x\n",
            b"# a comment\n[safe]\n\tdirectory = *",
            b"[user]\r\n\tname = \xff\r\n",
            b"# agent-sandbox begin, somebody writes\n[a]\n\tb = c\n",
            b"# agent-sandbox end, somebody writes\n[a]\n\tb = c\n",
        ] {
            let guarded = with(old, GitPush::Refuse);
            assert!(guarded.ends_with(old) && guarded.starts_with(BEGIN.as_bytes()));
            assert_eq!(with(&guarded, GitPush::Refuse), guarded, "a second time");
            assert_eq!(with(&guarded, GitPush::Allow), old);
            assert_eq!(with(old, GitPush::Allow), old);
        }
    }

    #[test]
    fn a_block_is_replaced_wherever_it_stands() {
        let begun = b"# agent-sandbox begin\n[a]\n\tb = c\n";
        let old = [&begun[..], block().as_bytes(), b"[d]\n", block().as_bytes(), b"\te = f\n"].concat();
        assert_eq!(with(&old, GitPush::Allow), b"# agent-sandbox begin\n[a]\n\tb = c\n[d]\n\te = f\n");
        assert_eq!(
            with(&old, GitPush::Refuse),
            [block().as_bytes(), b"# agent-sandbox begin\n[a]\n\tb = c\n[d]\n\te = f\n"].concat()
        );
    }

    #[test]
    fn a_byte_order_mark_stays_in_front() {
        let old = b"\xef\xbb\xbf[a]\n";
        let guarded = with(old, GitPush::Refuse);
        assert!(guarded.starts_with(b"\xef\xbb\xbf# agent-sandbox"));
        assert_eq!(with(&guarded, GitPush::Allow), old);
    }

    #[test]
    fn the_options_words() {
        for (text, want) in [
            ("", Some(GitPush::Refuse)),
            ("refuse", Some(GitPush::Refuse)),
            ("allow", Some(GitPush::Allow)),
            ("yes", None),
        ] {
            assert_eq!(GitPush::parse(text), want, "{text}");
        }
    }
}
