//! The system calls that a run was refused, as reports show them.

use schemars::JsonSchema;
use serde::Serialize;

use crate::model::{Call, Calls, Fate, Seen};

/// A system call that the filter refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub struct RefusedCall<'a> {
    /// Its name; where it has none its number, and of another table than the machine's own that table.
    name: &'a str,
    /// Its number.
    number: Option<i64>,
    /// Where arguments decided: those that the filter looked at.
    arguments: Vec<Argument>,
    /// What it returned; null where it ended the program.
    errno: Option<&'static str>,
    /// Whether it ended the program.
    killed: bool,
    /// How often it was made.
    count: u64,
}

/// What the filter saw of an argument. Words of 64 bits are text, for not every reader of JSON has such numbers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "FilteredArgument")]
struct Argument {
    /// Which, from 0.
    index: u8,
    /// The bits that it looked at.
    mask: String,
    /// What they were.
    value: String,
}

/// What was refused, in the order of the list; `None` where nobody could look.
#[must_use]
pub fn refused(calls: &Calls) -> Option<Vec<RefusedCall<'_>>> {
    let refused = calls.calls.iter().filter(|call| call.fate != Fate::Allowed);
    (!calls.unseen).then(|| refused.map(shown).collect())
}

/// The call that ended the program, if one did.
#[must_use]
pub fn fatal(calls: &Calls) -> Option<&Call> {
    calls.calls.iter().find(|call| call.fate == Fate::Killed)
}

fn shown(call: &Call) -> RefusedCall<'_> {
    let Call { name, number, fate, seen, count, .. } = call;
    let argument = |seen: &Seen| Argument {
        index: seen.index,
        mask: format!("{:#x}", seen.mask),
        value: format!("{:#x}", seen.value),
    };
    RefusedCall {
        name,
        number: *number,
        arguments: seen.iter().map(argument).collect(),
        errno: fate.errno(),
        killed: *fate == Fate::Killed,
        count: *count,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn call(name: &str, number: i64, fate: Fate, seen: Vec<Seen>) -> Call {
        Call { name: name.into(), number: Some(number), fate, group: None, seen, why: "so".into(), count: 2 }
    }

    #[test]
    fn each_kind_of_refusal_is_told() {
        let argument = Seen { index: 0, mask: u64::MAX, value: 2 };
        let calls = vec![
            call("socket", 41, Fate::Refused, vec![argument]),
            call("600", 600, Fate::Unknown, Vec::new()),
            call("read", 0, Fate::Allowed, Vec::new()),
            call("20 of another table (0x40000003)", 20, Fate::Killed, Vec::new()),
        ];
        let calls = Calls { calls, ..Calls::default() };
        let argument = json!({"index": 0, "mask": "0xffffffffffffffff", "value": "0x2"});
        let wanted = json!([
            {"name": "socket", "number": 41, "arguments": [argument], "errno": "EPERM", "killed": false, "count": 2},
            {"name": "600", "number": 600, "arguments": [], "errno": "ENOSYS", "killed": false, "count": 2},
            {
                "name": "20 of another table (0x40000003)",
                "number": 20,
                "arguments": [],
                "errno": null,
                "killed": true,
                "count": 2
            },
        ]);
        assert_eq!(serde_json::to_value(refused(&calls)).unwrap(), wanted);
        assert_eq!(fatal(&calls).map(|call| call.number), Some(Some(20)));
        assert_eq!(refused(&Calls::unseen()), None);
    }
}
