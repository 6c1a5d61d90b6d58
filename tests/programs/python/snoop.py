# What tends to name paths of the host. The fourth field of the mount table, the root of a bind mount within its file
# system, is left out: what a program may learn of it is for the tests of isolation to say.
import os

for line in open("/proc/self/mountinfo"):
    fields = line.split()
    print(fields[4:6], fields[fields.index("-") + 1 :][:1])
for name in ("cmdline", "environ", "cgroup", "maps"):
    try:
        print(name, open(f"/proc/self/{name}", errors="replace").read())
    except OSError as error:
        print(name, error)
print(os.uname().nodename)
raise RuntimeError("with a traceback")
