//! A module for CPython 3.8 and later that exchanges the program behind `-c` for another before it runs.
//!
//! The interpreter reads its whole command line before it initialises itself, keeps the text behind `-c` in its
//! configuration (`PyConfig.run_command`), imports `site` and with it `sitecustomize`, and only then runs that text. In
//! between, this module reads the real program from file descriptor 4 to its end and puts it into the configuration. All
//! that follows is the interpreter's own way: no frame of anybody else's on the stack, the same `sys.argv`, tracebacks and
//! exit statuses.
//!
//! Not part of the library: `build.rs` compiles it alone, without any runtime, and the library carries the result as bytes.
//! It asks the C library and the interpreter that loads it for everything that it calls.

#![no_std]

use core::ffi::{c_char, c_int, c_void};
use core::ptr;

/// The text behind `-c` for which this module looks: nothing that a program would be, and syntactically an error, so that
/// an interpreter that misses the exchange says so.
const PLACEHOLDER: &[u8] = b"$casemate$\n";

const WORD: c_int = 4;
const EINTR: c_int = 4;
const EFAULT: c_int = 14;
const F_OK: c_int = 0;

/// No configuration is larger: PyConfig of CPython 3.13 has fewer than 120 words.
const CONFIG_WORDS: usize = 160;

unsafe extern "C" {
    fn read(fd: c_int, to: *mut c_void, most: usize) -> isize;
    fn close(fd: c_int) -> c_int;
    fn access(path: *const c_char, mode: c_int) -> c_int;
    fn __errno_location() -> *mut c_int;
    fn PyMem_RawRealloc(block: *mut c_void, size: usize) -> *mut c_void;
    fn PyMem_RawFree(block: *mut c_void);
    fn Py_DecodeLocale(text: *const c_char, size: *mut usize) -> *mut i32;
    fn PyInterpreterState_Get() -> *mut c_void;
    fn _PyInterpreterState_GetConfig(interpreter: *mut c_void) -> *mut *mut i32;
    fn Py_FatalError(message: *const c_char) -> !;
    static PyExc_ImportError: *mut c_void;
    fn PyErr_SetNone(kind: *mut c_void);
}

/// Everything that comes on descriptor 4, a line feed and a NUL behind it: that is how the interpreter keeps the text of
/// its own command line.
unsafe fn word() -> *mut u8 {
    let (mut text, mut len, mut size): (*mut u8, usize, usize) = (ptr::null_mut(), 0, 0);
    loop {
        if size - len < 4096 {
            size = size * 2 + 16_384;
            // SAFETY: the block is null or came from here.
            text = unsafe { PyMem_RawRealloc(text.cast(), size) }.cast();
            if text.is_null() {
                // SAFETY: ends the process with this text on standard error.
                unsafe { Py_FatalError(c"no memory for the program".as_ptr()) }
            }
        }
        // SAFETY: the block has that much room, two bytes kept back.
        match unsafe { read(WORD, text.add(len).cast(), size - len - 2) } {
            0 => break,
            n if n > 0 => len += n as usize,
            // SAFETY: as documented, the calling thread's own.
            _ if unsafe { *__errno_location() } == EINTR => {}
            // SAFETY: as above.
            _ => unsafe { Py_FatalError(c"the program cannot be read".as_ptr()) },
        }
    }
    // SAFETY: two bytes were kept back; the descriptor is this process's.
    unsafe {
        *text.add(len) = b'\n';
        *text.add(len + 1) = 0;
        close(WORD);
    }
    text
}

/// Whether there is memory at `address`. A configuration holds numbers beside pointers; the kernel tells them apart.
unsafe fn is_mapped(address: *const i32) -> bool {
    // SAFETY: the kernel looks at the address and says EFAULT where there is nothing (access(2)).
    unsafe { access(address.cast(), F_OK) == 0 || *__errno_location() != EFAULT }
}

unsafe fn is_placeholder(text: *const i32) -> bool {
    let wide = |i: usize| {
        // SAFETY: the first element is mapped, and the comparison stops at the first difference, the end at the latest.
        unsafe { *text.add(i) }
    };
    let aligned = text as usize % align_of::<i32>() == 0;
    // SAFETY: an address is only looked at.
    aligned
        && unsafe { is_mapped(text) }
        && PLACEHOLDER.iter().enumerate().all(|(i, &byte)| wide(i) == i32::from(byte))
        && wide(PLACEHOLDER.len()) == 0
}

/// Called by the interpreter when the module is loaded; returns once the exchange is done, with an ImportError: there is no
/// module that anybody could keep.
///
/// # Safety
/// Only an interpreter that imports may call it.
#[unsafe(no_mangle)]
pub unsafe extern "C" fn PyInit_word() -> *mut c_void {
    // SAFETY: called with the interpreter's lock held, on its only thread; the configuration is the interpreter's own, which
    // frees `run_command` with PyMem_RawFree, as Py_DecodeLocale allocates it.
    unsafe {
        let config = _PyInterpreterState_GetConfig(PyInterpreterState_Get());
        // An interpreter that the program itself starts imports the same file, and waits for nothing.
        if let Some(i) = (0..CONFIG_WORDS).find(|&i| is_placeholder(*config.add(i))) {
            let text = word();
            let command = Py_DecodeLocale(text.cast(), ptr::null_mut());
            PyMem_RawFree(text.cast());
            if command.is_null() {
                Py_FatalError(c"the program cannot be decoded".as_ptr())
            }
            PyMem_RawFree((*config.add(i)).cast());
            *config.add(i) = command;
        }
        PyErr_SetNone(PyExc_ImportError);
        ptr::null_mut()
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    loop {}
}
