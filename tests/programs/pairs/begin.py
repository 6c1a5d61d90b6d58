# Two programs, a sender and a receiver, try every channel at once. Time is cut into slots, one bit each: at the start
# of a slot the sender turns every channel on or off, in its middle the receiver looks at every channel. What it saw is
# compared with the bits outside. This file comes first, then the channels, then end.py.
#
# Standard input: role, time of the first slot, seconds a slot, bits, and what differs outside a container: the process
# id of the other, a file that both can read, a directory that both can write to (`-` each in a container).
import ctypes
import fcntl
import os
import signal
import socket
import struct
import sys
import threading
import time

role, first, slot, bits, other, shared, scratch = sys.stdin.read().split()
first, slot = float(first), float(slot)
inside = other == "-"
others = range(1, 100) if inside else [int(other)]
shared = "/etc/hosts" if inside else shared
scratch = "/tmp" if inside else scratch
libc = ctypes.CDLL(None, use_errno=True)
channels = []
# What a lease that somebody breaks sends to its holder.
signal.signal(signal.SIGIO, signal.SIG_IGN)


def channel(kind):
    """A class with `on` and `off` for the sender, `look` for the receiver, and `begin` for what comes before."""
    channels.append(kind())
    return kind


def call(result):
    """The result of a C function, or its error."""
    if result == -1:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return result


def syscall(number, *arguments):
    return call(libc.syscall(number, *[ctypes.c_long(a) if isinstance(a, int) else a for a in arguments]))


class Channel:
    def begin(self):
        pass

    def on(self):
        pass

    def off(self):
        pass


class Kept(Channel):
    """On for as long as something is held: `take` gives it, `drop` lets it go."""

    held = None

    def on(self):
        if self.held is None:
            self.held = self.take()

    def off(self):
        if self.held is not None:
            self.drop(self.held)
            self.held = None

    def drop(self, held):
        os.close(held)
