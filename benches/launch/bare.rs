//! The bare program: the image's own toolchain, started by a shell that lives in the image's root file system, with
//! nothing around it. Taking the time of the shell's fork and exec, and no more, is what running it by hand costs.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

/// Mounts are private and go with the shell; a user namespace makes them possible for everybody.
const ENTER: &str = r#"
mount -t tmpfs tmpfs "$1/tmp" && mount --rbind /proc "$1/proc" && mount --rbind /dev "$1/dev" || exit 1
cd "$1" && PATH=$PATH:/usr/sbin:/sbin exec chroot . /usr/bin/env -i HOME=/tmp LANG=C.UTF-8 PATH=/usr/bin:/bin /bin/sh
"#;

/// A shell in an image.
pub struct Shell {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Shell {
    pub fn of(rootfs: &Path) -> Self {
        let mut child = Command::new("unshare")
            .args(["--user", "--map-root-user", "--mount", "--propagation", "private", "sh", "-c", ENTER, "bare"])
            .arg(rootfs)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare, of util-linux");
        let (input, output) = (child.stdin.take().unwrap(), BufReader::new(child.stdout.take().unwrap()));
        let mut shell = Self { child, input, output };
        shell.run("cd /tmp && echo ready", "ready");
        shell
    }

    /// Puts a file into `/tmp`.
    pub fn write(&mut self, name: &str, text: &str) {
        self.run(&format!("cat > /tmp/{name} <<'END_OF_FILE'\n{text}\nEND_OF_FILE\necho written"), "written");
    }

    /// Runs these lines, which must print `expected` and nothing else.
    pub fn run(&mut self, lines: &str, expected: &str) -> Duration {
        let began = Instant::now();
        let said = self.say(lines);
        let took = began.elapsed();
        assert_eq!(said, expected, "{lines}");
        took
    }

    /// Runs these lines, which must print one line; what it says.
    pub fn say(&mut self, lines: &str) -> String {
        writeln!(self.input, "{lines}").expect("the shell");
        let mut said = String::new();
        self.output.read_line(&mut said).expect("the shell");
        said.trim_end().to_owned()
    }
}

impl Drop for Shell {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
