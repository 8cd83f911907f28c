//! HTTP/1 through the gate: the first request says whom a connection is for, and each later one is looked at.

use std::os::fd::AsFd as _;

use super::{After, Connection, End, LOOKED_AT, Phase, Progress, Step, Target, Tools, receive};
use crate::daemon::gate::worker::flow::TURNS;
use crate::egress::gate::http::{self, CONTINUE, Form, Head, Host};
use crate::egress::words::Why;
use crate::policy::HostName;

impl Connection {
    pub(super) fn request(&mut self, tools: &mut Tools<'_>) -> Result<bool, End> {
        let Phase::Request(stream) = &mut self.phase else { return Ok(false) };
        let head = match stream.step(&self.input) {
            Ok(http::Step::Head(head)) => head,
            Ok(http::Step::More) if !self.input_ended => return self.read_client(tools),
            Ok(_) => return Err(End::Gone),
            // Whoever speaks TLS here is told so in the log.
            Err(_) if self.input.first() == Some(&22) => return Err(End::Refused(Why::NotHttp, None)),
            Err(_) => return Err(End::Refused(Why::Broken, None)),
        };
        let target = target(&head)?;
        let stream = std::mem::take(stream);
        let (name, port) = target.clone();
        let after = if head.is_connect() {
            self.use_up(head.len);
            After::Tunnel(target)
        } else {
            let forwarded = head.forward(&self.input).unwrap_or_default();
            self.use_up(head.len);
            After::Requests(stream, target, forwarded, head.expects_continue)
        };
        self.ask(tools, name, port, after);
        Ok(false)
    }

    pub(super) fn requests(&mut self, tools: &mut Tools<'_>) -> Result<Step, End> {
        let down = self.answers(tools)?;
        let up = self.requests_up(tools)?;
        Ok(match (down, up) {
            (Progress::Over, _) => Step::Over,
            (Progress::Again, _) | (_, Progress::Again) => Step::Again,
            _ => Step::Waits,
        })
    }

    /// Moves what the client sends, as far as it may pass.
    fn requests_up(&mut self, tools: &mut Tools<'_>) -> Result<Progress, End> {
        for _ in 0..TURNS {
            let Some(upstream) = &self.upstream else { return Err(End::Gone) };
            if self.up.flush(upstream.as_fd())? == Progress::Waits {
                return Ok(Progress::Waits);
            }
            let Phase::Requests(stream, target, _) = &mut self.phase else { return Ok(Progress::Waits) };
            match stream.step(&self.input) {
                Ok(http::Step::Pass(len)) => self.send_up(len),
                Ok(http::Step::Head(head)) => {
                    if self::target(&head)? != *target || head.is_connect() {
                        return Err(End::Refused(Why::OtherHost, head.name().map(HostName::to_string)));
                    }
                    if head.expects_continue {
                        // A client that reads nothing gets no more of these than there is room for.
                        if !self.down.is_empty() {
                            return Ok(Progress::Waits);
                        }
                        self.down.put(CONTINUE);
                    }
                    let forwarded = head.forward(&self.input).unwrap_or_default();
                    stream.allow();
                    self.use_up(head.len);
                    self.up.put(&forwarded);
                    if !self.down.is_empty() {
                        return Ok(Progress::Again);
                    }
                }
                Ok(http::Step::More) => {
                    if !self.read_client_end_up(tools)? {
                        return Ok(Progress::Waits);
                    }
                }
                // What else comes goes nowhere.
                Ok(http::Step::End | http::Step::Tunnel) => {
                    self.input.clear();
                    if !self.read_client_end_up(tools)? {
                        return Ok(Progress::Waits);
                    }
                }
                Err(_) => return Err(End::Refused(Why::Broken, None)),
            }
        }
        Ok(Progress::Again)
    }

    /// Moves what the server sends.
    fn answers(&mut self, tools: &mut Tools<'_>) -> Result<Progress, End> {
        let Some(upstream) = &self.upstream else { return Err(End::Gone) };
        loop {
            let Phase::Requests(stream, _, seen) = &mut self.phase else { return Err(End::Gone) };
            if !stream.is_switching() {
                let (from, to) = (upstream.as_fd(), self.client.as_fd());
                return Ok(self.down.pump(from, to, tools.buffer, tools.pipes)?);
            }
            let flushed = self.down.flush(self.client.as_fd())?;
            if flushed != Progress::Again {
                return Ok(flushed);
            }
            let Some(bytes) = receive(upstream.as_fd(), tools.buffer, &mut self.down)? else {
                return Ok(Progress::Waits);
            };
            seen.extend_from_slice(bytes.get(..bytes.len().min(LOOKED_AT)).unwrap_or_default());
            stream.answered(seen);
            self.down.put(bytes);
            if bytes.is_empty() {
                self.down.end();
            }
        }
    }
}

/// Whom a request is for.
fn target(head: &Head) -> Result<Target, End> {
    let port = head.authority.port.unwrap_or(80);
    match &head.authority.host {
        // A connection to port 80 is for port 80, whatever its request says.
        Host::Name(name) if head.form == Form::Origin && port != 80 => {
            Err(End::Refused(Why::OtherHost, Some(format!("{name}:{port}"))))
        }
        Host::Name(name) => Ok((name.clone(), port)),
        Host::Address(text) => Err(End::Refused(Why::Address, Some(text.clone()))),
    }
}
