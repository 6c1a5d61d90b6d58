"""Becomes the program of its other arguments under a filter that refuses it one thing: `seccomp`, filters of its own,
`remount`, making a mount read-only, `clone`, a process in new namespaces, or all of another call; one with `!` behind it ends the
process that makes it. Needs root."""

import ctypes
import os
import platform
import struct
import sys

ARM = platform.machine() == "aarch64"
NUMBERS = {
    "seccomp": 277 if ARM else 317,
    "remount": 40 if ARM else 165,
    "mount": 40 if ARM else 165,
    "unshare": 97 if ARM else 272,
    "pivot_root": 41 if ARM else 155,
    "clone": 220 if ARM else 56,
}
# MS_BIND | MS_REMOUNT | MS_RDONLY, all three of them (mount(2)).
READ_ONLY = 4096 | 32 | 1
# The namespaces among the flags of clone(2).
NAMESPACES = 0x7E020000
LOAD, EQUAL, ANY, AND, RETURN = 0x20, 0x15, 0x45, 0x54, 0x06
ALLOW, EPERM, KILL = 0x7FFF0000, 0x00050001, 0x80000000

what, program = sys.argv[1].rstrip("!"), sys.argv[2:]
REFUSE = KILL if sys.argv[1] != what else EPERM
# seccomp_data: the number at 0, the arguments from 16 on, each of 64 bits.
code = [(LOAD, 0, 0, 0), (EQUAL, 0, 1, NUMBERS[what]), (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)]
if what == "remount":
    flags = [(LOAD, 0, 0, 16 + 3 * 8), (AND, 0, 0, READ_ONLY), (EQUAL, 0, 1, READ_ONLY)]
    code = [(LOAD, 0, 0, 0), (EQUAL, 0, 4, NUMBERS[what]), *flags, (RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)]
elif what == "clone":
    code = [(LOAD, 0, 0, 0), (EQUAL, 0, 3, NUMBERS[what]), (LOAD, 0, 0, 16), (ANY, 0, 1, NAMESPACES)]
    code += [(RETURN, 0, 0, REFUSE), (RETURN, 0, 0, ALLOW)]
text = b"".join(struct.pack("HBBI", *one) for one in code)
buffer = ctypes.create_string_buffer(text)
filter = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(code), ctypes.addressof(buffer)))
if ctypes.CDLL(None, use_errno=True).prctl(22, 2, filter, 0, 0) != 0:  # PR_SET_SECCOMP, SECCOMP_MODE_FILTER
    sys.exit(f"the filter cannot be set: {os.strerror(ctypes.get_errno())}")
os.execv(program[0], program)
