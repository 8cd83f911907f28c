//! What is packed and published: Features, and Templates, which go the same way.

use std::fmt;

/// The two things that a collection holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Installed into an image.
    Feature,
    /// Copied into a project.
    Template,
}

impl Kind {
    /// Both, in the order in which a collection file lists them.
    pub const ALL: [Self; 2] = [Self::Feature, Self::Template];

    /// The name of the file that says what it is.
    pub const fn metadata_file(self) -> &'static str {
        match self {
            Self::Feature => "devcontainer-feature.json",
            Self::Template => "devcontainer-template.json",
        }
    }

    /// The name of the archive, which is also the title of its layer.
    pub fn archive_name(self, id: &str) -> String {
        format!("devcontainer-{self:#}-{id}.tgz")
    }

    /// Whether a file may be such an archive.
    pub fn is_archive_name(self, name: &str) -> bool {
        name.strip_prefix(&format!("devcontainer-{self:#}-"))
            .is_some_and(|rest| rest.strip_suffix(".tgz").is_some())
    }

    /// The list of a collection file that names it, and the folder of this repository that holds ours.
    pub const fn plural(self) -> &'static str {
        match self {
            Self::Feature => "features",
            Self::Template => "templates",
        }
    }
}

/// `Feature` as in a sentence; with `#` as in a name, `feature`.
impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self, f.alternate()) {
            (Self::Feature, false) => "Feature",
            (Self::Feature, true) => "feature",
            (Self::Template, false) => "Template",
            (Self::Template, true) => "template",
        })
    }
}
