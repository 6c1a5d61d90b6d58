//! The form of a file: what may be written in it and what that says. Whether it makes sense is `profile.rs`'s.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::condition::{Condition, merged};

/// A whole file. It has `rules`, being a profile, or `adds`, being an addition to profiles.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct File {
    /// What it is for.
    pub(super) comment: String,
    /// A profile whose rules hold too.
    pub(super) extends: Option<String>,
    #[serde(default)]
    pub(super) rules: Vec<Rule>,
    /// By the name of a profile, what joins its rules. The result is called `<profile>+<file>`.
    #[serde(default)]
    pub(super) adds: BTreeMap<String, Vec<Rule>>,
    /// System calls that look unknown on purpose: no rule may name them.
    #[serde(default)]
    pub(super) unknown: Vec<Unknown>,
}

/// System calls that no rule may name.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Unknown {
    pub(super) names: Vec<String>,
    /// Why ENOSYS is the right answer.
    pub(super) comment: String,
}

/// Some system calls and what becomes of them.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Rule {
    /// A word for them all.
    pub(super) group: String,
    pub(super) action: Action,
    /// What needs them; for a refusal, the attack that it stops.
    pub(super) comment: String,
    /// Of a refusal: tests in which it is seen, as `file::function`, and attacks that it stops, as files.
    #[serde(default)]
    pub(super) shown_by: Vec<String>,
    pub(super) names: Vec<String>,
    /// All of these have to hold for the rule to count.
    #[serde(default)]
    pub(super) args: Vec<Argument>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Action {
    /// It works.
    Allow,
    /// EPERM: it exists and is not for you.
    Refuse,
}

/// A condition on one argument.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields, try_from = "WrittenArgument")]
pub(super) struct Argument {
    /// From 0.
    pub(super) index: usize,
    /// The bits that are looked at; the others make no difference.
    pub(super) mask: u64,
    pub(super) test: Test,
}

#[derive(Clone, Debug)]
pub(super) enum Test {
    /// It is this.
    Equals(u64),
    /// It is anything but this.
    Not(u64),
    /// It is one of these.
    OneOf(Vec<Named>),
    /// At least one of these bits is set.
    AnyBitOf(Vec<Named>),
}

/// A value with the name that headers of libc give it.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Named {
    value: Number,
    pub(super) name: String,
    /// What it is for, where the rule's comment does not say.
    pub(super) comment: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct WrittenArgument {
    index: usize,
    mask: Option<Number>,
    equals: Option<Number>,
    not: Option<Number>,
    one_of: Option<Vec<Named>>,
    any_bit_of: Option<Vec<Named>>,
}

/// JSON has no hexadecimal numbers, which flags are read in: `"0x5412"` is one.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(try_from = "WrittenNumber")]
struct Number(u64);

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum WrittenNumber {
    Plain(u64),
    Hexadecimal(String),
}

impl TryFrom<WrittenNumber> for Number {
    type Error = String;

    fn try_from(written: WrittenNumber) -> Result<Self, String> {
        match written {
            WrittenNumber::Plain(value) => Ok(Self(value)),
            WrittenNumber::Hexadecimal(text) => text
                .strip_prefix("0x")
                .and_then(|digits| u64::from_str_radix(digits, 16).ok())
                .map(Self)
                .ok_or_else(|| format!("{text:?} is no number: write 10 or \"0xa\"")),
        }
    }
}

impl TryFrom<WrittenArgument> for Argument {
    type Error = String;

    fn try_from(written: WrittenArgument) -> Result<Self, String> {
        let WrittenArgument { index, mask, equals, not, one_of, any_bit_of } = written;
        let test = match (equals, not, one_of, any_bit_of) {
            (Some(value), None, None, None) => Test::Equals(value.0),
            (None, Some(value), None, None) if mask.is_none() => Test::Not(value.0),
            (None, Some(_), None, None) => return Err("`not` looks at the whole argument: leave out `mask`".to_owned()),
            (None, None, Some(values), None) => Test::OneOf(values),
            (None, None, None, Some(_)) if mask.is_some() => {
                return Err("`any_bit_of` looks at those bits: leave out `mask`".to_owned());
            }
            (None, None, None, Some(values)) => Test::AnyBitOf(values),
            _ => return Err("an argument has one of `equals`, `not`, `one_of`, `any_bit_of`".to_owned()),
        };
        Ok(Self { index, mask: mask.map_or(u64::MAX, |mask| mask.0), test })
    }
}

impl Argument {
    /// The conditions of which one has to hold, as few as say the same.
    pub(super) fn alternatives(&self) -> Vec<Condition> {
        let each = self.each();
        if matches!(self.test, Test::OneOf(_)) { merged(each) } else { each }
    }

    /// The conditions of which one has to hold.
    fn each(&self) -> Vec<Condition> {
        let is = |mask, value| Condition::Is { index: self.index, mask, value };
        match &self.test {
            Test::Equals(value) => vec![is(self.mask, *value)],
            Test::Not(value) => vec![Condition::IsNot { index: self.index, value: *value }],
            Test::OneOf(values) => values.iter().map(|named| is(self.mask, named.value.0)).collect(),
            Test::AnyBitOf(bits) => bits.iter().map(|named| is(named.value.0, named.value.0)).collect(),
        }
    }

    /// The values that have names.
    pub(super) fn named(&self) -> &[Named] {
        match &self.test {
            Test::OneOf(values) | Test::AnyBitOf(values) => values,
            Test::Equals(_) | Test::Not(_) => &[],
        }
    }
}

impl Rule {
    /// The same as [`Rule::alternatives`], with every value for itself.
    pub(super) fn each(&self) -> Vec<Vec<Condition>> {
        self.sets(Argument::each)
    }

    /// Sets of conditions: the rule counts where all of one set hold. A rule without arguments has one, which is empty.
    pub(super) fn alternatives(&self) -> Vec<Vec<Condition>> {
        self.sets(Argument::alternatives)
    }

    fn sets(&self, conditions: impl Fn(&Argument) -> Vec<Condition>) -> Vec<Vec<Condition>> {
        self.args.iter().fold(vec![Vec::new()], |sets, argument| {
            let with = |set: &Vec<Condition>, one: Condition| [set.as_slice(), &[one]].concat();
            let each = |set: &Vec<Condition>| {
                conditions(argument).into_iter().map(move |one| with(set, one)).collect::<Vec<_>>()
            };
            sets.iter().flat_map(each).collect()
        })
    }
}
