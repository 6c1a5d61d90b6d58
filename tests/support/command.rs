//! The binary as a command that is run to its end.

use std::io::Write;
use std::process::{Output, Stdio};

use super::{Settings, account, machine::Place};

/// Runs the binary with these arguments and this standard input, on a home of its own.
pub fn casemate(settings: &Settings, arguments: &[&str], input: &[u8]) -> Output {
    let _place = Place::shared();
    let home = account::directory("home");
    let mut command = settings.command(home.path());
    command.env_remove("PORT").args(arguments);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary");
    let mut stdin = child.stdin.take().expect("a pipe");
    let input = input.to_vec();
    // A program may end without reading; that is no mistake of the test.
    let writer = std::thread::spawn(move || drop(stdin.write_all(&input)));
    let output = child.wait_with_output().expect("its end");
    writer.join().expect("the writer");
    output
}
