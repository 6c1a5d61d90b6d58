//! The file of tokens: who may use the service, and how much of it. Read once, with every mistake at once; a value where
//! the hash of a token belongs is never shown, since it may be the token itself.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read as _};
use std::num::NonZeroU32;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use thiserror::Error;
use toml::de::{DeTable, DeValue};

use super::near::nearest;
use super::table::{CEILINGS, LIMITS, LimitRow};
use super::value::Raw;
use super::{Mistake, Origin, StepPatches};
use crate::model::{Bytes, CpuTime, Inodes, Limits, LimitsPatch, OpenFiles, Owner, Pids, TokenDigest, WallTime};

/// What others may do with the file: nothing, and the group may only read it.
const FORBIDDEN: u32 = 0o027;

const KEYS: [&str; 6] = ["sha256", "rate", "burst", "share", "waiting", "ceilings"];

/// One token, and what it may.
#[derive(Clone, Debug)]
pub struct TokenEntry {
    /// Its name.
    pub owner: Owner,
    /// What is known of it.
    pub digest: TokenDigest,
    /// How fast it may submit; `None` is as fast as it can.
    pub rate: Option<Rate>,
    /// Its weight among those that wait.
    pub share: NonZeroU32,
    /// How many of its submissions may wait; `None` leaves it its part of all that may.
    pub waiting: Option<usize>,
    /// What it may ask for at most: the operator's ceilings, and its own where they are lower.
    pub ceilings: StepPatches,
}

/// How fast submissions may come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rate {
    /// The time between two of them in the long run.
    pub every: Duration,
    /// How many may come at once.
    pub burst: u32,
}

/// Why there are no tokens.
#[derive(Debug, Error)]
pub enum TokensError {
    /// The file cannot be read.
    #[error("the file of tokens {} cannot be read", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Others may read it, or change it.
    #[error("the file of tokens {} has mode {mode:03o}: others may not read it, nor its group write it; chmod 640 mends that", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// There is none in it.
    #[error("the file of tokens {} has none; make one with `casemate token new NAME`", .0.display())]
    Empty(PathBuf),
    /// Something in it is wrong.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Mistakes(Vec<Mistake>),
}

/// The tokens of a file; `operator` are the ceilings of the settings, which none may pass.
///
/// # Errors
/// [`TokensError`].
pub fn tokens(path: &Path, operator: &StepPatches) -> Result<Vec<TokenEntry>, TokensError> {
    let failed = |source| TokensError::Read { path: path.to_owned(), source };
    let mut file = File::open(path).map_err(failed)?;
    let mode = file.metadata().map_err(failed)?.mode() & 0o777;
    if mode & FORBIDDEN != 0 {
        return Err(TokensError::Open { path: path.to_owned(), mode });
    }
    let mut text = String::new();
    file.read_to_string(&mut text).map_err(failed)?;
    let found = parse(path, &text, operator).map_err(TokensError::Mistakes)?;
    if found.is_empty() { Err(TokensError::Empty(path.to_owned())) } else { Ok(found) }
}

fn parse(path: &Path, text: &str, operator: &StepPatches) -> Result<Vec<TokenEntry>, Vec<Mistake>> {
    let (table, errors) = DeTable::parse_recoverable(text);
    let mut mistakes: Vec<_> = errors
        .iter()
        .map(|error| Mistake::Notation {
            origin: Origin::at(path, text, error.span().map_or(0, |span| span.start), ""),
            problem: error.message().replace('\n', ", "),
        })
        .collect();
    if !mistakes.is_empty() {
        // What the parser made of the rest is nobody's value.
        return Err(mistakes);
    }
    let mut reader = Reader { path, text, operator, mistakes: Vec::new() };
    let mut entries: Vec<TokenEntry> = Vec::new();
    let mut seen: HashMap<String, Owner> = HashMap::new();
    for (name, value) in table.get_ref() {
        let at = name.span().start;
        if let Some(entry) = reader.entry(name.get_ref(), at, value.get_ref()) {
            if let Some(other) = seen.insert(entry.digest.hex(), entry.owner.clone()) {
                let key = format!("{}.sha256", entry.owner);
                reader.refuse(at, &key, "(hidden)", format!("a hash of its own; this is the one of {other}"));
            }
            entries.push(entry);
        }
    }
    mistakes = reader.mistakes;
    if mistakes.is_empty() { Ok(entries) } else { Err(mistakes) }
}

struct Reader<'a> {
    path: &'a Path,
    text: &'a str,
    operator: &'a StepPatches,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn refuse(&mut self, at: usize, key: &str, value: &str, accepts: impl Into<String>) {
        let origin = Origin::at(self.path, self.text, at, key);
        self.mistakes.push(Mistake::Value { origin, value: value.to_owned(), accepts: accepts.into() });
    }

    /// One table of the file, if there is enough in it to look further.
    fn entry(&mut self, name: &str, at: usize, value: &DeValue<'_>) -> Option<TokenEntry> {
        let DeValue::Table(table) = value else {
            self.refuse(at, name, "(hidden)", "a table for each token: its name in brackets");
            return None;
        };
        let owner = Owner::named(name);
        if owner.is_none() {
            self.refuse(at, name, name, "a name of 1 to 64 ASCII letters, digits, - and _");
        }
        let (mut digest, mut share, mut waiting) = (None, NonZeroU32::MIN, None);
        let (mut every, mut burst, mut ceilings) = (None, None, self.operator.clone());
        let mut given = false;
        for (word, value) in table {
            let (at, key) = (word.span().start, format!("{name}.{}", word.get_ref()));
            let raw = Raw::from_toml(value.get_ref());
            let shown = raw.shown();
            match &**word.get_ref() {
                "sha256" => {
                    given = true;
                    digest = raw.text().and_then(|text| text.parse().ok());
                    if digest.is_none() {
                        self.refuse(
                            at,
                            &key,
                            "(hidden)",
                            "the SHA-256 of a token, 64 hexadecimal digits, and not the token",
                        );
                    }
                }
                "rate" => match rate(&raw) {
                    Some(found) => every = Some(found),
                    None => self.refuse(at, &key, &shown, "submissions a second, 0.001 to 100000"),
                },
                "burst" => {
                    match raw.number().and_then(|n| u32::try_from(n).ok()).filter(|n| (1..=1_000_000).contains(n)) {
                        Some(found) => burst = Some((at, found)),
                        None => self.refuse(at, &key, &shown, "a whole number, 1 to 1000000"),
                    }
                }
                "share" => {
                    match raw.number().filter(|n| *n <= 1000).and_then(|n| NonZeroU32::new(u32::try_from(n).ok()?)) {
                        Some(found) => share = found,
                        None => self.refuse(at, &key, &shown, "a whole number, 1 to 1000"),
                    }
                }
                "waiting" => match raw.number().filter(|n| (1..=100_000_000).contains(n)) {
                    Some(found) => waiting = usize::try_from(found).ok(),
                    None => self.refuse(at, &key, &shown, "a whole number, 1 to 100000000"),
                },
                "ceilings" => self.ceilings(at, &key, value.get_ref(), &mut ceilings),
                other => self.unknown(at, &key, name, nearest(other, KEYS.into_iter())),
            }
        }
        if !given {
            self.refuse(at, &format!("{name}.sha256"), "", "the line that `casemate token new` prints");
        }
        let rate = match (every, burst) {
            (None, Some((at, burst))) => {
                self.refuse(at, &format!("{name}.burst"), &burst.to_string(), "it together with rate");
                None
            }
            // As many as a second brings, where nothing else is said.
            (Some(every), burst) => {
                let (second, every_ns) = (Duration::from_secs(1).as_nanos(), every.as_nanos().max(1));
                let second = u32::try_from((second + every_ns / 2) / every_ns).unwrap_or(u32::MAX);
                Some(Rate { every, burst: burst.map_or(second.max(1), |(_, burst)| burst) })
            }
            (None, None) => None,
        };
        Some(TokenEntry { owner: owner?, digest: digest?, rate, share, waiting, ceilings })
    }

    fn ceilings(&mut self, at: usize, key: &str, value: &DeValue<'_>, patches: &mut StepPatches) {
        let DeValue::Table(steps) = value else { return self.refuse(at, key, "", "a table with `run` and `compile`") };
        for (step, value) in steps {
            let (at, key) = (step.span().start, format!("{key}.{}", step.get_ref()));
            let (of, most) = match &**step.get_ref() {
                "run" => (&mut patches.run, &self.operator.run),
                "compile" => (&mut patches.compile, &self.operator.compile),
                _ => {
                    self.unknown(at, &key, "", None);
                    continue;
                }
            };
            let DeValue::Table(limits) = value.get_ref() else {
                self.refuse(at, &key, "", "a table of limits");
                continue;
            };
            for (word, value) in limits {
                let (at, key) = (word.span().start, format!("{key}.{}", word.get_ref()));
                let known = CEILINGS.iter().map(|row| row.key);
                let Some(row) = known.clone().find(|known| known == word.get_ref()).and_then(limit) else {
                    self.unknown(
                        at,
                        &key,
                        key.rsplit_once('.').map_or("", |(above, _)| above),
                        nearest(word.get_ref(), known),
                    );
                    continue;
                };
                let raw = Raw::from_toml(value.get_ref());
                let (least, most) = (row.min, ceiling(row, most));
                match raw.number().filter(|n| (least..=row.max).contains(n) && height(row, *n) <= height(row, most)) {
                    Some(n) => (row.set)(of, n),
                    None => {
                        let most = if height(row, most) == u64::MAX { row.max } else { most };
                        self.refuse(
                            at,
                            &key,
                            &raw.shown(),
                            format!("a whole number, {least} to {most}, within the operator's ceilings"),
                        );
                    }
                }
            }
        }
    }

    fn unknown(&mut self, at: usize, key: &str, above: &str, near: Option<&str>) {
        let origin = Origin::at(self.path, self.text, at, key);
        self.mistakes.push(Mistake::Unknown { origin, near: near.map(|near| format!("{above}.{near}")) });
    }
}

/// Submissions a second, as the time between two.
fn rate(raw: &Raw) -> Option<Duration> {
    let rate: f64 = match raw {
        Raw::Integer(_) | Raw::Other(_) => raw.shown().parse().ok()?,
        _ => return None,
    };
    (0.001..=100_000.0).contains(&rate).then(|| Duration::from_secs_f64(1.0 / rate))
}

fn limit(key: &str) -> Option<&'static LimitRow> {
    LIMITS.iter().find(|row| row.key == key)
}

/// How much a value allows: no share of the processor is all of it.
fn height(row: &LimitRow, value: u64) -> u64 {
    if row.key == "cpu_percent" && value == 0 { u64::MAX } else { value }
}

/// The operator's ceiling of this limit, in the unit of its key.
fn ceiling(row: &LimitRow, ceilings: &LimitsPatch) -> u64 {
    let nothing = Limits {
        memory: Bytes(0),
        cpu_share: None,
        cpu_time: CpuTime(0),
        wall: WallTime(0),
        pids: Pids(0),
        open_files: OpenFiles(0),
        stack: Bytes(0),
        file_size: Bytes(0),
        output: Bytes(0),
        tmp: Bytes(0),
        tmp_inodes: Inodes(0),
    };
    (row.get)(&ceilings.apply(&nothing))
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;
    use crate::config::{Defaults, Settings};

    fn operator() -> StepPatches {
        Settings::resolve(None, std::iter::empty(), Defaults { home: "/h".into() }).unwrap().ceilings
    }

    fn hash(text: &str) -> String {
        format!("sha256 = '{}'\n", TokenDigest::of(text.as_bytes()).hex())
    }

    fn mistakes(text: &str) -> Vec<String> {
        let found = parse(Path::new("t.toml"), text, &operator()).unwrap_err();
        found.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn what_a_token_may() {
        let text = format!(
            "[judge]\n{}rate = 0.5\nshare = 3\nwaiting = 20\n[judge.ceilings.run]\nmemory_mib = 64\n[loop]\n{}rate = 7\nburst = 9\n[free]\n{}[seven]\n{}rate = 7",
            hash("a"),
            hash("b"),
            hash("c"),
            hash("d")
        );
        let mut found = parse(Path::new("t.toml"), &text, &operator()).unwrap();
        found.sort_by(|a, b| a.owner.cmp(&b.owner));
        let [free, judge, other, seven] = &found[..] else { panic!("{found:?}") };
        assert_eq!((free.rate, free.share.get(), free.waiting, &free.ceilings), (None, 1, None, &operator()));
        assert_eq!(judge.rate, Some(Rate { every: Duration::from_secs(2), burst: 1 }));
        assert_eq!((judge.share.get(), judge.waiting), (3, Some(20)));
        assert_eq!((judge.ceilings.run.memory_mib, judge.ceilings.run.pids), (Some(64), operator().run.pids));
        assert_eq!([other, seven].map(|one| one.rate.map(|rate| rate.burst)), [Some(9), Some(7)]);
        assert!(bool::from(judge.digest.same(&TokenDigest::of(b"a"))));
    }

    #[test]
    fn every_mistake_is_reported_at_once_with_its_place_and_no_token_in_it() {
        let secret = "casemate_SECRET";
        let text = format!(
            "loose = '{secret}'\n[a]\nsha256 = '{secret}'\n[b]\nshare = 0\n[\"c d\"]\n{}[e]\n{}shares = 1\nrate = 'fast'\nburst = 0\nwaiting = -1\n\
             [e.ceilings.run]\nmemory_mib = 513\npid = 1\n[e.ceilings.walk]\nx = 1\n[f]\n{}burst = 2\n[g]\n{}",
            hash("1"),
            hash("2"),
            hash("3"),
            hash("3")
        );
        let mut all = mistakes(&text);
        all.sort();
        let expected = [
            "t.toml:10:1: e.shares: there is no such setting; did you mean e.share?",
            "t.toml:11:1: e.rate: \"fast\" is not accepted; give submissions a second, 0.001 to 100000",
            "t.toml:12:1: e.burst: \"0\" is not accepted; give a whole number, 1 to 1000000",
            "t.toml:13:1: e.waiting: \"-1\" is not accepted; give a whole number, 1 to 100000000",
            "t.toml:15:1: e.ceilings.run.memory_mib: \"513\" is not accepted; give a whole number, 4 to 512, within the operator's ceilings",
            "t.toml:16:1: e.ceilings.run.pid: there is no such setting; did you mean e.ceilings.run.pids?",
            "t.toml:17:13: e.ceilings.walk: there is no such setting",
            "t.toml:1:1: loose: \"(hidden)\" is not accepted; give a table for each token: its name in brackets",
            "t.toml:21:1: f.burst: \"2\" is not accepted; give it together with rate",
            "t.toml:22:2: g.sha256: \"(hidden)\" is not accepted; give a hash of its own; this is the one of f",
            "t.toml:3:1: a.sha256: \"(hidden)\" is not accepted; give the SHA-256 of a token, 64 hexadecimal digits, and not the token",
            "t.toml:4:2: b.sha256: \"\" is not accepted; give the line that `casemate token new` prints",
            "t.toml:5:1: b.share: \"0\" is not accepted; give a whole number, 1 to 1000",
            "t.toml:6:2: c d: \"c d\" is not accepted; give a name of 1 to 64 ASCII letters, digits, - and _",
        ];
        assert_eq!(all, expected);
        assert!(mistakes("[a\nb")[0].contains("this is not TOML"));
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("tokens.toml");
        let read = |text: &str, mode: u32| {
            // One that even its owner may not write to stands there from the time before.
            let _ = fs::remove_file(&path);
            fs::write(&path, text).unwrap();
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
            tokens(&path, &operator())
        };
        let text = format!("[a]\n{}", hash("a"));
        for mode in [0o600, 0o640, 0o400] {
            assert_eq!(read(&text, mode).unwrap().len(), 1, "{mode:o}");
        }
        for mode in [0o644, 0o604, 0o660, 0o602] {
            let refused = read(&text, mode).unwrap_err();
            assert!(matches!(refused, TokensError::Open { mode: found, .. } if found == mode), "{refused}");
        }
        assert!(matches!(read("# none", 0o600), Err(TokensError::Empty(_))));
        assert!(matches!(tokens(Path::new("/nowhere"), &operator()), Err(TokensError::Read { .. })));
    }
}
