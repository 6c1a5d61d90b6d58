# The schedule. A line for each channel: its name, then what was seen in each slot, or for the sender the first error.
import json

seen = {type(c).__name__: [] for c in channels}
late = 0.0


def attempt(name, action):
    try:
        value = action()
    except OSError as error:
        value = f"{os.strerror(error.errno)}"
    except (AttributeError, ValueError) as error:
        value = f"{error}"
    seen[name].append(value)


def until(moment):
    global late
    wait = moment - time.time()
    late = max(late, -wait)
    if wait > 0:
        time.sleep(wait)


for c in channels:
    if role == "receive":
        try:
            c.begin()
        except (OSError, AttributeError, ValueError):
            pass  # Then looking fails too, and that is seen.
until(first)
for number, bit in enumerate(bits):
    start = first + number * slot
    until(start if role == "send" else start + slot * 0.6)
    for c in channels:
        name = type(c).__name__
        if role == "send":
            attempt(name, c.on if bit == "1" else c.off)
        else:
            attempt(name, c.look)
    # Late when this ended after the moment at which the other begins.
    late = max(late, time.time() - (start + slot * (0.6 if role == "send" else 1.0)))
until(first + len(bits) * slot)
if role == "send":
    seen = {name: sorted({v for v in values if isinstance(v, str)}) for name, values in seen.items()}
print(json.dumps({"late": late, "seen": seen}))
sys.stdout.flush()
os._exit(0)
