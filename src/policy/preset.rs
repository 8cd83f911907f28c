//! Names that come with the product, for what many people do.

/// Names that belong together.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Preset {
    /// What the option calls them.
    pub name: &'static str,
    /// What is reached through TLS, each a host or a zone.
    pub hosts: &'static [&'static str],
}

/// What Claude Code needs in order to talk to its API and to log in, from its "network configuration" page. It is in
/// every policy.
pub const CLAUDE: Preset = Preset {
    name: "claude",
    hosts: &["api.anthropic.com", "claude.ai", "claude.com", "platform.claude.com"],
};

/// The preset whose names the image's own package managers say.
pub const PACKAGES: &str = "packages";

/// All that have names of their own.
pub const PRESETS: [Preset; 6] = [
    CLAUDE,
    // The server and extensions, from its "network connections" page.
    Preset {
        name: "vscode",
        hosts: &[
            "update.code.visualstudio.com",
            "vscode.download.prss.microsoft.com",
            "marketplace.visualstudio.com",
            "*.gallery.vsassets.io",
            "*.gallerycdn.vsassets.io",
        ],
    },
    // What the original Feature opens, those that do not resolve any more among them.
    Preset {
        name: "original",
        hosts: &[
            "api.anthropic.com",
            "claude.ai",
            "console.anthropic.com",
            "statsig.anthropic.com",
            "marketplace.visualstudio.com",
            "vscode.blob.core.windows.net",
            "update.code.visualstudio.com",
        ],
    },
    Preset {
        name: "github",
        hosts: &[
            "github.com",
            "api.github.com",
            "codeload.github.com",
            "raw.githubusercontent.com",
            "objects.githubusercontent.com",
            "release-assets.githubusercontent.com",
        ],
    },
    Preset { name: "gitlab", hosts: &["gitlab.com"] },
    Preset { name: "bitbucket", hosts: &["bitbucket.org", "api.bitbucket.org"] },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::policy::Pattern;

    #[test]
    fn each_name_reads() {
        for preset in PRESETS {
            for host in preset.hosts {
                assert_eq!(Pattern::parse(host).unwrap().to_string(), *host, "{}", preset.name);
            }
        }
    }
}
