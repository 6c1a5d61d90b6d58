//! A system call with arguments that mean nothing: what the kernel or a filter says to it.

use std::io;

/// The errno that call `number` gets with every argument -1; 0 where it worked.
pub fn errno_of(number: u64) -> i32 {
    let nothing: libc::c_long = -1;
    let number = libc::c_long::try_from(number).unwrap_or(nothing);
    // SAFETY: an address of -1 is nobody's, so that nothing of this process is read or written; the callers leave out what
    // works without arguments.
    match unsafe { libc::syscall(number, nothing, nothing, nothing, nothing, nothing, nothing) } {
        -1 => io::Error::last_os_error().raw_os_error().unwrap_or(0),
        _ => 0,
    }
}
