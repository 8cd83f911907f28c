//! What a client is told with which a connection ends.

use super::Kind;
use crate::egress::gate::alert::{self, Alert};
use crate::egress::gate::http::{Status, refuse};
use crate::egress::words::Why;

/// With what a connection ends.
pub(super) enum Ending {
    Refused(String),
    Failed(String),
    Odd(Why),
}

impl Ending {
    /// What the client is told, in the words of what it speaks.
    pub(super) fn words(&self, kind: Kind, input: &[u8]) -> Vec<u8> {
        // Whoever speaks HTTP where TLS is spoken can be told in HTTP.
        let is_text = input.first().is_some_and(u8::is_ascii_uppercase);
        let speaks_tls = input.first() == Some(&22);
        match kind {
            Kind::Tls if !is_text => alert::record(match self {
                Self::Failed(_) => Alert::InternalError,
                Self::Odd(Why::NoName) => Alert::UnrecognizedName,
                Self::Odd(Why::Broken) => Alert::DecodeError,
                Self::Refused(_) | Self::Odd(_) => Alert::AccessDenied,
            })
            .to_vec(),
            Kind::Http if speaks_tls => alert::record(Alert::AccessDenied).to_vec(),
            _ => match self {
                Self::Refused(sentence) => refuse(Status::Forbidden, sentence),
                Self::Failed(sentence) => refuse(Status::BadGateway, sentence),
                Self::Odd(Why::Silent) => refuse(Status::Timeout, Why::Silent.text()),
                Self::Odd(why @ (Why::Broken | Why::NotTls | Why::NotHttp)) => {
                    refuse(Status::BadRequest, &format!("refused: {}", why.text()))
                }
                Self::Odd(why) => refuse(Status::Forbidden, &format!("refused: {}", why.text())),
            },
        }
    }
}
