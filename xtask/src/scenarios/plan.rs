//! Which scenarios run, and which base images they need: decided before anything is fetched or started.
//!
//! A scenario needs the images whose marks (`IMAGE_NAME`) its text holds. A host script may have rows, lines such as
//! `# Row: musl image=musl container=root remote=vscode`; it then runs once for each, and needs the row's image.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use anyhow::{Context as _, bail};

use super::image::{self, Image};
use crate::feature::js_json;

/// What runs.
#[derive(Debug, Default)]
pub struct Plan {
    /// By the Feature's id, and not empty.
    pub features: BTreeMap<String, Scenarios>,
    images: BTreeSet<&'static str>,
}

/// A Feature's scenarios.
#[derive(Debug, Default)]
pub struct Scenarios {
    /// Those that the official CLI runs.
    pub cli: Vec<String>,
    /// Those that run on the host.
    pub host: Vec<HostRun>,
}

/// A script on the host, for one of its rows if it has any.
#[derive(Debug, Clone)]
pub struct HostRun {
    /// What the report calls it: `script` or `script/row`.
    pub name: String,
    /// The script's file name.
    pub script: String,
    /// The row.
    pub row: Option<Row>,
}

/// A row of a script.
#[derive(Debug, Clone)]
pub struct Row {
    /// Its name.
    pub name: String,
    /// The image that it is about.
    pub image: &'static Image,
    /// All that it says, `image` among it.
    pub settings: BTreeMap<String, String>,
}

impl Plan {
    /// Reads `test-scenarios/`, and keeps what has `filter` in its name.
    pub fn read(tests: &Path, filter: &str) -> anyhow::Result<Self> {
        let mut plan = Self { images: BTreeSet::from([image::DEFAULT]), ..Self::default() };
        for folder in sorted(tests)? {
            let mut scenarios = Scenarios::default();
            plan.read_cli(&folder.join("scenarios.json"), filter, &mut scenarios)?;
            plan.read_host(&folder.join("host"), filter, &mut scenarios)?;
            if !(scenarios.cli.is_empty() && scenarios.host.is_empty()) {
                plan.features.insert(file_name(&folder), scenarios);
            }
        }
        if plan.features.is_empty() {
            bail!("no scenario's name contains {filter:?}; a filter that matches none is a mistake");
        }
        Ok(plan)
    }

    /// The plan of a run that starts its own containers: nothing but the default image and Claude Code's.
    pub fn bare() -> Self {
        Self { images: BTreeSet::from([image::DEFAULT]), ..Self::default() }
    }

    /// The images that are needed, and those that they are made on.
    pub fn images(&self) -> Vec<&'static Image> {
        let needed = |image: &&Image| self.images.contains(image.name);
        let parents: BTreeSet<&str> =
            image::all().filter(needed).filter_map(|image| Some(image.parent()?.name)).collect();
        image::all().filter(|image| needed(image) || parents.contains(image.name)).collect()
    }

    /// Whether a row says this of itself.
    pub fn has_row(&self, key: &str, value: &str) -> bool {
        let runs = self.features.values().flat_map(|scenarios| &scenarios.host);
        runs.filter_map(|run| run.row.as_ref()?.settings.get(key)).any(|found| found == value)
    }

    /// Takes out the rows of images that cannot run here, and names them.
    pub fn drop_rows(&mut self, cannot: impl Fn(&Image) -> bool) -> Vec<String> {
        let mut dropped = Vec::new();
        for scenarios in self.features.values_mut() {
            scenarios.host.retain(|run| {
                let Some(row) = run.row.as_ref().filter(|row| cannot(row.image)) else { return true };
                self.images.remove(row.image.name);
                dropped.push(run.name.clone());
                false
            });
        }
        dropped
    }

    fn read_cli(&mut self, path: &Path, filter: &str, into: &mut Scenarios) -> anyhow::Result<()> {
        if !path.is_file() {
            return Ok(());
        }
        let text = read(path)?;
        let value = crate::feature::json::parse(&text).with_context(|| path.display().to_string())?;
        let object = value.as_object().with_context(|| format!("{} holds no object", path.display()))?;
        for (name, scenario) in object.iter().filter(|(name, _)| name.contains(filter)) {
            self.need(&js_json::stringify(scenario));
            into.cli.push(name.to_owned());
        }
        Ok(())
    }

    fn read_host(&mut self, folder: &Path, filter: &str, into: &mut Scenarios) -> anyhow::Result<()> {
        if !folder.is_dir() {
            return Ok(());
        }
        for path in sorted(folder)? {
            let script = file_name(&path);
            let Some(name) = script.strip_suffix(".sh").filter(|name| !name.starts_with("lib")) else {
                continue;
            };
            let text = read(&path)?;
            let rows = rows(&text).with_context(|| path.display().to_string())?;
            if rows.is_empty() && name.contains(filter) {
                self.need(&text);
                into.host.push(HostRun { name: name.to_owned(), script: script.clone(), row: None });
            }
            for row in rows {
                let name = format!("{name}/{}", row.name);
                if name.contains(filter) {
                    self.images.insert(row.image.name);
                    self.need(&text);
                    into.host.push(HostRun { name, script: script.clone(), row: Some(row) });
                }
            }
        }
        Ok(())
    }

    fn need(&mut self, text: &str) {
        let whole = |rest: &str| !rest.starts_with(|c: char| c.is_ascii_alphanumeric() || c == '_');
        for image in image::all() {
            let mark = image.mark();
            if text.match_indices(&mark).any(|(at, _)| whole(&text[at + mark.len()..])) {
                self.images.insert(image.name);
            }
        }
    }
}

fn rows(text: &str) -> anyhow::Result<Vec<Row>> {
    text.lines().filter_map(|line| line.strip_prefix("# Row: ")).map(row).collect()
}

fn row(line: &str) -> anyhow::Result<Row> {
    let mut words = line.split_whitespace();
    let name = words.next().context("a row without a name")?.to_owned();
    let mut settings = BTreeMap::new();
    for word in words {
        let (key, value) =
            word.split_once('=').with_context(|| format!("row {name}: {word:?} is not KEY=VALUE"))?;
        settings.insert(key.to_owned(), value.to_owned());
    }
    let image = settings.get("image").with_context(|| format!("row {name} names no image"))?;
    Ok(Row { image: image::named(image).with_context(|| format!("row {name}"))?, name, settings })
}

fn sorted(folder: &Path) -> anyhow::Result<Vec<PathBuf>> {
    let entries = std::fs::read_dir(folder).with_context(|| folder.display().to_string())?;
    let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>()?;
    paths.sort();
    Ok(paths)
}

fn read(path: &Path) -> anyhow::Result<String> {
    std::fs::read_to_string(path).with_context(|| path.display().to_string())
}

fn file_name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(plan: &Plan) -> Vec<&str> {
        plan.images().iter().map(|image| image.name).collect()
    }

    #[test]
    fn images_on_demand() {
        let tests = tempfile::tempdir().unwrap();
        let host = tests.path().join("x/host");
        std::fs::create_dir_all(&host).unwrap();
        let write = |name: &str, text: &str| std::fs::write(host.join(name), text).unwrap();
        write("lib.sh", "$IMAGE_BASE");
        write("lib_more.sh", "$IMAGE_NODE");
        write("agent.sh", "run \"$IMAGE_CLAUDE\"");
        write("images.sh", "# Row: musl image=musl remote=vscode\n# Row: nobody image=rootonly\n");
        let json = r#"{ "plain": { "image": "@IMAGE@" }, "other": { "image": "@IMAGE_BULLSEYE@" } }"#;
        std::fs::write(tests.path().join("x/scenarios.json"), json).unwrap();
        let read = |filter: &str| Plan::read(tests.path(), filter);

        assert_eq!(names(&read("plain").unwrap()), ["bookworm"]);
        assert_eq!(names(&read("other").unwrap()), ["bookworm", "bullseye"]);
        assert_eq!(names(&read("agent").unwrap()), ["bookworm", "claude"]);
        assert_eq!(names(&read("images/musl").unwrap()), ["bookworm", "musl"]);
        assert!(read("no such").is_err());

        let mut plan = read("").unwrap();
        assert_eq!(names(&plan), ["bookworm", "claude", "bullseye", "musl", "rootonly"]);
        let runs: Vec<String> = plan.features["x"].host.iter().map(|run| run.name.clone()).collect();
        assert_eq!(runs, ["agent", "images/musl", "images/nobody"]);
        let row = plan.features["x"].host[1].row.clone().unwrap();
        assert_eq!(row.settings["remote"], "vscode");
        assert!(plan.has_row("remote", "vscode") && !plan.has_row("remote", "root"));
        assert_eq!(plan.drop_rows(|image| image.name == "musl"), ["images/musl"]);
        assert_eq!(names(&plan), ["bookworm", "claude", "bullseye", "rootonly"]);
    }

    #[test]
    fn rows_that_do_not_read() {
        for (line, reason) in [
            ("# Row: x remote=y", "names no image"),
            ("# Row: x image=alpine", "row x"),
            ("# Row: x image", "not KEY=VALUE"),
        ] {
            let error = rows(line).unwrap_err();
            assert!(error.to_string().contains(reason), "{line}: {error}");
        }
        assert!(rows("# A row of nothing\nRow: x\n").unwrap().is_empty());
    }
}
