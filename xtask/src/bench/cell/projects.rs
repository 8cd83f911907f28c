//! What is built, looked through and installed: made anew, the same each time.

use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::Context as _;

use crate::sh;

/// How much of each.
#[derive(Debug, Clone, Copy)]
pub(super) struct Sizes {
    /// Files of C.
    pub(super) c: usize,
    /// Modules of the crate.
    pub(super) rust: usize,
    /// Files of the repository.
    pub(super) tree: usize,
    /// Packages to install.
    pub(super) npm: usize,
}

pub(super) const USUAL: Sizes = Sizes { c: 200, rust: 40, tree: 50_000, npm: 60 };
pub(super) const QUICK: Sizes = Sizes { c: 4, rust: 2, tree: 100, npm: 2 };

/// Files of a folder of the repository.
const IN_A_FOLDER: usize = 100;
/// Files of a package.
const IN_A_PACKAGE: usize = 40;

/// Makes all of them in the project's folder.
pub(super) fn make(project: &Path, sizes: Sizes) -> anyhow::Result<()> {
    // The whole folder is one project, whose root the cell finds by this.
    let git = |folder: &Path, arguments: &[&str]| {
        let who = ["-c", "user.name=bench", "-c", "user.email=bench@bench.example", "-c", "gc.auto=0"];
        sh::run(Command::new("git").arg("-C").arg(folder).args(who).args(arguments))
    };
    git(project, &["init", "--quiet"])?;
    fs::create_dir_all(project.join("calls"))?;
    c(&project.join("c"), sizes.c).context("the C project")?;
    rust(&project.join("rust"), sizes.rust).context("the crate")?;
    npm(&project.join("npm"), sizes.npm).context("the packages")?;
    let tree = project.join("tree");
    for number in 0..sizes.tree {
        let folder = tree.join(format!("folder{}", number / IN_A_FOLDER));
        if number % IN_A_FOLDER == 0 {
            fs::create_dir_all(&folder)?;
        }
        fs::write(folder.join(format!("file{number}.txt")), format!("{number}\n"))?;
    }
    git(&tree, &["init", "--quiet"])?;
    git(&tree, &["add", "."])?;
    git(&tree, &["commit", "--quiet", "--message", "all"])
}

fn c(folder: &Path, files: usize) -> anyhow::Result<()> {
    fs::create_dir_all(folder)?;
    let mut main = "#include <stdio.h>\n".to_owned();
    let mut sum = String::new();
    for file in 0..files {
        let mut text = "#include <stdio.h>\n#include <stdlib.h>\n#include <string.h>\n".to_owned();
        for function in 0..8 {
            writeln!(
                text,
                "int f{file}_{function}(int n) {{ int s = 0; for (int i = 0; i < n; i++) s += i * {function} % 7; return s; }}"
            )?;
        }
        fs::write(folder.join(format!("file{file}.c")), text)?;
        writeln!(main, "int f{file}_0(int);")?;
        write!(sum, " + f{file}_0({file})")?;
    }
    writeln!(main, "int main(void) {{ return printf(\"%d\\n\", 0{sum}) < 0; }}")?;
    fs::write(folder.join("main.c"), main)?;
    let makefile = "OBJECTS := $(patsubst %.c,%.o,$(wildcard *.c))\n\
                    program: $(OBJECTS)\n\tcc -o $@ $(OBJECTS)\n\
                    %.o: %.c\n\tcc -O1 -c -o $@ $<\n\
                    clean:\n\trm -f program *.o\n";
    Ok(fs::write(folder.join("Makefile"), makefile)?)
}

fn rust(folder: &Path, modules: usize) -> anyhow::Result<()> {
    fs::create_dir_all(folder.join("src"))?;
    let manifest = "[package]\nname = \"built\"\nversion = \"0.1.0\"\nedition = \"2021\"\n\n[workspace]\n";
    fs::write(folder.join("Cargo.toml"), manifest)?;
    let (mut main, mut calls) = (String::new(), String::new());
    for module in 0..modules {
        let mut text = "use std::collections::BTreeMap;\n".to_owned();
        for function in 0..20 {
            writeln!(
                text,
                "pub fn f{function}(of: &[u64]) -> BTreeMap<u64, String> {{\n    of.iter().map(|n| (n * {function}, \
                 format!(\"{{n}} of {function}\"))).collect()\n}}"
            )?;
        }
        fs::write(folder.join(format!("src/m{module}.rs")), text)?;
        writeln!(main, "mod m{module};")?;
        for function in 0..20 {
            writeln!(calls, "    sum += m{module}::f{function}(&numbers).len();")?;
        }
    }
    writeln!(
        main,
        "fn main() {{\n    let numbers = [1, 2, 3];\n    let mut sum = 0;\n{calls}    println!(\"{{sum}}\");\n}}"
    )?;
    Ok(fs::write(folder.join("src/main.rs"), main)?)
}

fn npm(folder: &Path, packages: usize) -> anyhow::Result<()> {
    let packed = folder.join("packed");
    let mut dependencies = serde_json::Map::new();
    for number in 0..packages {
        let name = format!("package{number}");
        let package = packed.join(&name).join("package");
        fs::create_dir_all(package.join("lib"))?;
        let manifest = serde_json::json!({ "name": name, "version": "1.0.0", "main": "lib/0.js" });
        fs::write(package.join("package.json"), manifest.to_string())?;
        for file in 0..IN_A_PACKAGE {
            let text = format!("exports.value = {file};\n").repeat(40);
            fs::write(package.join(format!("lib/{file}.js")), text)?;
        }
        let archive = format!("{name}.tgz");
        let mut tar = Command::new("tar");
        tar.arg("-czf").arg(packed.join(&archive)).arg("-C").arg(packed.join(&name)).arg("package");
        sh::run(&mut tar)?;
        fs::remove_dir_all(packed.join(&name))?;
        dependencies.insert(name, format!("file:packed/{archive}").into());
    }
    let manifest = serde_json::json!({ "name": "bench", "version": "1.0.0", "private": true, "dependencies": dependencies });
    Ok(fs::write(folder.join("package.json"), manifest.to_string())?)
}
