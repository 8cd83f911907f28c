//! Images that Claude Code cannot start in, and machines that it does not run on.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use tar::EntryType;

use crate::package::{self, MACHINES, dynamic_elf, elf, integrity, packument, tgz};
use crate::server::Answer;
use crate::setup::{INSTALLER, Setup, expect_failure};

const LOADER: &str =
    if cfg!(target_arch = "aarch64") { "/lib/ld-linux-aarch64.so.1" } else { "/lib64/ld-linux-x86-64.so.2" };
const MACHINE: &str = if cfg!(target_arch = "aarch64") { "aarch64" } else { "x86_64" };

/// Puts a library, or a loader, into the image.
fn put(setup: &Setup, path: &str, machine: u16) {
    let path = setup.path(path.trim_start_matches('/'));
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, elf(machine, 200)).unwrap();
}

#[test]
fn an_image_with_the_c_library_elsewhere_or_nowhere() {
    let setup = Setup::new();
    setup.publish(&tgz(EntryType::Regular, &dynamic_elf(LOADER, &["libc.so.6", "libm.so.6"])));
    setup.refused(
        &[],
        6,
        &format!("cannot start in this image, which lacks {LOADER}, libc.so.6, libm.so.6; use"),
    );
    // Links lead around in the image, and not to this machine's own libraries.
    fs::create_dir_all(setup.path(&format!("usr/lib/{MACHINE}-linux-gnu"))).unwrap();
    symlink("usr/lib", setup.path("lib")).unwrap();
    fs::create_dir_all(setup.path(LOADER.trim_start_matches('/')).parent().unwrap()).unwrap();
    let real = format!("/lib/{MACHINE}-linux-gnu/ld.so");
    symlink(&real, setup.path(LOADER.trim_start_matches('/'))).unwrap();
    setup.refused(&[], 6, &format!("lacks {LOADER}, libc.so.6"));
    put(&setup, &real, MACHINES.0);
    // Another machine's do not count, nor does a folder of that name.
    put(&setup, "/usr/lib/libc.so.6", MACHINES.1);
    fs::create_dir(setup.path("usr/lib/libm.so.6")).unwrap();
    setup.refused(&[], 6, "lacks libc.so.6, libm.so.6;");
    put(&setup, &format!("/lib/{MACHINE}-linux-gnu/libc.so.6"), MACHINES.0);
    setup.refused(&[], 6, "lacks libm.so.6;");
    fs::create_dir_all(setup.path("etc/ld.so.conf.d")).unwrap();
    fs::write(setup.path("etc/ld.so.conf.d/own.conf"), "# comment\n/opt/lib\n").unwrap();
    put(&setup, "/opt/lib/libm.so.6", MACHINES.0);
    let output = setup.run(&[]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_musl_image_without_the_compilers_libraries() {
    let setup = Setup::new();
    let loader = format!("/lib/ld-musl-{MACHINE}.so.1");
    let libc = format!("libc.musl-{MACHINE}.so.1");
    let archive = tgz(EntryType::Regular, &dynamic_elf(&loader, &["libstdc++.so.6", "libgcc_s.so.1", &libc]));
    let name = format!("{}-musl", package::name());
    let tarball = setup.server.url() + "/musl.tgz";
    let answer = packument(&name, &tarball, Some(&integrity(&archive))).to_string();
    setup.server.put(&package::path(&name), Answer::ok(answer));
    setup.server.put("/musl.tgz", Answer::ok(archive));
    put(&setup, &loader, MACHINES.0);
    let part = "lacks libstdc++.so.6, libgcc_s.so.1; install it in the image first \
                (Alpine: apk add libstdc++ libgcc)";
    setup.refused(&[], 6, part);
    put(&setup, "/usr/lib/libstdc++.so.6", MACHINES.0);
    put(&setup, "/lib/libgcc_s.so.1", MACHINES.0);
    let output = setup.run(&[]);
    assert!(output.status.success(), "{output:?}");
}

#[test]
fn a_program_with_a_broken_head() {
    let setup = Setup::new();
    let whole = dynamic_elf(LOADER, &["libc.so.6"]);
    for length in [64, 100, 200, whole.len() - 1] {
        setup.publish(&tgz(EntryType::Regular, &whole[..length]));
        let output = setup.run(&[]);
        // Cut in the table of names, it has one library without a name.
        let code = if length == whole.len() - 1 { 6 } else { 4 };
        expect_failure(&output, code, "nothing was installed");
    }
}

/// As on a 32-bit machine: the kernel says i686, to the script and to the program.
#[test]
fn a_machine_that_nothing_is_published_for() {
    if cfg!(not(target_arch = "x86_64")) {
        return;
    }
    let setup = Setup::new();
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("features/claude-code/install.sh");
    let mut shells = vec!["sh"];
    shells.extend(["dash", "bash", "busybox"].iter().filter(|shell| which(shell)));
    for shell in shells {
        let mut command = Command::new("setarch");
        command.args(["linux32", shell]).args((shell == "busybox").then_some("ash")).arg(&script);
        let output = command.env("NPMREGISTRY", setup.server.url()).output().unwrap();
        let said = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(6), "{shell}: {said}");
        let want = "claude-code: no binaries for 'i686'; amd64 (x86_64) and arm64 (aarch64) are supported\n";
        assert_eq!(said, want, "{shell}");
    }
    let mut command = Command::new("setarch");
    command.args(["linux32", INSTALLER, "--root"]).arg(setup.root.path());
    command.arg("--source").arg(setup.source.path()).env("NPMREGISTRY", setup.server.url());
    expect_failure(
        &command.output().unwrap(),
        6,
        "not published for the machine `i686`; build the image for",
    );
}

fn which(program: &str) -> bool {
    ["/bin", "/usr/bin"].iter().any(|folder| Path::new(folder).join(program).is_file())
}
