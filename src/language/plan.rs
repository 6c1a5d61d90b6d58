//! From a language and a program to files and commands: a pure function of values. And what of the commands is known
//! before the program is, so that a container can wait for it.

use super::definition::{ClassDetection, Language, Step, Takes};
use super::java_class;
use crate::model::CODE_PATH;

/// One argument of a command line, its NUL included, may have this many bytes (execve(2), MAX_ARG_STRLEN with pages of
/// 4 KiB).
const ARGUMENT_MAX: usize = 131_072;

/// What becomes of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Plan {
    /// Files in `/code` and their content.
    pub files: Vec<(String, Vec<u8>)>,
    /// The compile step.
    pub compile: Option<StepPlan>,
    /// The run.
    pub run: StepPlan,
}

/// One command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StepPlan {
    /// The program, by its absolute path, and its arguments.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// Where it starts.
    pub cwd: String,
    /// The name of its seccomp profile.
    pub profile: String,
    /// What a container of this step that waits warm is told instead of the command; none where this program needs the
    /// command itself.
    pub told: Option<Vec<u8>>,
}

/// A step's container as far as it can be made before its job is known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ahead {
    /// The command of the step, as its file has it.
    pub argv: Vec<String>,
    /// The whole environment.
    pub env: Vec<(String, String)>,
    /// Where it starts.
    pub cwd: String,
    /// The name of its seccomp profile.
    pub profile: String,
    /// What can run already while the container waits, where the language has such.
    pub warm: Option<Kit>,
}

impl Ahead {
    /// Nothing runs in it while it waits.
    pub fn cool(&mut self) {
        self.warm = None;
    }
}

/// A command that can be started before its job is known, and the files that it needs beside the image's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kit {
    /// The command.
    pub argv: Vec<String>,
    /// Whether none is made before a job has asked for one.
    pub on_demand: bool,
    /// Whether it is told the whole program, so that there are no files in `/code`.
    pub takes_source: bool,
    /// Its name among the embedded ones.
    pub name: String,
    /// Files of the image over which one of the kit is laid: path in the image, name in the kit.
    pub over: Vec<(String, String)>,
}

impl Language {
    /// What can be made ahead for a compile step, if the language has one.
    #[must_use]
    pub fn compile_ahead(&self) -> Option<Ahead> {
        self.compile.as_ref().map(|(step, _)| ahead(step, "compile"))
    }

    /// What can be made ahead for a run.
    #[must_use]
    pub fn run_ahead(&self) -> Ahead {
        ahead(&self.run.0, "run")
    }

    /// The files and commands for this program.
    #[must_use]
    pub fn plan(&self, source: &str) -> Plan {
        let class = self.class_detection.map(|ClassDetection::Java| java_class::find(source));
        let class = class.unwrap_or_default();
        let fill = |word: &str| word.replace("{class}", &class.simple).replace("{main}", &class.qualified);
        let step = |step: &Step, profile: &str| StepPlan {
            argv: step.argv.iter().map(|word| fill(word)).collect(),
            env: environment(step),
            cwd: CODE_PATH.to_owned(),
            profile: step.profile.clone().unwrap_or_else(|| profile.to_owned()),
            told: None,
        };
        let fits = source.len() < ARGUMENT_MAX && !source.contains('\0');
        let told = |step: &Step, plan: &StepPlan| match step.warm.as_ref()?.takes {
            Takes::Source => fits.then(|| source.as_bytes().to_vec()),
            Takes::Arguments => {
                Some(plan.argv[1..].iter().flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect())
            }
        };
        let compile = self.compile.as_ref().map(|(compile, _)| {
            let plan = step(compile, "compile");
            StepPlan { told: told(compile, &plan), ..plan }
        });
        let mut run = step(&self.run.0, "run");
        run.told = told(&self.run.0, &run);
        if let Some(inline) = self.inline.as_ref().filter(|_| fits) {
            let put = |word: &String| if word == "{source}" { source.to_owned() } else { word.clone() };
            run.argv = inline.argv.iter().map(put).collect();
            return Plan { files: Vec::new(), compile, run };
        }
        Plan { files: vec![(fill(&self.source), source.as_bytes().to_vec())], compile, run }
    }
}

fn ahead(step: &Step, profile: &str) -> Ahead {
    let kit = step.warm.as_ref().map(|warm| Kit {
        argv: warm.argv.clone(),
        on_demand: warm.on_demand,
        takes_source: warm.takes == Takes::Source,
        name: warm.kit.clone(),
        over: warm.over.iter().map(|(path, name)| (path.clone(), name.clone())).collect(),
    });
    Ahead {
        argv: step.argv.clone(),
        env: environment(step),
        cwd: CODE_PATH.to_owned(),
        profile: step.profile.clone().unwrap_or_else(|| profile.to_owned()),
        warm: kit,
    }
}

/// What every step finds, and then what its file adds or changes.
fn environment(step: &Step) -> Vec<(String, String)> {
    let usual = [("PATH", "/usr/local/bin:/usr/bin:/bin"), ("HOME", "/tmp"), ("LANG", "C.UTF-8")];
    let mut all: Vec<(String, String)> =
        usual.iter().filter(|(name, _)| !step.env.contains_key(*name)).map(|&(n, v)| (n.into(), v.into())).collect();
    all.extend(step.env.iter().map(|(name, value)| (name.clone(), value.clone())));
    all
}

#[cfg(test)]
mod tests {
    use super::super::Languages;

    #[test]
    fn a_python_program_is_an_argument_until_it_is_too_long_for_one() {
        let all = Languages::load(None).unwrap();
        let python = all.get("python").unwrap();
        let plan = python.plan("print(1)");
        assert_eq!(plan.run.argv, ["/usr/bin/python3", "-c", "print(1)"]);
        assert!(plan.files.is_empty() && plan.compile.is_none());

        let longest = "#".repeat(131_071);
        assert_eq!(python.plan(&longest).run.argv[2], longest);
        let too_long = "#".repeat(131_072);
        let plan = python.plan(&too_long);
        assert!(plan.run.argv[2].contains("PyRun"), "{:?}", plan.run.argv);
        assert_eq!(plan.files[0].1.len(), 131_072);
        assert!(!python.plan("a\0b").files.is_empty());
    }

    #[test]
    fn java_files_and_commands_follow_the_class() {
        let all = Languages::load(None).unwrap();
        let plan = all.get("java").unwrap().plan("package a.b; public class Hi { }");
        assert_eq!(plan.files[0].0, "Hi.java");
        assert!(plan.compile.unwrap().argv.contains(&"/code/Hi.java".to_owned()));
        assert_eq!(plan.run.argv.last().unwrap(), "a.b.Hi");
    }
}
