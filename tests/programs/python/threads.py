import threading

stop = threading.Event()
threads = []
try:
    while len(threads) < 500:
        thread = threading.Thread(target=stop.wait)
        thread.start()
        threads.append(thread)
except RuntimeError:
    pass
print(len(threads))
stop.set()
