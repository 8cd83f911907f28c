//! Whether the policy is enforced.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What becomes of a connection that no rule allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// It is refused.
    #[default]
    Enforce,
    /// It is let through and told, to find out what a project needs. Nothing is protected meanwhile.
    Audit,
}

impl Mode {
    /// The mode that an option's text names, which may be empty.
    pub fn parse(text: &str) -> Option<Self> {
        match text {
            "" | "enforce" => Some(Self::Enforce),
            "audit" => Some(Self::Audit),
            _ => None,
        }
    }
}

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Enforce => "enforce",
            Self::Audit => "audit",
        })
    }
}
