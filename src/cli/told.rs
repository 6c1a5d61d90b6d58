//! What went wrong, for the person who typed the command: with all its causes, and with commands that can be typed as
//! they stand.

// Standard error is what this is for.
#![allow(clippy::print_stderr)]

use std::error::Error;

use crate::telemetry::chain;

/// Writes one error to standard error.
pub(super) fn tell(error: &dyn Error) {
    let called = std::env::args().next();
    eprintln!("error: {}", typeable(&chain(error), called.as_deref().unwrap_or_default()));
}

/// A command that stands alone, as it can be typed here.
pub(super) fn as_called(command: &str) -> String {
    let called = std::env::args().next().filter(|called| called.contains('/'));
    match (called, command.strip_prefix("casemate ")) {
        (Some(called), Some(rest)) => format!("{called} {rest}"),
        _ => command.to_owned(),
    }
}

/// The messages say `casemate setup`; where this program is not found by that name, the name by which it was called
/// stands there.
fn typeable(text: &str, called: &str) -> String {
    if called.contains('/') { text.replace("`casemate ", &format!("`{called} ")) } else { text.to_owned() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_are_those_that_were_typed() {
        let text = "no image: run `casemate setup`, or `casemate image build gcc`; account casemate";
        assert_eq!(typeable(text, "casemate"), text);
        let path = "no image: run `target/release/casemate setup`, or `target/release/casemate image build gcc`; \
                    account casemate";
        assert_eq!(typeable(text, "target/release/casemate"), path);
    }
}
