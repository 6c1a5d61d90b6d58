//! Starts a program with exactly the file descriptors it is meant to have, inside the cgroups it is meant to be in.
//! Does not wait for it: `runtime::reaper` does.
//!
//! Not the standard library's `Command`: that waits in the calling thread until the new process has executed, which on
//! cgroup v1 takes milliseconds (a first move into a hierarchy waits for a grace period of the kernel), and after a failed
//! start it waits for the child itself, which here only the reaper may do.

use std::ffi::{CString, OsStr};
use std::io::{self, PipeReader, Read};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use nix::unistd::Pid;

/// The whole environment of what is started.
const ENVIRONMENT: &std::ffi::CStr = c"PATH=/usr/sbin:/usr/bin:/sbin:/bin";

/// Descriptors are moved out of the way to numbers from here on, before they are put in their places.
const APART: RawFd = 64;

/// A process that was forked and may not have executed its program yet.
#[derive(Debug)]
pub struct Spawned {
    /// Its id.
    pub pid: Pid,
    failure: PipeReader,
}

impl Spawned {
    /// Waits until the program runs, or has failed to; the process has then ended with status 127.
    ///
    /// # Errors
    /// What joining a cgroup or exec reported.
    pub fn executed(mut self) -> io::Result<()> {
        let mut errno = [0; 4];
        match self.failure.read(&mut errno)? {
            0 => Ok(()),
            _ => Err(io::Error::from_raw_os_error(i32::from_ne_bytes(errno))),
        }
    }
}

/// Forks a process that is to become `program`. The environment is empty but for `PATH`. `descriptors` become 0, 1, 2 and
/// so on; nothing else stays open in it, from its first moment on.
///
/// Each of `join` is an open `cgroup.procs`; the new process writes itself into every one before the program starts
/// (cgroup v1 lets a user move only his own processes).
///
/// # Errors
/// When a word has a NUL in it, or the kernel does not fork.
pub fn spawn<S: AsRef<OsStr>>(
    program: &Path,
    arguments: &[S],
    descriptors: &[OwnedFd],
    join: &[OwnedFd],
) -> io::Result<Spawned> {
    let c_string = |text: &OsStr| CString::new(text.as_bytes()).map_err(io::Error::other);
    let path = c_string(program.as_os_str())?;
    let words = arguments.iter().map(|word| c_string(word.as_ref())).collect::<io::Result<Vec<_>>>()?;
    let argv: Vec<*const libc::c_char> =
        [&path].into_iter().chain(&words).map(|word| word.as_ptr()).chain([ptr::null()]).collect();
    let envp = [ENVIRONMENT.as_ptr(), ptr::null()];
    let (failure, said) = io::pipe()?;
    let raw = |fds: &[OwnedFd]| -> Vec<RawFd> { fds.iter().map(AsRawFd::as_raw_fd).collect() };
    let mut plan: Vec<RawFd> = raw(descriptors);
    let inherited = plan.len();
    plan.push(said.as_raw_fd());
    plan.extend(raw(join));
    // SAFETY: the child makes async-signal-safe calls only, allocates nothing, and ends by exec or _exit (fork(2), NOTES).
    match unsafe { libc::fork() } {
        -1 => Err(io::Error::last_os_error()),
        0 => {
            let errno = child(&mut plan, inherited, &path, &argv, &envp).to_ne_bytes();
            // SAFETY: the buffer outlives the call; _exit runs nothing of the parent's.
            unsafe {
                libc::write(plan[inherited], errno.as_ptr().cast(), errno.len());
                libc::_exit(127)
            }
        }
        pid => Ok(Spawned { pid: Pid::from_raw(pid), failure }),
    }
}

/// In the child: puts each descriptor of `plan` in the place of its index, closes all others, joins the cgroups and
/// executes. The first `inherited` stay open in the program; then comes the one for failures, then the cgroups.
/// Returns the errno of what failed, when `plan` has the descriptors as they are now.
fn child(
    plan: &mut [RawFd],
    inherited: usize,
    path: &std::ffi::CStr,
    argv: &[*const libc::c_char],
    envp: &[*const libc::c_char],
) -> libc::c_int {
    let last = || io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
    for fd in plan.iter_mut() {
        // SAFETY: a plain system call on a descriptor of this process.
        match unsafe { libc::fcntl(*fd, libc::F_DUPFD_CLOEXEC, APART) } {
            -1 => return last(),
            copy => *fd = copy,
        }
    }
    for (place, fd) in (0..).zip(plan.iter_mut()) {
        // SAFETY: as above. The copy's number is never its place: there are fewer than APART places.
        match unsafe { libc::dup3(*fd, place, libc::O_CLOEXEC) } {
            -1 => return last(),
            at => *fd = at,
        }
    }
    // Closed now, not on exec: a program that the service has just written must not stay open for writing here while this
    // process waits to join its cgroups. close_range(2), kernel 5.9.
    let next = libc::c_uint::try_from(plan.len()).unwrap_or(libc::c_uint::MAX);
    // SAFETY: a plain system call.
    if unsafe { libc::close_range(next, libc::c_uint::MAX, 0) } == -1 {
        return last();
    }
    for &procs in &plan[inherited + 1..] {
        // SAFETY: the buffer is a static of the given length.
        if unsafe { libc::write(procs, b"0".as_ptr().cast(), 1) } != 1 {
            return last();
        }
    }
    for &fd in &plan[..inherited] {
        // SAFETY: a plain system call on a descriptor of this process.
        if unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } == -1 {
            return last();
        }
    }
    // SAFETY: sigset_t is plain data; the calls only change this process's signal state. Rust ignores SIGPIPE.
    unsafe {
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
        libc::signal(libc::SIGPIPE, libc::SIG_DFL);
        libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr());
    }
    last()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    fn null() -> OwnedFd {
        File::options().read(true).write(true).open("/dev/null").unwrap().into()
    }

    fn printed(script: &str, more: impl FnOnce(OwnedFd) -> Vec<OwnedFd>) -> String {
        let (mut read, write) = io::pipe().unwrap();
        let fds = more(write.into());
        let spawned = spawn(Path::new("/bin/sh"), &["-c", script], &fds, &[]).unwrap();
        drop(fds);
        let pid = spawned.pid;
        spawned.executed().unwrap();
        let mut text = String::new();
        read.read_to_string(&mut text).unwrap();
        nix::sys::wait::waitpid(pid, None).unwrap();
        text
    }

    #[test]
    fn each_descriptor_arrives_in_its_place_and_no_other() {
        let _open = (null(), null());
        let five = |pipe: OwnedFd| vec![null(), pipe.try_clone().unwrap(), null(), null(), pipe];
        assert_eq!(printed("echo one; echo four >&4", five), "one\nfour\n");
        let list =
            "for f in 0 1 2 3 4 5 6 7 8 9 10 11 12 64 65 66 67; do test -e /proc/$$/fd/$f && echo $f; done; true";
        assert_eq!(printed(list, |pipe| vec![null(), pipe, null()]), "0\n1\n2\n");
    }

    #[test]
    fn signals_and_environment_are_as_at_login() {
        let three = |pipe: OwnedFd| vec![null(), pipe, null()];
        assert_eq!(printed("kill -PIPE $$; echo deaf", three), "");
        let three = |pipe: OwnedFd| vec![null(), pipe, null()];
        assert_eq!(printed("env | grep -v ^PWD | grep -v ^_", three), "PATH=/usr/sbin:/usr/bin:/sbin:/bin\n");
    }

    #[test]
    fn a_cgroup_that_cannot_be_joined_or_a_missing_program_is_told() {
        let read_only: OwnedFd = File::open("/dev/null").unwrap().into();
        for (program, join, errno) in
            [("/bin/true", vec![read_only], libc::EBADF), ("/nowhere/crun", vec![], libc::ENOENT)]
        {
            let spawned = spawn::<&str>(Path::new(program), &[], &[null(), null(), null()], &join).unwrap();
            let pid = spawned.pid;
            assert_eq!(spawned.executed().unwrap_err().raw_os_error(), Some(errno));
            let ended = nix::sys::wait::waitpid(pid, None).unwrap();
            assert_eq!(ended, nix::sys::wait::WaitStatus::Exited(pid, 127));
        }
    }
}
