# attack: waits for input that nobody sends
# class: exhaustion/time
# expect: time limit
# stopped-by: wall-time
# outside: breached
# limits: wall_ms=1000
import os, threading
ends = os.pipe()
threading.Timer(3, lambda: os.write(ends[1], b'x')).start()
os.read(ends[0], 1)
print('BREACHED: somebody sent something')
