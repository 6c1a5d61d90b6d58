//! What is in force, and where each value came from: the answer to "which of my three files did it read?". Written so that
//! the file of settings takes it back.

use std::fmt::{self, Write as _};
use std::path::PathBuf;

use super::resolve::Given;
use super::table::{LIMITS, Preset, Row, rows};
use super::value::Raw;
use super::{Loaded, Origin, Settings, StepPatches};
use crate::model::Limits;

/// Where a value came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The table of settings.
    Default,
    /// The language's own file.
    Language,
    /// A line of the settings file, counted from 1.
    File(PathBuf, usize),
    /// A variable of the environment.
    Variable(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("default"),
            Self::Language => f.write_str("the language's own"),
            Self::File(path, line) => write!(f, "{}:{line}", path.display()),
            Self::Variable(name) => write!(f, "environment: {name}"),
        }
    }
}

/// One setting as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InForce {
    /// The key of the file.
    pub key: String,
    /// The value as TOML; `None` where there is none and `from` says what happens then.
    pub value: Option<String>,
    /// Where it came from.
    pub source: Source,
    /// What a default follows from.
    pub from: Option<&'static str>,
}

/// Every setting, in the order of the reference page, then the limits of each step that there is: name of the language,
/// `run` or `compile`, the limits of its own file.
#[must_use]
pub fn in_force<'a>(loaded: &Loaded, steps: impl Iterator<Item = (&'a str, &'a str, &'a Limits)>) -> Vec<InForce> {
    let rows = rows().map(|row| plain(loaded, row));
    let limits = steps.flat_map(|(language, step, own)| limits(loaded, language, step, own));
    rows.chain(limits).collect()
}

fn plain(loaded: &Loaded, row: &Row) -> InForce {
    let key = row.key.to_owned();
    let source = source(&loaded.given, row.key);
    let value = match loaded.given.get(row.key) {
        Some((raw, _)) => Some(toml(row, raw, &loaded.settings)),
        None => derived(row.key, &loaded.settings),
    };
    let from = match row.preset {
        Preset::Derived(text) if source == Source::Default => Some(text),
        _ => None,
    };
    InForce { key, value: value.map(|value| without_password(&value)), source, from }
}

/// What follows from something else and has a value all the same.
fn derived(key: &str, settings: &Settings) -> Option<String> {
    let path = match key {
        "home" => &settings.home,
        "images" => &settings.images,
        _ => return None,
    };
    Some(quoted(&path.display().to_string()))
}

fn limits(loaded: &Loaded, language: &str, step: &str, own: &Limits) -> Vec<InForce> {
    let unchanged = StepPatches::default();
    let patches = loaded.settings.limits.get(language).unwrap_or(&unchanged);
    let found = if step == "run" { &patches.run } else { &patches.compile }.apply(own);
    let each = LIMITS.iter().map(|row| {
        let key = format!("limits.{language}.{step}.{}", row.key);
        let source = match source(&loaded.given, &key) {
            Source::Default => Source::Language,
            given => given,
        };
        InForce { key, value: Some((row.get)(&found).to_string()), source, from: None }
    });
    each.collect()
}

fn source(given: &Given, key: &str) -> Source {
    match given.get(key) {
        None | Some((_, Origin::Key(_))) => Source::Default,
        Some((_, Origin::Variable(name))) => Source::Variable(name.clone()),
        Some((_, Origin::File { path, line, .. })) => Source::File(path.clone(), *line),
    }
}

/// In the kind of value that the setting takes from a file: a number, true or false, a list or a text.
fn toml(row: &Row, raw: &Raw, settings: &Settings) -> String {
    let accepted = |raw: &Raw| (row.set)(&mut settings.clone(), raw).is_some();
    if let Some(number) = raw.number().filter(|&number| accepted(&Raw::Integer(number.into()))) {
        return number.to_string();
    }
    if let Some(truth) = raw.truth().filter(|&truth| accepted(&Raw::Truth(truth))) {
        return truth.to_string();
    }
    if let Some(items) = raw.list().or_else(|| raw.text().map(|text| vec![text])) {
        let list = Raw::List(items.iter().map(|&item| item.to_owned()).collect());
        if accepted(&list) {
            return format!("[{}]", items.iter().map(|item| quoted(item)).collect::<Vec<_>>().join(", "));
        }
    }
    quoted(&raw.shown())
}

/// A basic string of TOML. Values have no control characters (`Raw::text`).
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// An address with what may be a password taken out (RFC 3986, 3.2.1: it ends at the last `@` before the path).
fn without_password(value: &str) -> String {
    let Some((scheme, rest)) = value.split_once("://") else { return value.to_owned() };
    let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
    match rest[..end].rfind('@') {
        Some(at) => format!("{scheme}://(hidden)@{}", &rest[at + 1..]),
        None => value.to_owned(),
    }
}

/// The text of `casemate config`: TOML, with the source of each value behind it.
#[must_use]
pub fn shown(loaded: &Loaded, settings: &[InForce]) -> String {
    let there = if loaded.found { "" } else { " (not there)" };
    let mut text = format!("# settings file: {}{there}\n", loaded.file.display());
    let line = |one: &InForce| match &one.value {
        Some(value) => format!("{} = {value}", one.key),
        None => format!("# {} is not set", one.key),
    };
    let width = settings.iter().map(|one| line(one).chars().count()).filter(|width| *width < 60).max().unwrap_or(0);
    for one in settings {
        let from = one.from.map(|from| format!(": {from}")).unwrap_or_default();
        // Writing into a String cannot fail.
        let _ = writeln!(text, "{:width$}  # {}{from}", line(one), one.source);
    }
    text
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::super::Defaults;
    use super::*;
    use crate::language::Languages;

    fn loaded(file: &str, env: &[(&str, &str)]) -> Loaded {
        let env = env.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let base = Defaults { home: "/h".into() };
        let (settings, given) = Settings::resolve_among(Some((Path::new("/e/c.toml"), file)), env, base, None).unwrap();
        Loaded { settings, given, file: "/e/c.toml".into(), found: true }
    }

    fn text(loaded: &Loaded) -> String {
        let languages = Languages::load(None).unwrap();
        let steps = languages.iter().flat_map(|language| {
            let compile = language.compile_limits().map(|limits| (language.name.as_str(), "compile", limits));
            compile.into_iter().chain([(language.name.as_str(), "run", language.run_limits())])
        });
        shown(loaded, &in_force(loaded, steps))
    }

    #[test]
    fn every_value_has_its_source() {
        let file = "port = 1\nqueue_size = 7\n\n[limits.c.run]\npids = 9\n[http]\nbody_ms = 5\n";
        let env = [("PORT", "4"), ("CASEMATE_LISTEN", "::1"), ("CASEMATE_LIMITS__C__COMPILE__MEMORY_MIB", "99")];
        let text = text(&loaded(file, &env)).split_whitespace().collect::<Vec<_>>().join(" ");
        for words in [
            "port = 4 # environment: PORT",
            "listen = [\"::1\"] # environment: CASEMATE_LISTEN",
            "queue_size = 7 # /e/c.toml:2",
            "max_workers = 3 # default",
            "home = \"/h\" # default: `/var/lib/casemate` for root",
            "images = \"/h/images\" # default: `images` in `home`",
            "# mirror is not set # default: the archive",
            "http.body_ms = 5 # /e/c.toml:7",
            "limits.c.run.pids = 9 # /e/c.toml:5",
            "limits.c.run.memory_mib = 100 # the language's own",
            "limits.c.compile.memory_mib = 99 # environment: CASEMATE_LIMITS__C__COMPILE__MEMORY_MIB",
            "limits.java.compile.cpu_percent = 0 # the language's own",
        ] {
            assert!(text.contains(words), "{words:?} not in {text}");
        }
    }

    #[test]
    fn the_file_takes_it_back() {
        let first =
            loaded("cors_origins = ['https://a.example', 'https://b.example']\n[pool]\nleast = 2\n", &[("PORT", "4")]);
        let again = loaded(&text(&first), &[]);
        let explicit = Settings { limits: again.settings.limits.clone(), ..first.settings.clone() };
        assert_eq!(again.settings, explicit);
        // What was the language's own is now given, and is the same.
        let languages = Languages::load(None).unwrap();
        let c = languages.get("c").unwrap();
        assert_eq!(again.settings.limits["c"].run.apply(c.run_limits()), *c.run_limits());
        assert_eq!(again.settings.limits["c"].compile.apply(c.compile_limits().unwrap()), *c.compile_limits().unwrap());
    }

    #[test]
    fn a_password_is_not_shown() {
        let text = text(&loaded("mirror = \"https://ann:s3cr@t@example.org/debian?x=@\"", &[]));
        assert!(
            text.contains("mirror = \"https://(hidden)@example.org/debian?x=@\"") && !text.contains("s3cr"),
            "{text}"
        );
    }
}
