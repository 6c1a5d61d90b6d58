//! The seccomp profiles twice: as text against the installed libseccomp, and as the filter that a live job runs under.
//! A program in a job makes every system call there is; what it saw has to be what the profile says, and what `table.rs`
//! says, which knows nothing of the profiles.

// Helpers outside `#[test]` functions may panic too: here a panic is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../support/support.rs"]
#[allow(dead_code, reason = "each target uses its part of the harness")]
mod support;

mod additions;
mod filter;
mod lint;
mod live;
mod probe;
mod simulate;
mod table;
