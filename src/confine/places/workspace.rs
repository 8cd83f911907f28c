//! Which folders are the project, from the folder that the agent is started in.
//!
//! What an agent can write says nothing here: neither `gitdir:` in a `.git` file nor `core.worktree`.

use std::fs::{self, OpenOptions};
use std::io::Read as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Component, Path, PathBuf};

use crate::policy::cell::TOO_WIDE;

/// Where the devcontainer CLI and VS Code mount projects.
const WORKSPACES: &str = "/workspaces";

/// Folders of the system's, with all that is below them.
const SYSTEM: [&str; 17] = [
    "/bin", "/boot", "/dev", "/etc", "/lib", "/lib32", "/lib64", "/libx32", "/proc", "/root", "/run",
    "/sbin", "/sys", "/usr", "/var/lib", "/var/log", "/var/run",
];
/// But below these, images have their project.
const SOURCES: [&str; 2] = ["/usr/src", "/usr/local/src"];

/// More of a `.git` file is not read.
const MAX_DOT_GIT: u64 = 4096;
/// More of a path is not shown.
const MAX_SHOWN: usize = 255;

/// The project.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Chosen {
    /// Real paths; empty where the current folder is no project.
    pub folders: Vec<PathBuf>,
    /// What the user should know, a sentence each.
    pub notes: Vec<String>,
}

/// Below `/workspaces` the folder there; elsewhere the nearest one upwards with `.git`, else the current one.
pub fn choose(cwd: &Path, real_home: &Path, further: &[PathBuf]) -> Chosen {
    choose_with(Path::new(WORKSPACES), cwd, real_home, further)
}

fn choose_with(workspaces: &Path, cwd: &Path, real_home: &Path, further: &[PathBuf]) -> Chosen {
    let cwd = match cwd.canonicalize() {
        Ok(cwd) => cwd,
        Err(error) => {
            let note = format!("the agent can write no project: {}: {error}", shown(cwd));
            return Chosen { folders: Vec::new(), notes: vec![note] };
        }
    };
    let mut upwards = cwd.ancestors().take_while(|folder| refusal(folder, real_home).is_none());
    let repository = upwards.find(|folder| fs::symlink_metadata(folder.join(".git")).is_ok());
    let project = match cwd.strip_prefix(workspaces).ok().and_then(|rest| rest.components().next()) {
        Some(first) => workspaces.join(first),
        None => repository.unwrap_or(&cwd).to_owned(),
    };
    if let Some(reason) = refusal(&project, real_home).or_else(|| bridge(workspaces, &project)) {
        let note = format!(
            "the agent can write no project, as {} {reason}: start it in a project's folder",
            shown(&project)
        );
        return Chosen { folders: Vec::new(), notes: vec![note] };
    }
    let notes = repository
        .and_then(elsewhere)
        .filter(|main| !main.starts_with(&project) && !further.iter().any(|folder| main.starts_with(folder)));
    let notes = notes.filter(|main| refusal(main, real_home).is_none()).map(|main| {
        format!(
            "the repository of {} is {}, which the agent cannot write, so that it can commit nothing: to let it, name \
             that folder in the Feature's option \"writable\" and rebuild",
            shown(repository.unwrap_or(&cwd)),
            shown(&main)
        )
    });
    Chosen { folders: vec![project], notes: notes.into_iter().collect() }
}

/// Why an agent must not write this folder and all below it, as the rest of a sentence. By the path alone, which must
/// be a real one.
pub fn refusal(folder: &Path, real_home: &Path) -> Option<&'static str> {
    let text = folder.to_str().unwrap_or_default();
    if !folder.is_absolute() || folder == Path::new("/") {
        return Some("is the root of everything");
    }
    if real_home.starts_with(folder) {
        return Some("holds your home folder");
    }
    if in_a_home(folder, real_home).is_some_and(is_settings) {
        return Some("is a folder that other programs of yours have their settings or programs in");
    }
    let mut parts = folder.iter().skip(1).filter_map(|part| part.to_str());
    match (parts.next(), parts.next(), parts.next()) {
        (Some("home"), Some(_), None) => return Some("is somebody's home folder"),
        (Some("tmp"), Some(name), _) if is_bridge(name) => {
            return Some("is a folder that other programs have their sockets in");
        }
        (Some("workspaces"), Some(name), _) if name.starts_with('.') => return Some("is no project"),
        _ => {}
    }
    let beneath = |list: &[&str]| list.iter().any(|system| folder.starts_with(system));
    let source = SOURCES.iter().any(|sources| folder.starts_with(sources) && folder != Path::new(sources));
    // Whose home is a system account's has settings there, and the project beside them.
    let at_home = real_home != Path::new("/") && folder.starts_with(real_home);
    let system = TOO_WIDE.contains(&text) || (beneath(&SYSTEM) && !source && !at_home);
    system.then_some("is a folder of the system's")
}

/// What comes first below a home: the real one, or one that looks like it.
fn in_a_home<'a>(folder: &'a Path, real_home: &Path) -> Option<&'a str> {
    let below = |home: &Path| folder.strip_prefix(home).ok().and_then(|rest| rest.iter().next()?.to_str());
    below(real_home).or_else(|| {
        let mut parts = folder.components().skip(1);
        let home = parts.next().is_some_and(|part| part == Component::Normal("home".as_ref()));
        parts.next().filter(|_| home).and_then(|_| parts.next()?.as_os_str().to_str())
    })
}

fn is_settings(first: &str) -> bool {
    first.starts_with('.') || first == "bin"
}

fn is_bridge(name: &str) -> bool {
    name.starts_with('.')
        || name.starts_with("vscode")
        || name.starts_with("agent-sandbox-")
        || name == "user"
}

/// In Codespaces the editor's server is below `/workspaces`, too.
fn bridge(workspaces: &Path, project: &Path) -> Option<&'static str> {
    let all = project == workspaces && fs::symlink_metadata(workspaces.join(".codespaces")).is_ok();
    all.then_some("holds the editor's server")
}

/// The repository of a linked worktree or a submodule, as its `.git` file says. To be shown, not to be used.
fn elsewhere(folder: &Path) -> Option<PathBuf> {
    let mut options = OpenOptions::new();
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let flags = i32::try_from(flags.bits()).ok()?;
    let file = options.read(true).custom_flags(flags).open(folder.join(".git")).ok()?;
    if !file.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    file.take(MAX_DOT_GIT).read_to_string(&mut text).ok()?;
    let named = text.strip_prefix("gitdir:")?.trim();
    let real = folder.join(named).canonicalize().ok()?;
    let main = real.ancestors().find(|part| {
        let inside = part.parent().and_then(Path::file_name);
        inside.is_some_and(|name| name == "worktrees" || name == "modules")
    })?;
    let main = main.parent()?.parent()?;
    main.join("HEAD").is_file().then(|| main.to_owned())
}

/// A path for people: without what a terminal would obey.
pub fn shown(path: &Path) -> String {
    path.to_string_lossy().escape_debug().take(MAX_SHOWN).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_project() {
        let home = Path::new("/home/vscode");
        for folder in TOO_WIDE {
            assert!(refusal(Path::new(folder), home).is_some(), "{folder}");
        }
        for folder in [
            "/",
            "relative",
            "/home/vscode",
            "/home/other",
            "/home/vscode/.ssh",
            "/home/vscode/.vscode-server/data",
            "/home/vscode/bin",
            "/home/other/.config/x",
            "/etc/agent-sandbox",
            "/usr/lib/node_modules",
            "/usr/src",
            "/var/lib/claude-code",
            "/proc/self/root",
            "/run/user/1000",
            "/root/x",
            "/tmp/vscode-ssh",
            "/tmp/user/1000",
            "/tmp/.X11-unix",
            "/tmp/agent-sandbox-1000/tmp",
            "/workspaces/.codespaces/shared",
        ] {
            assert!(refusal(Path::new(folder), home).is_some(), "{folder}");
        }
    }

    #[test]
    fn what_may_be_a_project() {
        for (home, folder) in [
            ("/home/vscode", "/home/vscode/project"),
            ("/home/vscode", "/home/vscode/work/.hidden"),
            ("/home/vscode", "/workspaces"),
            ("/home/vscode", "/workspaces/x"),
            ("/home/vscode", "/workspace"),
            ("/home/vscode", "/usr/src/app"),
            ("/home/vscode", "/usr/local/src/app"),
            ("/home/vscode", "/var/www/html"),
            ("/home/vscode", "/opt/app"),
            ("/home/vscode", "/tmp/x"),
            ("/home/vscode", "/mnt/x"),
            ("/var/lib/postgresql", "/var/lib/postgresql/project"),
            ("/", "/app"),
        ] {
            assert_eq!(refusal(Path::new(folder), Path::new(home)), None, "{folder}");
        }
    }

    struct Lab(tempfile::TempDir);

    impl Lab {
        fn new() -> Self {
            Self(tempfile::Builder::new().prefix("lab").tempdir().unwrap())
        }

        fn path(&self, path: &str) -> PathBuf {
            self.0.path().canonicalize().unwrap().join(path)
        }

        fn folder(&self, path: &str) -> PathBuf {
            fs::create_dir_all(self.path(path)).unwrap();
            self.path(path)
        }

        fn choose(&self, cwd: &str) -> Chosen {
            choose_with(&self.path("workspaces"), &self.path(cwd), &self.path("home"), &[self.path("more")])
        }
    }

    #[test]
    fn the_nearest_repository_or_the_folder_itself() {
        let lab = Lab::new();
        lab.folder("srv/app/.git");
        lab.folder("srv/app/a/b");
        lab.folder("srv/other/c");
        assert_eq!(lab.choose("srv/app/a/b").folders, [lab.path("srv/app")]);
        assert_eq!(lab.choose("srv/other/c").folders, [lab.path("srv/other/c")]);
        assert!(lab.choose("srv/app/a/b").notes.is_empty());
        // Dotfiles that are kept in a repository make nobody's home a project.
        lab.folder("home/.git");
        lab.folder("home/project/a");
        assert_eq!(lab.choose("home/project/a").folders, [lab.path("home/project/a")]);
    }

    #[test]
    fn below_workspaces_the_whole_folder_there() {
        let lab = Lab::new();
        lab.folder("workspaces/x/packages/a/.git");
        assert_eq!(lab.choose("workspaces/x/packages/a").folders, [lab.path("workspaces/x")]);
        assert_eq!(lab.choose("workspaces/x").folders, [lab.path("workspaces/x")]);
        assert_eq!(lab.choose("workspaces").folders, [lab.path("workspaces")]);
        lab.folder("workspaces/.codespaces");
        assert!(lab.choose("workspaces").folders.is_empty());
    }

    #[test]
    fn where_nothing_is_writable_it_is_said() {
        let lab = Lab::new();
        lab.folder("home/.ssh");
        for (cwd, why) in [
            ("home", "holds your home folder"),
            ("home/.ssh", "have their settings"),
            ("absent", "can write no project"),
        ] {
            let chosen = lab.choose(cwd);
            assert!(chosen.folders.is_empty(), "{cwd}");
            assert!(chosen.notes.len() == 1 && chosen.notes[0].contains(why), "{:?}", chosen.notes);
        }
    }

    #[test]
    fn a_repository_elsewhere_is_named_and_not_followed() {
        let lab = Lab::new();
        for main in ["workspaces/x/main", "workspaces/y", "more/z", "srv/bare.git", "home/.dotfiles"] {
            let git = if main.contains("bare") { main.to_owned() } else { format!("{main}/.git") };
            let git = lab.folder(&format!("{git}/worktrees/wt"));
            fs::write(git.parent().unwrap().parent().unwrap().join("HEAD"), "ref: x").unwrap();
        }
        let tree = lab.folder("workspaces/x/wt");
        for (said, named) in [
            ("../main/.git/worktrees/wt", None),
            ("../../y/.git/worktrees/wt", Some("workspaces/y/.git")),
            ("../../../srv/bare.git/worktrees/wt", Some("srv/bare.git")),
            ("../../../more/z/.git/worktrees/wt", None),
            ("../../../home/.dotfiles/.git/worktrees/wt", None),
            ("../../absent/.git/worktrees/wt", None),
            ("/etc", None),
        ] {
            fs::write(tree.join(".git"), format!("gitdir: {said}\n")).unwrap();
            let chosen = lab.choose("workspaces/x/wt");
            assert_eq!(chosen.folders, [lab.path("workspaces/x")], "{said}");
            let notes: Vec<_> = named.iter().map(|named| lab.path(named)).collect();
            assert_eq!(chosen.notes.len(), notes.len(), "{said}: {:?}", chosen.notes);
            for (note, named) in chosen.notes.iter().zip(&notes) {
                assert!(note.contains(&format!("is {}, which", named.display())), "{note}");
            }
        }
    }

    #[test]
    fn git_commits_in_a_worktree_beside_its_repository() {
        let lab = Lab::new();
        let git = |folder: &str, arguments: &[&str]| {
            let mut command = std::process::Command::new("git");
            command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", lab.path(""));
            command
                .args(["-c", "user.name=n", "-c", "user.email=e", "-C"])
                .arg(lab.path(folder))
                .args(arguments);
            assert!(command.output().unwrap().status.success(), "{arguments:?}");
        };
        lab.folder("workspaces/x/main");
        git("workspaces/x/main", &["init", "-q"]);
        git("workspaces/x/main", &["commit", "-q", "--allow-empty", "-m", "a"]);
        git("workspaces/x/main", &["worktree", "add", "-q", "../wt"]);
        git("workspaces/x/main", &["worktree", "add", "-q", "../../y"]);
        let beside = lab.choose("workspaces/x/wt");
        assert_eq!((beside.folders, beside.notes.len()), (vec![lab.path("workspaces/x")], 0));
        let other = lab.choose("workspaces/y");
        assert_eq!((other.folders, other.notes.len()), (vec![lab.path("workspaces/y")], 1));
    }

    #[test]
    fn what_is_shown_is_plain_and_short() {
        assert_eq!(shown(Path::new("/a\u{1b}[2Jb\n")), "/a\\u{1b}[2Jb\\n");
        assert_eq!(shown(Path::new(&"/a".repeat(1000))).len(), MAX_SHOWN);
    }
}
