//! A service that has not confined itself. There is no switch for that in the product: a library of the tests is loaded into
//! it, which keeps the two calls from the kernel and says that they worked. The runtime does not inherit it.

use std::path::Path;
use std::process::Command;

use tempfile::TempDir;

use crate::support::{Settings, account};

const SOURCE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/programs/confine/unconfined.c");

/// The settings of such a service, and the library, which has to outlive it.
pub fn unconfined(settings: Settings) -> (Option<TempDir>, Settings) {
    let directory = account::directory("library");
    let library = directory.path().join("unconfined.so");
    build(&library);
    (Some(directory), settings.set("LD_PRELOAD", library.display()))
}

fn build(library: &Path) {
    let mut compiler = Command::new("cc");
    compiler.args(["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-o"]).arg(library).arg(SOURCE).arg("-ldl");
    let built = compiler.output().expect("the C compiler that Rust needs");
    assert!(built.status.success(), "{}", String::from_utf8_lossy(&built.stderr));
    account::give(library);
}
