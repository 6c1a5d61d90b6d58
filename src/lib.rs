//! casemate runs code from strangers: every step of a job in a rootless OCI container of its own.
//!
//! The rooms, from the top floor down; a room uses only rooms on the floors below it (`tests/architecture.rs` reads the
//! imports and fails when an arrow turns round). `docs/ARCHITECTURE.md` walks one job through them.

// Top: commands and composition.
pub mod cli;
pub mod doctor;
pub mod server;

// The two ends of a job's way: where it comes in, where it is carried out.
pub mod http;
pub mod worker;

// What they share.
pub mod runtime;
pub mod service;

// Keeping, waiting, planning, judging, and the machine.
pub mod bundle;
pub mod compare;
pub mod host;
pub mod queue;
pub mod report;
pub mod store;

// The ground.
pub mod cgroup;
pub mod config;
pub mod health;
pub mod image;
pub mod language;
pub mod metrics;
pub mod model;
pub mod seccomp;
pub mod shutdown;
#[allow(unsafe_code)]
pub mod sys;
pub mod telemetry;
