//! The harness that the suites and the load test share: the real binary as a child, a client that sends exact bytes,
//! and tables whose every mismatch is listed. It knows the wire contract and the command line, nothing of the library.

pub mod account;
pub mod archive;
pub mod client;
pub mod command;
pub mod follow;
pub mod guard;
pub mod machine;
pub mod needs;
pub mod process;
pub mod prometheus;
pub mod scale;
pub mod server;
pub mod settings;
pub mod shape;
pub mod signals;
pub mod soak;
pub mod sse;
pub mod submission;
pub mod table;
pub mod wrapper;

pub use client::Client;
pub use needs::Need;
pub use server::Server;
pub use settings::{Runtime, Settings};
pub use submission::Seen;

/// Fails the test with the words to type when the machine lacks something; with `CMTEST_ALLOW_SKIP=1` the test is
/// skipped instead, and counted.
#[macro_export]
macro_rules! needs {
    ($($need:expr),+ $(,)?) => {
        if $crate::support::needs::skip(&[$($need),+]) {
            return;
        }
    };
}

/// Makes every named function, which takes a [`Runtime`](support::Runtime), a test under crun and a test under runc.
#[macro_export]
macro_rules! under_both_runtimes {
    ($($name:ident),+ $(,)?) => {
        mod under_crun {
            $(#[test]
            fn $name() {
                super::$name($crate::support::Runtime::Crun);
            })+
        }
        mod under_runc {
            $(#[test]
            fn $name() {
                super::$name($crate::support::Runtime::Runc);
            })+
        }
    };
}

/// The text of a program under `tests/programs`.
#[macro_export]
macro_rules! program {
    ($path:literal) => {
        include_str!(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/", $path))
    };
}
