//! The attack suite: programs that try to get out, to take too much, or to learn too much, and the proof for each that
//! something stops it: the same program succeeds once that something is taken away. See README.md here.

// Helpers outside `#[test]` functions may panic too: here a panic is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../support/support.rs"]
#[allow(dead_code, reason = "each target uses its part of the harness")]
mod support;

mod bait;
mod classes;
mod collection;
mod header;
mod held;
mod languages;
mod layers;
mod outside;
mod pulse;
mod removal;
mod unconfined;
mod wrapper;
