//! The comment that every attack begins with, read strictly: a word that is misspelt is a mistake, not a default.
//!
//! ```text
//! // attack: asks for an io_uring, a second way into the kernel that passes by the filter
//! // class: kernel/io-uring
//! // expect: held
//! // stopped-by: seccomp
//! // outside: breached
//! ```
//!
//! Then, where they are needed and in this order: `step: compile`, `input: port`, `copies: 2`, `limits: pids=16`.

use super::layers;

/// What has to come of an attack inside the sandbox. None of them ever prints a line that begins with `BREACHED: `.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It ends by itself, and its last line begins with `held: `.
    Held,
    /// A process of it was killed for memory.
    MemoryLimit,
    /// It ran too long.
    TimeLimit,
    /// It used too much of the processors.
    CpuLimit,
    /// It printed too much.
    OutputLimit,
    /// A signal ended it.
    Signal(u8),
    /// It did not compile.
    CompileError,
    /// The compiler ran too long.
    CompileTimeLimit,
}

/// How it is shown to work where nothing holds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outside {
    /// As root in the image's own files, in the namespaces of the host and without any limit of ours.
    InTheImage,
    /// As root on the host as it is; only for a program that changes nothing there.
    OnTheHost,
    /// Nowhere, and why; taking away the layers shows it.
    Nowhere(String),
}

/// One attack.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Header {
    /// What it does.
    pub attack: String,
    /// Tags of `classes.rs`.
    pub classes: Vec<String>,
    /// Inside.
    pub expect: Expect,
    /// Names of `layers.rs`: each of them alone stops it. Empty for what is allowed: `nothing, <why>`.
    pub stopped_by: Vec<&'static str>,
    /// The contrast.
    pub outside: Outside,
    /// Whether it is the compiler that is attacked.
    pub compiling: bool,
    /// Whether it gets the port of the service on standard input.
    pub port: bool,
    /// How many of it run at the same time.
    pub copies: usize,
    /// Limits of the step other than the usual ones, as a language file has them.
    pub limits: Vec<(String, u64)>,
}

/// Reads the comment lines that `text` begins with; `mark` begins a comment.
pub fn parse(text: &str, mark: &str) -> Result<Header, String> {
    let mut lines = text
        .lines()
        .skip_while(|line| line.starts_with("#!"))
        .map_while(|line| line.strip_prefix(mark))
        .map_while(|line| line.trim().split_once(": "))
        .peekable();
    let mut field = |name: &str| lines.next_if(|(key, _)| *key == name).map(|(_, value)| value.trim().to_owned());
    let mut need = |name: &str| field(name).filter(|v| !v.is_empty()).ok_or_else(|| format!("`{name}: …` is not next"));
    let (attack, class, expected) = (need("attack")?, need("class")?, need("expect")?);
    let (stopped_by, outside) = (need("stopped-by")?, need("outside")?);
    let compiling = match field("step").as_deref() {
        None => false,
        Some("compile") => true,
        Some(other) => return Err(format!("no step is called {other:?}")),
    };
    let port = match field("input").as_deref() {
        None => false,
        Some("port") => true,
        Some(other) => return Err(format!("no input is called {other:?}")),
    };
    let copies =
        field("copies").map_or(Ok(1), |number| number.parse()).map_err(|_| "`copies` is no number".to_owned())?;
    let limits = field("limits").unwrap_or_default();
    let limits = limits.split_whitespace().map(limit).collect::<Result<_, _>>()?;
    if let Some((key, _)) = lines.next() {
        return Err(format!("`{key}` is unknown, or not in its place"));
    }
    let stopped_by = match stopped_by.strip_prefix("nothing, ") {
        Some(why) if why.len() > 8 => Vec::new(),
        _ => stopped_by.split(", ").map(known).collect::<Result<_, _>>()?,
    };
    let classes = class.split(", ").map(str::to_owned).collect();
    Ok(Header {
        attack,
        classes,
        expect: expect(&expected)?,
        stopped_by,
        outside: contrast(&outside)?,
        compiling,
        port,
        copies,
        limits,
    })
}

fn limit(word: &str) -> Result<(String, u64), String> {
    let wrong = || format!("{word:?} is not like pids=16");
    let (key, value) = word.split_once('=').ok_or_else(wrong)?;
    Ok((key.to_owned(), value.parse().map_err(|_| wrong())?))
}

fn known(name: &str) -> Result<&'static str, String> {
    layers::LAYERS
        .iter()
        .map(|layer| layer.name)
        .find(|known| *known == name)
        .ok_or(format!("no layer is called {name:?}"))
}

fn expect(text: &str) -> Result<Expect, String> {
    Ok(match text {
        "held" => Expect::Held,
        "memory limit" => Expect::MemoryLimit,
        "time limit" => Expect::TimeLimit,
        "cpu limit" => Expect::CpuLimit,
        "output limit" => Expect::OutputLimit,
        "compile error" => Expect::CompileError,
        "compile time limit" => Expect::CompileTimeLimit,
        _ => {
            let number = text.strip_prefix("signal ").and_then(|number| number.parse().ok());
            Expect::Signal(number.ok_or_else(|| format!("nothing ends like {text:?}"))?)
        }
    })
}

fn contrast(text: &str) -> Result<Outside, String> {
    match text.split_once(", ") {
        None if text == "breached" => Ok(Outside::InTheImage),
        None if text == "breached on the host" => Ok(Outside::OnTheHost),
        Some(("not run", why)) if why.len() > 8 => Ok(Outside::Nowhere(why.to_owned())),
        _ => Err(format!("{text:?} is none of `breached`, `breached on the host`, `not run, <why>`")),
    }
}

impl Expect {
    /// What is wrong with such an ending; nothing when it is the expected one.
    pub fn mismatch(self, state: &str, output: &str) -> Option<String> {
        if breached(output) {
            return Some("it works".to_owned());
        }
        let last = output.trim_end().lines().last().unwrap_or_default();
        let fits = match self {
            Self::Held => state == "completed" && last.starts_with("held: "),
            Self::MemoryLimit => output.ends_with("\nexit status 137"),
            Self::TimeLimit => last.starts_with("execution timed out after "),
            Self::CpuLimit => last.starts_with("cpu time limit of "),
            Self::OutputLimit => last.starts_with("output limit of "),
            Self::Signal(signal) => output.ends_with(&format!("\nexit status {}", 128 + u16::from(signal))),
            Self::CompileError => output.starts_with("Compilation error:\n") && !last.starts_with("compilation timed"),
            Self::CompileTimeLimit => last.starts_with("compilation timed out after "),
        };
        (!fits).then(|| format!("it was to end with {self:?}"))
    }
}

/// Whether the program says that it reached what it was after.
pub fn breached(output: &str) -> bool {
    output.lines().any(|line| line.starts_with("BREACHED: "))
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str =
        "// attack: a\n// class: b/c, d/e\n// expect: signal 11\n// stopped-by: seccomp, mask\n// outside: breached\n";

    #[test]
    fn a_whole_header() {
        let text = format!(
            "{}// step: compile\n// input: port\n// limits: pids=16 wall_ms=5\n\nint x;",
            GOOD.replace("mask", "capabilities")
        );
        let header = parse(&text, "//").unwrap();
        assert_eq!(header.classes, ["b/c", "d/e"]);
        assert_eq!((header.expect, header.outside), (Expect::Signal(11), Outside::InTheImage));
        assert_eq!(header.stopped_by, ["seccomp", "capabilities"]);
        assert!(header.compiling && header.port);
        assert_eq!(header.limits, [("pids".to_owned(), 16), ("wall_ms".to_owned(), 5)]);
    }

    #[test]
    fn what_is_not_understood_is_a_mistake() {
        let good = GOOD.replace("mask", "capabilities");
        for (from, to, word) in [
            ("attack", "atack", "attack"),
            ("class: b/c, d/e", "class: ", "class"),
            ("signal 11", "signal eleven", "nothing ends like"),
            ("held", "held", ""),
            ("seccomp,", "secomp,", "no layer"),
            ("breached\n", "breached perhaps\n", "none of"),
            ("breached\n", "not run, so\n", "none of"),
            ("breached\n", "breached\n// step: link\n", "no step"),
            ("breached\n", "breached\n// limits: pids\n", "is not like"),
            ("breached\n", "breached\n// colour: red\n", "unknown"),
            ("breached\n", "breached\n// limits: pids=1\n// input: port\n", "not in its place"),
        ] {
            if word.is_empty() {
                assert!(parse(&good.replace(from, to), "//").is_ok());
                continue;
            }
            let said = parse(&good.replace(from, to), "//").unwrap_err();
            assert!(said.contains(word), "{to}: {said}");
        }
    }

    #[test]
    fn an_ending_is_what_it_is() {
        assert_eq!(Expect::Held.mismatch("completed", "held: EPERM\n"), None);
        assert!(Expect::Held.mismatch("failed", "held: x\n\nexit status 1").is_some());
        assert!(Expect::Held.mismatch("completed", "BREACHED: y\nheld: x\n").is_some());
        assert!(Expect::MemoryLimit.mismatch("failed", "BREACHED: y\n\nexit status 137").is_some());
        assert_eq!(Expect::MemoryLimit.mismatch("failed", "\nexit status 137"), None);
        assert!(
            Expect::CompileError
                .mismatch("failed", "Compilation error:\n\ncompilation timed out after 1 seconds")
                .is_some()
        );
    }
}
