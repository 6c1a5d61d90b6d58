//! From a language and a program to files and commands: a pure function of values. And what of the commands is known
//! before the program is, so that a container can wait for it.

use super::definition::{ClassDetection, Language, Step, Takes};
use super::java_class::{self, ClassName};
use crate::model::{CODE_PATH, Invocation, Project};

/// One argument of a command line, its NUL included, may have this many bytes (execve(2), MAX_ARG_STRLEN with pages of
/// 4 KiB).
const ARGUMENT_MAX: usize = 131_072;

/// A program, as it is to be called.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// What is in the file that it begins with.
    pub source: &'a str,
    /// That file's path and all others, where it has several.
    pub project: Option<&'a Project>,
    /// Further arguments and variables of the run.
    pub invocation: &'a Invocation,
}

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
    pub fn plan(&self, program: Program<'_>) -> Plan {
        let mut plan = match program.project {
            None => self.in_one_piece(program.source),
            Some(project) => self.several(program.source, project),
        };
        let Invocation { args, env } = program.invocation;
        if !args.is_empty() || !env.is_empty() {
            // A command that is up already has its arguments and its environment.
            plan.run.told = None;
            plan.run.argv.extend(args.iter().cloned());
            plan.run.env.retain(|(name, _)| env.iter().all(|(other, _)| other != name));
            plan.run.env.extend(env.iter().cloned());
        }
        plan
    }

    /// For a program of several files: where its language says nothing of such, the first has the language's name for it
    /// and the others lie beside it.
    fn several(&self, source: &str, project: &Project) -> Plan {
        let mut plan = self.piece(source);
        let own = plan.files.first().map(|(name, _)| name.clone()).unwrap_or_default();
        let entry = if self.several.is_some() { &project.entry } else { &own };
        let others = project.files.iter().filter(|file| file.path != *entry);
        let mut paths = vec![format!("{CODE_PATH}/{entry}")];
        let ours = |path: &&str| self.extensions.iter().any(|own| path.rsplit_once('.').is_some_and(|(_, e)| e == own));
        paths.extend(others.clone().map(|file| &*file.path).filter(ours).map(|path| format!("{CODE_PATH}/{path}")));
        let class = self.class_of(source);
        let fill = |argv: &[String]| -> Vec<String> {
            let word = |word: &String| match &**word {
                "{sources}" => paths.clone(),
                word => vec![word.replace("{entry}", &paths[0]).replace("{main}", &class.qualified)],
            };
            argv.iter().flat_map(word).collect()
        };
        let commands = self.several.as_ref();
        if let (Some(step), Some(argv)) = (&mut plan.compile, commands.and_then(|several| several.compile.as_ref())) {
            *step = StepPlan { argv: fill(argv), ..step.clone() };
            step.told = step.told.as_ref().map(|_| arguments(&step.argv));
        }
        if let Some(argv) = commands.and_then(|several| several.run.as_ref()) {
            plan.run.argv = fill(argv);
        }
        plan.run.told = None;
        let entry = entry.clone();
        plan.files = std::iter::once((entry, source.as_bytes().to_vec()))
            .chain(others.map(|file| (file.path.clone(), file.bytes.clone())))
            .collect();
        plan
    }

    fn in_one_piece(&self, source: &str) -> Plan {
        let mut plan = self.piece(source);
        if let Some(inline) = self.inline.as_ref().filter(|_| fits(source)) {
            let put = |word: &String| if word == "{source}" { source.to_owned() } else { word.clone() };
            plan.run.argv = inline.argv.iter().map(put).collect();
            plan.files = Vec::new();
        }
        plan
    }

    fn class_of(&self, source: &str) -> ClassName {
        self.class_detection.map(|ClassDetection::Java| java_class::find(source)).unwrap_or_default()
    }

    /// With the program in a file of the language's name, and by the language's own commands.
    fn piece(&self, source: &str) -> Plan {
        let class = self.class_of(source);
        let fill = |word: &str| word.replace("{class}", &class.simple).replace("{main}", &class.qualified);
        let step = |step: &Step, profile: &str| StepPlan {
            argv: step.argv.iter().map(|word| fill(word)).collect(),
            env: environment(step),
            cwd: CODE_PATH.to_owned(),
            profile: step.profile.clone().unwrap_or_else(|| profile.to_owned()),
            told: None,
        };
        let told = |step: &Step, plan: &StepPlan| match step.warm.as_ref()?.takes {
            Takes::Source => fits(source).then(|| source.as_bytes().to_vec()),
            Takes::Arguments => Some(arguments(&plan.argv)),
        };
        let compile = self.compile.as_ref().map(|(compile, _)| {
            let plan = step(compile, "compile");
            StepPlan { told: told(compile, &plan), ..plan }
        });
        let mut run = step(&self.run.0, "run");
        run.told = told(&self.run.0, &run);
        Plan { files: vec![(fill(&self.source), source.as_bytes().to_vec())], compile, run }
    }
}

/// Whether a program can be an argument of a command line.
fn fits(source: &str) -> bool {
    source.len() < ARGUMENT_MAX && !source.contains('\0')
}

/// What a command that takes its arguments is told.
fn arguments(argv: &[String]) -> Vec<u8> {
    argv.iter().skip(1).flat_map(|word| [word.as_bytes(), b"\0"].concat()).collect()
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
    use super::*;
    use crate::model::SourceFile;

    impl Language {
        fn plan_of(&self, source: &str) -> Plan {
            self.plan(Program { source, project: None, invocation: &Invocation::default() })
        }
    }

    fn plan_several(name: &str, source: &str, entry: &str, others: &[&str]) -> Plan {
        let files = others.iter().map(|path| SourceFile { path: (*path).into(), bytes: b"x".to_vec() }).collect();
        let project = Project { entry: entry.into(), files };
        let all = Languages::load(None).unwrap();
        let invocation = Invocation::default();
        all.get(name).unwrap().plan(Program { source, project: Some(&project), invocation: &invocation })
    }

    #[test]
    fn of_several_files_all_sources_are_compiled_and_the_entry_runs() {
        let c = plan_several("c", "main", "src/main.c", &["a/b.c", "a/b.h", "data.txt", "c"]);
        let argv = c.compile.unwrap().argv;
        assert_eq!(argv[argv.len() - 3..], ["/code/src/main.c", "/code/a/b.c", "-lm"]);
        assert_eq!(
            (c.files.len(), c.files[0].0.as_str(), c.run.argv),
            (5, "src/main.c", vec!["/code/solution".into()])
        );
        let java = plan_several(
            "java",
            "package p; class B { public static void main(String[] a) { } }",
            "p/B.java",
            &["A.java"],
        );
        let compile = java.compile.unwrap();
        assert_eq!(compile.argv[compile.argv.len() - 2..], ["/code/p/B.java", "/code/A.java"]);
        assert!(compile.told.unwrap().ends_with(b"/code/p/B.java\0/code/A.java\0"));
        assert_eq!(java.run.argv.last().unwrap(), "p.B");
        let python = plan_several("python", "print(1)", "run.py", &["mod.py"]);
        assert_eq!((python.run.argv, python.run.told), (vec!["/usr/bin/python3".into(), "/code/run.py".into()], None));
        assert_eq!(python.files.len(), 2);
    }

    #[test]
    fn arguments_come_last_and_variables_replace_those_of_the_language() {
        let all = Languages::load(None).unwrap();
        let env = vec![("HOME".to_owned(), "/code".to_owned()), ("X".to_owned(), "1".to_owned())];
        let invocation = Invocation { args: vec!["-a".into(), String::new()], env };
        let plan = all.get("python").unwrap().plan(Program { source: "x", project: None, invocation: &invocation });
        assert_eq!(plan.run.argv, ["/usr/bin/python3", "-c", "x", "-a", ""]);
        assert_eq!(plan.run.told, None);
        let named =
            |name: &str| plan.run.env.iter().filter(|(n, _)| n == name).map(|(_, v)| v.as_str()).collect::<Vec<_>>();
        assert_eq!((named("HOME"), named("X"), named("LANG")), (vec!["/code"], vec!["1"], vec!["C.UTF-8"]));
    }

    #[test]
    fn a_python_program_is_an_argument_until_it_is_too_long_for_one() {
        let all = Languages::load(None).unwrap();
        let python = all.get("python").unwrap();
        let plan = python.plan_of("print(1)");
        assert_eq!(plan.run.argv, ["/usr/bin/python3", "-c", "print(1)"]);
        assert!(plan.files.is_empty() && plan.compile.is_none());

        let longest = "#".repeat(131_071);
        assert_eq!(python.plan_of(&longest).run.argv[2], longest);
        let too_long = "#".repeat(131_072);
        let plan = python.plan_of(&too_long);
        assert!(plan.run.argv[2].contains("PyRun"), "{:?}", plan.run.argv);
        assert_eq!(plan.files[0].1.len(), 131_072);
        assert!(!python.plan_of("a\0b").files.is_empty());
    }

    #[test]
    fn java_files_and_commands_follow_the_class() {
        let all = Languages::load(None).unwrap();
        let plan = all.get("java").unwrap().plan_of("package a.b; public class Hi { }");
        assert_eq!(plan.files[0].0, "Hi.java");
        assert!(plan.compile.unwrap().argv.contains(&"/code/Hi.java".to_owned()));
        assert_eq!(plan.run.argv.last().unwrap(), "a.b.Hi");
    }
}
