import os
import time

print("before", flush=True)
if os.fork() == 0:
    os.setsid()
    time.sleep(60)
os.wait()
