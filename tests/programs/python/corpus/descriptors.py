# Asked one by one: a listing would open one itself.
import os, stat
for fd in range(64):
    try:
        print(fd, stat.S_IFMT(os.fstat(fd).st_mode), os.get_inheritable(fd))
    except OSError:
        pass
print(sorted(os.environ.items()))
