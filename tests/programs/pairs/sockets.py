# Addresses that one binds and the other finds taken, or listening. Stopped by the network namespace; families other than
# AF_UNIX also by the filter.
# The ports are below those that the kernel gives to whoever asks for any (ip_local_port_range): nobody else has them.


class Bound(Kept):
    def take(self):
        taken = socket.socket(self.family, self.kind, self.protocol)
        taken.bind(self.address)
        return taken

    def drop(self, held):
        held.close()

    def look(self):
        probe = socket.socket(self.family, self.kind, self.protocol)
        try:
            probe.bind(self.address)
            return 0
        except OSError as error:
            if error.errno == 98:  # EADDRINUSE
                return 1
            raise
        finally:
            probe.close()


@channel
class abstract_socket(Bound):
    family, kind, protocol, address = socket.AF_UNIX, socket.SOCK_STREAM, 0, "\0casemate-pair"


@channel
class path_socket(Bound):
    family, kind, protocol, address = socket.AF_UNIX, socket.SOCK_STREAM, 0, scratch + "/pair.socket"

    def drop(self, held):
        held.close()
        os.unlink(self.address)

    def look(self):
        return int(os.path.exists(self.address))


@channel
class tcp_on_the_loopback(Bound):
    family, kind, protocol, address = socket.AF_INET, socket.SOCK_STREAM, 0, ("127.0.0.1", 24174)


@channel
class udp_on_the_loopback(Bound):
    family, kind, protocol, address = socket.AF_INET6, socket.SOCK_DGRAM, 0, ("::1", 24174)


@channel
class vsock(Bound):
    family, kind, protocol, address = 40, socket.SOCK_STREAM, 0, (0xFFFFFFFF, 24174)


@channel
class netlink(Bound):
    family, kind, protocol, address = 16, socket.SOCK_RAW, 2, (4711, 0)  # NETLINK_USERSOCK
