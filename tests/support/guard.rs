//! Ends a server when the test process is gone, however it went. Statics are never dropped and a panic in another
//! thread may abort, so a small shell waits for the end of its standard input, which only this process holds open.

use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};

/// Waits for a line (all is well) or the end of input (the test is gone), then ends server `$1` and removes `$2..`.
const SCRIPT: &str = r#"
if read -r _; then exit 0; fi
pid=$1; shift
kill -TERM "$pid" 2>/dev/null
tries=0
while kill -0 "$pid" 2>/dev/null; do
    tries=$((tries + 1))
    [ "$tries" -eq 250 ] && kill -KILL "$pid" 2>/dev/null
    [ "$tries" -gt 300 ] && break
    sleep 0.1
done
rm -rf -- "$@"
"#;

/// The shell. [`Guard::dismiss`] it once the server has been waited for.
#[derive(Debug)]
pub struct Guard(Child);

impl Guard {
    /// Watches over `pid`. `lock` stays held for as long as the shell lives.
    pub fn over(pid: u32, lock: &File, remove: &[&Path]) -> Self {
        let child = Command::new("sh")
            .args(["-c", SCRIPT, "guard", &pid.to_string()])
            .args(remove)
            .stdin(Stdio::piped())
            .stdout(lock.try_clone().expect("a second handle of the lock"))
            .stderr(Stdio::null())
            .spawn()
            .expect("sh");
        Self(child)
    }

    /// The server ended and was reaped: its pid may be anybody's now.
    pub fn dismiss(&mut self) {
        if let Some(mut stdin) = self.0.stdin.take() {
            let _ = stdin.write_all(b"\n");
        }
        let _ = self.0.wait();
    }
}
