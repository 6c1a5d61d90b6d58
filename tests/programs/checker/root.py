# A checker: whether the output is a root of the input. Some outputs make it fail.
import os
import sys

n, output, answer = [open(path).read().strip() for path in sys.argv[1:]]
if output == 'crash':
    os.abort()
while output == 'hang':
    pass
while output == 'flood':
    print('all work and no play makes jack a dull boy')
if output in ('dirt', 'eof'):
    sys.exit(4 if output == 'dirt' else 8)
if output == 'status':
    print('cannot judge', file=sys.stderr)
    sys.exit(7)
if not output.lstrip('-').isdigit():
    print('no number:', output)
    sys.exit(2)
if int(output) ** 2 != int(n):
    print(output, 'is no root of', n + ',', 'but', answer, 'is')
    sys.exit(1)
