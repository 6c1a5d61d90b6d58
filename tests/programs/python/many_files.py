n = 0
try:
    while n < 10000:
        open(f"/tmp/{n}", "w").close()
        n += 1
except OSError:
    pass
print(n)
