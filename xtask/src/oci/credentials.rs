//! Who we are to a registry.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;

use super::known::Known;
use super::secret::Secret;

pub use super::sources::Sources;

/// The user name by which helpers and config files say that the password is an identity token.
const IDENTITY_USER: &str = "<token>";

/// What to show a registry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Credentials {
    /// Nothing.
    Anonymous,
    /// `user:password` in base64.
    Basic {
        /// The encoded pair.
        encoded: Secret,
        /// Where it was found, for messages.
        from: String,
    },
    /// A token that buys tokens.
    Identity {
        /// The token.
        token: Secret,
        /// Where it was found, for messages.
        from: String,
    },
}

impl Credentials {
    /// A user and a password; the user name `<token>` says that it is an identity token.
    pub fn pair(user: &str, password: &Secret, from: &str) -> Self {
        if user == IDENTITY_USER {
            return Self::Identity { token: password.clone(), from: from.to_owned() };
        }
        let encoded = Secret::new(BASE64.encode(format!("{user}:{}", password.expose())));
        Self::Basic { encoded, from: from.to_owned() }
    }

    /// Everything of them that must not be shown.
    pub fn secrets(&self) -> Known {
        let mut known = Known::default();
        match self {
            Self::Anonymous => {}
            Self::Identity { token, .. } => known.add(token.expose()),
            Self::Basic { encoded, .. } => {
                known.add(encoded.expose());
                let pair = BASE64.decode(encoded.expose()).unwrap_or_default();
                let pair = String::from_utf8_lossy(&pair);
                known.add(&pair);
                known.add(pair.split_once(':').map_or("", |(_, password)| password));
            }
        }
        known
    }

    /// Where they come from, for messages.
    pub fn describe(&self) -> String {
        match self {
            Self::Anonymous => "without credentials".to_owned(),
            Self::Basic { from, .. } | Self::Identity { from, .. } => format!("with the credentials {from}"),
        }
    }
}
