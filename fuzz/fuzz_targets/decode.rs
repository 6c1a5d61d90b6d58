//! Bodies of `POST /submit`, held against the oracle.
#![no_main]

#[path = "../oracle.rs"]
mod oracle;

libfuzzer_sys::fuzz_target!(|body: &[u8]| oracle::check(body));
