import atexit, sys
atexit.register(lambda: print('last'))
atexit.register(lambda: 1 / 0)
class Late:
    def __del__(self):
        print('collected')
late = Late()
sys.excepthook = lambda *what: print('hook', what[0].__name__)
raise OSError
