//! The body of `POST /v1/submissions`, read strictly: unknown fields and fields given twice are refused, and whatever is
//! wrong is told with the path of its field.

mod many;
mod runs;

use std::fmt;
use std::marker::PhantomData;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use schemars::JsonSchema;
use serde::Deserialize;
use serde::de::value::MapAccessDeserializer;
use serde::de::{DeserializeOwned, Deserializer, Error as _, MapAccess, Visitor};
use serde_json::error::Category;

pub use self::many::{Many, Pairs};
use self::runs::{How, Said, TESTS, Test};
use crate::http::problem::Problem;
use crate::model::{Invocation, LimitsWanted, Refusal, SourceFile, Streams};
use crate::service::{Draft, Program, most};

/// Characters of the parser's own words that are passed on: they may repeat a value.
const WORDS: usize = 300;

/// A submission as it is sent.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Submission {
    /// The name of a language, as `GET /v1/languages` has it.
    language: String,
    /// The program, in one piece.
    #[schemars(extend("minLength" = 1))]
    source: Option<String>,
    /// In place of `source`: the program's files, by their paths below `/code`.
    #[schemars(extend("minProperties" = 1))]
    files: Option<Files>,
    /// Which of `files` the program begins with; with one alone it is that one.
    #[schemars(extend("maxLength" = most::PATH))]
    entry: Option<String>,
    /// Standard input; empty without it.
    stdin: Option<Content>,
    /// Arguments of the program.
    args: Option<Args>,
    /// Variables of the environment of its runs, by name.
    env: Option<Pairs<String, { most::VARIABLES }>>,
    /// Limits of its steps, within the operator's ceilings.
    limits: Option<Object<StepLimits>>,
    /// How the output of its runs is kept; `separate` without it.
    streams: Option<Streams>,
    /// What standard output has to be.
    expected: Option<Content>,
    /// What counts as that; `trailing` without it.
    compare: Option<How>,
    /// In place of `stdin` and `expected`: runs of the program, which is compiled once.
    #[schemars(extend("minItems" = 1))]
    tests: Option<Many<Object<Test>, TESTS>>,
    /// Whether nothing more is run after the first test that is not accepted.
    stop_on_failure: Option<bool>,
    /// Files that come back with the result of each run, by their paths below `/tmp`.
    collect: Option<Many<String, { most::COLLECTED }>>,
    /// Whether the report is to name the system calls that runs are refused.
    diagnose: Option<bool>,
}

/// The files of a program, by path.
type Files = Pairs<Content, { most::FILES }>;

/// Words of a command line.
type Args = Many<String, { most::ARGUMENTS }>;

/// Limits of both steps.
#[derive(Debug, Default, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
struct StepLimits {
    /// Of the compile step.
    compile: Option<Object<LimitsWanted>>,
    /// Of each run.
    run: Option<Object<LimitsWanted>>,
}

/// The draft in a body.
///
/// # Errors
/// [`Problem::Invalid`] for what is not written as it must be, [`Refusal::BadValue`] for what contradicts itself.
pub fn draft(body: &[u8]) -> Result<Draft, Problem> {
    complete(parse(body)?).map_err(Problem::Refused)
}

fn complete(submission: Submission) -> Result<Draft, Refusal> {
    let Submission { language, source, files, entry, stdin, args, env, limits, streams, .. } = submission;
    let Submission { expected, compare, tests, stop_on_failure, collect, diagnose, .. } = submission;
    let program = program("", source, files, entry)?;
    let args = args.map_or(Ok(Vec::new()), |args| args.all("args", "arguments"))?;
    let env = env.map_or(Ok(Vec::new()), |env| env.all("env", "variables"))?;
    let collect = collect.map_or(Ok(Vec::new()), |collect| collect.all("collect", "paths"))?;
    let StepLimits { compile, run } = limits.map(|Object(limits)| limits).unwrap_or_default();
    let streams = streams.unwrap_or(Streams::Separate);
    let runs::Runs { runs, several, checker } =
        runs::runs(Said { stdin, expected, compare, tests, stop_on_failure, streams })?;
    Ok(Draft {
        language,
        program,
        runs,
        several,
        invocation: Invocation { args, env },
        compile: compile.map(|Object(wanted)| wanted),
        run: run.map(|Object(wanted)| wanted),
        streams,
        collect,
        checker,
        diagnose: diagnose.unwrap_or_default(),
    })
}

/// A program; its fields are below `above`.
fn program(
    above: &str,
    source: Option<String>,
    files: Option<Files>,
    entry: Option<String>,
) -> Result<Program, Refusal> {
    match (source, files) {
        (Some(_), Some(_)) => Err(bad(&format!("{above}files"), "`source` is there too", "give one of the two")),
        (None, None) => {
            Err(bad(&format!("{above}source"), "there is no program", "give `source`, or `files` with `entry`"))
        }
        (Some(source), None) if source.is_empty() => {
            Err(bad(&format!("{above}source"), "it is empty", "give a program that is not empty"))
        }
        (Some(_), None) if entry.is_some() => {
            Err(bad(&format!("{above}entry"), "it names one of `files`, which are not there", "leave it out"))
        }
        (Some(source), None) => Ok(Program::Source(source)),
        (None, Some(files)) => {
            let files = files
                .all(&format!("{above}files"), "files")?
                .into_iter()
                .map(|(path, Content(bytes))| SourceFile { path, bytes });
            Ok(Program::Files(files.collect(), entry))
        }
    }
}

/// A field that cannot stand there as it is, whatever its value.
fn bad(field: &str, wrong: &str, remedy: &str) -> Refusal {
    let [field, wrong, remedy] = [field, wrong, remedy].map(str::to_owned);
    Refusal::BadValue { field, value: None, wrong, remedy }
}

/// One JSON object, and nothing behind it.
pub fn parse<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    let mut json = serde_json::Deserializer::from_slice(body);
    let Object(parsed) = serde_path_to_error::deserialize(&mut json)
        .map_err(|error| invalid(&field(&error.path().to_string(), &error.inner().to_string()), error.inner()))?;
    json.end().map_err(|error| invalid("body", &error))?;
    Ok(parsed)
}

/// The path of what is wrong. Of a field that is not there, or comes twice, the parser knows the object that it is in.
fn field(object: &str, text: &str) -> String {
    // A key that it could not read.
    let object = object.strip_suffix(".?").unwrap_or(object);
    let named = ["missing field `", "duplicate field `"].into_iter().find_map(|words| text.strip_prefix(words));
    match (named.and_then(|rest| rest.split_once('`')), object) {
        (Some((name, _)), ".") => name.to_owned(),
        // Where the key was read already, it is the end of the path.
        (Some((name, _)), _) if object == name || object.ends_with(&format!(".{name}")) => object.to_owned(),
        (Some((name, _)), _) => format!("{object}.{name}"),
        (None, ".") => "body".to_owned(),
        (None, _) => object.to_owned(),
    }
}

fn invalid(field: &str, error: &serde_json::Error) -> Problem {
    let text = error.to_string();
    let detail: String = text.chars().take(WORDS).collect();
    let remedy = match error.classify() {
        Category::Data if text.starts_with("unknown field") => "leave it out, or write one of the names that there are",
        Category::Data if text.starts_with("missing field") => "add it",
        Category::Data if text.starts_with("duplicate field") => "give it once",
        Category::Data => "give it a value of the kind that was expected",
        _ => "send one JSON value (RFC 8259) in UTF-8; what is no text goes into {\"base64\": \"…\"}",
    };
    // A name of the client's own may be in it, of any length.
    let field = field.chars().take(WORDS).collect();
    Problem::Invalid { field, detail, remedy: remedy.to_owned() }
}

/// An object with the fields of `T`; what serde derives would take an array of their values too.
#[derive(Debug)]
pub struct Object<T>(T);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Object<T> {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Fields<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Fields<T> {
            type Value = Object<T>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, map: A) -> Result<Object<T>, A::Error> {
                T::deserialize(MapAccessDeserializer::new(map)).map(Object)
            }
        }
        json.deserialize_map(Fields(PhantomData))
    }
}

/// Text, or `{"base64": "…"}` for what is none.
#[derive(Debug)]
pub struct Content(pub Vec<u8>);

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(json: D) -> Result<Self, D::Error> {
        struct Either;
        impl<'de> Visitor<'de> for Either {
            type Value = Content;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a string, or an object {\"base64\": \"…\"}")
            }

            fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<Content, E> {
                Ok(Content(text.as_bytes().to_vec()))
            }

            fn visit_string<E: serde::de::Error>(self, text: String) -> Result<Content, E> {
                Ok(Content(text.into_bytes()))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Content, A::Error> {
                #[derive(Deserialize)]
                #[serde(field_identifier, rename_all = "lowercase")]
                enum Key {
                    Base64,
                }
                let Some(Key::Base64) = map.next_key()? else { return Err(A::Error::missing_field("base64")) };
                let text: String = map.next_value()?;
                if let Some(Key::Base64) = map.next_key()? {
                    return Err(A::Error::duplicate_field("base64"));
                }
                BASE64.decode(text).map(Content).map_err(|error| A::Error::custom(format!("not base64: {error}")))
            }
        }
        json.deserialize_any(Either)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    pub(super) fn problem(body: &str) -> (String, String) {
        match draft(body.as_bytes()) {
            Err(Problem::Invalid { field, detail, remedy }) => {
                assert!(!remedy.is_empty());
                (field, detail)
            }
            Err(Problem::Refused(Refusal::BadValue { field, wrong, remedy, .. })) => {
                (field, format!("{wrong}; {remedy}"))
            }
            other => panic!("{body}: {other:?}"),
        }
    }

    #[test]
    fn every_field_is_read() {
        let body = r#"{"language":"c","files":{"a.c":"x","b":{"base64":"/w=="}},"entry":"a.c","stdin":"in","args":["-v"],
            "env":{"A":"1"},"limits":{"compile":{"wall_ms":5},"run":{"memory_bytes":6}},"streams":"merged","collect":["a","b/c"]}"#;
        let draft = draft(body.as_bytes()).unwrap();
        let Program::Files(files, entry) = draft.program else { panic!("{:?}", draft.program) };
        assert_eq!((files[1].path.as_str(), &files[1].bytes[..], entry.as_deref()), ("b", &b"\xff"[..], Some("a.c")));
        assert_eq!(
            (draft.language.as_str(), &draft.runs[0].stdin[..], draft.streams),
            ("c", &b"in"[..], Streams::Merged)
        );
        assert_eq!(draft.invocation, Invocation { args: vec!["-v".into()], env: vec![("A".into(), "1".into())] });
        assert_eq!((draft.compile.unwrap().wall_ms, draft.run.unwrap().memory_bytes), (Some(5.into()), Some(6.into())));
        assert_eq!(draft.collect, ["a", "b/c"]);
        let plain = super::draft(br#"{"language":"c","source":"x","stdin":null,"limits":null}"#).unwrap();
        assert_eq!((plain.streams, plain.runs[0].stdin.len(), plain.diagnose), (Streams::Separate, 0, false));
        assert!(super::draft(br#"{"language":"c","source":"x","diagnose":true}"#).unwrap().diagnose);
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (body, field, word) in [
            ("", "body", "EOF"),
            ("[]", "body", "sequence"),
            ("{}", "language", "missing field `language`"),
            (r#"{"language":"c","source":"x"} x"#, "body", "trailing"),
            (r#"{"language":7,"source":"x"}"#, "language", "integer `7`, expected a string"),
            (r#"{"language":"c","code":"x"}"#, "code", "unknown field `code`"),
            (r#"{"language":"c","language":"c","source":"x"}"#, "language", "duplicate"),
            (
                r#"{"language":"c","source":"x","limits":{"run":{"wall_ms":"1"}}}"#,
                "limits.run.wall_ms",
                "string, expected a number",
            ),
            (r#"{"language":"c","source":"x","limits":{"run":{"wall":1}}}"#, "limits.run.wall", "unknown field"),
            (r#"{"language":"c","source":"x","limits":{"run":[1]}}"#, "limits.run", "sequence, expected an object"),
            (r#"{"language":"c","source":"x","limits":{"runs":{}}}"#, "limits.runs", "unknown field"),
            (r#"{"language":"c","source":"x","args":["a",7]}"#, "args[1]", "7"),
            (r#"{"language":"c","source":"x","env":{"A":7}}"#, "env.A", "7"),
            (r#"{"language":"c","source":"x","stdin":{"base64":"*"}}"#, "stdin", "base64"),
            (r#"{"language":"c","source":"x","stdin":{"hex":"00"}}"#, "stdin.hex", "unknown field `hex`"),
            (r#"{"language":"c","source":"x","stdin":{}}"#, "stdin.base64", "missing field"),
            (r#"{"language":"c","source":"x","streams":"both"}"#, "streams", "unknown variant `both`"),
            (r#"{"language":"c","source":"x","diagnose":1}"#, "diagnose", "integer `1`, expected a boolean"),
            (r#"{"language":"c","source":"\ud800"}"#, "source", "hex escape"),
            (r#"{"language":"c"}"#, "source", "give `source`"),
            (r#"{"language":"c","source":""}"#, "source", "not empty"),
            (r#"{"language":"c","source":"x","files":{}}"#, "files", "one of the two"),
            (r#"{"language":"c","source":"x","entry":"y"}"#, "entry", "leave it out"),
        ] {
            let (found, detail) = problem(body);
            assert_eq!(found, field, "{body}: {detail}");
            assert!(detail.contains(word), "{body}: {detail}");
        }
        let long = "y".repeat(10_000);
        for body in [r#""args":"LONG""#, r#""LONG":1"#, r#""env":{"LONG":1}"#, r#""limits":{"LONG":1}"#] {
            let (field, detail) =
                problem(&format!(r#"{{"language":"c","source":"x",{}}}"#, body.replace("LONG", &long)));
            assert!(field.len() <= 2 * WORDS && detail.len() <= 2 * WORDS, "{body}");
        }
    }
}
