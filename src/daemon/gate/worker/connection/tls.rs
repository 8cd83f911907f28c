//! TLS through the gate: the hello says whom a connection is for, and then it is looked for another one.

use std::os::fd::AsFd as _;

use super::{After, Connection, End, LOOKED_AT, MAX_HELD, Phase, Progress, Step, Tools, receive};
use crate::daemon::gate::worker::flow::TURNS;
use crate::egress::gate::client_hello::{self, Outcome, Watch};
use crate::egress::words::Why;

impl Connection {
    pub(super) fn hello(&mut self, tools: &mut Tools<'_>) -> Result<bool, End> {
        // What was said before, that a tunnel is open, is wanted first.
        self.down.flush(self.client.as_fd())?;
        let Phase::Hello(reader, tunnel) = &mut self.phase else { return Ok(false) };
        let hello = match reader.read(&self.input) {
            Outcome::More => {
                if self.input_ended {
                    return Err(End::Gone);
                }
                return self.read_client(tools);
            }
            Outcome::Hello(hello) => hello,
            Outcome::NotTls => return Err(End::Refused(Why::NotTls, None)),
            Outcome::Refused(client_hello::Refusal::Address) => {
                return Err(End::Refused(Why::Address, None));
            }
            Outcome::Refused(_) => return Err(End::Refused(Why::Broken, None)),
        };
        let Some(name) = hello.server_name.clone() else { return Err(End::Refused(Why::NoName, None)) };
        let watch = Watch::new(&hello);
        match tunnel.take() {
            Some((asked, _)) if asked != name => Err(End::Refused(Why::OtherName, Some(name.to_string()))),
            Some(_) => {
                self.send_up(hello.len);
                self.enter(Phase::Watch(watch, Vec::new()));
                Ok(true)
            }
            None => {
                self.send_up(hello.len);
                self.ask(tools, name, 443, After::Watch(watch));
                Ok(false)
            }
        }
    }

    /// `Over` where there is nothing left to watch.
    pub(super) fn watch(&mut self, tools: &mut Tools<'_>) -> Result<Step, End> {
        for _ in 0..TURNS {
            let Some(upstream) = &self.upstream else { return Err(End::Gone) };
            let Phase::Watch(watch, seen) = &mut self.phase else { return Ok(Step::Waits) };
            let mut moved = false;
            if self.down.flush(self.client.as_fd())? == Progress::Again
                && let Some(bytes) = receive(upstream.as_fd(), tools.buffer, &mut self.down)?
            {
                moved = true;
                seen.extend_from_slice(bytes.get(..bytes.len().min(LOOKED_AT)).unwrap_or_default());
                watch.server(seen);
                self.down.put(bytes);
                if bytes.is_empty() {
                    self.down.end();
                }
            }
            if self.up.flush(upstream.as_fd())? == Progress::Again {
                let Phase::Watch(watch, _) = &mut self.phase else { return Ok(Step::Waits) };
                let passes = watch.client(&self.input).map_err(|_| End::Refused(Why::OtherName, None))?;
                let is_over = watch.is_over();
                if passes > 0 {
                    moved = true;
                    self.send_up(passes);
                }
                if is_over {
                    self.relay_from_here();
                    return Ok(Step::Over);
                }
                moved |= self.input.len() < MAX_HELD && self.read_client_end_up(tools)?;
            }
            if self.down.is_over() {
                return Err(End::Gone);
            }
            if !moved {
                return Ok(Step::Waits);
            }
        }
        Ok(Step::Again)
    }

    /// Nothing is looked at any more.
    fn relay_from_here(&mut self) {
        self.up.put(&self.input);
        self.input = Vec::new();
        if self.input_ended {
            self.up.end();
        }
        self.enter(Phase::Relay);
    }
}
