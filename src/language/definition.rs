//! A language file, read strictly.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::LanguageError;
use crate::model::{Bytes, CpuTime, Inodes, Limits, LimitsPatch, OpenFiles, Pids, WallTime};

/// The longest name of a file on Linux (path_resolution(7), NAME_MAX).
pub(super) const NAME_MAX: usize = 255;

/// What a run may use where its file says nothing.
const RUN: Limits = Limits {
    memory: Bytes::mib(100),
    cpu_share: Some(crate::model::CpuShare(10)),
    // Processor time cannot outrun the wall clock at the shares above; with a larger share it becomes the limit of a
    // program that keeps several processors busy.
    cpu_time: CpuTime::seconds(10),
    wall: WallTime::seconds(10),
    pids: Pids(64),
    open_files: OpenFiles(64),
    stack: Bytes::mib(8),
    file_size: Bytes::mib(64),
    output: Bytes::mib(8),
    tmp: Bytes::mib(64),
    tmp_inodes: Inodes(4096),
};

/// What a compiler may use where its file says nothing.
const COMPILE: Limits = Limits {
    memory: Bytes::mib(512),
    cpu_share: None,
    cpu_time: CpuTime::seconds(20),
    wall: WallTime::seconds(30),
    open_files: OpenFiles(256),
    output: Bytes::mib(1),
    ..RUN
};

/// How the name of the program's class is found.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum ClassDetection {
    /// By the rules of Java.
    Java,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    title: Option<String>,
    image: String,
    /// A package of the image, whose version is shown as the language's.
    package: Option<String>,
    source: String,
    #[serde(default)]
    extensions: Vec<String>,
    class_detection: Option<ClassDetection>,
    compile: Option<Step>,
    run: Step,
    /// The run of a program that fits into one argument of the command line: `{source}` in it is the program.
    inline: Option<Inline>,
    /// The commands for a program of several files.
    files: Option<Several>,
    example: Option<Example>,
}

/// A program that shows what one looks like, and what comes of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Example {
    /// The program, in one piece.
    pub source: String,
    /// Its standard input.
    #[serde(default)]
    pub stdin: String,
    /// What it prints.
    pub stdout: String,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Step {
    pub(super) argv: Vec<String>,
    #[serde(default)]
    pub(super) env: BTreeMap<String, String>,
    pub(super) profile: Option<String>,
    #[serde(default)]
    pub(super) limits: LimitsPatch,
    pub(super) warm: Option<Warm>,
}

/// How the step's own machinery can be started before its job is known, up to the point where it needs to know.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Warm {
    /// The command. What it is to do comes on file descriptor 4.
    pub(super) argv: Vec<String>,
    pub(super) takes: Takes,
    /// Whether none is made before a job has asked for one: starting it costs much.
    #[serde(default)]
    pub(super) on_demand: bool,
    /// Which of the embedded kits stands at `/casemate/kit`.
    pub(super) kit: String,
    /// Files of the image over which a file of the kit is laid: path in the image, name in the kit.
    #[serde(default)]
    pub(super) over: BTreeMap<String, String>,
}

/// What a warm command is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum Takes {
    /// The program itself.
    Source,
    /// The arguments of the step's command, each ended by a NUL.
    Arguments,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Inline {
    pub(super) argv: Vec<String>,
}

/// The commands for a program of several files: `{entry}` is the path of the one that it begins with, the word
/// `{sources}` stands for the paths of all that have one of the language's extensions, that one first. What is absent is
/// as for a program in one piece.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Several {
    pub(super) compile: Option<Vec<String>>,
    pub(super) run: Option<Vec<String>>,
}

/// One language, complete.
#[derive(Clone, Debug)]
pub struct Language {
    /// Its name on the wire.
    pub name: String,
    /// Its name for people.
    pub title: String,
    /// The image that its steps run in.
    pub image: String,
    /// The package of that image whose version is the language's.
    pub package: Option<String>,
    /// Extensions of file names by which `casemate run` knows it.
    pub extensions: Vec<String>,
    /// A program that works.
    pub example: Option<Example>,
    pub(super) source: String,
    pub(super) class_detection: Option<ClassDetection>,
    pub(super) compile: Option<(Step, Limits)>,
    pub(super) run: (Step, Limits),
    pub(super) inline: Option<Inline>,
    pub(super) several: Option<Several>,
}

impl Language {
    /// Reads the text of `file`, which describes language `name`.
    ///
    /// # Errors
    /// Every mistake in it.
    pub fn parse(name: &str, file: &str, text: &str) -> Result<Self, Vec<LanguageError>> {
        let parsed: File = toml::from_str(text).map_err(|error| {
            let at = error.span().and_then(|span| text.get(..span.start)).map(|before| before.matches('\n').count());
            let line = at.and_then(|at| Some((at + 1, text.lines().nth(at)?.trim())));
            let line = line.map(|(number, words)| format!("line {number}, `{words}`: ")).unwrap_or_default();
            let message = format!("{line}{}", error.message().replace('\n', ", "));
            vec![LanguageError::Format { file: file.to_owned(), message }]
        })?;
        let errors = mistakes(name, file, &parsed);
        if !errors.is_empty() {
            return Err(errors);
        }
        let run_limits = parsed.run.limits.apply(&RUN);
        Ok(Self {
            name: name.to_owned(),
            title: parsed.title.unwrap_or_else(|| name.to_owned()),
            image: parsed.image,
            package: parsed.package,
            extensions: parsed.extensions,
            example: parsed.example,
            source: parsed.source,
            class_detection: parsed.class_detection,
            compile: parsed.compile.map(|step| {
                let limits = step.limits.apply(&COMPILE);
                (step, limits)
            }),
            run: (parsed.run, run_limits),
            inline: parsed.inline,
            several: parsed.files,
        })
    }

    /// Limits of the compile step, where there is one.
    #[must_use]
    pub fn compile_limits(&self) -> Option<&Limits> {
        self.compile.as_ref().map(|(_, limits)| limits)
    }

    /// Limits of every run.
    #[must_use]
    pub const fn run_limits(&self) -> &Limits {
        &self.run.1
    }

    /// The extensions of what can be compiled, where the sources of a program are told apart from its other files by these.
    #[must_use]
    pub fn sources(&self) -> &[String] {
        let compiles = self.several.as_ref().and_then(|several| several.compile.as_ref());
        if compiles.is_some_and(|argv| argv.iter().any(|word| word == "{sources}")) { &self.extensions } else { &[] }
    }

    /// Whether a program usually comes as files in `/code`, not as an argument of the command.
    #[must_use]
    pub const fn brings_files(&self) -> bool {
        self.inline.is_none()
    }

    /// The names of the seccomp profiles that its steps ask for.
    pub fn profiles(&self) -> impl Iterator<Item = &str> {
        let compile = self.compile.iter().map(|(step, _)| step.profile.as_deref().unwrap_or("compile"));
        compile.chain([self.run.0.profile.as_deref().unwrap_or("run")])
    }
}

fn mistakes(name: &str, file: &str, parsed: &File) -> Vec<LanguageError> {
    let mut errors = Vec::new();
    let mut wrong = |key, value: &str, remedy| {
        errors.push(LanguageError::Value { file: file.to_owned(), key, value: value.to_owned(), remedy });
    };
    let plain = |text: &str| {
        !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '+' | '.' | '#'))
    };
    if !plain(name) {
        wrong("name", name, "the file's name without .toml is the language's: ASCII letters, digits, _ - + . #");
    }
    if !plain(&parsed.image) || parsed.image.starts_with('.') {
        wrong("image", &parsed.image, "name an image: ASCII letters, digits, _ - + .");
    }
    if parsed.title.as_deref().is_some_and(|title| title.trim().is_empty() || title.chars().any(char::is_control)) {
        wrong("title", parsed.title.as_deref().unwrap_or_default(), "give a name for people, on one line");
    }
    if parsed.example.as_ref().is_some_and(|example| example.source.is_empty()) {
        wrong("example.source", "", "give a program that is not empty, or leave the example out");
    }
    let source = parsed.source.replace("{class}", "C");
    if source.is_empty() || source.contains('/') || source == "." || source == ".." || source.len() > NAME_MAX {
        wrong("source", &parsed.source, "name a file, without a directory");
    }
    if parsed.source.contains("{class}") && parsed.class_detection.is_none() {
        wrong("source", &parsed.source, "{class} needs `class_detection`");
    }
    let inline = parsed.inline.iter().map(|inline| ("inline.argv", &inline.argv));
    let steps = parsed.compile.iter().map(|step| ("compile.argv", &step.argv));
    let warm = parsed.compile.iter().chain([&parsed.run]).filter_map(|step| step.warm.as_ref());
    let warm = warm.map(|warm| ("warm.argv", &warm.argv));
    let several = parsed.files.iter().flat_map(|files| [("files.compile", &files.compile), ("files.run", &files.run)]);
    let several = several.filter_map(|(key, argv)| Some((key, argv.as_ref()?)));
    for (key, argv) in steps.chain([("run.argv", &parsed.run.argv)]).chain(inline).chain(warm).chain(several) {
        match argv.first() {
            Some(program) if program.starts_with('/') => {}
            Some(program) => wrong(key, program, "begin with the absolute path of a program in the image"),
            None => wrong(key, "[]", "begin with the absolute path of a program in the image"),
        }
    }
    if parsed.inline.as_ref().is_some_and(|inline| !inline.argv.iter().any(|word| word == "{source}")) {
        wrong("inline.argv", "", "one word has to be \"{source}\"");
    }
    errors
}
