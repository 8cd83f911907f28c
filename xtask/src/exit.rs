//! Exit codes.
//!
//! | code | meaning |
//! |---|---|
//! | 0 | done, or nothing to do |
//! | 1 | failed: see the sentence on standard error |
//! | 2 | the command line was not understood, or names what cannot be a registry or namespace |
//! | 3 | a Feature or Template is not valid, or `--since` found one whose version has to be raised; nothing was written or sent |
//! | 4 | a published version has other content; nothing was changed at the registry |
//! | 5 | the registry or its authentication refused, could not be reached, or took longer than `--timeout`; or stored credentials cannot be read |
//!
//! `info` and `resolve-dependencies` say 1 for 3 to 5, as the official CLI does: scripts rely on it.

use std::process::ExitCode;

use crate::feature::problem::InvalidFeatures;
use crate::oci::error::OciError;
use crate::publish::error::PublishError;

/// How the program ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Exit {
    /// Done.
    Ok = 0,
    /// Failed.
    Failed = 1,
    /// The command line was not understood.
    Usage = 2,
    /// A Feature or Template is not valid.
    InvalidFeature = 3,
    /// A published version has other content.
    VersionConflict = 4,
    /// The registry refused or is not there.
    Registry = 5,
}

impl Exit {
    /// The code for an error, by the first cause that has one.
    pub fn of(error: &anyhow::Error) -> Self {
        for cause in error.chain() {
            if cause.is::<InvalidFeatures>() {
                return Self::InvalidFeature;
            }
            match cause.downcast_ref() {
                Some(PublishError::Conflict(_)) => return Self::VersionConflict,
                Some(PublishError::Twice(_)) => return Self::Usage,
                Some(PublishError::OutOfTime { .. }) => return Self::Registry,
                Some(PublishError::BrokenOff { why, .. }) => return Self::of(why),
                _ => {}
            }
            match cause.downcast_ref() {
                Some(OciError::Reference(_)) => return Self::Usage,
                // Nothing is wrong with the registry.
                Some(OciError::ReadAgain(_)) => return Self::Failed,
                Some(_) => return Self::Registry,
                None => {}
            }
        }
        Self::Failed
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}
