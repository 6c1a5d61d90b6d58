//! Takes jobs from the ledger and runs each step of each in a container of its own.

mod ahead;
mod artefact;
mod blueprint;
mod cache;
mod capture;
mod checker;
mod collect;
mod counts;
mod ending;
mod error;
mod filters;
mod launch;
mod pool;
mod preview;
mod remains;
mod reserve;
mod retry;
mod runs;
mod sandbox;
pub mod selftest;
mod step;
mod trace;
mod watchdog;
mod workdir;

pub use capture::{Live, Stream};
pub use collect::CollectBounds;
pub use pool::Pool;
pub use preview::{PER_CONTAINER, PreviewError, Previewed, Which, preview};
pub use reserve::Bounds;
pub use runs::TestBounds;
pub use sandbox::{Leftovers, Sandbox, Stock};
pub use trace::WATCH;
