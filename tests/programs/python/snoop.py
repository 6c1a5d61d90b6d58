# Everything in /proc that tends to name paths of the host. The mount table's fourth field is the root of each mount
# within its file system: that of a bind mount tells where it came from, and no system call outside can change it, so
# only the other fields are printed.
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
