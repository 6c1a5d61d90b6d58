# How many fit, the three streams and what the interpreter has included, and the error beyond.
files = []
try:
    while True:
        files.append(open("/dev/null"))
except OSError as error:
    print(files[-1].fileno() + 1, error.errno)
