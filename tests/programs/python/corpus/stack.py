import inspect, sys, traceback
print(len(inspect.stack()), [frame.function for frame in inspect.stack()])
print(sys._getframe().f_back)
def deeper():
    traceback.print_stack()
deeper()
