# attack: sleeps
# class: exhaustion/time
# expect: time limit
# stopped-by: wall-time
# outside: breached
# limits: wall_ms=1000
import time
time.sleep(3)
print('BREACHED: slept')
