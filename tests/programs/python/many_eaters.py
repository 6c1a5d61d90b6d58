# Ten children of 20 MiB each.
import os
import time

for _ in range(10):
    if os.fork() == 0:
        x = b"x" * (20 << 20)
        time.sleep(3)
        os._exit(0)
for _ in range(10):
    os.wait()
