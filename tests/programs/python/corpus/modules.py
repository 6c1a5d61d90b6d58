import sys
print(sorted(sys.modules))
print(sorted(vars(sys.modules['__main__'])))
