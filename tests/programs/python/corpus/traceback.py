def a(x):
    return b(x)
def b(x):
    return 1 / x
try:
    a(0)
except ZeroDivisionError:
    import traceback
    traceback.print_exc()
raise ValueError('größer\n\tals nötig') from KeyError('k')
