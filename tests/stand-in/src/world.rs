//! An internet in threads: each host says in a log what reached it, so that a test judges an attack at the
//! receiving end. Sockets are opened in whatever network namespace the calling thread is in.

mod authority;
mod dns;
mod embedded;
mod events;
mod front;
mod http2;
mod proxy;
mod tap;

pub use authority::Authority;
pub use dns::{Answer, Clock, Lookup, serve as serve_dns};
pub use embedded::{Place, serve as serve_embedded_resolver};
pub use events::{Events, readable};
pub use front::{WhoseAddress, serve as serve_tcp};
pub use proxy::serve as serve_open_proxy;
pub use tap::watch;
