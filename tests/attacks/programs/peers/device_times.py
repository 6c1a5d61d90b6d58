# attack: leaves a mark for later jobs in the times of a device file, which is the machine's
# class: peers/residual-channels
# expect: held
# stopped-by: read-only-devices
# outside: breached
import os
devices = [f'/dev/{name}' for name in ('null', 'zero', 'full', 'random', 'urandom', 'tty')]
marked = []
for device in devices:
    try:
        os.utime(device)
    except OSError:
        continue
    marked.append(device)
if marked:
    print('BREACHED: the times of', *marked)
else:
    print('held: no times can be set')
