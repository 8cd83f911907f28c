//! `cargo xtask info`: what is published under a reference.

mod print;

use crate::cli::{InfoArgs, InfoMode, LogLevel, OutputFormat};
use crate::feature::json::{Json, Object};
use crate::oci::error::OciError;
use crate::oci::reference::Repository;
use crate::oci::tag_list;
use crate::resolve::fetch::Fetcher;
use crate::resolve::manifest::Lookup;
use crate::resolve::reference::{FeatureRef, ReferenceError};
use crate::resolve::source::Published;
use crate::resolve::{self, error::ResolveError, mermaid, walk};
use print::Printer;

/// Why there is nothing to tell. The program ends with 1 for each, as the official CLI does.
#[derive(Debug, thiserror::Error)]
pub enum InfoError {
    /// The text is no reference.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// There is no Feature.
    #[error("{0}; check the reference, and log in with `docker login` if the Feature is not public")]
    Missing(String),
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
            return Err(InfoError::Missing(why).into());
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
