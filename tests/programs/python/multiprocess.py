import os

# A pool needs POSIX semaphores; pipes and fork are what a small machine surely has.
results = []
for n in (1, 2, 3):
    read, write = os.pipe()
    if os.fork() == 0:
        os.write(write, str(n * n).encode())
        os._exit(0)
    os.close(write)
    results.append(int(os.read(read, 10)))
    os.wait()
print(results)
