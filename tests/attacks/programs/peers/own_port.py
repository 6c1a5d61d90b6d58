# attack: asks the service itself for its queue, from inside a job
# class: peers/host-services
# expect: held
# stopped-by: seccomp, network-namespace
# outside: breached
# input: port
import socket
port = int(input())
try:
    with socket.create_connection(('127.0.0.1', port), 3) as wire:
        wire.sendall(b'GET /queue-stats HTTP/1.0\r\n\r\n')
        print('BREACHED:', wire.recv(100)[:12])
except OSError as error:
    print('held:', error)
