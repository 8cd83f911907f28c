//! Whether the image has what a program needs to be started: its loader, and its libraries.
//!
//! The program is not run for that. Under an emulator, as images for another machine are built, it may take
//! minutes or fall over where the real machine does not; and an image that is put together below a folder
//! cannot run anything.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::ffi::OsStringExt as _;
use std::path::{Component, Path, PathBuf};

use object::Endianness;
use object::elf::{DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_STRSZ, DT_STRTAB, FileHeader64, PT_LOAD};
use object::read::elf::{Dyn as _, FileHeader as _, ProgramHeader as _};
use object::read::{ReadCache, ReadRef as _};

use super::platform::{ELF_HEAD, Libc, Machine, Platform};

/// What a program's table of names has at most.
const MAX_NAMES: u64 = 16 << 20;

/// As many links as the kernel follows.
const MAX_LINKS: usize = 40;

/// Where libraries are by convention, in Debian's manner and in that of others.
const FOLDERS: [&str; 5] = ["/lib64", "/usr/lib64", "/lib", "/usr/lib", "/usr/local/lib"];

/// Names that musl's loader takes for itself, whatever follows: they are all one library.
const MUSL_ITSELF: [&str; 7] = ["libc.", "libpthread.", "librt.", "libm.", "libdl.", "libutil.", "libxnet."];

/// Where what is missing usually comes from: Alpine's package, and Debian's.
const PACKAGES: [(&str, &str, &str); 4] = [
    ("libgcc_s.so.", "libgcc", "libgcc-s1"),
    ("libstdc++.so.", "libstdc++", "libstdc++6"),
    ("libatomic.so.", "libatomic", "libatomic1"),
    ("libz.so.", "zlib", "zlib1g"),
];

/// Why a program would not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// Not a program that can be read.
    #[error("is a broken ELF program: {0}")]
    Broken(String),
    /// Something that is not in the image.
    #[error("cannot start in this image, which lacks {missing}; {advice}")]
    Missing {
        /// The names of loader and libraries.
        missing: String,
        /// What to do.
        advice: String,
    },
}

/// What a program needs.
#[derive(Debug, Default, PartialEq, Eq)]
struct Needs {
    /// The loader; a static program has none.
    loader: Option<PathBuf>,
    libraries: Vec<String>,
    /// Folders that the program itself names.
    folders: Vec<PathBuf>,
}

/// Checks that `program` can start in the image below `root`.
pub fn check(program: &mut File, root: &Path, platform: Platform) -> Result<(), StartError> {
    let needs = needs(program).map_err(|error| StartError::Broken(error.to_string()))?;
    let folders = folders(root, platform, &needs.folders);
    let there = |path: &Path| is_for(platform.machine, root, path);
    let loader = needs.loader.filter(|loader| !there(loader));
    let missing: Vec<String> = loader.iter().map(|loader| loader.display().to_string()).collect();
    let itself =
        |name: &str| platform.libc == Libc::Musl && MUSL_ITSELF.iter().any(|own| name.starts_with(own));
    let libraries = needs.libraries.into_iter().filter(|name| {
        // One with a slash is a path, and not looked for.
        let found = if name.contains('/') {
            there(Path::new(name))
        } else {
            folders.iter().any(|folder| there(&folder.join(name)))
        };
        !found && !itself(name)
    });
    let missing: Vec<String> = missing.into_iter().chain(libraries).collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(StartError::Missing { advice: advice(platform.libc, &missing), missing: missing.join(", ") })
}

fn advice(libc: Libc, missing: &[String]) -> String {
    let package = |name: &String| {
        let found = PACKAGES.iter().find(|(start, ..)| name.starts_with(start));
        found.map(|(_, alpine, debian)| if libc == Libc::Musl { *alpine } else { *debian })
    };
    let packages: Option<Vec<&str>> = missing.iter().map(package).collect();
    match (packages, libc) {
        (Some(packages), Libc::Musl) => {
            format!("install it in the image first (Alpine: apk add {})", packages.join(" "))
        }
        (Some(packages), Libc::Glibc) => {
            format!("install it in the image first (Debian: apt-get install {})", packages.join(" "))
        }
        (None, _) => "use an image with the C library of Debian, Ubuntu, Fedora or Alpine".to_owned(),
    }
}

/// Reads what the kernel and the loader will read. The file may be larger than the memory.
fn needs(program: &mut File) -> Result<Needs, object::Error> {
    let cache = ReadCache::new(program);
    let data = &cache;
    let header = FileHeader64::<Endianness>::parse(data)?;
    let endian = header.endian()?;
    let segments = header.program_headers(endian, data)?;
    let mut needs = Needs::default();
    let (mut names, mut names_length) = (0, 0);
    let (mut needed, mut named_folders) = (Vec::new(), Vec::new());
    for segment in segments {
        if let Some(loader) = segment.interpreter(endian, data)? {
            needs.loader = Some(PathBuf::from(OsString::from_vec(loader.to_vec())));
        }
        for entry in segment.dynamic(endian, data)?.unwrap_or_default() {
            let value = entry.val(endian);
            match entry.tag(endian) {
                DT_NEEDED => needed.push(value),
                DT_RPATH | DT_RUNPATH => named_folders.push(value),
                DT_STRTAB => names = value,
                DT_STRSZ => names_length = value,
                _ => {}
            }
        }
    }
    if needed.is_empty() {
        return Ok(needs);
    }
    // The table is named by its address in memory.
    let table = segments.iter().filter(|segment| segment.p_type(endian) == PT_LOAD).find_map(|segment| {
        let start = names.checked_sub(segment.p_vaddr(endian))?;
        let offset = segment.p_offset(endian).checked_add(start)?;
        (start < segment.p_filesz(endian)).then_some(offset)
    });
    let table = table.and_then(|offset| data.read_bytes_at(offset, names_length.min(MAX_NAMES)).ok());
    let text = |offset: u64| {
        let rest = table?.get(usize::try_from(offset).ok()?..)?;
        let end = rest.iter().position(|byte| *byte == 0)?;
        Some(String::from_utf8_lossy(&rest[..end]).into_owned())
    };
    for offset in needed {
        // Without the names nothing can be said, and the loader could not say anything either.
        needs.libraries.push(text(offset).unwrap_or_else(|| "a library without a name".to_owned()));
    }
    let listed = named_folders.into_iter().filter_map(text).collect::<Vec<_>>();
    let folders = listed.iter().flat_map(|list| list.split(':'));
    needs.folders = folders.filter(|folder| folder.starts_with('/')).map(PathBuf::from).collect();
    Ok(needs)
}

/// Where the loader of this image looks for libraries, as far as files say.
fn folders(root: &Path, platform: Platform, named: &[PathBuf]) -> Vec<PathBuf> {
    let machine = match platform.machine {
        Machine::X64 => "x86_64",
        Machine::Arm64 => "aarch64",
    };
    let mut folders = named.to_vec();
    let listed = match platform.libc {
        Libc::Musl => read(root, Path::new(&format!("/etc/ld-musl-{machine}.path"))).unwrap_or_default(),
        Libc::Glibc => ld_so_conf(root),
    };
    let listed = listed.split(['\n', ':', ',', ' ', '\t']).filter(|folder| folder.starts_with('/'));
    folders.extend(listed.map(PathBuf::from));
    for folder in ["/lib", "/usr/lib"] {
        folders.push(format!("{folder}/{machine}-linux-gnu").into());
    }
    folders.extend(FOLDERS.map(PathBuf::from));
    folders
}

/// `/etc/ld.so.conf` with the files that it includes wherever it is used: those in the folder of its name.
fn ld_so_conf(root: &Path) -> String {
    let mut text = read(root, Path::new("/etc/ld.so.conf")).unwrap_or_default();
    let folder = resolve(root, Path::new("/etc/ld.so.conf.d"));
    for entry in folder.and_then(|folder| fs::read_dir(folder).ok()).into_iter().flatten().flatten() {
        let path = Path::new("/etc/ld.so.conf.d").join(entry.file_name());
        if path.extension().is_some_and(|extension| extension == "conf") {
            text.push('\n');
            text.push_str(&read(root, &path).unwrap_or_default());
        }
    }
    text
}

fn read(root: &Path, path: &Path) -> Option<String> {
    String::from_utf8(fs::read(resolve(root, path)?).ok()?).ok()
}

/// Whether there is an ELF file for `machine` at `path` in the image.
fn is_for(machine: Machine, root: &Path, path: &Path) -> bool {
    let head = || -> io::Result<Vec<u8>> {
        let path = resolve(root, path).ok_or(io::ErrorKind::NotFound)?;
        let mut head = Vec::new();
        if path.metadata()?.is_file() {
            File::open(path)?.take(ELF_HEAD as u64).read_to_end(&mut head)?;
        }
        Ok(head)
    };
    head().is_ok_and(|head| machine.check_elf(&head).is_ok())
}

/// The place of `path` in the image below `root`, with every link on the way followed within the image.
fn resolve(root: &Path, path: &Path) -> Option<PathBuf> {
    let mut here = PathBuf::new();
    let mut todo: Vec<OsString> = Vec::new();
    let push = |todo: &mut Vec<OsString>, path: &Path| {
        todo.extend(path.components().rev().filter_map(|part| match part {
            Component::Normal(_) | Component::ParentDir => Some(part.as_os_str().to_owned()),
            _ => None,
        }));
    };
    push(&mut todo, path);
    let mut links = 0;
    while let Some(part) = todo.pop() {
        if part == ".." {
            here.pop();
            continue;
        }
        let Ok(target) = fs::read_link(root.join(&here).join(&part)) else {
            here.push(part);
            continue;
        };
        links += 1;
        if links > MAX_LINKS {
            return None;
        }
        if target.is_absolute() {
            here = PathBuf::new();
        }
        push(&mut todo, &target);
    }
    Some(root.join(here))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    #[test]
    fn this_program_starts_here() {
        let mut own = File::open(std::env::current_exe().unwrap()).unwrap();
        let needs = needs(&mut own).unwrap();
        assert!(needs.loader.is_some_and(|loader| loader.is_absolute()));
        assert!(needs.libraries.iter().any(|name| name.starts_with("libc.")), "{:?}", needs.libraries);
        let platform = Platform::of_image(Path::new("/")).unwrap();
        check(&mut own, Path::new("/"), platform).unwrap();
        let empty = tempfile::tempdir().unwrap();
        let error = check(&mut own, empty.path(), platform).unwrap_err().to_string();
        assert!(error.contains("lacks /lib") && error.contains(", libc."), "{error}");
        assert!(
            error.ends_with("use an image with the C library of Debian, Ubuntu, Fedora or Alpine"),
            "{error}"
        );
    }

    #[test]
    fn what_to_install() {
        for (libc, missing, part) in [
            (Libc::Musl, &["libstdc++.so.6", "libgcc_s.so.1"][..], "(Alpine: apk add libstdc++ libgcc)"),
            (Libc::Glibc, &["libgcc_s.so.1"], "(Debian: apt-get install libgcc-s1)"),
            (Libc::Glibc, &["libgcc_s.so.1", "libodd.so.1"], "use an image with"),
        ] {
            let missing: Vec<String> = missing.iter().map(|&name| name.to_owned()).collect();
            assert!(advice(libc, &missing).contains(part), "{missing:?}");
        }
    }

    #[test]
    fn links_stay_in_the_image() {
        let root = tempfile::tempdir().unwrap();
        let path = |name: &str| root.path().join(name);
        fs::create_dir_all(path("usr/lib/x")).unwrap();
        symlink("usr/lib", path("lib")).unwrap();
        symlink("/lib/x/../file", path("usr/lib/absolute")).unwrap();
        symlink("../../../../../../../lib/file", path("usr/lib/up")).unwrap();
        symlink("loop", path("usr/lib/loop")).unwrap();
        for (name, want) in [
            ("/lib/file", Some("usr/lib/file")),
            ("/lib/absolute", Some("usr/lib/file")),
            ("/lib/x/../up", Some("usr/lib/file")),
            ("/lib/loop", None),
            ("/../etc/passwd", Some("etc/passwd")),
        ] {
            assert_eq!(resolve(root.path(), Path::new(name)), want.map(path), "{name}");
        }
    }
}
