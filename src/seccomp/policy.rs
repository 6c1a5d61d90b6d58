//! What a filter answers to a call, whoever wrote it: a profile of ours, Docker's default, a file of somebody else's. The
//! same model of all, so that they can be compared and asked.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::condition::{Condition, disjoint};
use super::format::Action;
use super::profile::{ENOSYS, EPERM, Profile};
use super::reference::conditions;

/// What becomes of a call.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// The kernel decides.
    Allow,
    /// This error, without a look at it (errno(3)).
    Errno(u32),
    /// Something that no profile of ours does, by the name that OCI gives it: the caller is ended, traced, ….
    Other(String),
    /// It is libseccomp's affair: rules that contradict each other hold, of which it goes by what it makes of their order or
    /// takes one alone; or it is known not to compile such rules as they are written.
    Undecided,
}

impl fmt::Display for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Allow => f.write_str("allowed"),
            Self::Errno(EPERM) => f.write_str("EPERM"),
            Self::Errno(ENOSYS) => f.write_str("ENOSYS"),
            Self::Errno(number) => write!(f, "errno {number}"),
            Self::Other(name) => f.write_str(name),
            Self::Undecided => f.write_str("undecided"),
        }
    }
}

/// How an argument is compared, as seccomp(2) does: unsigned words of 64 bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Op {
    Equal,
    NotEqual,
    Less,
    LessOrEqual,
    Greater,
    GreaterOrEqual,
    /// The bits of this mask are the value.
    Masked(u64),
}

/// A condition on one argument.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Test {
    pub(super) index: usize,
    pub(super) op: Op,
    pub(super) value: u64,
}

impl Test {
    /// The same as a condition, where it is one of equality.
    const fn condition(self) -> Option<Condition> {
        let Self { index, op, value } = self;
        match op {
            Op::Equal => Some(Condition::Is { index, mask: u64::MAX, value }),
            Op::Masked(mask) => Some(Condition::Is { index, mask, value }),
            Op::NotEqual => Some(Condition::IsNot { index, value }),
            Op::Less | Op::LessOrEqual | Op::Greater | Op::GreaterOrEqual => None,
        }
    }

    /// Whether it holds for a range of arguments.
    const fn of_size(self) -> bool {
        matches!(self.op, Op::Less | Op::LessOrEqual | Op::Greater | Op::GreaterOrEqual)
    }

    fn holds(self, args: &[u64; 6]) -> bool {
        let Some(&seen) = args.get(self.index) else { return false };
        match self.op {
            Op::Equal => seen == self.value,
            Op::NotEqual => seen != self.value,
            Op::Less => seen < self.value,
            Op::LessOrEqual => seen <= self.value,
            Op::Greater => seen > self.value,
            Op::GreaterOrEqual => seen >= self.value,
            Op::Masked(mask) => seen & mask == self.value,
        }
    }
}

impl fmt::Display for Test {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { index, op, value } = self;
        match op {
            Op::Equal => write!(f, "argument {index} = {value:#x}"),
            Op::NotEqual => write!(f, "argument {index} other than {value:#x}"),
            Op::Less => write!(f, "argument {index} < {value}"),
            Op::LessOrEqual => write!(f, "argument {index} <= {value}"),
            Op::Greater => write!(f, "argument {index} > {value}"),
            Op::GreaterOrEqual => write!(f, "argument {index} >= {value}"),
            Op::Masked(mask) => write!(f, "argument {index} & {mask:#x} = {value:#x}"),
        }
    }
}

/// One answer to one system call, where all of these hold.
#[derive(Clone, Debug)]
pub(super) struct Case {
    pub(super) answer: Answer,
    pub(super) tests: Vec<Test>,
    pub(super) why: Option<Why>,
}

impl Case {
    /// Whether it counts for a call with these arguments.
    pub(super) fn holds(&self, args: &[u64; 6]) -> bool {
        self.tests.iter().all(|test| test.holds(args))
    }
}

/// What the rule says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Why {
    pub(super) group: String,
    pub(super) comment: String,
    /// The rule's conditions with the names of values; empty where there are none.
    pub(super) shown: String,
    pub(super) shown_by: Vec<String>,
}

/// When a call is allowed, as far as it is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum When {
    Always,
    Never,
    /// Where all tests of one of these hold.
    Where(BTreeSet<Vec<Test>>),
    /// Everywhere but where all tests of one of these hold.
    Except(BTreeSet<Vec<Test>>),
    /// Rules with contrary answers may hold at once.
    Undecided,
}

/// A whole filter.
#[derive(Clone, Debug)]
pub struct Policy {
    pub(super) name: String,
    pub(super) default: Answer,
    pub(super) calls: BTreeMap<String, Vec<Case>>,
    /// What looks unknown on purpose, and why.
    pub(super) unknown: BTreeMap<String, String>,
}

/// What a filter says of a call, and why.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// What becomes of it.
    pub answer: Answer,
    /// Because of which rule, or for want of one.
    pub why: String,
}

impl Policy {
    /// The profile `name` of ours.
    #[must_use]
    pub fn of(name: &str, profile: &Profile) -> Self {
        let mut calls: BTreeMap<String, Vec<Case>> = BTreeMap::new();
        for rule in profile.rules() {
            let answer = match rule.action {
                Action::Allow => Answer::Allow,
                Action::Refuse => Answer::Errno(EPERM),
            };
            let why = Why {
                group: rule.group.clone(),
                comment: rule.comment.clone(),
                shown: conditions(rule),
                shown_by: rule.shown_by.clone(),
            };
            for set in rule.alternatives() {
                let tests: Vec<Test> = set.into_iter().map(Test::from).collect();
                for name in &rule.names {
                    let case = Case { answer: answer.clone(), tests: tests.clone(), why: Some(why.clone()) };
                    calls.entry(name.clone()).or_default().push(case);
                }
            }
        }
        let unknown = profile.unknown().iter();
        let unknown =
            unknown.flat_map(|one| one.names.iter().map(|name| (name.clone(), one.comment.clone()))).collect();
        Self { name: name.to_owned(), default: Answer::Errno(ENOSYS), calls, unknown }
    }

    /// What it is called.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What becomes of the system call `name` with these arguments. `None` for the name is a number that has none: no rule
    /// can speak of it.
    #[must_use]
    pub fn answer(&self, name: Option<&str>, args: [u64; 6]) -> Said {
        let cases = name.and_then(|name| self.calls.get(name)).map_or(&[][..], Vec::as_slice);
        if let Some(why) = miscompiled(cases) {
            return Said { answer: Answer::Undecided, why: why.to_owned() };
        }
        // Without a condition it wins wherever it stands, the first of such (libseccomp, src/db.c).
        let holding: Vec<&Case> = match cases.iter().find(|case| case.tests.is_empty()) {
            Some(case) => vec![case],
            None => cases.iter().filter(|case| case.holds(&args)).collect(),
        };
        if let Some(case) = holding.first() {
            if holding.iter().any(|other| other.answer != case.answer) {
                let why = "rules that contradict each other hold, and which of them counts is libseccomp's affair";
                return Said { answer: Answer::Undecided, why: why.to_owned() };
            }
            let why = case.why.as_ref().map(|why| format!("{}: {}", why.group, why.comment));
            return Said { answer: case.answer.clone(), why: why.unwrap_or_else(|| "a rule says so".to_owned()) };
        }
        let why = match (name.and_then(|name| self.unknown.get(name)), cases.first()) {
            (Some(comment), _) => format!("looks unknown on purpose: {comment}"),
            (None, Some(_)) => "its rules ask for other arguments".to_owned(),
            (None, None) => "no rule names it".to_owned(),
        };
        Said { answer: self.default.clone(), why }
    }

    /// The cases of one system call.
    pub(super) fn cases(&self, name: &str) -> &[Case] {
        self.calls.get(name).map_or(&[], Vec::as_slice)
    }

    /// When the call is allowed.
    pub(super) fn when(&self, name: &str) -> When {
        let cases = self.cases(name);
        let settled = |answer: &Answer| if *answer == Answer::Allow { When::Always } else { When::Never };
        if let Some(case) = cases.iter().find(|case| case.tests.is_empty()) {
            return settled(&case.answer);
        }
        let sets = |allowed: bool| -> BTreeSet<Vec<Test>> {
            let of = cases.iter().filter(|case| (case.answer == Answer::Allow) == allowed);
            of.map(|case| sorted(&case.tests)).collect()
        };
        let (allowed, refused) = (sets(true), sets(false));
        if miscompiled(cases).is_some() {
            return When::Undecided;
        }
        if allowed.iter().any(|one| refused.iter().any(|other| !apart(one, other))) {
            return When::Undecided;
        }
        match (&self.default, allowed.is_empty(), refused.is_empty()) {
            (Answer::Allow, _, false) => When::Except(refused),
            (Answer::Allow, ..) => When::Always,
            (_, true, _) => When::Never,
            (_, false, _) => When::Where(allowed),
        }
    }

    /// When the call is allowed, in words.
    pub(super) fn condition(&self, name: &str) -> String {
        let (allow, before) = match self.when(name) {
            When::Always => return "any".to_owned(),
            When::Never => return "none".to_owned(),
            When::Undecided => return "not known".to_owned(),
            When::Where(_) => (true, ""),
            When::Except(_) => (false, "any but "),
        };
        let mut seen: Vec<String> = Vec::new();
        for case in self.cases(name).iter().filter(|case| (case.answer == Answer::Allow) == allow) {
            let text = match &case.why {
                Some(why) => why.shown.clone(),
                None => case.tests.iter().map(ToString::to_string).collect::<Vec<_>>().join(" and "),
            };
            if !seen.contains(&text) {
                seen.push(text);
            }
        }
        format!("{before}{}", seen.join(", or "))
    }

    /// Everything that a call can meet which is not allowed, each with its conditions; an empty set of conditions is what
    /// happens where none of the others hold.
    pub(super) fn refusals(&self, name: &str) -> BTreeMap<String, BTreeSet<Vec<Test>>> {
        let mut found: BTreeMap<String, BTreeSet<Vec<Test>>> = BTreeMap::new();
        let mut add = |answer: &Answer, tests| found.entry(answer.to_string()).or_default().insert(tests);
        let cases = self.cases(name);
        let settled = cases.iter().find(|case| case.tests.is_empty());
        let always = settled.map_or(&self.default, |case| &case.answer);
        if *always != Answer::Allow {
            add(always, Vec::new());
        }
        if settled.is_none() {
            for case in cases.iter().filter(|case| case.answer != Answer::Allow) {
                add(&case.answer, sorted(&case.tests));
            }
        }
        found
    }
}

fn sorted(tests: &[Test]) -> Vec<Test> {
    let mut tests = tests.to_vec();
    tests.sort();
    tests
}

/// Why nobody can tell from the rules of one call what libseccomp makes of them, if so. Found by holding filters that 2.5.4
/// wrote against their rules: it sorts comparisons of one argument by the upper half and then by the lower half of their
/// values, and loses some of those that are no equality; with a condition on a second argument more of them (and there are
/// such rules over which it does not end).
fn miscompiled(cases: &[Case]) -> Option<&'static str> {
    if cases.iter().any(|case| case.tests.is_empty()) {
        return None;
    }
    let pairs =
        || (0..cases.len()).flat_map(|at| (0..cases.len()).map(move |other| (at, other))).filter(|(a, b)| a != b);
    // An equality and what it excludes, as in our own rules for prlimit64, it compiles rightly.
    let contrary = |a: &Test, b: &Test| a.value == b.value && !b.of_size() && !matches!(b.op, Op::Masked(_));
    let unequal = |a: &&Test| a.of_size() || a.op == Op::NotEqual;
    let meet = |(at, other): (usize, usize)| {
        let near = |a: &Test| cases[other].tests.iter().any(|b| a.index == b.index && (a.of_size() || !contrary(a, b)));
        cases[at].tests.iter().filter(unequal).any(near)
    };
    if cases.iter().any(|case| case.tests.len() > 1) && pairs().any(meet) {
        return Some(
            "several rules, one of which looks at several arguments, and on one argument a comparison beside one that is no \
             equality: libseccomp is known to lose some of those",
        );
    }
    let sizes = |at: usize| cases[at].tests.iter().filter(|test| test.of_size());
    let apart =
        |(at, other)| sizes(at).any(|a| sizes(other).any(|b| a.index == b.index && a.value >> 32 != b.value >> 32));
    pairs().any(apart).then_some(
        "several rules compare an argument by its size with values that differ in their upper 32 bits: libseccomp is known to \
         lose some of those",
    )
}

/// Whether it is known that no call fulfils both. Comparisons of size are not looked at.
fn apart(one: &[Test], other: &[Test]) -> bool {
    let known = |tests: &[Test]| tests.iter().filter_map(|test| test.condition()).collect::<Vec<_>>();
    disjoint(&known(one), &known(other))
}

impl From<Condition> for Test {
    fn from(condition: Condition) -> Self {
        match condition {
            Condition::Is { index, mask: u64::MAX, value } => Self { index, op: Op::Equal, value },
            Condition::Is { index, mask, value } => Self { index, op: Op::Masked(mask), value },
            Condition::IsNot { index, value } => Self { index, op: Op::NotEqual, value },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::{Profiles, docker_default};
    use super::*;

    fn said(profile: &str, name: &str, args: &[u64]) -> String {
        let mut all = [0; 6];
        all[..args.len()].copy_from_slice(args);
        let profiles = Profiles::load(None).unwrap();
        let Said { answer, why } = Policy::of(profile, profiles.get(profile).unwrap()).answer(Some(name), all);
        format!("{answer}: {why}")
    }

    #[test]
    fn a_call_is_answered_with_the_rule_that_decides() {
        for (profile, name, args, starts) in [
            ("run", "read", &[][..], "allowed: files: "),
            ("run", "ptrace", &[], "EPERM: "),
            ("run", "clone3", &[], "ENOSYS: looks unknown on purpose: "),
            ("run", "vserver", &[], "ENOSYS: no rule names it"),
            ("run", "socket", &[1], "allowed: local sockets: "),
            ("run", "socket", &[2], "EPERM: "),
            ("run", "fcntl", &[0, 1], "allowed: descriptors: "),
            ("run", "personality", &[8], "ENOSYS: its rules ask for other arguments"),
            ("compile", "socketpair", &[1], "E"),
            ("compile+java", "socketpair", &[1], "allowed: marker"),
            ("run", "prlimit64", &[0, 3, 0], "allowed: limits of oneself: "),
            ("run", "prlimit64", &[0, 4, 1], "EPERM: core files: "),
            ("run", "clone", &[17], "allowed: "),
            ("run", "clone", &[0x1000_0000], "EPERM: "),
        ] {
            let text = said(profile, name, args);
            assert!(text.starts_with(starts), "{profile} {name} {args:x?}: {text}");
        }
    }

    #[test]
    fn dockers_default_is_what_is_known_of_it() {
        let docker = docker_default().unwrap();
        let answer = |name, arg| docker.answer(Some(name), [arg, 0, 0, 0, 0, 0]).answer;
        for (name, arg, wanted) in [
            ("read", 0, Answer::Allow),
            ("ptrace", 0, Answer::Allow),
            ("chroot", 0, Answer::Allow),
            ("mount", 0, Answer::Errno(EPERM)),
            ("io_uring_setup", 0, Answer::Errno(EPERM)),
            ("clone3", 0, Answer::Errno(ENOSYS)),
            ("clone", 17, Answer::Allow),
            ("clone", 0x1000_0000, Answer::Errno(EPERM)),
            ("socket", 2, Answer::Allow),
            ("socket", 38, Answer::Errno(EPERM)),
            ("socket", 39, Answer::Allow),
            ("socket", 40, Answer::Errno(EPERM)),
            ("socket", 41, Answer::Allow),
            ("personality", 1, Answer::Errno(EPERM)),
        ] {
            assert_eq!(answer(name, arg), wanted, "{name} {arg:#x}");
        }
    }
}
