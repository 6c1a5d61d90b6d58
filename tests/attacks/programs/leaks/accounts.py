# attack: reads the accounts of the host
# class: leaks/host-files
# expect: held
# stopped-by: own-root
# outside: not run, Python may not be there outside of the image
import os
with open('/etc/passwd') as file:
    accounts = [line.split(':')[0] for line in file]
# The image knows root, job and nobody, and has no id of a machine.
if len(accounts) > 3 or os.path.exists('/etc/machine-id') or os.path.exists('/etc/hostname'):
    print('BREACHED:', len(accounts), 'accounts')
else:
    print('held: only', *accounts)
