//! What a static program without any library needs to begin, to ask the kernel and to end. Shared by the containers'
//! init and the probe of the self-test.

use core::arch::{asm, global_asm};

// The stack pointer at entry is all there is: argc, argv, NULL, envp, NULL (x86-64 and AAPCS64 process start-up).
#[cfg(target_arch = "x86_64")]
global_asm!(
    ".globl _start",
    "_start:",
    "xor ebp, ebp",
    "mov rdi, rsp",
    "and rsp, -16",
    "call {main}",
    "ud2",
    main = sym super::main,
);

#[cfg(target_arch = "aarch64")]
global_asm!(
    ".globl _start",
    "_start:",
    "mov x29, xzr",
    "mov x30, xzr",
    "mov x0, sp",
    "bl {main}",
    "brk #1",
    main = sym super::main,
);

/// One system call; a value in -4095..0 is a negated errno (syscall(2)).
#[cfg(target_arch = "x86_64")]
#[inline(always)]
pub unsafe fn call(number: usize, a: usize, b: usize, c: usize, d: usize) -> isize {
    let out: isize;
    // SAFETY: the kernel clobbers rax, rcx and r11 only; what the pointers name is the caller's care.
    unsafe {
        asm!("syscall", inlateout("rax") number as isize => out, in("rdi") a, in("rsi") b, in("rdx") c, in("r10") d,
             in("r8") 0usize, lateout("rcx") _, lateout("r11") _, options(nostack));
    }
    out
}

/// One system call; a value in -4095..0 is a negated errno (syscall(2)).
#[cfg(target_arch = "aarch64")]
#[inline(always)]
pub unsafe fn call(number: usize, a: usize, b: usize, c: usize, d: usize) -> isize {
    let out: isize;
    // SAFETY: the kernel clobbers x0 only; what the pointers name is the caller's care.
    unsafe {
        asm!("svc #0", in("x8") number, inlateout("x0") a as isize => out, in("x1") b, in("x2") c, in("x3") d,
             in("x4") 0usize, options(nostack));
    }
    out
}

#[cfg(target_arch = "x86_64")]
const EXIT_GROUP: usize = 231;
#[cfg(target_arch = "aarch64")]
const EXIT_GROUP: usize = 94;

/// The exit status of a program that found a mistake of its own: it does not go on.
const MISTAKEN: usize = 125;

/// Ends the process.
pub fn exit(status: usize) -> ! {
    loop {
        // SAFETY: takes no pointer and does not return.
        unsafe { call(EXIT_GROUP, status, 0, 0, 0) };
    }
}

#[panic_handler]
fn panic(_: &core::panic::PanicInfo<'_>) -> ! {
    exit(MISTAKEN)
}

/// The compiler may ask for these where it copies or clears memory; there is no libc to have them.
#[unsafe(no_mangle)]
unsafe extern "C" fn memset(to: *mut u8, byte: i32, len: usize) -> *mut u8 {
    for i in 0..len {
        // SAFETY: the caller owns `len` bytes. Volatile, or this would become a call of itself.
        unsafe { to.add(i).write_volatile(byte as u8) };
    }
    to
}

/// See [`memset`].
#[unsafe(no_mangle)]
unsafe extern "C" fn memcpy(to: *mut u8, from: *const u8, len: usize) -> *mut u8 {
    for i in 0..len {
        // SAFETY: the caller owns `len` bytes at both. Volatile, as above.
        unsafe { to.add(i).write_volatile(from.add(i).read()) };
    }
    to
}

/// Named by the unwind tables of the core library; with `panic=abort` nothing ever calls it.
#[unsafe(no_mangle)]
extern "C" fn rust_eh_personality() -> ! {
    exit(MISTAKEN)
}

/// See [`memset`]; here a loop over bytes that are compared.
#[unsafe(no_mangle)]
unsafe extern "C" fn bcmp(a: *const u8, b: *const u8, len: usize) -> i32 {
    for i in 0..len {
        // SAFETY: the caller owns `len` bytes at both. Volatile, as above.
        if unsafe { a.add(i).read_volatile() != b.add(i).read_volatile() } {
            return 1;
        }
    }
    0
}

/// See [`memset`]; here a loop that looks for the end of a text.
#[unsafe(no_mangle)]
unsafe extern "C" fn strlen(text: *const u8) -> usize {
    let mut len = 0;
    // SAFETY: the caller's text is ended by NUL. Volatile, as above.
    while unsafe { text.add(len).read_volatile() } != 0 {
        len += 1;
    }
    len
}
