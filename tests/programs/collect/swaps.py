# Ends, and leaves a child that turns a file into a link and back without pause.
import os

os.chdir('/tmp')
os.mkdir('dir')
for name in ('out', 'dir/out'):
    open(name, 'w').write('own')
ready, told = os.pipe()
if os.fork() == 0:
    os.setsid()
    os.symlink('/etc/passwd', 'link')
    os.symlink('/etc', 'etc')
    os.write(told, b'.')
    while True:
        for one, other in (('link', 'out'), ('etc', 'dir')):
            os.rename(one, 'away')
            os.rename(other, one)
            os.rename('away', other)
os.read(ready, 1)
