//! The kernel facilities that no safe crate wraps, one per file. The only unsafe code.

pub mod fork;
pub mod probe;
pub mod spawn;
pub mod trace;
pub mod watch;
