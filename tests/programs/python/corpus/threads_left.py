import threading, time
def work():
    time.sleep(0.1)
    print('thread done')
threading.Thread(target=work).start()
threading.Thread(target=lambda: 1 / 0, name='bad').start()
time.sleep(0.05)
print(threading.current_thread(), threading.active_count())
