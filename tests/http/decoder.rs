//! A fixed number of bodies, made of those in `fuzz/corpus` by random changes, held against the fuzzer's oracle.

use std::fs;
use std::path::Path;

use proptest::prelude::*;

#[path = "../../fuzz/oracle.rs"]
mod oracle;

/// What is put into a body to make another of it.
const WORDS: [&[u8]; 24] = [
    b"{",
    b"}",
    b"[",
    b"]",
    b":",
    b",",
    b"\"",
    b"\\",
    b"\\u",
    b"\\ud800",
    b"\\udc00",
    b"null",
    b"true",
    b"1e999",
    b"-0",
    b"\n",
    b"\0",
    b"\xff",
    b"\xed\xa0\x80",
    b"\"code\":",
    b"\"CODE\":\"x\"",
    b"\"input\":[]",
    b"\xf0\x9f\x98\x80",
    b"\"language\":null,",
];

#[derive(Clone, Debug)]
enum Change {
    Put(usize, usize),
    Set(usize, u8),
    Cut(usize, usize),
    Double(usize, usize),
    Splice(usize, usize),
}

fn change() -> impl Strategy<Value = Change> {
    prop_oneof![
        3 => (any::<usize>(), any::<usize>()).prop_map(|(at, word)| Change::Put(at, word)),
        2 => (any::<usize>(), any::<u8>()).prop_map(|(at, byte)| Change::Set(at, byte)),
        1 => (any::<usize>(), 1..12_usize).prop_map(|(at, length)| Change::Cut(at, length)),
        1 => (any::<usize>(), 1..40_usize).prop_map(|(at, length)| Change::Double(at, length)),
        1 => (any::<usize>(), any::<usize>()).prop_map(|(at, seed)| Change::Splice(at, seed)),
    ]
}

fn corpus() -> Vec<Vec<u8>> {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz/corpus/decode");
    let mut files: Vec<_> = fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.iter().map(|file| fs::read(file).unwrap()).collect()
}

fn apply(body: &mut Vec<u8>, change: &Change, seeds: &[Vec<u8>]) {
    let place = |at: &usize| at % (body.len() + 1);
    match change {
        Change::Put(at, word) => {
            let at = place(at);
            body.splice(at..at, WORDS[word % WORDS.len()].iter().copied());
        }
        Change::Set(at, byte) if !body.is_empty() => {
            let at = at % body.len();
            body[at] = *byte;
        }
        Change::Set(..) => {}
        Change::Cut(at, length) => {
            let at = place(at);
            body.drain(at..body.len().min(at + length));
        }
        Change::Double(at, length) => {
            let at = place(at);
            let part = body[at..body.len().min(at + length)].to_vec();
            body.splice(at..at, part);
        }
        Change::Splice(at, seed) => {
            body.truncate(place(at));
            body.extend_from_slice(&seeds[seed % seeds.len()]);
        }
    }
}

#[test]
fn every_body_of_the_corpus() {
    let seeds = corpus();
    assert!(seeds.len() >= 30, "{} bodies were found", seeds.len());
    seeds.iter().for_each(|body| oracle::check(body));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 4000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn bodies_made_of_others(seed: usize, changes in prop::collection::vec(change(), 0..8)) {
        let seeds = corpus();
        let mut body = seeds[seed % seeds.len()].clone();
        changes.iter().for_each(|change| apply(&mut body, change, &seeds));
        oracle::check(&body);
    }
}
