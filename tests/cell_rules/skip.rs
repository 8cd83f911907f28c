//! What a test needs of the machine.

use std::process::Command;

use agent_sandbox::confine::rules;

/// False, and said, where the kernel has no Landlock of this version.
pub(crate) fn landlock(test: &str, least: u32) -> bool {
    let abi = rules::abi();
    if abi < least {
        eprintln!("SKIPPED {test}: this kernel has Landlock version {abi}, and {least} is needed");
        assert!(std::env::var_os("CI").is_none(), "CI must run this on a kernel with Landlock {least}");
    }
    abi >= least
}

/// False, and said, where a program is missing.
pub(crate) fn has(test: &str, program: &str) -> bool {
    let found = Command::new("/bin/sh")
        .args(["-c", &format!("command -v {program}")])
        .env("PATH", PATH)
        .output()
        .expect("a shell")
        .status
        .success();
    if !found {
        eprintln!("SKIPPED {test}: needs {program}");
        assert!(std::env::var_os("CI").is_none(), "CI must have {program}");
    }
    found
}

/// Programs that any user may start.
pub(crate) const PATH: &str = "/usr/bin:/bin:/usr/sbin:/sbin";
