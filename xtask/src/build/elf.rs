//! Facts of the built files, checked against a committed expectation: the artifact itself is under test.

use std::path::Path;

use anyhow::{Context as _, ensure};
use object::Endianness;
use object::elf;
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};
use serde::{Deserialize, Serialize};

use crate::arch::Arch;

/// What an ELF file says of itself (elf(5)).
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is a fact of its own")]
pub struct Facts {
    /// `e_machine`
    pub machine: String,
    /// No interpreter and no needed library: the kernel runs it alone.
    pub r#static: bool,
    /// Loaded at a random address.
    pub pie: bool,
    /// The stack is not executable.
    pub nx: bool,
    /// Relocations are read-only after start, all of them bound at once.
    pub full_relro: bool,
    /// No segment is writable and executable.
    pub no_wx: bool,
    /// No symbol table.
    pub stripped: bool,
}

/// Compares a file with the expectation for its architecture, and looks for paths of this machine in it.
pub fn check(path: &Path, arch: Arch, private_paths: &[String]) -> anyhow::Result<()> {
    let data = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let found = facts(&data).with_context(|| path.display().to_string())?;
    let expected = expected(arch)?;
    ensure!(
        found == expected,
        "{}: {} instead of {}",
        path.display(),
        serde_json::to_string(&found)?,
        serde_json::to_string(&expected)?
    );
    for private in private_paths {
        let inside = data.windows(private.len()).any(|window| window == private.as_bytes());
        ensure!(!inside, "{} holds the path {private} of the machine that built it", path.display());
    }
    Ok(())
}

fn expected(arch: Arch) -> anyhow::Result<Facts> {
    let text = match arch {
        Arch::Amd64 => include_str!("../../expected/elf-amd64.json"),
        Arch::Arm64 => include_str!("../../expected/elf-arm64.json"),
    };
    serde_json::from_str(text).with_context(|| format!("xtask/expected/elf-{}.json", arch.docker()))
}

/// Reads the facts.
pub fn facts(data: &[u8]) -> anyhow::Result<Facts> {
    let header = elf::FileHeader64::<Endianness>::parse(data).context("not a 64 bit ELF file")?;
    let endian = header.endian().context("unknown byte order")?;
    let segments = header.program_headers(endian, data).context("broken program headers")?;
    let has = |kind| segments.iter().any(|segment| segment.p_type(endian) == kind);
    let flags = |kind| segments.iter().find(|s| s.p_type(endian) == kind).map(|s| s.p_flags(endian));
    let (mut needed, mut bind_now) = (false, false);
    for segment in segments {
        for entry in segment.dynamic(endian, data).context("broken dynamic section")?.unwrap_or(&[]) {
            let (tag, value) = (entry.tag(endian), entry.val(endian));
            needed |= tag == elf::DT_NEEDED;
            bind_now |= tag == elf::DT_BIND_NOW;
            bind_now |= tag == elf::DT_FLAGS && value & elf::DF_BIND_NOW.0 != 0;
            bind_now |= tag == elf::DT_FLAGS_1 && value & elf::DF_1_NOW.0 != 0;
        }
    }
    let sections = header.sections(endian, data).context("broken sections")?;
    let symbols = sections.symbols(endian, data, elf::SHT_SYMTAB).context("broken symbols")?;
    Ok(Facts {
        machine: match header.e_machine(endian) {
            elf::EM_X86_64 => "x86_64".to_owned(),
            elf::EM_AARCH64 => "aarch64".to_owned(),
            other => other.to_string(),
        },
        r#static: !has(elf::PT_INTERP) && !needed,
        pie: header.e_type(endian) == elf::ET_DYN,
        nx: flags(elf::PT_GNU_STACK).is_some_and(|flags| !flags.contains(elf::PF_X)),
        full_relro: has(elf::PT_GNU_RELRO) && bind_now,
        no_wx: !segments.iter().any(|segment| {
            let flags = segment.p_flags(endian);
            segment.p_type(endian) == elf::PT_LOAD && flags.contains(elf::PF_W) && flags.contains(elf::PF_X)
        }),
        stripped: symbols.is_empty(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The test program itself is dynamically linked and has symbols: the facts can be other than expected.
    #[test]
    fn facts_tell_a_dynamic_program_with_symbols_from_ours() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let facts = facts(&own).unwrap();
        assert!(!facts.r#static);
        assert!(!facts.stripped);
        let host = Arch::host().unwrap();
        assert_eq!(facts.machine, host.uname());
        let error = check(&std::env::current_exe().unwrap(), host, &[]).unwrap_err();
        assert!(error.to_string().contains("instead of"));
    }

    #[test]
    fn what_is_no_elf_file_is_refused() {
        assert!(super::facts(b"#!/bin/sh\n").is_err());
    }
}
