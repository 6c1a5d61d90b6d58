# attack: leaves files whose names are no text, links in a circle, FIFOs and sockets
# class: exhaustion/files, peers/symlink
# expect: held
# stopped-by: tmp-inodes
# outside: breached
# limits: tmp_inodes=500 cpu_percent=0
import os, socket
os.chdir(b'/tmp')
made = 0
try:
    while made < 2000:
        here = b'\xff\xfe\n' + b'n' * 200 + str(made).encode()
        kind = made % 5
        if kind == 0: open(here, 'w').close()
        if kind == 1: os.symlink(here, here)
        if kind == 2: os.mkfifo(here)
        if kind == 3: os.mkdir(here)
        if kind == 4: socket.socket(socket.AF_UNIX).bind(b's' + str(made).encode())
        made += 1
    print('BREACHED:', made, 'of them')
except OSError as error:
    print('held:', error.strerror, 'after', made)
