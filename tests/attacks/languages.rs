//! The languages of the suite: those of the product under other names, one for each set of limits that some attack runs
//! with, and a shell. They are files of a settings directory, as an operator would add them.

use std::collections::BTreeMap;
use std::fs;

use tempfile::TempDir;

use super::collection::Attack;
use super::layers::{How, named};
use super::wrapper::WITHOUT;
use crate::support::scale;
use crate::support::{Settings, account};

const JAVA: &str = include_str!("../../rootfs-build/languages/java.toml");

const SHELL: &str = "image = \"gcc\"\nsource = \"solution.sh\"\n\n[run]\nargv = [\"/bin/sh\", \"/code/solution.sh\"]\n";

/// The compile step of Java with a processor of annotations, which is a program inside the compiler. A submission of several
/// files can have one too, compiled before (`tests/suite/processor.rs`); here its source is the program's own.
const PROCESSOR: &str = r#"image = "java"
source = "{class}.java"
class_detection = "java"

[compile]
profile = "compile+java"
argv = ["/bin/sh", "-c", "cd /tmp && javac -J-XX:TieredStopAtLevel=1 -proc:none -d /tmp /code/{class}.java && exec javac -J-XX:TieredStopAtLevel=1 -processorpath /tmp -processor {class} -d /code /code/{class}.java"]

[compile.limits]
pids = 128
"#;

/// What Java runs as.
fn run_of_java() -> &'static str {
    JAVA.find("\n[run]\n").map(|at| &JAVA[at..]).expect("the run of Java")
}

/// A language and what is other than usual about its limits in the step that is attacked.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Kind {
    base: &'static str,
    step: &'static str,
    limits: BTreeMap<String, u64>,
    /// What is taken out of the bundle.
    edits: Vec<&'static str>,
}

impl Kind {
    /// What `attack` runs as when these layers are taken away.
    fn of(attack: &Attack, without: &[&'static str]) -> Self {
        let mut limits: BTreeMap<String, u64> =
            attack.header.limits.iter().map(|(key, value)| (key.to_uppercase(), *value)).collect();
        for name in without {
            if let How::Limit(key, value) = named(name).how {
                limits.insert(key.to_owned(), value);
            }
        }
        let edits = without.iter().copied().filter(|name| matches!(named(name).how, How::Edit(_))).collect();
        Self { base: attack.language, step: if attack.header.compiling { "COMPILE" } else { "RUN" }, limits, edits }
    }
}

/// A settings directory and the names in it.
#[derive(Debug, Default)]
pub struct Languages {
    names: BTreeMap<Kind, String>,
}

impl Languages {
    /// The name of the language for an attack without these layers.
    pub fn name(&mut self, attack: &Attack, without: &[&'static str]) -> String {
        let number = self.names.len();
        let kind = Kind::of(attack, without);
        self.names.entry(kind).or_insert_with_key(|kind| format!("{}{number}", kind.base)).clone()
    }

    /// Writes all that were asked for. The directory must outlive the server.
    pub fn write(&self, mut settings: Settings) -> (TempDir, Settings) {
        let directory = account::directory("settings");
        let languages = directory.path().join("languages");
        fs::create_dir(&languages).expect("a directory");
        account::give(&languages);
        for (kind, name) in &self.names {
            let text = match kind.base {
                "java" if kind.step == "COMPILE" => PROCESSOR.to_owned() + run_of_java(),
                "c" => include_str!("../../rootfs-build/languages/c.toml").to_owned(),
                "java" => JAVA.to_owned(),
                "python" => include_str!("../../rootfs-build/languages/python.toml").to_owned(),
                _ => SHELL.to_owned(),
            };
            let file = languages.join(format!("{name}.toml"));
            // An extension belongs to one language.
            let mut text: String =
                text.lines().filter(|line| !line.starts_with("extensions")).map(|l| l.to_owned() + "\n").collect();
            if !kind.edits.is_empty() {
                let (step, edits) = (kind.step.to_lowercase(), kind.edits.join(","));
                // A container is made before its program is known: its environment says what it is to do without.
                text += &format!("\n[{step}.env]\n{WITHOUT} = \"{edits}\"\n");
            }
            fs::write(&file, text).expect("a language file");
            account::give(&file);
            // A slow machine stretches what the product's languages get; these are like them.
            let usual = [
                ("RUN", "WALL_MS", 10_000),
                ("RUN", "CPU_SECONDS", 10),
                ("RUN", "CPU_PERCENT", 10),
                ("COMPILE", "WALL_MS", 30_000),
                ("COMPILE", "CPU_SECONDS", 20),
            ];
            let compiled = |step: &str| step == "RUN" || matches!(kind.base, "c" | "java");
            for (step, key, value) in usual.into_iter().filter(|(step, ..)| scale::factor() > 1 && compiled(step)) {
                settings = settings.limit(&[name], step, key, value);
            }
            for (key, value) in &kind.limits {
                settings = settings.limit(&[name], kind.step, key, *value);
            }
        }
        // None is made before an attack asked for one: there are many languages, most of them for one attack.
        let settings = settings.set("CASEMATE_SETTINGS", directory.path().display()).set("CASEMATE_POOL__LEAST", 0);
        (directory, settings)
    }
}
