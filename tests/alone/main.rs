//! Tests that measure, or that count what is left: each has the machine for itself (`machine::Place::alone`).

// Helpers outside `#[test]` functions may panic too: here a panic is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::cast_precision_loss)]

#[path = "../support/support.rs"]
#[allow(dead_code, reason = "each target uses its part of the harness")]
mod support;

mod crowd;
mod leftovers;
mod load;
mod readers;
mod soak;
mod speed;
mod traces;
