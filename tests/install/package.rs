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

/// A file that starts as a program for `machine` does.
pub(crate) fn elf(machine: u16, size: usize) -> Vec<u8> {
    let mut elf = b"\x7fELF\x02\x01\x01".to_vec();
    elf.resize(16, 0);
    elf.extend(3_u16.to_le_bytes());
    elf.extend(machine.to_le_bytes());
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
