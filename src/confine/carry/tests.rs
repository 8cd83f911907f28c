use super::*;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

struct Lab {
    folder: tempfile::TempDir,
    places: Places,
}

impl Lab {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let place = |name: &str| {
            fs::create_dir(folder.path().join(name)).unwrap();
            folder.path().join(name)
        };
        let places = Places { real_home: place("real"), home: place("home"), ..Places::default() };
        Self { folder, places }
    }

    fn real(&self, name: &str, content: &str) {
        let path = self.places.real_home.join(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn home(&self, name: &str) -> PathBuf {
        self.places.home.join(name)
    }

    fn text(&self, name: &str) -> String {
        fs::read_to_string(self.home(name)).unwrap_or_default()
    }

    fn carry(&self) {
        assert_eq!(carry(&self.places), [""; 0]);
    }
}

#[test]
fn git_knows_who_commits_and_no_helper() {
    let lab = Lab::new();
    lab.real(".gitconfig", "[user]\n\tname = A B\n\temail = a@b.example\n[credential]\n\thelper = store\n");
    lab.real(".config/git/config", "[user]\n\tname = Earlier\n[pull]\n\trebase = true\n");
    lab.carry();
    let git = |key: &str| {
        let mut command = Command::new("git");
        command.env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", &lab.places.home);
        command.env("GIT_CONFIG_NOSYSTEM", "1").current_dir(lab.folder.path()).args(["config", "--get", key]);
        String::from_utf8(command.output().unwrap().stdout).unwrap().trim_end().to_owned()
    };
    assert_eq!((git("user.name"), git("user.email")), ("A B".to_owned(), "a@b.example".to_owned()));
    assert_eq!((git("pull.rebase"), git("credential.helper")), ("true".to_owned(), String::new()));
}

#[test]
fn git_ignores_what_the_user_has_ignored() {
    let lab = Lab::new();
    lab.real(".config/git/ignore", "# mine\n.DS_Store\n");
    lab.carry();
    assert_eq!(lab.text(".config/git/ignore"), ".DS_Store\n");
    lab.real(".gitconfig", "[core]\n\texcludesFile = ~/.gitignore_global\n");
    lab.real(".gitignore_global", "*.swp\n");
    lab.carry();
    assert_eq!(lab.text(".config/git/ignore"), "*.swp\n");
}

#[test]
fn a_link_to_ignored_files_is_not_led_on_to_a_key() {
    let lab = Lab::new();
    let project = tempfile::tempdir().unwrap();
    lab.real(".ssh/id_rsa", "SECRET\n");
    lab.real(".config/git/x", "");
    let written_by_an_agent = project.path().join("gitignore");
    symlink(&written_by_an_agent, lab.places.real_home.join(".gitignore_global")).unwrap();
    symlink(&written_by_an_agent, lab.places.real_home.join(".config/git/ignore")).unwrap();
    fs::write(&written_by_an_agent, "*.swp\n").unwrap();
    lab.carry();
    assert_eq!(lab.text(".config/git/ignore"), "*.swp\n");
    fs::remove_file(&written_by_an_agent).unwrap();
    symlink(lab.places.real_home.join(".ssh/id_rsa"), &written_by_an_agent).unwrap();
    assert_eq!(carry(&lab.places).len(), 1);
    assert!(!lab.home(".config/git/ignore").exists());
    lab.real(".gitconfig", "[core]\n\texcludesFile = ~/.gitignore_global\n");
    lab.carry();
    assert!(!lab.home(".config/git/ignore").exists());
}

#[test]
fn registries_arrive_without_their_logins() {
    let lab = Lab::new();
    lab.real(".npmrc", "registry=https://npm.example/\n//npm.example/:_authToken=SECRET\n");
    lab.real(".config/pip/pip.conf", "[global]\nindex-url = https://pip.example/simple\n");
    lab.real(".cargo/config.toml", "[registries.own]\nindex = \"https://own.example\"\ntoken = \"SECRET\"\n");
    lab.real(".config/go/env", "GOPROXY=https://go.example\nGOAUTH=SECRET\n");
    lab.real(".ssh/id_ed25519", "SECRET");
    lab.real(".git-credentials", "https://me:SECRET@h.example");
    lab.carry();
    for (name, wanted) in [
        (".npmrc", "npm.example"),
        (".config/pip/pip.conf", "pip.example"),
        (".cargo/config.toml", "own.example"),
        (".config/go/env", "go.example"),
    ] {
        assert!(lab.text(name).contains(wanted), "{name}");
    }
    let found = Command::new("grep").arg("-r").arg("SECRET").arg(&lab.places.home).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
    let found = Command::new("grep").arg("-rl").arg("SECRET").arg(&lab.places.real_home).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout).lines().count(), 5, "the search finds what is there");
}

#[test]
fn what_the_user_changes_follows_and_what_the_agent_changes_stays() {
    let lab = Lab::new();
    lab.real(".npmrc", "registry=https://one.example\n");
    lab.carry();
    lab.real(".npmrc", "registry=https://second.example\n");
    lab.carry();
    assert!(lab.text(".npmrc").contains("second.example"));
    fs::write(lab.home(".npmrc"), "registry=https://agents.example\n").unwrap();
    lab.real(".npmrc", "registry=https://the-third.example\n");
    lab.carry();
    assert_eq!(lab.text(".npmrc"), "registry=https://agents.example\n");
}

#[test]
fn what_the_agent_removed_or_made_first_is_its_own() {
    let lab = Lab::new();
    fs::write(lab.home(".npmrc"), "mine").unwrap();
    fs::write(lab.home(".gitconfig"), "[user]\n\tname = agent\n").unwrap();
    lab.real(".npmrc", "registry=https://one.example\n");
    lab.real(".config/go/env", "GOPROXY=https://one.example\n");
    lab.carry();
    assert_eq!((lab.text(".npmrc").as_str(), lab.text(".gitconfig").len()), ("mine", 21));
    fs::remove_file(lab.home(".config/go/env")).unwrap();
    lab.real(".config/go/env", "GOPROXY=https://second.example\n");
    lab.carry();
    assert!(!lab.home(".config/go/env").exists());
}

#[test]
fn what_the_user_takes_away_goes() {
    let lab = Lab::new();
    lab.real(".npmrc", "registry=https://one.example\n");
    lab.carry();
    fs::remove_file(lab.places.real_home.join(".npmrc")).unwrap();
    lab.carry();
    assert!(!lab.home(".npmrc").exists());
    lab.real(".npmrc", "registry=https://one.example\n");
    lab.carry();
    assert!(lab.text(".npmrc").contains("one.example"), "and comes again");
}

#[test]
fn links_of_the_agents_are_not_followed() {
    let lab = Lab::new();
    let outside = lab.folder.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("config.toml"), "as it was").unwrap();
    symlink(&outside, lab.home(".cargo")).unwrap();
    symlink(outside.join("npmrc"), lab.home(".npmrc")).unwrap();
    symlink(outside.join("profile"), lab.home(".profile")).unwrap();
    symlink(outside.join("stamps"), lab.home(".agent-sandbox")).unwrap();
    lab.real(".cargo/config.toml", "[registries.own]\nindex = \"https://own.example\"\n");
    lab.real(".npmrc", "registry=https://one.example\n");
    lab.real(".gitconfig", "[user]\n\tname = x\n");
    let problems = carry(&lab.places);
    assert!(
        problems.iter().any(|problem| problem.starts_with("~/.cargo/config.toml is not carried into the"))
    );
    assert_eq!(fs::read_to_string(outside.join("config.toml")).unwrap(), "as it was");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1, "something was made where a link leads");
}

#[test]
fn odd_files_are_told_and_keep_nobody_waiting() {
    let lab = Lab::new();
    let pipe = lab.places.real_home.join(".npmrc");
    rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RWXU).unwrap();
    lab.real(".gitconfig", &" ".repeat(usize::try_from(MAX_FILE).unwrap() + 1));
    rustix::fs::mkfifoat(rustix::fs::CWD, lab.home(".profile"), rustix::fs::Mode::RWXU).unwrap();
    let problems = carry(&lab.places).join("\n");
    assert!(
        problems.contains("nothing of ~/.npmrc is carried into the agent's home: it is no file"),
        "{problems}"
    );
    assert!(
        problems
            .contains("nothing of ~/.gitconfig is carried into the agent's home: it is larger than 256 KiB")
    );
    // Nothing has changed, so nothing is said again.
    lab.carry();
}

#[test]
fn without_a_change_nothing_is_written() {
    let lab = Lab::new();
    lab.real(".npmrc", "registry=https://one.example\n");
    lab.carry();
    let before = fs::metadata(lab.home(".agent-sandbox")).unwrap().mtime_nsec();
    fs::remove_file(lab.home(".zshrc")).unwrap();
    lab.carry();
    assert_eq!(fs::metadata(lab.home(".agent-sandbox")).unwrap().mtime_nsec(), before);
    assert!(!lab.home(".zshrc").exists(), "what begins a home comes once");
}

#[test]
fn the_profile_reads_what_the_environment_sets() {
    assert!(PROFILE.contains(&format!("PATH=${}\n", crate::confine::environment::PATH_AGAIN)));
}

#[test]
fn a_home_that_is_not_there_is_told() {
    let lab = Lab::new();
    fs::remove_dir(&lab.places.home).unwrap();
    assert_eq!(carry(&lab.places).len(), 1);
}
