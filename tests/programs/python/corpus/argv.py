import sys
print(sys.argv, sys.path, sys.flags, sys.executable, sys.prefix)
print(__name__, __doc__, __package__, __spec__, type(__loader__), '__file__' in globals())
