# attack: looks for processes of others, to signal or to read them
# class: peers/one-uid, leaks/proc
# expect: held
# stopped-by: pid-namespace
# outside: breached
import os
mine, others = os.getpid(), []
for name in os.listdir('/proc'):
    if name.isdigit() and int(name) not in (1, mine):
        others.append(name)
with open('/proc/1/cmdline', 'rb') as file:
    first = file.read()
if others or b'init' not in first.split(b'\0')[0]:
    print('BREACHED:', len(others), 'others, process 1 is', first[:40])
else:
    print('held: only the init and this')
