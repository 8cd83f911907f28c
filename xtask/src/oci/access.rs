//! What may be done at a registry.

/// What may be done with what is granted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Reading.
    Pull,
    /// Reading and writing.
    PullPush,
}

impl Access {
    /// What a token must allow, as in "may … packages".
    pub const fn right(self) -> &'static str {
        match self {
            Self::Pull => "read",
            Self::PullPush => "write",
        }
    }
}
