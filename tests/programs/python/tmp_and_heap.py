# 55 MiB in /tmp and 70 MiB of heap: each alone fits into 100 MiB.
print("before", flush=True)
with open("/tmp/big", "wb") as file:
    for _ in range(55):
        file.write(b"x" * (1 << 20))
heap = b"x" * (70 << 20)
print("after")
