# One MiB a file, so that the limit of a single file is not what is met.
n = 0
try:
    for n in range(80):
        with open(f"/tmp/{n}", "wb", buffering=0) as file:
            written = 0
            while written < 1 << 20:
                written += file.write(b"x" * ((1 << 20) - written))
except OSError:
    print("refused after", n)
