//! Starts a program with exactly the file descriptors it is meant to have, inside the cgroups it is meant to be in.
//! Does not wait for it: `runtime::reaper` does.

use std::ffi::OsStr;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use nix::unistd::Pid;

/// What the new process gets beside its arguments.
#[derive(Debug)]
pub struct Descriptors {
    /// Its standard input.
    pub stdin: Stdio,
    /// Its standard output.
    pub stdout: Stdio,
    /// Its standard error.
    pub stderr: Stdio,
    /// Becomes descriptor 3.
    pub third: Option<OwnedFd>,
}

/// Starts `program` and returns its process id. The environment is empty but for `PATH`.
///
/// Each of `join` is an open `cgroup.procs`; the new process writes itself into every one before the program starts
/// (cgroup v1 lets a user move only his own processes).
///
/// # Errors
/// What fork, the joining or exec reported.
pub fn spawn<S: AsRef<OsStr>>(
    program: &Path,
    arguments: &[S],
    descriptors: Descriptors,
    join: &[OwnedFd],
) -> io::Result<Pid> {
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin")
        .stdin(descriptors.stdin)
        .stdout(descriptors.stdout)
        .stderr(descriptors.stderr);
    let third = descriptors.third;
    if third.is_some() || !join.is_empty() {
        let third = third.as_ref().map(AsRawFd::as_raw_fd);
        let join: Vec<RawFd> = join.iter().map(AsRawFd::as_raw_fd).collect();
        // SAFETY: between fork and exec the closure makes only async-signal-safe calls (write, dup2, fcntl) on
        // descriptors that the caller keeps open until spawn has returned, and allocates nothing.
        unsafe {
            command.pre_exec(move || before_exec(&join, third));
        }
    }
    let child = command.spawn()?;
    let id = i32::try_from(child.id()).map_err(io::Error::other)?;
    Ok(Pid::from_raw(id))
}

fn before_exec(join: &[RawFd], third: Option<RawFd>) -> io::Result<()> {
    for &procs in join {
        // SAFETY: the buffer is a static of the given length.
        if unsafe { libc::write(procs, b"0".as_ptr().cast(), 1) } != 1 {
            return Err(io::Error::last_os_error());
        }
    }
    // Whatever else is open here, the runtime is not to inherit it. Closed on exec, not now: the standard library still
    // needs its own. close_range(2), kernel 5.11.
    // SAFETY: a plain system call; it allocates nothing.
    check(unsafe { libc::close_range(4, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC.cast_signed()) })?;
    match third {
        // SAFETY: plain system calls on descriptors of this process. dup2 onto itself would keep close-on-exec.
        Some(3) => check(unsafe { libc::fcntl(3, libc::F_SETFD, 0) }),
        // SAFETY: as above.
        Some(fd) => check(unsafe { libc::dup2(fd, 3) }),
        None => Ok(()),
    }
}

fn check(result: libc::c_int) -> io::Result<()> {
    if result == -1 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn the_third_descriptor_arrives_as_three() {
        let (mut read, write) = io::pipe().unwrap();
        let descriptors = Descriptors {
            stdin: Stdio::null(),
            stdout: Stdio::null(),
            stderr: Stdio::null(),
            third: Some(write.into()),
        };
        let pid = spawn(Path::new("/bin/sh"), &["-c", "echo here >&3"], descriptors, &[]).unwrap();
        let mut text = String::new();
        read.read_to_string(&mut text).unwrap();
        nix::sys::wait::waitpid(pid, None).unwrap();
        assert_eq!(text, "here\n");
    }

    #[test]
    fn a_cgroup_that_cannot_be_joined_stops_the_start() {
        let read_only: OwnedFd = std::fs::File::open("/dev/null").unwrap().into();
        let descriptors =
            Descriptors { stdin: Stdio::null(), stdout: Stdio::null(), stderr: Stdio::null(), third: None };
        let error = spawn::<&str>(Path::new("/bin/true"), &[], descriptors, &[read_only]).unwrap_err();
        assert_eq!(error.raw_os_error(), Some(libc::EBADF));
    }
}
