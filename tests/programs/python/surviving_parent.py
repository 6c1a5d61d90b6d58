import os

if os.fork() == 0:
    x = b"x" * (200 << 20)
    os._exit(0)
os.wait()
print("alive", flush=True)
os._exit(0)
