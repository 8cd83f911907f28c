//! Why nothing was resolved: one sentence each.
//!
//! These verbs end with 0 or 1, as the official CLI's do, so no registry's error with a code of its
//! own is kept inside.

use super::order::Circle;

/// An error of `resolve-dependencies` and of the graph in `info`.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// The configuration cannot be used.
    #[error("{0}")]
    Config(String),
    /// A Feature cannot be used.
    #[error("the Feature \"{feature}\"{by} cannot be resolved: {why}")]
    Feature {
        /// The reference as written.
        feature: String,
        /// Who asked for it, as ", on which … depends", or nothing.
        by: String,
        /// Why.
        why: String,
    },
    /// Features lead to ever more Features.
    #[error("more than {0} Features depend on each other; something publishes dependencies without end")]
    TooMany(usize),
    /// There is no order.
    #[error(transparent)]
    Circle(#[from] Circle),
}
