//! Looking Features up where they are: in registries, in the workspace, behind an address.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use crate::feature::json::{Json, Object};
use crate::feature::kind::Kind;
use crate::oci::credentials::Sources;
use crate::oci::digest::Digest;
use crate::oci::download::download;
use crate::oci::reference::Registry;
use crate::oci::transport::{Access, Client, Notes};

use super::manifest::{self, Lookup};
use super::node::{Asked, Node};
use super::reference::FeatureRef;
use super::source::{self, Published, Source};

/// Where a configuration lies, for Features that are folders beside it.
#[derive(Debug, Clone)]
pub struct Place {
    /// The configuration file.
    pub config: PathBuf,
    /// The workspace.
    pub workspace: PathBuf,
}

/// What is asked again and again while a graph is built.
pub struct Fetcher {
    /// Where credentials come from.
    pub sources: Sources,
    /// Where the configuration lies, if there is one.
    pub place: Option<Place>,
    /// The digests that the lockfile holds, by reference.
    pub locked: HashMap<String, String>,
    /// Takes sentences for the user.
    pub notes: Notes,
    /// Whether each step is told, too.
    pub details: bool,
    clients: HashMap<String, Client>,
    manifests: HashMap<(String, String), Published>,
}

impl std::fmt::Debug for Fetcher {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Fetcher").field("place", &self.place).finish_non_exhaustive()
    }
}

impl Fetcher {
    /// Nothing looked up yet.
    pub fn new(sources: Sources, notes: Notes, details: bool) -> Self {
        Self {
            sources,
            place: None,
            locked: HashMap::new(),
            notes,
            details,
            clients: HashMap::new(),
            manifests: HashMap::new(),
        }
    }

    /// Tells the user something.
    pub fn note(&self, text: &str) {
        (self.notes)(text);
    }

    /// Tells a step, if steps are told.
    pub fn detail(&self, text: &str) {
        if self.details {
            self.note(text);
        }
    }

    /// The client for a reference's registry.
    pub fn client(&mut self, reference: &FeatureRef) -> Result<&Client, String> {
        if !self.clients.contains_key(&reference.registry) {
            let registry = Registry::parse(&reference.registry).map_err(|error| error.to_string())?;
            let client = Client::new(registry, Access::Pull, &self.sources, self.notes.clone())
                .map_err(|error| error.to_string())?;
            self.clients.insert(reference.registry.clone(), client);
        }
        self.clients.get(&reference.registry).ok_or_else(|| "no client".to_owned())
    }

    /// A node for a reference, with what is published under it.
    pub async fn node(&mut self, asked: Asked, written: &str, options: Json) -> Result<Node, String> {
        let reference = source::expand(written);
        let found = self.locate(&reference).await?;
        Ok(Node::new(asked, &reference, written, options, found))
    }

    /// The source that a reference means, and the Feature's id.
    async fn locate(&mut self, reference: &str) -> Result<(Source, String), String> {
        if !reference.contains(['/', '\\']) {
            return Err(
                "a bare name is no Feature any more; write the whole reference, or \"./\" before a folder's name"
                    .to_owned(),
            );
        }
        if reference.starts_with("https://") {
            let address = reqwest::Url::parse(reference).map_err(|_| "it is no address".to_owned())?;
            let id = source::archive_id(&address)
                .ok_or("the archive behind an address must be named devcontainer-feature-<id>.tgz")?;
            return Ok((Source::Archive(address.to_string()), id.to_owned()));
        }
        if source::is_path(reference) {
            let place = self.place.as_ref().ok_or("a folder is no Feature outside a workspace")?;
            let folder = source::folder(reference, &place.config, &place.workspace)?;
            let id = Path::new(reference).file_name().unwrap_or_default().to_string_lossy().into_owned();
            return Ok((Source::Folder(folder), id));
        }
        let release = source::release(reference);
        match (FeatureRef::parse(reference), release) {
            (Ok(parsed), release) => match (self.published(&parsed, reference).await?, release) {
                (Lookup::Found(published), _) => {
                    let id = parsed.id.clone();
                    Ok((Source::Registry { reference: Box::new(parsed), published: Some(published) }, id))
                }
                (Lookup::Missing(_), Some(release)) => Ok(release),
                (Lookup::Missing(why), None) => Err(why),
            },
            (Err(_), Some(release)) => Ok(release),
            (Err(error), None) => Err(error.to_string()),
        }
    }

    /// What is published under a reference, which is `text`; asked for once.
    pub async fn published(&mut self, reference: &FeatureRef, text: &str) -> Result<Lookup, String> {
        if !manifest::names_a_registry(&reference.registry) {
            return Ok(Lookup::Missing(format!(
                "\"{}\" is the name of no registry, which has a dot or is localhost",
                reference.registry
            )));
        }
        let locked = self.locked.get(text).cloned();
        let key = (reference.resource.clone(), locked.clone().unwrap_or_else(|| reference.version.clone()));
        if let Some(known) = self.manifests.get(&key) {
            return Ok(Lookup::Found(known.clone()));
        }
        let client = self.client(reference)?;
        let lookup =
            manifest::read(client, reference, locked.as_deref()).await.map_err(|error| error.to_string())?;
        if let Lookup::Found(published) = &lookup {
            self.detail(&format!("{text} is {}", published.digest));
            self.manifests.insert(key, published.clone());
        }
        Ok(lookup)
    }

    /// The metadata of a Feature, where there is any.
    pub async fn metadata(&mut self, node: &Node) -> Result<Option<Object>, String> {
        match &node.source {
            Source::Registry { reference, published: Some(published) } => {
                let client = self.client(reference)?;
                manifest::metadata(client, reference, published).await
            }
            Source::Folder(folder) => {
                let path = Path::new(folder).join(Kind::Feature.metadata_file());
                let text = std::fs::read(&path)
                    .map_err(|error| format!("{} cannot be read ({error})", path.display()))?;
                if text.is_empty() {
                    return Ok(None);
                }
                manifest::object(&text).map(Some).map_err(|why| format!("{}: {why}", path.display()))
            }
            Source::Archive(address) => {
                let url = reqwest::Url::parse(address).map_err(|_| "it is no address".to_owned())?;
                let archive = download(&url, self.sources.github_token.as_ref(), manifest::MAX_LAYER).await?;
                let digest = Digest::of(&archive);
                if self.locked.get(address).is_some_and(|locked| *locked != digest.as_str()) {
                    return Err(format!("it is {digest}, and the lockfile says otherwise"));
                }
                manifest::in_archive(&archive)
            }
            Source::Registry { published: None, .. } | Source::Release { .. } => Ok(None),
        }
    }

    /// A node for a soft dependency: what cannot be looked up is known by its name, or not at all.
    pub async fn soft(&mut self, written: &str, of: &str) -> Option<Node> {
        let options = Json::Object(Object::default());
        let name = source::shown(written);
        let why = match self.node(Asked::ByFeature, written, options.clone()).await {
            Ok(mut node) => {
                if matches!(node.source, Source::Registry { .. }) {
                    match self.metadata(&node).await {
                        Ok(metadata) => metadata.iter().for_each(|metadata| node.set_aliases(metadata)),
                        Err(why) => self.note(&format!(
                            "{of} wants to be installed after {name}, whose older names are unknown: {why}"
                        )),
                    }
                }
                return Some(node);
            }
            Err(why) => why,
        };
        self.note(&format!(
            "{of} wants to be installed after {name}, which cannot be looked up and is not needed: {why}"
        ));
        let reference = FeatureRef::parse(&source::expand(written)).ok()?;
        if !manifest::names_a_registry(&reference.registry) {
            return None;
        }
        let id = reference.id.clone();
        let found = (Source::Registry { reference: Box::new(reference), published: None }, id);
        Some(Node::new(Asked::ByFeature, &source::expand(written), written, options, found))
    }
}
