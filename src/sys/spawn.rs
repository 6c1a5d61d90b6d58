//! Starts a program with exactly the file descriptors it is meant to have, inside the cgroups it is meant to be in.
//! Does not wait for its end: `runtime::reaper` does.
//!
//! Not the standard library's `Command`: after a failed start it waits for the child itself, which here only the reaper may
//! do; and it cannot make the child join cgroups without copying the service's page tables. The child shares the service's
//! memory until it executes, as a child of `posix_spawn` does (clone(2), CLONE_VM and CLONE_VFORK): nothing is copied, and no
//! page of the service has to be made its own again afterwards.

use std::ffi::{CStr, CString, OsStr};
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::ptr;

use nix::unistd::Pid;

/// The whole environment of what is started.
const ENVIRONMENT: &CStr = c"PATH=/usr/sbin:/usr/bin:/sbin:/bin";

/// Descriptors are moved out of the way to numbers from here on, before they are put in their places.
const APART: RawFd = 64;

/// Room for the child before it executes, in bytes.
const STACK: usize = 64 << 10;

/// The number of the last signal (signal(7)).
const LAST_SIGNAL: libc::c_int = 64;

/// What is to be started.
#[derive(Clone, Copy, Debug)]
pub struct Program<'a> {
    /// Where it is, and its own name for itself.
    pub path: &'a Path,
    /// The same, open: then this is what is executed, whatever is at the path by now.
    pub open: Option<BorrowedFd<'a>>,
}

/// Starts a process that becomes `program`. The environment is empty but for `PATH`. `descriptors` become 0, 1, 2 and so on;
/// nothing else stays open in it, from its first moment on.
///
/// Each of `join` is an open `cgroup.procs`; the new process writes itself into every one before the program starts
/// (cgroup v1 lets a user move only his own processes).
///
/// The calling thread waits until the program runs. On cgroup v1 that takes milliseconds: a first move into a hierarchy
/// waits for a grace period of the kernel.
///
/// # Errors
/// When a word has a NUL in it, or the kernel makes no process, or joining a cgroup or executing fails; the process has then
/// ended with status 127, and is still to be waited for.
pub fn spawn<S: AsRef<OsStr>>(
    program: Program<'_>,
    arguments: &[S],
    descriptors: &[OwnedFd],
    join: &[OwnedFd],
) -> io::Result<Pid> {
    let c_string = |text: &OsStr| CString::new(text.as_bytes()).map_err(io::Error::other);
    let path = c_string(program.path.as_os_str())?;
    let words = arguments.iter().map(|word| c_string(word.as_ref())).collect::<io::Result<Vec<_>>>()?;
    let argv: Vec<*const libc::c_char> =
        [&path].into_iter().chain(&words).map(|word| word.as_ptr()).chain([ptr::null()]).collect();
    let raw = |fds: &[OwnedFd]| -> Vec<RawFd> { fds.iter().map(AsRawFd::as_raw_fd).collect() };
    let mut plan: Vec<RawFd> = raw(descriptors);
    plan.extend(raw(join));
    plan.extend(program.open.map(|open| open.as_raw_fd()));
    let mut errand = Errand {
        plan: &mut plan,
        inherited: descriptors.len(),
        join: join.len(),
        path: &path,
        argv: &argv,
        envp: [ENVIRONMENT.as_ptr(), ptr::null()],
        errno: 0,
    };
    let mut stack = vec![0u128; STACK / size_of::<u128>()];
    let flags = libc::CLONE_VM | libc::CLONE_VFORK | libc::SIGCHLD;
    // SAFETY: sigset_t is plain data. The child runs on a stack of its own, which grows down from an aligned end, while this
    // thread is stopped (CLONE_VFORK), so that nobody else touches the stack or the errand. It makes async-signal-safe calls
    // only, allocates nothing, and ends by exec or exit. No handler of ours runs in it: every signal is blocked here, and
    // there before it is answered by default.
    let pid = unsafe {
        let (mut every, mut before): (libc::sigset_t, libc::sigset_t) = (std::mem::zeroed(), std::mem::zeroed());
        libc::sigfillset(&raw mut every);
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const every, &raw mut before);
        let top = stack.as_mut_ptr().add(stack.len());
        let pid = libc::clone(run, top.cast(), flags, (&raw mut errand).cast());
        let refused = io::Error::last_os_error();
        libc::pthread_sigmask(libc::SIG_SETMASK, &raw const before, ptr::null_mut());
        if pid == -1 {
            return Err(refused);
        }
        pid
    };
    // SAFETY: the errand is this function's own again. The child wrote to it behind the compiler's back.
    match unsafe { ptr::read_volatile(&raw const errand.errno) } {
        0 => Ok(Pid::from_raw(pid)),
        errno => Err(io::Error::from_raw_os_error(errno)),
    }
}

/// What the child has to do, and what became of it.
struct Errand<'a> {
    /// First what the program inherits, then the cgroups, then the program if it is open.
    plan: &'a mut [RawFd],
    inherited: usize,
    join: usize,
    path: &'a CStr,
    argv: &'a [*const libc::c_char],
    envp: [*const libc::c_char; 2],
    /// Why it failed; zero as long as it did not.
    errno: libc::c_int,
}

extern "C" fn run(errand: *mut libc::c_void) -> libc::c_int {
    // SAFETY: `spawn` hands over an errand, and does not touch it before this has ended.
    let errand = unsafe { &mut *errand.cast::<Errand<'_>>() };
    errand.errno = child(errand);
    127
}

/// In the child: puts each descriptor of the plan in the place of its index, closes all others, joins the cgroups and
/// executes. Returns the errno of what failed.
fn child(errand: &mut Errand<'_>) -> libc::c_int {
    let last = || io::Error::last_os_error().raw_os_error().unwrap_or(libc::EIO);
    let Errand { plan, inherited, join, path, argv, envp, .. } = errand;
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
    let (inherited, rest) = plan.split_at(*inherited);
    let (join, open) = rest.split_at(*join);
    for &procs in join {
        // SAFETY: the buffer is a static of the given length.
        if unsafe { libc::write(procs, b"0".as_ptr().cast(), 1) } != 1 {
            return last();
        }
    }
    for &fd in inherited {
        // SAFETY: a plain system call on a descriptor of this process.
        if unsafe { libc::fcntl(fd, libc::F_SETFD, 0) } == -1 {
            return last();
        }
    }
    // SAFETY: sigset_t and sigaction are plain data, all zeros the default action; the calls only change this process's signal
    // state, of which it has a copy. The two signals that the C library keeps to itself are refused, and need nothing.
    unsafe {
        let default: libc::sigaction = std::mem::zeroed();
        for signal in 1..=LAST_SIGNAL {
            libc::sigaction(signal, &raw const default, ptr::null_mut());
        }
        let mut none: libc::sigset_t = std::mem::zeroed();
        libc::sigemptyset(&raw mut none);
        libc::sigprocmask(libc::SIG_SETMASK, &raw const none, ptr::null_mut());
    }
    // SAFETY: the strings and both arrays, which end with a null, outlive the calls.
    unsafe {
        match open.first() {
            Some(&program) => libc::syscall(
                libc::SYS_execveat,
                program,
                c"".as_ptr(),
                argv.as_ptr(),
                envp.as_ptr(),
                libc::AT_EMPTY_PATH,
            ),
            None => libc::c_long::from(libc::execve(path.as_ptr(), argv.as_ptr(), envp.as_ptr())),
        };
    }
    last()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;
    use std::io::Read;
    use std::os::fd::AsFd;

    fn at(path: &str) -> Program<'_> {
        Program { path: Path::new(path), open: None }
    }

    /// A shell says which descriptors it has, opening none for that.
    const LIST: &str =
        "for f in 0 1 2 3 4 5 6 7 8 9 10 11 12 64 65 66 67; do test -e /proc/$$/fd/$f && echo $f; done; true";

    fn null() -> OwnedFd {
        File::options().read(true).write(true).open("/dev/null").unwrap().into()
    }

    fn printed(script: &str, more: impl FnOnce(OwnedFd) -> Vec<OwnedFd>) -> String {
        let (mut read, write) = io::pipe().unwrap();
        let fds = more(write.into());
        let pid = spawn(at("/bin/sh"), &["-c", script], &fds, &[]).unwrap();
        drop(fds);
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
        assert_eq!(printed(LIST, |pipe| vec![null(), pipe, null()]), "0\n1\n2\n");
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
            let error = spawn::<&str>(at(program), &[], &[null(), null(), null()], &join).unwrap_err();
            assert_eq!(error.raw_os_error(), Some(errno), "{program}");
        }
    }

    /// What is open is executed, not what is at the path by now.
    #[test]
    fn an_open_program_needs_no_path() {
        let (mut read, write) = io::pipe().unwrap();
        let shell = File::open("/bin/sh").unwrap();
        let program = Program { path: Path::new("/nowhere/shell"), open: Some(shell.as_fd()) };
        let fds = [null(), write.into(), null()];
        let pid = spawn(program, &["-c", &format!("echo $0; {LIST}")], &fds, &[]).unwrap();
        drop(fds);
        let mut text = String::new();
        read.read_to_string(&mut text).unwrap();
        nix::sys::wait::waitpid(pid, None).unwrap();
        assert_eq!(text, "/nowhere/shell\n0\n1\n2\n");
    }
}
