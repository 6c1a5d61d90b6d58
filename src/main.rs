//! Parse, one call, exit code.

use std::process::ExitCode;

fn main() -> ExitCode {
    casemate::cli::main()
}
