import os

for n in range(500):
    os.write(1, b"out %d\n" % n)
    os.write(2, b"err %d\n" % n)
