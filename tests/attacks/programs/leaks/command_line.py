# attack: reads what the kernel of the host was started with, its load and its memory
# class: leaks/proc
# expect: held
# stopped-by: proc-of-processes
# outside: breached
found = []
for name in ('cmdline', 'loadavg', 'meminfo', 'locks', 'modules', 'stat', 'uptime', 'version'):
    try:
        with open('/proc/' + name) as file:
            found += [name] if file.read() else []
    except OSError:
        pass
print('BREACHED:' if found else 'held: none of them', *found)
