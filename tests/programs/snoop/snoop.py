# Says what it has itself, then becomes the program that says the rest. That one comes on standard input, in hexadecimal.
import os
import sys

for number in sorted(os.listdir("/proc/self/fd"), key=int):
    try:
        print("interpreter:", number, os.readlink(f"/proc/self/fd/{number}"))
    except FileNotFoundError:
        pass
for line in open("/proc/self/maps"):
    if len(line.split()) > 5:
        print("interpreter: map", line.split(maxsplit=5)[5].strip())
for line in open("/proc/self/cmdline").read().split("\0"):
    print("interpreter: argument", line[:60].split("\n")[0])
for name in sorted(os.environ):
    print("interpreter: variable", name)
for name in sorted(sys.modules["__main__"].__dict__):
    print("interpreter: name", name)
print("interpreter: path", sys.path, sys.argv, sys.flags)
sys.stdout.flush()
with open("/tmp/snoop", "wb") as file:
    file.write(bytes.fromhex(sys.stdin.read()))
os.chmod("/tmp/snoop", 0o700)
os.execv("/tmp/snoop", ["snoop"])
