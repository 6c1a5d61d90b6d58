# Processor seconds that three seconds of spinning get.
import time

end = time.time() + 3
while time.time() < end:
    pass
print(time.process_time())
