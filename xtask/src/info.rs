//! `cargo xtask info`: what is published under a reference.

mod print;

use semver::Version;

use crate::cli::{InfoArgs, InfoMode, LogLevel, OutputFormat};
use crate::feature::json::{Json, Object};
use crate::oci::error::OciError;
use crate::oci::reference::Repository;
use crate::oci::tag_list;
use crate::resolve::fetch::Fetcher;
use crate::resolve::manifest::{self, Lookup};
use crate::resolve::reference::{FeatureRef, ReferenceError};
use crate::resolve::source::Published;
use crate::resolve::{self, error::ResolveError, mermaid, walk};
use print::Printer;

/// How many tags a sentence names.
const NAMED: usize = 5;

/// Why there is nothing to tell. The program ends with 1 for each, as the official CLI does.
#[derive(Debug, thiserror::Error)]
pub enum InfoError {
    /// The text is no reference.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// There is no Feature.
    #[error("{0}; check the reference, and log in with `docker login` if the Feature is not public")]
    Missing(String),
    /// There is one, and it is published under other tags.
    #[error("{why}, whose tags are {}; name one of them", some(.tags))]
    OtherTags {
        /// Why there is nothing.
        why: String,
        /// The tags.
        tags: Vec<String>,
    },
    /// The registry is not there, or says what cannot be.
    #[error("{0}")]
    Registry(String),
    /// Something it depends on is missing.
    #[error(transparent)]
    Dependencies(#[from] ResolveError),
}

/// The verb.
pub fn verb(args: &InfoArgs) -> anyhow::Result<()> {
    let printer = Printer::new(args.output_format == OutputFormat::Json);
    let reference = match FeatureRef::parse(&args.feature) {
        Ok(reference) => reference,
        Err(error @ ReferenceError::Form(_)) => {
            printer.no_reference(&args.feature)?;
            return Err(InfoError::from(error).into());
        }
        Err(error @ ReferenceError::Host(_)) => return Err(InfoError::from(error).into()),
    };
    let mut fetcher = resolve::fetcher(matches!(args.log_level, LogLevel::Debug | LogLevel::Trace));
    resolve::runtime()?.block_on(tell(args, &reference, &mut fetcher, printer))
}

async fn tell(
    args: &InfoArgs,
    reference: &FeatureRef,
    fetcher: &mut Fetcher,
    mut printer: Printer,
) -> anyhow::Result<()> {
    let wants = |mode: InfoMode| args.mode == mode || args.mode == InfoMode::Verbose;
    let published = match fetcher.published(reference, &args.feature).await.map_err(InfoError::Registry)? {
        Lookup::Found(published) => published,
        Lookup::Missing(why) => {
            printer.no_manifest()?;
            return Err(match other_tags(reference, fetcher).await {
                Some(tags) => InfoError::OtherTags { why, tags },
                None => InfoError::Missing(why),
            }
            .into());
        }
    };
    if wants(InfoMode::Manifest) {
        let Published { manifest, digest } = &published;
        printer.manifest(manifest, &format!("{}@{digest}", reference.resource))?;
    }
    if wants(InfoMode::Tags) {
        match tags(reference, fetcher).await {
            Ok(tags) => printer.tags(&tags)?,
            Err(error) => {
                printer.no_tags(&reference.resource)?;
                return Err(error.into());
            }
        }
    }
    // The official CLI has no graph in JSON, and looks nothing up for it.
    if wants(InfoMode::Dependencies) && !printer.is_json() {
        let wanted = vec![(args.feature.clone(), Json::Object(Object::default()))];
        let graph = walk::graph(fetcher, wanted, &[]).await.map_err(InfoError::from)?;
        Printer::dependencies(&mermaid::render(&graph))?;
    }
    printer.finish()
}

/// The tags of a Feature that has others than were asked for.
async fn other_tags(reference: &FeatureRef, fetcher: &mut Fetcher) -> Option<Vec<String>> {
    let is_there = manifest::names_a_registry(&reference.registry) && reference.tag.is_some();
    if is_there { tags(reference, fetcher).await.ok() } else { None }
}

/// A few tags: those of the newest versions.
fn some(tags: &[String]) -> String {
    let mut tags: Vec<(Option<Version>, &str)> =
        tags.iter().map(|tag| (Version::parse(tag).ok(), tag.as_str())).collect();
    tags.sort_by(|a, b| b.cmp(a));
    let named = tags.iter().take(NAMED).map(|(_, tag)| *tag).collect::<Vec<_>>().join(", ");
    match tags.len().saturating_sub(NAMED) {
        0 => named,
        more => format!("{named} and {more} more"),
    }
}

async fn tags(reference: &FeatureRef, fetcher: &mut Fetcher) -> Result<Vec<String>, InfoError> {
    let wrong = |error: OciError| InfoError::Registry(error.to_string());
    let repository = Repository::parse(&reference.path).map_err(wrong)?;
    let client = fetcher.client(reference).map_err(InfoError::Registry)?;
    let tags = tag_list::list(client, &repository).await.map_err(wrong)?;
    if tags.is_empty() {
        return Err(InfoError::Missing(format!("{} has no tags", reference.resource)));
    }
    Ok(tags)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_newest_versions_are_named_first() {
        let tags = |text: &str| some(&text.split(' ').map(str::to_owned).collect::<Vec<_>>());
        assert_eq!(tags("edge"), "edge");
        assert_eq!(tags("2.0.0-rc.1 2.0.0-rc.2"), "2.0.0-rc.2, 2.0.0-rc.1");
        assert_eq!(tags("1 1.10 1.10.0 1.9.0 2 2.0.0"), "2.0.0, 1.10.0, 1.9.0, 2, 1.10 and 1 more");
    }
}
