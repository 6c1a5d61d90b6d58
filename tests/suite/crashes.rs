//! Segmentation faults without end: no core file, few lines in the kernel's log, and the next job is well.

use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Read, Seek, SeekFrom};
use std::os::unix::fs::OpenOptionsExt;

use crate::support::{Runtime, Server, Settings, needs};
use crate::{needs, support::Need, under_both_runtimes};

/// Children that die of it for two seconds, and how many did; a core file is told apart.
const CRASHES: &str = r#"#include <stdio.h>
#include <time.h>
#include <unistd.h>
#include <sys/wait.h>
int main(void) {
    int crashes = 0, cores = 0, status = chdir("/tmp");
    for (time_t end = time(NULL) + 2; time(NULL) < end; crashes++) {
        if (!fork()) *(volatile int *)8 = 1;
        wait(&status);
        cores += !!WCOREDUMP(status);
    }
    printf("%d %d\n", crashes, cores);
}
"#;

/// The kernel writes ten messages in five seconds (printk_ratelimit), of two lines each; three of such spans may be met.
const LINES: usize = 60;

/// The log of the kernel from here on; nothing where it cannot be read.
fn log() -> Option<File> {
    let mut log = OpenOptions::new().read(true).custom_flags(libc::O_NONBLOCK).open("/dev/kmsg").ok()?;
    log.seek(SeekFrom::End(0)).ok()?;
    Some(log)
}

/// How many lines were written that are about `program`.
fn lines_about(mut log: File, program: &str) -> usize {
    let (mut lines, mut line) = (0, [0; 8192]);
    loop {
        match log.read(&mut line) {
            Ok(length) => lines += usize::from(String::from_utf8_lossy(&line[..length]).contains(program)),
            // What was overwritten before it was read counts as well.
            Err(error) if error.kind() == ErrorKind::BrokenPipe => lines += LINES,
            Err(_) => return lines,
        }
    }
}

fn without_end(runtime: Runtime) {
    needs!(Need::Sandbox(runtime));
    let server = Server::start(&Settings::new(runtime).limit(&["c"], "RUN", "CPU_PERCENT", 0));
    let client = server.client();
    let log = log();
    if log.is_none() {
        needs::left_out("the lines of the kernel's log: /dev/kmsg cannot be read");
    }
    let seen = client.run("c", CRASHES, None);
    let numbers: Vec<usize> = seen.output().split_whitespace().filter_map(|word| word.parse().ok()).collect();
    assert!(seen.state() == "completed" && numbers.len() == 2, "{}", seen.result);
    assert!(numbers[0] > 100, "{} crashes are no loop", numbers[0]);
    assert_eq!(numbers[1], 0, "cores were dumped");
    let lines = log.map_or(0, |log| lines_about(log, "solution"));
    println!("{} crashes, {lines} lines in the kernel's log", numbers[0]);
    assert!(lines <= LINES, "{} crashes wrote {lines} lines into the kernel's log", numbers[0]);
    assert_eq!(client.run("python", "print('well')", None).output(), "well\n");
}

under_both_runtimes!(without_end);
