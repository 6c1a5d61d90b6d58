# Prints the name and content of every file that it finds where files of a job can be, and what /proc tells of processes.
import os
import sys

for top in '/code', '/tmp', '/dev/shm', '/proc':
    for place, _, names in os.walk(top):
        if top == '/proc' and not place.rsplit('/', 1)[-1].isdigit():
            continue
        for name in names:
            if top != '/proc' or name in ('cmdline', 'environ', 'mountinfo', 'maps'):
                try:
                    print(os.path.join(place, name), open(os.path.join(place, name), 'rb').read())
                except OSError:
                    pass
print(sys.argv, os.listdir('/code'))
