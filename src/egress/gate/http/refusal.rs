//! Why a request is not passed on.

use super::{MAX_FIELDS, MAX_HEAD, MAX_LINE, MAX_METHOD};

/// What is wrong with a request, as the end of "the request was refused: ...".
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Refusal {
    /// LF without CR: half of all readers end a line there (RFC 9112 section 2.2).
    #[error("a line ends in LF without CR")]
    BareLf,
    /// CR without LF: some readers end a line there.
    #[error("a CR stands within a line")]
    BareCr,
    /// NUL and other control characters cut lines short or are taken for spaces.
    #[error("it holds the control character {0:#04x}")]
    Control(u8),
    /// An empty line before the request, which some skip.
    #[error("it begins with an empty line")]
    EmptyLine,
    /// Longer than [`MAX_LINE`].
    #[error("a line is longer than {MAX_LINE} bytes")]
    LongLine,
    /// Longer than [`MAX_HEAD`].
    #[error("its head is longer than {MAX_HEAD} bytes")]
    LongHead,
    /// More than [`MAX_FIELDS`].
    #[error("it has more than {MAX_FIELDS} header fields")]
    ManyFields,
    /// Not three parts with one space between them.
    #[error("its first line is no request of HTTP/1")]
    RequestLine,
    /// A method that is no token, or longer than [`MAX_METHOD`].
    #[error("its method is not a word of at most {MAX_METHOD} characters")]
    Method,
    /// HTTP/0.9 has no version and no fields.
    #[error("it is HTTP/0.9, which names no host")]
    Http09,
    /// The preface of HTTP/2 (RFC 9113 section 3.4), of which only the first frame would be seen.
    #[error("it is HTTP/2 in clear text; use HTTP/1.1 or HTTPS")]
    Http2,
    /// Neither 1.0 nor 1.1.
    #[error("its version is not HTTP/1.0 or HTTP/1.1")]
    Version,
    /// A character that no target may hold, or a fragment.
    #[error("its target holds a character that must be escaped")]
    Target,
    /// A form of target that does not go with the method (RFC 9112 section 3.2).
    #[error("its target does not go with its method")]
    Form,
    /// A proxy request for another scheme.
    #[error("its target is not of the scheme http; https goes through CONNECT")]
    Scheme,
    /// `user@host`, where readers disagree on which is the host.
    #[error("its target has a user before the host")]
    UserInfo,
    /// No host where there has to be one.
    #[error("it names no host")]
    NoHost,
    /// Something that is no host.
    #[error("its host is not a host name")]
    BadHost,
    /// A dot behind the last label.
    #[error("its host ends in a dot")]
    TrailingDot,
    /// A port that is none, or none where there has to be one.
    #[error("its host has no port between 1 and 65535 behind the colon")]
    Port,
    /// Host names another than the target.
    #[error("its Host field differs from its target")]
    OtherHost,
    /// A line that is folded onto the next (RFC 9112 section 5.2).
    #[error("a header field goes on in a second line")]
    Fold,
    /// A space before the colon, or before the name (RFC 9112 section 5.1).
    #[error("a header field has a space before its colon")]
    SpaceBeforeColon,
    /// No colon, or another name than a token.
    #[error("a header field has no name")]
    FieldName,
    /// The same field twice.
    #[error("it has the field {0} twice")]
    Twice(&'static str),
    /// A name that becomes another one where `_` and `-` are the same.
    #[error("it has a field whose name is almost {0}")]
    Lookalike(&'static str),
    /// A list, a sign, a leading zero, or too large.
    #[error("its Content-Length is not a plain number")]
    Length,
    /// Anything but `chunked`.
    #[error("its Transfer-Encoding is not exactly 'chunked'")]
    Coding,
    /// The two ways to say where a body ends.
    #[error("it has both Content-Length and Transfer-Encoding")]
    BothLengths,
    /// HTTP/1.0 knows no chunks.
    #[error("it is HTTP/1.0 with a Transfer-Encoding")]
    OldChunked,
    /// A body that has no meaning, and that some take for the next request.
    #[error("it has a body that its method or upgrade cannot have")]
    NoBody,
    /// A field that is to be removed on the way (RFC 9110 section 7.6.1), such as one that tells lengths.
    #[error("its Connection field has another option than close, keep-alive, upgrade or te")]
    ConnectionOption,
    /// Something else than `100-continue`.
    #[error("its Expect field is not 100-continue")]
    Expect,
    /// An upgrade whose answer could not be told from those to earlier requests.
    #[error("it upgrades a connection that other requests used before")]
    LateUpgrade,
    /// A size that is no hexadecimal number, or too large.
    #[error("a chunk of its body has no valid size")]
    ChunkSize,
    /// Something that does not read behind the size.
    #[error("a chunk of its body has an extension that does not read")]
    ChunkExtension,
    /// A chunk that is longer or shorter than its size.
    #[error("a chunk of its body does not end where its size says")]
    ChunkEnd,
    /// Fields behind a body that say where it ends or to whom it goes.
    #[error("a field behind its body may not stand there")]
    Trailer,
    /// More fields behind a body than anybody sends.
    #[error("the fields behind its body are too long")]
    LongTrailer,
}
