//! Black-box suite: the real binary, real containers, real HTTP. One table a test, each under crun and under runc where
//! a job runs. What it needs is checked first (`needs!`), so that a bare machine says what to type.

// Helpers outside `#[test]` functions may panic too: here a panic is the report.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::print_stdout, clippy::cast_precision_loss)]

#[path = "../support/support.rs"]
#[allow(dead_code, reason = "each target uses its part of the harness")]
mod support;

mod added_language;
mod ahead;
mod api;
mod batch;
mod bundle_command;
mod cancel;
mod checker;
mod client;
mod collect;
mod compile;
mod config_command;
mod confinement;
mod crashes;
mod diagnose;
mod doctor;
mod doctor_problems;
mod each_verdict;
mod endings;
mod events;
mod faults;
mod files;
mod full_disk;
mod hub_image;
mod image_command;
mod image_sources;
mod java;
mod judging;
mod keys;
mod languages;
mod leftover;
mod limits;
mod logs;
mod metrics;
mod no_cgroup;
mod ordinary_user;
mod output;
mod processor;
mod python;
mod readiness;
mod refusals;
mod restart;
mod retention;
mod review;
mod routes;
mod run_command;
mod said_once;
mod seccomp_command;
mod seccomp_trace;
mod self_test;
mod setup;
mod signals;
mod start;
mod states;
mod stdin;
mod times;
mod tokens;
mod unprivileged;
mod verdicts;
mod warm;
