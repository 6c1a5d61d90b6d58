//! crun and runc: the calls that a container's life needs, and the processes behind it.

mod command;
pub(crate) mod container;
mod probe;
pub mod reaper;
mod sealed;

pub use command::{Kind, Runtime, RuntimeError};
pub use container::{Bundle, Container};
pub use probe::{ProbeError, find};
pub use sealed::Sealed;
