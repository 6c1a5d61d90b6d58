//! The machine under us: subordinate ids, the namespaces of the service, and the set-up that mends what is missing.

pub mod ids;
pub mod provision;
pub mod rlimits;
pub mod stage;
pub mod userns;
