# attack: prints NUL and bytes that are no UTF-8, without any line end
# class: exhaustion/output
# expect: output limit
# stopped-by: output
# outside: breached
# limits: output_bytes=65536
import os
for _ in range(64):
    os.write(1, b'\0\xff' * 16384)
os.write(1, b'\nBREACHED: all of it was taken\n')
