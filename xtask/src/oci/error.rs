//! Why a registry could not be used: one sentence each, without secrets.

use super::access::Access;
use super::body::ReadAgainError;
use super::digest::Digest;

/// An error of the client.
#[derive(Debug, thiserror::Error)]
pub enum OciError {
    /// A registry, repository or tag that cannot be one.
    #[error("{0}")]
    Reference(String),
    /// No connection, or none that holds.
    #[error("cannot reach the registry {host}: {reason}; {hint}")]
    Unreachable {
        /// The host and port.
        host: String,
        /// What went wrong, without the URL.
        reason: String,
        /// What to do.
        hint: &'static str,
    },
    /// An answer that is a refusal.
    #[error("the registry {host} answered {status} to {request}{detail}")]
    Refused {
        /// The host and port.
        host: String,
        /// The HTTP status.
        status: u16,
        /// Method and path, without the query.
        request: String,
        /// What the registry says, as ": …", or nothing.
        detail: String,
    },
    /// Access was refused, with whatever credentials there were.
    #[error(
        "the registry {host} refused access to {request} {with}{detail}; log in with `docker login {registry}` or set DEVCONTAINERS_OCI_AUTH=\"{registry}|user|token\", with a token that may {} packages",
        access.right()
    )]
    Unauthorized {
        /// The registry.
        registry: Box<str>,
        /// The host and port that answered.
        host: String,
        /// Method and path, without the query.
        request: String,
        /// Where the credentials came from.
        with: String,
        /// What the registry says, as ": …", or nothing.
        detail: String,
        /// What is to be done there.
        access: Access,
    },
    /// A host that is not the registry, and so was shown no credentials, refused access.
    #[error(
        "{host}, where the registry {registry} sends this request, refused {request}{detail}; it was shown no credentials, because it is not the registry; if you trust it, allow it with {} {registry}={host}",
        super::realm::ALLOW_FLAG
    )]
    Elsewhere {
        /// The registry.
        registry: String,
        /// The host and port that answered.
        host: String,
        /// Method and path, without the query.
        request: String,
        /// What it says, as ": …", or nothing.
        detail: String,
    },
    /// Nothing may be written where something is to be published. Found out before the first byte.
    #[error(
        "the registry {registry} lets nothing be written to {repositories} {with}{detail}; nothing was uploaded; {hint}"
    )]
    Permission {
        /// The registry.
        registry: Box<str>,
        /// The repositories, the first of them by name.
        repositories: String,
        /// Where the credentials came from.
        with: String,
        /// What the registry says of the first, as ": …", or nothing.
        detail: String,
        /// What to do.
        hint: String,
    },
    /// The registry wants credentials sent to a place that nobody named.
    #[error(
        "the registry {registry} asks for authentication at {realm}, which is not known to belong to it; if you trust it, allow it with {} {registry}={realm}, or set {}=\"{registry}={realm}\"",
        super::realm::ALLOW_FLAG,
        super::realm::ALLOW_VARIABLE
    )]
    Realm {
        /// The registry.
        registry: String,
        /// The host that it named.
        realm: String,
    },
    /// A proxy or certificates were configured, and cannot be used.
    #[error("{0}")]
    Trust(String),
    /// Credentials were configured, and cannot be used.
    #[error("{0}")]
    Credentials(String),
    /// An answer that the specification does not allow.
    #[error("the registry {host} broke the protocol in its answer to {request}: {what}")]
    Protocol {
        /// The host and port.
        host: String,
        /// Method and path, without the query.
        request: String,
        /// What is wrong.
        what: String,
    },
    /// What is to be sent is not any more what it was.
    #[error("{0}")]
    ReadAgain(#[from] ReadAgainError),
    /// What was read back is not what was sent.
    #[error(
        "the registry holds {found} where {wanted} was sent, for {what}; something else writes there, or it is broken"
    )]
    Mismatch {
        /// What was read back: a tag, a manifest, a blob.
        what: String,
        /// What was sent.
        wanted: Digest,
        /// What is there.
        found: String,
    },
}

impl OciError {
    /// The same, with how often it was tried.
    #[must_use]
    pub(super) fn after(mut self, attempts: u32) -> Self {
        if attempts > 1
            && let Self::Unreachable { reason: text, .. } | Self::Refused { detail: text, .. } = &mut self
        {
            use std::fmt::Write as _;
            // Writing to a String does not fail.
            let _ = write!(text, " (tried {attempts} times)");
        }
        self
    }
}
