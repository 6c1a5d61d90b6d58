//! What a submission says of its runs: one, or tests of which each is one.

use std::fmt;

use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};

use super::{Args, Content, Files, Many, Object, StepLimits, bad, program};
use crate::model::{Compare, LimitsWanted, Number, Refusal, Several, Streams, Tolerance};
use crate::service::{CheckerDraft, RunDraft, most};

/// Tests that are read; the setting `tests.most` allows no more.
pub(super) const TESTS: usize = 10_000;

/// One of `tests`.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Test {
    /// A name of the client's own.
    #[schemars(extend("maxLength" = most::TEST_NAME))]
    name: Option<String>,
    /// Standard input; empty without it.
    stdin: Option<Content>,
    /// Arguments in place of those of the submission.
    args: Option<Args>,
    /// What standard output has to be; any will do without it.
    expected: Option<Content>,
    /// Limits of this run; what is absent is as `limits.run` of the submission has it.
    limits: Option<Object<LimitsWanted>>,
    /// What counts as the expected output, in place of that of the submission; not a checker.
    compare: Option<How>,
}

/// When an output is the expected one: a word, or an object with one member.
#[derive(Debug, JsonSchema)]
#[schemars(rename_all = "lowercase")]
pub(super) enum How {
    /// Every byte counts.
    Exact,
    /// White space at the end of lines and empty lines at the end do not count.
    Trailing,
    /// Only what stands between white space counts.
    Tokens,
    /// As `tokens`, and numbers may differ by a tolerance.
    Floats(Object<Floats>),
    /// A program says so.
    Checker(Box<Object<Checker>>),
}

/// A program that compares.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Checker {
    /// The name of a language.
    language: String,
    /// The program, in one piece.
    #[schemars(extend("minLength" = 1))]
    source: Option<String>,
    /// In place of `source`: its files, by their paths below `/code`; none is called `input`, `output` or `answer`.
    #[schemars(extend("minProperties" = 1))]
    files: Option<Files>,
    /// Which of `files` it begins with; with one alone it is that one.
    #[schemars(extend("maxLength" = most::PATH))]
    entry: Option<String>,
    /// Limits of its compile step and of each of its runs.
    limits: Option<Object<StepLimits>>,
}

/// How much two numbers may differ: by one of the two. At least one of them is given.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(super) struct Floats {
    /// By so much.
    #[schemars(with = "Option<f64>", extend("minimum" = 0))]
    absolute: Option<Number>,
    /// By so much of the size of the expected number.
    #[schemars(with = "Option<f64>", extend("minimum" = 0))]
    relative: Option<Number>,
}

/// The members of a submission that are about its runs.
#[derive(Debug)]
pub(super) struct Said {
    pub(super) stdin: Option<Content>,
    pub(super) expected: Option<Content>,
    pub(super) compare: Option<How>,
    pub(super) tests: Option<Many<Object<Test>, TESTS>>,
    pub(super) stop_on_failure: Option<bool>,
    pub(super) streams: Streams,
}

/// What is to be run and how it is judged.
#[derive(Debug)]
pub(super) struct Runs {
    pub(super) runs: Vec<RunDraft>,
    /// What holds for all of them where they are tests.
    pub(super) several: Option<Several>,
    pub(super) checker: Option<CheckerDraft>,
}

/// The runs of a submission.
pub(super) fn runs(said: Said) -> Result<Runs, Refusal> {
    let Said { stdin, expected, compare, tests, stop_on_failure, streams } = said;
    let (general, checker) = match compare {
        Some(How::Checker(checker)) => (None, Some(checker.0.draft()?)),
        compare => (compare.map(|how| how.compare("compare")).transpose()?, None),
    };
    let bytes = |content: Option<Content>| content.map(|Content(bytes)| bytes);
    let (runs, several) = match tests {
        None if stop_on_failure.is_some() => {
            return Err(bad("stop_on_failure", "there are no `tests`", "leave it out"));
        }
        None => {
            let expected = bytes(expected);
            (vec![RunDraft { stdin: bytes(stdin).unwrap_or_default(), expected, ..RunDraft::default() }], None)
        }
        Some(_) if stdin.is_some() => return Err(bad("stdin", "each of `tests` has its own", "leave it out")),
        Some(_) if expected.is_some() => return Err(bad("expected", "each of `tests` has its own", "leave it out")),
        Some(tests) => {
            let runs =
                tests.all("tests", "tests")?.into_iter().enumerate().map(|(number, Object(test))| test.run(number));
            let several = Several { stop_on_failure: stop_on_failure.unwrap_or_default() };
            (runs.collect::<Result<Vec<_>, _>>()?, Some(several))
        }
    };
    let path = |number: usize, field: &str| match several {
        Some(_) => format!("tests[{number}].{field}"),
        None => field.to_owned(),
    };
    if let Some(number) = runs.iter().position(|run| run.compare.is_some() && run.expected.is_none()) {
        return Err(bad(
            &path(number, "compare"),
            "there is nothing to compare with",
            "leave it out, or say what is `expected`",
        ));
    }
    let own = |run: RunDraft| {
        let checked = checker.is_some() && run.compare.is_none();
        RunDraft { compare: run.compare.or(general), checked, ..run }
    };
    let runs: Vec<_> = runs.into_iter().map(own).collect();
    if checker.is_some() && streams == Streams::Merged {
        let wrong = "standard output alone is checked, and `streams` is merged";
        return Err(bad("compare", wrong, "leave one of the two out"));
    }
    let Some(number) = runs.iter().position(|run| run.expected.is_some()) else {
        return match general {
            Some(_) => {
                Err(bad("compare", "there is nothing to compare with", "leave it out, or say what is `expected`"))
            }
            None => Ok(Runs { runs, several, checker }),
        };
    };
    if streams == Streams::Merged {
        let wrong = "standard output alone is compared, and `streams` is merged";
        return Err(bad(&path(number, "expected"), wrong, "leave one of the two out"));
    }
    Ok(Runs { runs, several, checker })
}

impl Test {
    fn run(self, number: usize) -> Result<RunDraft, Refusal> {
        let Self { name, stdin, args, expected, limits, compare } = self;
        let compare = compare.map(|how| how.compare(&format!("tests[{number}].compare"))).transpose()?;
        let args = args.map(|args| args.all(&format!("tests[{number}].args"), "arguments")).transpose()?;
        Ok(RunDraft {
            name,
            stdin: stdin.map(|Content(bytes)| bytes).unwrap_or_default(),
            args,
            expected: expected.map(|Content(bytes)| bytes),
            compare,
            checked: false,
            limits: limits.map(|Object(wanted)| wanted),
        })
    }
}

impl How {
    fn compare(self, path: &str) -> Result<Compare, Refusal> {
        let Object(Floats { absolute, relative }) = match self {
            Self::Exact => return Ok(Compare::Exact),
            Self::Trailing => return Ok(Compare::Trailing),
            Self::Tokens => return Ok(Compare::Tokens),
            Self::Floats(floats) => floats,
            Self::Checker(_) => {
                let wrong = "a checker is for all tests";
                let remedy = "give it as `compare` of the submission; a test may have one of the others in its place";
                return Err(bad(&format!("{path}.checker"), wrong, remedy));
            }
        };
        if absolute.is_none() && relative.is_none() {
            return Err(bad(&format!("{path}.floats"), "it has no tolerance", "give `absolute`, `relative` or both"));
        }
        let within = |name: &str, wanted: Option<Number>| {
            let Some(wanted) = wanted else { return Ok(0.0) };
            let finite = wanted.double().filter(|number| (0.0..=f64::MAX).contains(number));
            finite.ok_or_else(|| Refusal::BadValue {
                field: format!("{path}.floats.{name}"),
                value: Some(wanted.to_string()),
                wrong: "it is no tolerance".to_owned(),
                remedy: "give a number that is not negative, such as 1e-6".to_owned(),
            })
        };
        let (absolute, relative) = (within("absolute", absolute)?, within("relative", relative)?);
        Ok(Compare::Floats(Tolerance { absolute, relative }))
    }
}

impl Checker {
    fn draft(self) -> Result<CheckerDraft, Refusal> {
        let Self { language, source, files, entry, limits } = self;
        let program = program("compare.checker.", source, files, entry)?;
        let StepLimits { compile, run } = limits.map(|Object(limits)| limits).unwrap_or_default();
        let [compile, run] = [compile, run].map(|wanted| wanted.map(|Object(wanted)| wanted));
        Ok(CheckerDraft { language, program, compile, run })
    }
}

/// What serde derives would take `{"exact": null}` too.
impl<'de> Deserialize<'de> for How {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Form;
        impl<'de> Visitor<'de> for Form {
            type Value = How;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, or an object with `floats` or `checker`")
            }

            fn visit_str<E: serde::de::Error>(self, word: &str) -> Result<How, E> {
                match word {
                    "exact" => Ok(How::Exact),
                    "trailing" => Ok(How::Trailing),
                    "tokens" => Ok(How::Tokens),
                    _ => Err(E::unknown_variant(word, &["exact", "trailing", "tokens"])),
                }
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<How, A::Error> {
                #[derive(Deserialize)]
                #[serde(field_identifier, rename_all = "lowercase")]
                enum Key {
                    Floats,
                    Checker,
                }
                let how = match map.next_key()? {
                    Some(Key::Floats) => How::Floats(map.next_value()?),
                    Some(Key::Checker) => How::Checker(map.next_value()?),
                    None => return Err(A::Error::invalid_length(0, &self)),
                };
                match map.next_key::<Key>()? {
                    None => Ok(how),
                    Some(_) => Err(A::Error::invalid_length(2, &self)),
                }
            }
        }
        json.deserialize_any(Form)
    }
}

#[cfg(test)]
mod tests {
    use super::super::draft;
    use super::super::tests::problem;
    use super::*;

    fn body(more: &str) -> String {
        format!(r#"{{"language":"c","source":"x",{more}}}"#)
    }

    fn read(more: &str) -> (Vec<RunDraft>, Option<Several>) {
        let draft = draft(body(more).as_bytes()).unwrap_or_else(|problem| panic!("{more}: {problem:?}"));
        (draft.runs, draft.several)
    }

    #[test]
    fn every_field_of_a_test_is_read() {
        let (runs, several) = read(
            r#""compare":"tokens","stop_on_failure":true,"tests":[{"name":"a","stdin":"1","args":["x"],"expected":{"base64":"/w=="},
            "limits":{"wall_ms":5},"compare":{"floats":{"absolute":1e-3}}},{"expected":"","limits":null},{}]"#,
        );
        assert_eq!(several, Some(Several { stop_on_failure: true }));
        let first = &runs[0];
        assert_eq!((first.name.as_deref(), &first.stdin[..]), (Some("a"), &b"1"[..]));
        assert_eq!((first.args.clone(), first.expected.clone()), (Some(vec!["x".into()]), Some(vec![0xff])));
        assert_eq!(first.limits.clone().and_then(|wanted| wanted.wall_ms), Some(5.into()));
        assert_eq!(first.compare, Some(Compare::Floats(Tolerance { absolute: 1e-3, relative: 0.0 })));
        assert_eq!((runs[1].expected.clone(), runs[1].compare), (Some(Vec::new()), Some(Compare::Tokens)));
        assert_eq!((runs[2].expected.clone(), runs[2].args.clone()), (None, None));
        let (runs, several) = read(r#""stdin":"in","expected":"out","compare":"exact""#);
        assert_eq!((&runs[0].stdin[..], several, runs.len()), (&b"in"[..], None, 1));
        assert_eq!((runs[0].expected.clone(), runs[0].compare), (Some(b"out".to_vec()), Some(Compare::Exact)));
        assert_eq!(read(r#""expected":"out""#).0[0].compare, None);
        assert_eq!(read(r#""tests":[{}]"#).1, Some(Several::default()));
        assert_eq!(read(r#""tests":null"#).1, None);
    }

    #[test]
    fn a_checker_judges_what_has_no_way_of_its_own() {
        let text = r#""compare":{"checker":{"language":"c","files":{"a.c":"x"},"entry":"a.c","limits":{"run":{"wall_ms":5}}}},
            "tests":[{},{"expected":"x"},{"expected":"x","compare":"exact"}]"#;
        let draft = draft(body(text).as_bytes()).unwrap();
        let judged: Vec<_> = draft.runs.iter().map(|run| (run.checked, run.compare)).collect();
        assert_eq!(judged, [(true, None), (true, None), (false, Some(Compare::Exact))]);
        let checker = draft.checker.unwrap();
        assert_eq!(
            (checker.language.as_str(), checker.run.unwrap().wall_ms, checker.compile),
            ("c", Some(5.into()), None)
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (more, field, word) in [
            (r#""tests":7"#, "tests", "array"),
            (r#""tests":[[]]"#, "tests[0]", "an object"),
            (r#""tests":[{},{"input":"x"}]"#, "tests[1].input", "unknown field `input`"),
            (r#""tests":[{"limits":{"wall":1}}]"#, "tests[0].limits.wall", "unknown field"),
            (r#""tests":[{"limits":{"run":{}}}]"#, "tests[0].limits.run", "unknown field"),
            (r#""tests":[{"stdin":7}]"#, "tests[0].stdin", "7"),
            (r#""tests":[{"stdin":{"base64":"*"}}]"#, "tests[0].stdin", "base64"),
            (r#""tests":[{"compare":"words","expected":""}]"#, "tests[0].compare", "words"),
            (r#""tests":[{"compare":"exact"}]"#, "tests[0].compare", "expected"),
            (r#""tests":[{}],"stdin":"""#, "stdin", "each of `tests`"),
            (r#""tests":[{}],"expected":"""#, "expected", "each of `tests`"),
            (r#""tests":[{}],"compare":"exact""#, "compare", "expected"),
            (r#""tests":[{}],"stop_on_failure":1"#, "stop_on_failure", "1"),
            (r#""stop_on_failure":false"#, "stop_on_failure", "no `tests`"),
            (r#""compare":"exact""#, "compare", "expected"),
            (r#""expected":"","compare":"floats""#, "compare", "variant"),
            (r#""expected":"","compare":{"exact":null}"#, "compare.exact", "unknown field `exact`"),
            (r#""expected":"","compare":{}"#, "compare", "invalid length 0"),
            (r#""expected":"","compare":{"floats":{"absolute":1},"checker":null}"#, "compare", "invalid length 2"),
            (r#""expected":"","compare":["exact"]"#, "compare", "sequence, expected a string, or an object"),
            (r#""expected":"","compare":{"floats":{}}"#, "compare.floats", "absolute"),
            (r#""expected":"","compare":{"floats":{"epsilon":1}}"#, "compare.floats.epsilon", "unknown field"),
            (r#""expected":"","compare":{"floats":{"absolute":-1}}"#, "compare.floats.absolute", "not negative"),
            (r#""expected":"","compare":{"floats":{"absolute":1e400}}"#, "compare.floats.absolute", "not negative"),
            (r#""expected":"","compare":{"floats":{"relative":"1"}}"#, "compare.floats.relative", "string"),
            (r#""compare":{"checker":{"source":"x"}}"#, "compare.checker.language", "missing field"),
            (r#""compare":{"checker":{"language":"c"}}"#, "compare.checker.source", "give `source`"),
            (
                r#""compare":{"checker":{"language":"c","source":"x","args":[]}}"#,
                "compare.checker.args",
                "unknown field",
            ),
            (r#""compare":{"checker":{"language":"c","source":"x"}},"streams":"merged""#, "compare", "merged"),
            (
                r#""tests":[{"compare":{"checker":{"language":"c","source":"x"}}}]"#,
                "tests[0].compare.checker",
                "submission",
            ),
            (r#""expected":"","streams":"merged""#, "expected", "merged"),
            (r#""tests":[{},{"expected":""}],"streams":"merged""#, "tests[1].expected", "merged"),
        ] {
            let (found, detail) = problem(&body(more));
            assert_eq!(found, field, "{more}: {detail}");
            assert!(detail.contains(word), "{more}: {detail}");
        }
    }

    #[test]
    fn of_a_body_of_empty_tests_no_more_is_kept_than_there_may_be() {
        let many = |number: usize| format!(r#""tests":[{}]"#, vec!["{}"; number].join(","));
        assert_eq!(read(&many(TESTS)).0.len(), TESTS);
        let (field, detail) = problem(&body(&many(TESTS + 1)));
        assert!(field == "tests" && detail.contains("at most 10000 tests"), "{field}: {detail}");
    }
}
