# attack: asks for the name of the host
# class: leaks/host-name
# expect: held
# stopped-by: uts-namespace
# outside: breached
import os
name = os.uname().nodename
print('held: no name' if name == 'casemate' else 'BREACHED: this is ' + name)
