# Leaves one of everything that can lie in a directory.
import os
import socket

os.chdir('/tmp')
open('out.txt', 'w').write('text\n')
os.makedirs('dir/deeper')
open('dir/deeper/a.png', 'wb').write(b'\x89PNG\xff')
open('closed', 'w').write('closed')
os.chmod('closed', 0)
os.link('out.txt', 'hard')
os.symlink('/etc/passwd', 'link')
os.symlink('out.txt', 'inner')
os.symlink('/etc', 'links')
os.symlink('/proc/1/root/etc', 'magic')
os.mkfifo('fifo')
socket.socket(socket.AF_UNIX).bind('socket')
open('long', 'w').write('x' * 5000)
with open('sparse', 'w') as sparse:
    sparse.truncate(10 << 30)
try:
    os.mknod('device', 0o20666, os.makedev(1, 5))
    print('a device was made')
except OSError:
    pass
raise SystemExit(3)
