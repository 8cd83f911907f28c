//! The npm package that the tests install: its archive, and what a registry says about it.

use std::fs;
use std::path::Path;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha512};
use tar::{Builder, EntryType, Header};

/// The version that `latest` points at.
pub(crate) const VERSION: &str = "2.1.330";

/// `e_machine` of the running machine, and of the other one.
pub(crate) const MACHINES: (u16, u16) = if cfg!(target_arch = "aarch64") { (183, 62) } else { (62, 183) };

/// The package for the running machine and an image without a C library.
pub(crate) fn name() -> &'static str {
    if cfg!(target_arch = "aarch64") {
        "@anthropic-ai/claude-code-linux-arm64"
    } else {
        "@anthropic-ai/claude-code-linux-x64"
    }
}

/// Where the registry answers about `name`.
pub(crate) fn path(name: &str) -> String {
    format!("/{}", name.replace('/', "%2f"))
}

/// What a program for `machine` starts with, with nothing for the kernel to load.
fn elf_header(machine: u16) -> Vec<u8> {
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    elf.extend(3_u16.to_le_bytes());
    elf.extend(machine.to_le_bytes());
    elf.extend(1_u32.to_le_bytes());
    elf.resize(ELF_HEADER, 0);
    elf
}

/// The length of the header, and of each segment's.
const ELF_HEADER: usize = 64;
const ELF_SEGMENT: usize = 56;

/// A program for this machine that wants to be loaded by `loader` with `libraries` (elf(5)).
pub(crate) fn dynamic_elf(loader: &str, libraries: &[&str]) -> Vec<u8> {
    let word = |value: usize| (value as u64).to_le_bytes();
    let mut names = b"\0".to_vec();
    let mut dynamic = Vec::new();
    for library in libraries {
        dynamic.push([word(1), word(names.len())].concat());
        names.extend([library.as_bytes(), b"\0"].concat());
    }
    // The table of names lies behind everything else; memory starts at an address of its own.
    let start = 0x20_0000;
    let loader = [loader.as_bytes(), b"\0"].concat();
    let loader_at = ELF_HEADER + 3 * ELF_SEGMENT;
    let dynamic_at = (loader_at + loader.len()).next_multiple_of(8);
    let dynamic_length = (dynamic.len() + 3) * 16;
    let names_at = dynamic_at + dynamic_length;
    dynamic.push([word(5), word(start + names_at)].concat());
    dynamic.push([word(10), word(names.len())].concat());
    dynamic.push([word(0), word(0)].concat());

    let mut elf = elf_header(MACHINES.0);
    elf[32..40].copy_from_slice(&word(ELF_HEADER));
    elf[54..58].copy_from_slice(&[56, 0, 3, 0]);
    let whole = names_at + names.len();
    for (kind, at, length) in
        [(3_u32, loader_at, loader.len()), (1, 0, whole), (2, dynamic_at, dynamic_length)]
    {
        elf.extend(kind.to_le_bytes());
        elf.extend(4_u32.to_le_bytes());
        for value in [at, start + at, start + at, length, length, 8] {
            elf.extend(word(value));
        }
    }
    elf.extend(loader);
    elf.resize(dynamic_at, 0);
    elf.extend(dynamic.concat());
    elf.extend(names);
    elf
}

/// The same with noise behind it.
pub(crate) fn elf(machine: u16, size: usize) -> Vec<u8> {
    let mut elf = elf_header(machine);
    // Bytes that gzip does not make small, so that a size here is one on the wire.
    let noise = std::iter::successors(Some(1_u64), |n| {
        let n = n ^ (n << 13);
        let n = n ^ (n >> 7);
        Some(n ^ (n << 17))
    });
    let noise = noise.map(|n| n.to_le_bytes()[3]);
    elf.extend(noise.take(size.saturating_sub(elf.len())));
    elf
}

/// A gzipped tar with one entry beside the usual `package.json`.
pub(crate) fn tgz(kind: EntryType, program: &[u8]) -> Vec<u8> {
    let mut tar = Builder::new(GzEncoder::new(Vec::new(), Compression::fast()));
    let mut header = Header::new_ustar();
    header.set_size(2);
    header.set_mode(0o644);
    tar.append_data(&mut header, "package/package.json", &b"{}"[..]).unwrap();
    let mut header = Header::new_ustar();
    header.set_entry_type(kind);
    header.set_size(program.len() as u64);
    header.set_mode(0o600);
    if kind == EntryType::Symlink {
        header.set_link_name("/etc/passwd").unwrap();
    }
    tar.append_data(&mut header, "package/claude", program).unwrap();
    tar.into_inner().unwrap().finish().unwrap()
}

/// The hash of `bytes` as a registry writes it.
pub(crate) fn integrity(bytes: &[u8]) -> String {
    format!("sha512-{}", STANDARD.encode(Sha512::digest(bytes)))
}

/// The registry's answer about `name`, with one version.
pub(crate) fn packument(name: &str, tarball: &str, integrity: Option<&str>) -> Value {
    let mut dist = json!({"tarball": tarball});
    if let Some(integrity) = integrity {
        dist["integrity"] = integrity.into();
    }
    json!({"name": name, "dist-tags": {"latest": VERSION}, "versions": {VERSION: {"dist": dist}}})
}

/// A folder with the sandbox's programs, as the Feature brings them.
pub(crate) fn programs(folder: &Path) {
    for name in ["sandboxd", "agent-sandbox", "sandbox-launch"] {
        let bytes = [elf(MACHINES.0, 100), name.into()].concat();
        fs::write(folder.join(name), bytes).unwrap();
    }
}
