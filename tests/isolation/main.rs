//! What two jobs at once can make of each other, and what becomes of a job when the runtime misbehaves. Each closed way is
//! shown to be open where nothing closes it.

// Helpers outside `#[test]` functions may panic too: here a panic is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout)]

#[path = "../support/support.rs"]
#[allow(dead_code, reason = "each target uses its part of the harness")]
mod support;

mod allowed;
mod bits;
mod broken_runtime;
mod faults;
mod injector;
mod pairs;
mod snooper;
