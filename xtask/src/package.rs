//! `cargo xtask package`: load, validate, assemble, pack; and only then write.

use std::path::{Path, PathBuf};

use crate::archive;
use crate::cli::PackageArgs;
use crate::collection::{self, Entry};
use crate::feature::assemble;
use crate::feature::binaries::{self, Binaries};
use crate::feature::clashes;
use crate::feature::content::Rules;
use crate::feature::discover::{self, Target};
use crate::feature::kind::Kind;
use crate::feature::load::{self, Feature};
use crate::feature::metadata::Metadata;
use crate::feature::problem::{InvalidFeatures, Problem, one_line, shown};
use crate::output_folder;
use crate::payload::Payload;
use crate::project;
use crate::since;
use crate::terminal;

/// A target, packed.
#[derive(Debug, Clone)]
pub struct Packed {
    /// Its Features or Templates by id.
    pub features: Vec<PackedFeature>,
    /// Whether the target was one of them, and not a collection.
    pub single: bool,
    /// What a reader should know: what was left out or skipped.
    pub notes: Vec<String>,
}

/// One Feature or Template, packed.
#[derive(Debug, Clone)]
pub struct PackedFeature {
    /// What its metadata file says.
    pub metadata: Metadata,
    /// The archive.
    pub archive: Payload,
    /// The folder that it was made from.
    pub folder: PathBuf,
}

impl PackedFeature {
    /// The archive's file name, which is also the layer's title.
    pub fn file_name(&self) -> String {
        self.metadata.kind.archive_name(&self.metadata.id)
    }

    /// What the collection file lists.
    pub fn entry(&self) -> Entry {
        Entry { kind: self.metadata.kind, json: self.metadata.json.clone() }
    }
}

impl Packed {
    /// The collection file of exactly these.
    pub fn collection(&self) -> String {
        collection::render(self.features.iter().map(PackedFeature::entry).collect())
    }
}

/// Runs the command.
pub fn run(kind: Kind, args: &PackageArgs) -> anyhow::Result<()> {
    let packed = of_kind(kind, args.target.as_deref())?;
    for note in &packed.notes {
        terminal::note(note);
    }
    if let Some(reference) = &args.since {
        since::check(reference, &packed)?;
    }
    write(&packed, &args.output_folder, args.force_clean_output_folder)?;
    for feature in &packed.features {
        terminal::note(format_args!(
            "{} {} -> {} ({} bytes, {})",
            feature.metadata.id,
            feature.metadata.version,
            shown(&args.output_folder.join(feature.file_name())),
            feature.archive.len(),
            feature.archive.digest(),
        ));
    }
    Ok(())
}

/// What is meant where no target is named.
pub fn own_target(kind: Kind) -> anyhow::Result<PathBuf> {
    project::own_collection(kind.plural())
}

/// Packs a target, or this repository's own Features; builds the binaries that ours ship.
pub fn target(target: Option<&Path>) -> anyhow::Result<Packed> {
    of_kind(Kind::Feature, target)
}

/// Packs a target with Features or Templates, or this repository's own.
pub fn of_kind(kind: Kind, target: Option<&Path>) -> anyhow::Result<Packed> {
    let folder = target.map_or_else(|| own_target(kind), |target| Ok(target.to_owned()))?;
    let (found, features, notes) = load_all(kind, &folder)?;
    let binaries = match kind {
        Kind::Feature => own_binaries(&folder, &features)?,
        Kind::Template => Binaries::new(),
    };
    pack(&found, &features, &binaries, notes)
}

/// Packs a target with binaries that are there already, by the id of the Feature that ships them.
pub fn with_binaries(target: &Path, binaries: &Binaries) -> anyhow::Result<Packed> {
    let (found, features, notes) = load_all(Kind::Feature, target)?;
    pack(&found, &features, binaries, notes)
}

/// Writes the archives and the collection file, all or nothing.
pub fn write(packed: &Packed, folder: &Path, force: bool) -> anyhow::Result<()> {
    let mut files: Vec<(String, Payload)> =
        packed.features.iter().map(|feature| (feature.file_name(), feature.archive.clone())).collect();
    files.push((collection::FILE_NAME.to_owned(), packed.collection().into_bytes().into()));
    let sources: Vec<&Path> = packed.features.iter().map(|feature| feature.folder.as_path()).collect();
    output_folder::write(&output_folder::Plan { folder, force, sources: &sources, files: &files })?;
    Ok(())
}

/// Our own Features ship binaries; somebody else's have what their folders hold.
fn own_binaries(target: &Path, features: &[Feature]) -> anyhow::Result<Binaries> {
    let Ok(root) = project::root() else {
        return Ok(Binaries::new());
    };
    let features_folder = root.join("features").canonicalize().unwrap_or_default();
    let own = target
        .canonicalize()
        .is_ok_and(|target| features_folder.is_absolute() && target.starts_with(&features_folder));
    if !own {
        return Ok(Binaries::new());
    }
    let ids: Vec<String> = features.iter().map(|feature| feature.metadata.id.clone()).collect();
    binaries::build(&root, &ids)
}

type Loaded = (Target, Vec<Feature>, Vec<String>);

/// Finds and reads every Feature or Template, and reports the problems of all of them together.
fn load_all(kind: Kind, target: &Path) -> anyhow::Result<Loaded> {
    let found = discover::discover(kind, target)?;
    let mut features: Vec<Feature> = Vec::new();
    let mut problems = Vec::new();
    for folder in &found.folders {
        match load::load(kind, folder) {
            Ok(feature) => features.push(feature),
            Err(found) => problems.extend(found),
        }
    }
    problems.extend(clashes::find(kind, &found.folders));
    if !problems.is_empty() {
        return Err(InvalidFeatures(problems).into());
    }
    features.sort_by(|a, b| a.metadata.id.cmp(&b.metadata.id));
    let notes = notes(kind, &found, &features);
    Ok((found, features, notes))
}

fn notes(kind: Kind, found: &Target, features: &[Feature]) -> Vec<String> {
    let skipped =
        found.skipped.iter().map(move |folder| format!("skipped {}: no {kind} in it", shown(folder)));
    let left_out = features.iter().flat_map(|feature| {
        let file = Rules::of(kind).ignore_file;
        feature.left_out.iter().map(move |path| {
            let at = shown(&feature.folder.join(path));
            format!("left out {at}; to pack it, write \"!{}\" into {file}", one_line(path))
        })
    });
    let deprecated = features
        .iter()
        .filter(|feature| feature.metadata.deprecated)
        .map(|feature| format!("the Feature \"{}\" is marked as deprecated", feature.metadata.id));
    let own = features.iter().flat_map(|feature| feature.notes.iter().cloned());
    skipped.chain(left_out).chain(deprecated).chain(own).collect()
}

fn pack(
    found: &Target,
    features: &[Feature],
    binaries: &Binaries,
    notes: Vec<String>,
) -> anyhow::Result<Packed> {
    let mut packed = Vec::new();
    for feature in features {
        let binaries = binaries.get(&feature.metadata.id).map_or(&[][..], Vec::as_slice);
        let entries = assemble::entries(feature, binaries);
        let archive = archive::pack(&entries).map_err(|error| {
            InvalidFeatures(vec![Problem { path: feature.folder.clone(), what: error.to_string() }])
        })?;
        packed.push(PackedFeature {
            metadata: feature.metadata.clone(),
            archive,
            folder: feature.folder.clone(),
        });
    }
    Ok(Packed { features: packed, single: found.single, notes })
}
