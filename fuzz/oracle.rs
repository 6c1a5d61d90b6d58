//! What must hold of the decoder for every body: it ends without a panic, its message is one short line without control
//! characters, and where `serde_json` reads the body too, both read the same. Used by the fuzzer and by the tests.

use std::fmt;

use casemate::http::submission;
use casemate::service::Request;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::Value;

/// The members of an object in their order, those of one name too.
struct Members(Vec<(String, Value)>);

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct All;
        impl<'de> Visitor<'de> for All {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }
        json.deserialize_map(All)
    }
}

/// Panics where one of the promises does not hold.
pub fn check(body: &[u8]) {
    let read = submission(body);
    if let Err(refusal) = &read {
        let said = refusal.to_string();
        assert!(said.len() < 300 && !said.chars().any(char::is_control), "{said:?}");
    }
    // Only text, since what stands for bad bytes is a matter of its own.
    let Ok(text) = std::str::from_utf8(body) else { return };
    let Some(Ok(Members(members))) = serde_json::Deserializer::from_str(text).into_iter().next() else { return };
    let mut expected = Some(Request::default());
    for (name, value) in members {
        let field = |request: &mut Request, value| match name.to_ascii_lowercase().as_str() {
            "language" => request.language = Some(value),
            "code" => request.code = Some(value),
            "input" => request.input = Some(value),
            _ => {}
        };
        let ours = ["language", "code", "input"].iter().any(|ours| name.eq_ignore_ascii_case(ours));
        match value {
            Value::Null => {}
            Value::String(value) => expected.iter_mut().for_each(|request| field(request, value.clone())),
            _ if ours => expected = None,
            _ => {}
        }
    }
    match (expected, read) {
        (Some(expected), Ok(read)) => assert_eq!(read, expected, "{text}"),
        (None, Err(_)) => {}
        (expected, read) => panic!("expected {expected:?}, got {read:?} of {text}"),
    }
}
