//! What may differ, each by the row of README's table that says why.

use std::collections::BTreeSet;

/// A difference between the two programs that is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Difference {
    /// Times, modes, order and extended headers of an archive.
    Archive,
    /// What is no valid Feature is refused.
    InvalidFeature,
    /// A published version is compared with, and a broken-off publish is finished.
    PublishedVersion,
    /// In which order a release is sent.
    Order,
    /// What was pushed is read back.
    Afterwards,
    /// A pre-release takes no tag but its own.
    PreRelease,
    /// A Feature that is published alone leaves the others listed.
    OneFeature,
    /// An older major version's fix leaves the newest version listed.
    BackPort,
    /// Links are refused.
    SymbolicLink,
    /// Secrets and litter stay out.
    LeftOut,
    /// Who sees a password.
    Credentials,
}

/// Every one of them; each has a test that sees it.
pub const ALL: [Difference; 11] = [
    Difference::Archive,
    Difference::InvalidFeature,
    Difference::PublishedVersion,
    Difference::Order,
    Difference::Afterwards,
    Difference::PreRelease,
    Difference::OneFeature,
    Difference::BackPort,
    Difference::SymbolicLink,
    Difference::LeftOut,
    Difference::Credentials,
];

pub type Differences = BTreeSet<Difference>;

impl Difference {
    /// The first cell of its row in README's table.
    pub fn row(self) -> &'static str {
        match self {
            Self::Archive => "archive",
            Self::InvalidFeature => "invalid Feature",
            Self::PublishedVersion => "version is published",
            Self::Order => "order",
            Self::Afterwards => "afterwards",
            Self::PreRelease => "pre-release",
            Self::OneFeature => "one Feature of a collection",
            Self::BackPort => "fix of an older version",
            Self::SymbolicLink => "symbolic links",
            Self::LeftOut => "`.git`, `.env`, editors' litter",
            Self::Credentials => "credentials",
        }
    }
}
