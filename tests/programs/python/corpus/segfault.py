import faulthandler
faulthandler.enable()
import ctypes
ctypes.string_at(0)
