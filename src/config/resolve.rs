//! Defaults, then the file, then the environment: each layer over the one before.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};
use std::time::Duration;

use toml::de::{DeTable, DeValue};

use super::near::nearest;
use super::table::{CEILINGS, LIMITS, LimitRow, PLAIN, Preset, rows};
use super::value::Raw;
use super::{
    HttpSettings, MetricsAt, Mistake, NameRefused, Origin, RuntimeChoice, Settings, StepPatches, StoreSettings,
    TestSettings, UnenforcedLimits,
};
use crate::model::Bytes;
use crate::telemetry::LogFormat;

/// What the caller knows about who runs the service.
#[derive(Clone, Debug)]
pub struct Defaults {
    /// The default of `home`.
    pub home: PathBuf,
}

/// What every variable of ours begins with.
pub const PREFIX: &str = "CASEMATE_";

/// Variables that say where the file is, and are therefore no settings of it.
pub const PLACES: [&str; 2] = ["CASEMATE_CONFIG", "CASEMATE_SETTINGS"];

impl Settings {
    /// The settings that follow from the text of the file (with its path, for messages) and the environment.
    ///
    /// # Errors
    /// Every mistake in either of them.
    pub fn resolve(
        file: Option<(&Path, &str)>,
        env: impl Iterator<Item = (String, String)>,
        base: Defaults,
    ) -> Result<Self, Vec<Mistake>> {
        Self::resolve_among(file, env, base, None).map(|(settings, _)| settings)
    }

    /// The same, and the languages that they name have to be among `languages`, where that is known; and what was given.
    pub(super) fn resolve_among(
        file: Option<(&Path, &str)>,
        env: impl Iterator<Item = (String, String)>,
        base: Defaults,
        languages: Option<&[&str]>,
    ) -> Result<(Self, Given), Vec<Mistake>> {
        let given = BTreeMap::new();
        let mut layers = Layers { settings: blank(base), mistakes: Vec::new(), images: false, given };
        for row in rows() {
            if let Preset::Text(text) = row.preset {
                layers.set(row.key, &Raw::Variable(text.to_owned()), || Origin::Key(row.key.to_owned()));
            }
        }
        layers.set_ceilings();
        if let Some((path, text)) = file {
            layers.read_file(path, text);
        }
        layers.read_variables(env);
        if !layers.images {
            layers.settings.images = layers.settings.home.join("images");
        }
        if let Some(known) = languages {
            let unknown = layers.settings.unknown_languages(known, |key| layers.origin(key));
            layers.mistakes.extend(unknown);
        }
        if layers.mistakes.is_empty() { Ok((layers.settings, layers.given)) } else { Err(layers.mistakes) }
    }
}

/// What decided about each key that has a value, in the end: the value as it was written, and where.
pub(super) type Given = BTreeMap<String, (Raw, Origin)>;

struct Layers {
    settings: Settings,
    mistakes: Vec<Mistake>,
    given: Given,
    /// Whether `images` was given.
    images: bool,
}

impl Layers {
    /// Where `key` was set, or the first key below it.
    fn origin(&self, key: &str) -> Origin {
        let below = format!("{key}.");
        let mut found = self.given.iter().filter(|(set, _)| *set == key || set.starts_with(&below));
        found.next().map_or_else(|| Origin::Key(key.to_owned()), |(_, (_, origin))| origin.clone())
    }

    fn set_ceilings(&mut self) {
        for ceiling in CEILINGS {
            for (step, value) in [("run", ceiling.run), ("compile", ceiling.compile)] {
                let key = format!("ceilings.{step}.{}", ceiling.key);
                self.set(&key, &Raw::Variable(value.to_string()), || Origin::Key(key.clone()));
            }
        }
    }

    fn read_file(&mut self, path: &Path, text: &str) {
        let origin = |offset: usize, key: &str| Origin::at(path, text, offset, key);
        let (table, errors) = DeTable::parse_recoverable(text);
        let line = |offset: usize| text.get(..offset).unwrap_or(text).matches('\n').count();
        let mut unreadable = BTreeSet::new();
        for error in errors {
            let at = error.span().map_or(0, |span| span.start);
            unreadable.insert(line(at));
            let origin = origin(at, "");
            self.mistakes.push(Mistake::Notation { origin, problem: error.message().replace('\n', ", ") });
        }
        // What the parser made of a line that it could not read is nobody's value.
        self.read_table("", table.get_ref(), &origin, &|offset| !unreadable.contains(&line(offset)));
    }

    fn read_table(
        &mut self,
        above: &str,
        table: &DeTable<'_>,
        origin: &dyn Fn(usize, &str) -> Origin,
        readable: &dyn Fn(usize) -> bool,
    ) {
        for (name, value) in table {
            let key = if above.is_empty() { name.get_ref().to_string() } else { format!("{above}.{}", name.get_ref()) };
            match value.get_ref() {
                DeValue::Table(inner) if is_table(&key) => self.read_table(&key, inner, origin, readable),
                _ if !readable(name.span().start) => {}
                leaf => self.set(&key, &Raw::from_toml(leaf), || origin(name.span().start, &key)),
            }
        }
    }

    fn read_variables(&mut self, env: impl Iterator<Item = (String, String)>) {
        // Sorted, so that the order of the messages does not change from one start to the next.
        let env: BTreeMap<String, String> = env.collect();
        let mut seen: HashMap<String, (&str, &str)> = HashMap::new();
        for (name, value) in &env {
            if PLACES.contains(&name.as_str()) {
                continue;
            }
            let plain = PLAIN.into_iter().find(|key| key.to_ascii_uppercase() == *name).map(str::to_owned);
            let prefixed = || name.strip_prefix(PREFIX).map(|rest| rest.to_ascii_lowercase().replace("__", "."));
            let Some(key) = plain.or_else(prefixed) else { continue };
            if let Some((first, other)) = seen.insert(key.clone(), (name, value))
                && other != value
            {
                self.mistakes.push(Mistake::Twice { first: first.to_owned(), second: name.clone() });
            }
            self.set(&key, &Raw::Variable(value.clone()), || Origin::Variable(name.clone()));
        }
    }

    /// Sets one key, or notes what is wrong with it.
    fn set(&mut self, key: &str, raw: &Raw, origin: impl Fn() -> Origin) {
        let refused = |accepts: String| Mistake::Value { origin: origin(), value: raw.shown(), accepts };
        self.given.insert(key.to_owned(), (raw.clone(), origin()));
        if let Some(row) = rows().find(|row| row.key == key) {
            self.images |= key == "images";
            if (row.set)(&mut self.settings, raw).is_none() {
                self.mistakes.push(refused(row.accepts.to_owned()));
            }
        } else if is_table(key) {
            self.mistakes.push(refused("a table of settings".to_owned()));
        } else if let Some((of, step, row)) = limit(key) {
            match raw.number().filter(|n| (row.min..=row.max).contains(n)) {
                Some(n) => {
                    let patches = match of {
                        Some(language) => self.settings.limits.entry(language.to_owned()).or_default(),
                        None => &mut self.settings.ceilings,
                    };
                    (row.set)(if step == "run" { &mut patches.run } else { &mut patches.compile }, n);
                }
                None => self.mistakes.push(refused(format!("a whole number, {} to {}", row.min, row.max))),
            }
        } else {
            let origin = origin();
            let near = suggestion(key).map(|near| match &origin {
                Origin::Variable(_) => variable(&near),
                _ => near,
            });
            self.mistakes.push(Mistake::Unknown { origin, near });
        }
    }
}

/// The variable of a key.
pub fn variable(key: &str) -> String {
    if PLAIN.contains(&key) {
        key.to_ascii_uppercase()
    } else {
        PREFIX.to_owned() + &key.replace('.', "__").to_ascii_uppercase()
    }
}

/// Whether a key may have others below it: `http`, `pool`, `store`, `tests`, `collect`, `seccomp`, `ceilings.run`, `limits`, `limits.c`, `limits.c.run`.
fn is_table(key: &str) -> bool {
    let parts: Vec<_> = key.split('.').collect();
    match parts.as_slice() {
        ["http" | "pool" | "store" | "tests" | "collect" | "seccomp" | "limits" | "ceilings"]
        | ["ceilings", "run" | "compile"] => true,
        ["limits", language] => !language.is_empty(),
        ["limits", language, "run" | "compile"] => !language.is_empty(),
        _ => false,
    }
}

/// A limit of a language, or without one a ceiling for all.
fn limit(key: &str) -> Option<(Option<&str>, &str, &'static LimitRow)> {
    if let Some((step, last)) = key.strip_prefix("ceilings.").and_then(|rest| rest.split_once('.')) {
        let ceiling = CEILINGS.iter().find(|row| row.key == last)?;
        let row = LIMITS.iter().find(|row| row.key == ceiling.key)?;
        return matches!(step, "run" | "compile").then_some((None, step, row));
    }
    let (above, last) = key.strip_prefix("limits.")?.rsplit_once('.')?;
    let (language, step) = above.rsplit_once('.')?;
    let row = LIMITS.iter().find(|row| row.key == last)?;
    (matches!(step, "run" | "compile") && !language.is_empty()).then_some((Some(language), step, row))
}

fn suggestion(key: &str) -> Option<String> {
    if let Some((above, last)) = key.rsplit_once('.')
        && is_table(above)
        && above.starts_with("limits.")
    {
        let steps = ["run", "compile"];
        let names = LIMITS.iter().map(|row| row.key).filter(|_| above.matches('.').count() == 2);
        let near = nearest(last, names.chain(steps.into_iter().filter(|_| above.matches('.').count() == 1)))?;
        return Some(format!("{above}.{near}"));
    }
    if let Some((above, last)) = key.rsplit_once('.').filter(|(above, _)| above.starts_with("ceilings.")) {
        return Some(format!("{above}.{}", nearest(last, CEILINGS.iter().map(|row| row.key))?));
    }
    nearest(key, rows().map(|row| row.key)).map(str::to_owned)
}

/// A value of every field; the table's defaults overwrite all that have one.
fn blank(base: Defaults) -> Settings {
    Settings {
        images: PathBuf::new(),
        home: base.home,
        mirror: None,
        port: 0,
        listen: Vec::new(),
        max_workers: NonZeroUsize::MIN,
        queue_size: 0,
        max_pending: 0,
        max_pending_bytes: Bytes(0),
        unready_after: 0,
        default_language: String::new(),
        runtime: RuntimeChoice::Auto,
        runtime_path: None,
        unenforced_limits: UnenforcedLimits::Refuse,
        http: HttpSettings {
            body: Bytes(0),
            submission: Bytes(0),
            wait: Duration::ZERO,
            bodies: Bytes(0),
            results: Bytes(0),
            rate: Bytes(0),
            idle_time: Duration::ZERO,
            header_time: Duration::ZERO,
            body_time: Duration::ZERO,
            write_time: Duration::ZERO,
            connections: 0,
            requests: 0,
            listeners: 0,
            heartbeat: Duration::ZERO,
            page: false,
            headers: 0,
            header_bytes: Bytes(0),
            guard_monaco: false,
            guard_metrics: false,
            allow_anonymous_from_network: false,
            metrics: MetricsAt::Same,
            batch: 0,
        },
        store: StoreSettings { age: Duration::ZERO, bytes: Bytes(0), reserve: Bytes(0) },
        collect_file: Bytes(0),
        collect_all: Bytes(0),
        tests: TestSettings { most: 0, output: Bytes(0), wall: Duration::ZERO },
        cors_origins: Vec::new(),
        hosts: Vec::new(),
        tokens: None,
        limits: BTreeMap::new(),
        ceilings: StepPatches::default(),
        shutdown: Duration::ZERO,
        launch: Duration::ZERO,
        pool_least: 0,
        pool_most: 0,
        pool_memory: Bytes(0),
        compile_cache: Bytes(0),
        account: String::new(),
        name_refused: NameRefused::Off,
        log: String::new(),
        log_format: LogFormat::Text,
    }
}

#[cfg(test)]
mod tests;
