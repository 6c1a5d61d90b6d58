import sys
print(repr(input()), repr(sys.stdin.readline()), repr(sys.stdin.buffer.read()))
print(sys.stdin, sys.stdout, sys.stderr)
input()
