# attack: fills the heap of Python
# class: exhaustion/memory
# expect: memory limit
# stopped-by: memory
# outside: breached
# limits: memory_mib=48
whole = [bytes([n]) * (1 << 20) for n in range(96)]
print('BREACHED:', len(whole), 'MiB')
