//! Step 8 of `docs/REVIEW.md`: what a reviewer types there about a running service says what the page shows.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use crate::needs;
use crate::support::process::Process;
use crate::support::{Need, Runtime, Server, Settings};

const PAGE: &str = include_str!("../../docs/REVIEW.md");

/// Between what two commands say.
const END: &str = "-- end --";

/// The blocks of the step, as `(language, text)`.
fn blocks() -> Vec<(String, String)> {
    let (_, step) = PAGE.split_once("\n## 8. ").expect("the step");
    let step = step.split("\n## ").next().unwrap_or_default();
    let each = step.split("\n```").skip(1).step_by(2);
    each.map(|block| block.split_once('\n').map(|(l, t)| (l.to_owned(), t.to_owned())).expect("a block")).collect()
}

/// Waits for a container that the service made ahead for Python.
fn until_one_waits(service: Process) {
    let began = Instant::now();
    let waits = || {
        let said = Command::new("pgrep")
            .args(["--parent", &service.id().to_string(), "--full", "^/casemate/init .*python3"])
            .stdout(Stdio::null())
            .status();
        said.expect("pgrep").success()
    };
    while !waits() {
        assert!(began.elapsed() < Duration::from_secs(30), "no container waits");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// What the machine has otherwise than the one of the page: the home, its file system, where the stage is, the hierarchies of v1.
fn as_on_the_page(said: &str, home: &Path) -> String {
    let home = home.display().to_string();
    // Those that the page says some machines have.
    let more = |line: &&str| {
        line.starts_with("/proc/sys/fs/binfmt_misc ")
            || line.starts_with("/sys/fs/cgroup/") && line.ends_with("/casemate cgroup")
    };
    let lines = said.lines().filter(|line| !more(line));
    let each = lines.map(|line| match line.strip_prefix(&home) {
        Some(_) => "/var/lib/casemate ext4".to_owned(),
        None => ["/media", "/srv", "/opt"]
            .iter()
            .find_map(|at| Some(format!("/mnt{}", line.strip_prefix(at)?)))
            .unwrap_or(line.to_owned()),
    });
    let mut lines: Vec<String> = each.collect();
    if lines.iter().any(|line| line.starts_with("/var/lib/casemate ")) {
        lines.sort();
    }
    lines.join("\n")
}

#[test]
fn what_the_page_types_says_what_the_page_shows() {
    needs!(Need::Root, Need::Sandbox(Runtime::Crun));
    let blocks = blocks();
    let mut commands: Vec<String> = blocks.iter().filter(|(l, _)| l == "sh").map(|(_, text)| text.clone()).collect();
    let shown: Vec<&String> = blocks.iter().filter(|(l, _)| l == "text").map(|(_, text)| text).collect();
    assert_eq!(commands.len(), shown.len() + 1, "all commands but the first have what they say below them");
    assert!(shown.len() >= 7, "{shown:?}");

    let server = Server::start(&Settings::new(Runtime::Crun));
    until_one_waits(Process::child_of(server.pid()));
    let first = commands[0].replace("$(systemctl show --property MainPID --value casemate)", &server.pid().to_string());
    assert_ne!(first, commands[0], "the page has another way to the first process");
    commands[0] = first;
    let script = commands.join(&format!("\necho '{END}'\n"));
    let output = Command::new("bash").args(["-uc", &script]).stdin(Stdio::null()).output().expect("bash");
    let said = String::from_utf8(output.stdout).expect("text");
    let home = fs::canonicalize(server.home()).expect("the home");
    let parts: Vec<String> = said.split(&format!("{END}\n")).map(|part| as_on_the_page(part, &home)).collect();
    assert_eq!((parts.len(), parts[0].as_str()), (commands.len(), ""), "{}", String::from_utf8_lossy(&output.stderr));
    for ((command, part), shown) in commands[1..].iter().zip(&parts[1..]).zip(shown) {
        assert_eq!(part, shown, "{command}");
    }
    // And works all the same.
    assert_eq!(server.client().run("python", "print(6*7)", None).output(), "42\n");
}
