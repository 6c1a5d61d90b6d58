# Things with a name of their own, outside every file system. Stopped by the ipc and network namespaces; keys by the
# filter, since a keyring belongs to a user.
KEY = 0x63617365
IPC_CREAT, IPC_RMID = 0o1000, 0


class SystemV(Kept):
    def take(self):
        return call(self.get(IPC_CREAT | 0o666))

    def look(self):
        return int(self.get(0) != -1)


@channel
class system_v_memory(SystemV):
    def get(self, flags):
        return libc.shmget(KEY, 4096, flags)

    def drop(self, held):
        call(libc.shmctl(held, IPC_RMID, None))


@channel
class system_v_semaphores(SystemV):
    def get(self, flags):
        return libc.semget(KEY, 1, flags)

    def drop(self, held):
        call(libc.semctl(held, 0, IPC_RMID, 0))


@channel
class system_v_queue(SystemV):
    def get(self, flags):
        return libc.msgget(KEY, flags)

    def drop(self, held):
        call(libc.msgctl(held, IPC_RMID, None))


@channel
class posix_queue(Kept):
    def take(self):
        return syscall(240, b"casemate-pair", os.O_RDWR | os.O_CREAT, 0o666, 0)

    def drop(self, held):
        os.close(held)
        syscall(241, b"casemate-pair")

    def look(self):
        try:
            os.close(syscall(240, b"casemate-pair", os.O_RDONLY, 0, 0))
            return 1
        except FileNotFoundError:
            return 0


@channel
class posix_shared_memory(Kept):
    path = "/dev/shm/casemate-pair"

    def take(self):
        return os.open(self.path, os.O_RDWR | os.O_CREAT, 0o666)

    def drop(self, held):
        os.close(held)
        os.unlink(self.path)

    def look(self):
        return int(os.path.exists(self.path))


@channel
class a_key(Kept):
    """add_key into the user's own keyring, request_key by its name."""

    def take(self):
        return syscall(248, b"user", b"casemate-pair", b"x", 1, -4)

    def drop(self, held):
        syscall(250, 9, held, -4)  # KEYCTL_UNLINK

    def look(self):
        try:
            syscall(249, b"user", b"casemate-pair", 0, 0)
            return 1
        except OSError as error:
            # ENOKEY, EKEYREVOKED, EKEYEXPIRED: looked for and not found.
            if error.errno in (126, 127, 128):
                return 0
            raise
