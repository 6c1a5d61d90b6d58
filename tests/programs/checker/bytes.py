# A checker: whether the output is the answer as often as the input says, to the byte.
import sys

times, output, answer = [open(path, 'rb').read() for path in sys.argv[1:]]
print(len(output))
sys.exit(output != answer * int(times))
