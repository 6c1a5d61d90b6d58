//! Calls mmdebstrap(1): its arguments as a value, and one run of it. What its stream holds is `extract`'s.

use std::collections::VecDeque;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdout, Command, Stdio};
use std::thread;

use rustix::process::{Pid, Signal, kill_process};

use crate::image::error::{BuildError, UnpackError};
use crate::image::recipe::Recipe;

/// How many of its last lines an error shows, and how much of each.
const TAIL_LINES: usize = 12;
const LINE_BYTES: usize = 400;

/// The beginnings of what it says that a user wants to read; the rest is about its own directories and hooks.
const STEPS: &[&str] =
    &["running apt-get update", "downloading", "extracting", "installing", "cleaning package", "creating tarball"];

/// One run.
#[derive(Debug)]
pub(super) struct Call<'a> {
    /// The program, by name or path.
    pub(super) program: &'a Path,
    /// What to install.
    pub(super) recipe: &'a Recipe,
    /// Overrides the recipe's.
    pub(super) mirror: Option<&'a str>,
    /// For its temporary files; the subordinate ids must be able to reach it.
    pub(super) work: &'a Path,
    /// Where archives of packages come from and where all that were used go.
    pub(super) archives: Option<Archives<'a>>,
    /// The open file that carries the lock on the directory of images.
    pub(super) lock: &'a File,
}

/// Directories on the host, both existing.
#[derive(Clone, Copy, Debug)]
pub(super) struct Archives<'a> {
    pub(super) from: &'a Path,
    pub(super) to: &'a Path,
}

impl Call<'_> {
    /// The arguments, the program's name excepted.
    pub(super) fn argv(&self) -> Vec<OsString> {
        let mut argv: Vec<OsString> = ["--mode=unshare", "--variant=essential", "--format=tar"].map(Into::into).into();
        argv.push(format!("--include={}", self.recipe.packages.join(",")).into());
        // An archive that hiccups once should not cost the whole build.
        argv.push("--aptopt=Acquire::Retries \"3\"".into());
        if let Some((from, to)) =
            self.archives.and_then(|archives| Some((quoted(archives.from)?, quoted(archives.to)?)))
        {
            argv.push("--skip=essential/unlink".into());
            argv.push("--setup-hook=mkdir -p \"$1\"/var/cache/apt/archives".into());
            argv.push(format!("--setup-hook=sync-in {from} /var/cache/apt/archives").into());
            argv.push(format!("--customize-hook=sync-out /var/cache/apt/archives {to}").into());
        }
        for command in &self.recipe.make {
            // mmdebstrap gives the line to a shell, with the directory of the tree as its first argument.
            let words: Vec<String> = command.iter().map(|word| format!("'{word}'")).collect();
            argv.push(format!("--customize-hook=chroot \"$1\" {}", words.join(" ")).into());
        }
        argv.extend([OsString::from(&self.recipe.suite), "-".into()]);
        argv.extend(self.mirror.or(self.recipe.mirror.as_deref()).map(OsString::from));
        argv
    }

    /// Runs it, hands its stdout to `take` and each of its lines about progress to `step`.
    pub(super) fn run<T>(
        &self,
        step: &(dyn Fn(&str) + Sync),
        take: impl FnOnce(&mut ChildStdout) -> Result<T, UnpackError>,
    ) -> Result<T, BuildError> {
        let mut child = self.start()?;
        let (Some(mut stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
            return Err(BuildError::BrokeOff { name: self.recipe.name.clone() });
        };
        let failed = |source| BuildError::Start { program: self.program.to_owned(), source };
        thread::scope(|scope| {
            let reader = scope.spawn(|| follow(stderr, step));
            let taken = take(&mut stdout);
            match &taken {
                // Padding after the archive's end; unread, it would end mmdebstrap with SIGPIPE.
                Ok(_) => drop(io::copy(&mut stdout, &mut io::sink())),
                // It catches this and removes what it made under foreign ids.
                Err(_) => drop(kill_process(Pid::from_child(&child), Signal::TERM)),
            }
            drop(stdout);
            let status = child.wait().map_err(failed)?;
            let tail = reader.join().unwrap_or_default();
            let name = self.recipe.name.clone();
            match taken {
                // An archive that breaks off is the consequence of a failure, not its cause.
                Ok(_) | Err(UnpackError::Read { .. }) if !status.success() => {
                    Err(BuildError::Mmdebstrap { name, status, tail })
                }
                taken => taken.map_err(|source| BuildError::Unpack { name, source }),
            }
        })
    }

    fn start(&self) -> Result<Child, BuildError> {
        let program = self.program.to_owned();
        // A second descriptor of the same open file, so that the lock stays until mmdebstrap is gone too, even when this
        // process is killed. The file is empty: reading it is like reading /dev/null.
        let lock = match self.lock.try_clone() {
            Ok(lock) => lock,
            Err(source) => return Err(BuildError::Start { program, source }),
        };
        let mut command = Command::new(self.program);
        command
            .args(self.argv())
            .current_dir("/")
            .env("TMPDIR", self.work)
            .env("LC_ALL", "C.UTF-8")
            .env("PATH", path());
        // Where it fails while it writes the archive it sends SIGHUP to its whole process group, which must not be ours.
        // A Ctrl-C then ends it by the closed pipe, and the lock holds until it has cleaned up.
        command.process_group(0);
        match command.stdin(Stdio::from(lock)).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn() {
            Ok(child) => Ok(child),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Err(BuildError::NoMmdebstrap { program }),
            Err(source) => Err(BuildError::Start { program, source }),
        }
    }
}

/// Removes a tree that holds files of subordinate ids, as a killed mmdebstrap leaves it.
pub(super) fn remove_foreign(program: &Path, tree: &Path) {
    let mut command = Command::new(program);
    command.args(["--unshare-helper", "rm", "-rf", "--one-file-system", "--"]).arg(tree).env("PATH", path());
    let quiet = command.current_dir("/").stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    if let Err(error) = quiet.status() {
        tracing::debug!(%error, "no help with files of subordinate ids");
    }
}

/// An ordinary user's PATH lacks the directories of chroot and ldconfig.
fn path() -> OsString {
    let mut path = std::env::var_os("PATH").unwrap_or_else(|| "/usr/local/bin:/usr/bin:/bin".into());
    path.push(":/usr/local/sbin:/usr/sbin:/sbin");
    path
}

/// For a hook, which mmdebstrap splits as a shell would. `None` for a path that cannot be quoted; it is then done without.
fn quoted(path: &Path) -> Option<String> {
    path.to_str().filter(|path| !path.contains('\'')).map(|path| format!("'{path}'"))
}

/// Reads stderr to its end, and returns its last lines.
fn follow(stderr: impl Read, step: &dyn Fn(&str)) -> String {
    let mut tail = VecDeque::new();
    let mut reader = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        let (used, ended) = match reader.fill_buf() {
            Ok([]) | Err(_) => break,
            Ok(buffer) => {
                let end = buffer.iter().position(|byte| matches!(byte, b'\n' | b'\r'));
                let taken = &buffer[..end.unwrap_or(buffer.len())];
                line.extend_from_slice(&taken[..taken.len().min(LINE_BYTES - line.len().min(LINE_BYTES))]);
                (end.map_or(buffer.len(), |end| end + 1), end.is_some())
            }
        };
        reader.consume(used);
        if ended {
            keep(&mut line, &mut tail, step);
        }
    }
    keep(&mut line, &mut tail, step);
    Vec::from(tail).join("\n")
}

fn keep(line: &mut Vec<u8>, tail: &mut VecDeque<String>, step: &dyn Fn(&str)) {
    let text: String = String::from_utf8_lossy(line).chars().filter(|char| !char.is_control()).collect();
    line.clear();
    if let Some(said) = text.strip_prefix("I: ").filter(|said| STEPS.iter().any(|step| said.starts_with(step))) {
        step(said.trim_end_matches('.'));
    }
    if !text.trim().is_empty() {
        tail.push_back(text);
    }
    if tail.len() > TAIL_LINES {
        tail.pop_front();
    }
}

/// The program's name when the caller names no other.
pub(super) fn default_program() -> PathBuf {
    PathBuf::from("mmdebstrap")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::image::recipe::Recipes;

    fn argv(mirror: Option<&str>, archives: Option<(&str, &str)>) -> Vec<String> {
        argv_of("java", mirror, archives)
    }

    fn argv_of(image: &str, mirror: Option<&str>, archives: Option<(&str, &str)>) -> Vec<String> {
        let recipes = Recipes::load(None).unwrap();
        let call = Call {
            program: Path::new("mmdebstrap"),
            recipe: recipes.get(image).unwrap(),
            mirror,
            work: Path::new("/work"),
            archives: archives.map(|(from, to)| Archives { from: Path::new(from), to: Path::new(to) }),
            lock: &File::open("/dev/null").unwrap(),
        };
        call.argv().into_iter().map(|argument| argument.into_string().unwrap()).collect()
    }

    #[test]
    fn asks_for_a_tar_stream_and_names_no_archive_by_itself() {
        let expected = [
            "--mode=unshare",
            "--variant=essential",
            "--format=tar",
            "--include=openjdk-11-jdk-headless",
            "--aptopt=Acquire::Retries \"3\"",
            "bullseye",
            "-",
        ];
        assert_eq!(argv(None, None), expected);
        assert_eq!(argv(Some("file:/srv"), None).last().unwrap(), "file:/srv");
    }

    #[test]
    fn quotes_the_directories_of_its_hooks_or_does_without_them() {
        let hooks = argv(None, Some(("/a b", "/c$d")));
        assert!(hooks.iter().any(|argument| argument == "--setup-hook=sync-in '/a b' /var/cache/apt/archives"));
        assert!(hooks.iter().any(|argument| argument == "--customize-hook=sync-out /var/cache/apt/archives '/c$d'"));
        assert_eq!(argv(None, Some(("/a'b", "/c"))), argv(None, None));
    }

    #[test]
    fn what_a_recipe_makes_is_made_in_the_tree() {
        let hooks = argv_of("gcc", None, None);
        let made = hooks.iter().find(|argument| argument.starts_with("--customize-hook=")).unwrap();
        assert!(made.starts_with("--customize-hook=chroot \"$1\" '/bin/sh' '-c' 'at="), "{made}");
    }

    #[test]
    fn follows_what_is_said_within_bounds() {
        let mut said: Vec<u8> = b"I: downloading packages with apt...\nI: using /x as tempdir\n\n".to_vec();
        said.extend(std::iter::repeat_n(b'x', 100_000));
        said.extend((0..20).flat_map(|line| format!("\rE: \x1b[31mline {line}").into_bytes()));
        let steps = std::sync::Mutex::new(Vec::new());
        let tail = follow(said.as_slice(), &|step| steps.lock().unwrap().push(step.to_owned()));
        assert_eq!(*steps.lock().unwrap(), ["downloading packages with apt"]);
        assert_eq!(tail.lines().count(), TAIL_LINES);
        assert_eq!(tail.lines().last(), Some("E: [31mline 19"));
        let long = follow([b'y'; 5000].as_slice(), &|_| {});
        assert_eq!(long.len(), LINE_BYTES);
    }
}
