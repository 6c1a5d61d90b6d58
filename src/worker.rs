//! Takes jobs from the ledger and runs each step of each in a container of its own.

mod capture;
mod pool;
mod retry;
mod sandbox;
pub mod selftest;
mod stdin;
mod step;
mod watchdog;
mod workdir;

pub use capture::{Live, Stream};
pub use pool::Pool;
pub use sandbox::{Leftovers, Sandbox};
