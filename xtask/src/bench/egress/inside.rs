//! A container in which our daemon is in force, for who measures something else in it.

use std::path::Path;
use std::process::Command;

use super::lab::Lab;
use super::peers::{self, Running};
use super::{hello, server};

/// It ends on drop, and before its network.
#[derive(Debug)]
pub(in crate::bench) struct Container {
    running: Running,
    _lab: Lab,
}

impl Container {
    /// Starts it.
    pub(in crate::bench) fn open(sandboxd: &Path) -> anyhow::Result<Self> {
        let lab = Lab::new("cell")?;
        // The daemon looks its names up.
        server::start(&lab, hello::for_host(peers::NAME)?.len())?;
        Ok(Self { running: peers::ours(&lab, sandboxd)?, _lab: lab })
    }

    /// What runs a command of its arguments there, as root.
    pub(in crate::bench) fn enter(&self) -> anyhow::Result<Command> {
        self.running.enter()
    }
}
