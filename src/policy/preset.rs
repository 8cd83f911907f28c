//! Names that come with the product.

/// What Claude Code needs in order to talk to its API and to log in, from its "network configuration" page.
///
/// The VS Code marketplace is not here: its addresses are shared with anybody's content, and while names
/// are opened by address that would open all of it. Who needs it lists it in `allow`.
pub const CLAUDE_NAMES: [&str; 4] = ["api.anthropic.com", "claude.ai", "claude.com", "platform.claude.com"];
