//! The HTTP edge: connections, routes, decoding and encoding. Knows the service, never a worker or a container.

mod body;
mod connection;
mod cors;
mod decode;
mod encode;
mod guard;
mod host;
mod key;
mod listen;
mod metrics;
mod monaco;
mod output;
mod page;
mod places;
mod printed;
mod problem;
mod query;
mod reply;
mod room;
mod routes;
mod stall;
mod text;
mod v1;

pub use connection::serve;
pub use cors::Cors;
pub use decode::submission;
pub use guard::Guard;
pub use host::Hosts;
pub use listen::{ListenError, Listeners, listen};
pub use routes::Edge;
pub use v1::in_lines as document;
pub use v1::languages::document as languages;
