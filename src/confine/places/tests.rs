use super::*;
use std::os::unix::fs::{PermissionsExt as _, symlink};

struct Lab(tempfile::TempDir);

impl Lab {
    fn new() -> Self {
        let lab = Self(tempfile::Builder::new().prefix("lab").tempdir().unwrap());
        for folder in ["volume", "tmp", "project"] {
            fs::create_dir(lab.path(folder)).unwrap();
        }
        lab
    }

    fn path(&self, path: &str) -> PathBuf {
        self.0.path().canonicalize().unwrap().join(path)
    }

    fn outer(&self, path: &str) -> PathBuf {
        let uid = rustix::process::getuid().as_raw();
        self.path("tmp").join(format!("agent-sandbox-{uid}")).join(path)
    }

    fn prepare(&self, policy: &CellPolicy) -> Result<Places, PlacesError> {
        Places::prepare_below(&self.path("volume"), &self.path("tmp"), policy, &self.path("project"))
    }
}

#[test]
fn its_own_folders_are_made_and_kept() {
    let lab = Lab::new();
    let places = lab.prepare(&CellPolicy::default()).unwrap();
    assert_eq!(places.home, lab.path("volume/home"));
    assert_eq!(places.temporary, lab.outer("tmp"));
    assert_eq!(places.workspace, [lab.path("project")]);
    for folder in [&places.home, &places.temporary, &lab.outer("")] {
        assert_eq!(fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
    }
    fs::write(places.home.join("x"), "").unwrap();
    assert_eq!(lab.prepare(&CellPolicy::default()).unwrap(), places);
    assert!(places.home.join("x").exists());
    let writable: Vec<_> = places.writable().collect();
    assert!(
        writable.contains(&lab.path("project").as_path()) && !writable.contains(&lab.outer("").as_path())
    );
    assert!(places.is_writable(&lab.path("project/a/b")));
    assert!(!places.is_writable(&lab.path("project/../x")) && !places.is_writable(&lab.path("projects")));
}

#[test]
fn where_nothing_can_be_made_in_tmp_the_volume_has_the_temporary_folder() {
    let lab = Lab::new();
    fs::remove_dir(lab.path("tmp")).unwrap();
    let places = lab.prepare(&CellPolicy::default()).unwrap();
    assert!(places.temporary.starts_with(lab.path("volume")) && places.temporary.is_dir());
    assert_eq!(places.agents, None);
    assert!(
        places.notes.iter().any(|note| note.starts_with("Claude Code's background agents cannot listen"))
    );
}

#[test]
fn a_home_that_is_a_link_is_passed_over() {
    let lab = Lab::new();
    symlink(lab.path("project"), lab.path("volume/home")).unwrap();
    let uid = rustix::process::getuid().as_raw();
    assert_eq!(lab.prepare(&CellPolicy::default()).unwrap().home, lab.path(&format!("volume/{uid}-home")));
    fs::remove_dir(lab.path(&format!("volume/{uid}-home"))).unwrap();
    fs::write(lab.path(&format!("volume/{uid}-home")), "").unwrap();
    assert_eq!(lab.prepare(&CellPolicy::default()).unwrap().home, lab.outer("home"));
}

#[test]
fn without_a_volume_the_home_is_beside_the_temporary_folder() {
    let lab = Lab::new();
    fs::remove_dir(lab.path("volume")).unwrap();
    assert_eq!(lab.prepare(&CellPolicy::default()).unwrap().home, lab.outer("home"));
}

#[test]
fn a_temporary_folder_that_somebody_put_there_is_refused() {
    let lab = Lab::new();
    symlink(lab.path("project"), lab.outer("").parent().unwrap().join(lab.outer("").file_name().unwrap()))
        .unwrap();
    let error = lab.prepare(&CellPolicy::default()).unwrap_err().to_string();
    assert!(
        error.starts_with("the agent's temporary folder: ") && error.ends_with("is no folder: remove it")
    );
    assert!(!lab.path("project/tmp").exists(), "the link was followed");
}

#[test]
fn what_the_policy_adds_is_what_it_says_or_nothing() {
    let lab = Lab::new();
    fs::create_dir(lab.path("data")).unwrap();
    symlink(lab.path("data"), lab.path("link")).unwrap();
    let listed = ["data", "link", "absent"].map(|name| lab.path(name).to_str().unwrap().to_owned());
    let policy = CellPolicy { writable: listed.into(), ..CellPolicy::default() };
    let places = lab.prepare(&policy).unwrap();
    assert_eq!(places.further, [lab.path("data")]);
    assert!(
        places.notes.iter().any(|note| note.contains("link is not writable for the agent, as it leads to"))
    );
    assert!(
        places.notes.iter().any(|note| note.contains("absent is not writable for the agent: No such file"))
    );
}

#[test]
fn the_configuration_is_no_way_to_other_settings() {
    let lab = Lab::new();
    let home = lab.path("project");
    for folder in [".claude", ".ssh", "work"] {
        fs::create_dir(home.join(folder)).unwrap();
    }
    symlink(home.join(".ssh"), home.join("work/config")).unwrap();
    assert_eq!(usable(&home.join(".claude"), &home), Ok(home.join(".claude")));
    assert_eq!(usable(&home.join("work"), &home), Ok(home.join("work")));
    for folder in [home.join(".ssh"), home.join("work/config"), home.clone(), PathBuf::from("/etc")] {
        assert!(usable(&folder, &home).is_err(), "{}", folder.display());
    }
}
