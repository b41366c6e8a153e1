"""Faults to order: a balancer whose n-th call of a function fails, by fault_shim.c."""

import errno
import mmap
import struct
import subprocess
from pathlib import Path

# As fault_shim.c has them, in its order; with what each may plausibly fail.
FUNCTIONS = {
    "memory": ["ENOMEM"],
    "socket": ["EMFILE", "ENOBUFS"],
    "bind": ["EADDRINUSE", "EACCES"],
    "listen": ["EADDRINUSE"],
    "accept4": ["EMFILE", "ENFILE", "ENOMEM", "ECONNABORTED", "EINTR", "EPERM", "EINVAL"],
    "connect": ["EADDRNOTAVAIL", "EAGAIN", "ENETUNREACH", "EPERM"],
    "getsockname": ["ENOBUFS"],
    "getpeername": ["ENOTCONN"],
    "getsockopt": ["ENOBUFS"],
    "setsockopt": ["ENOMEM", "EINVAL"],
    "read": ["EIO", "EINTR"],
    "write": ["ENOSPC", "EINTR", "EPIPE"],
    "recv": ["ECONNRESET", "ETIMEDOUT", "ENOMEM", "EINTR", "EAGAIN"],
    "send": ["ECONNRESET", "EPIPE", "ENOBUFS", "EINTR", "EAGAIN"],
    "shutdown": [],  # fails only where there is no connection any more
    "epoll_create1": ["EMFILE"],
    "epoll_ctl": ["ENOMEM", "ENOSPC"],
    "epoll_wait": ["EINTR"],
    "eventfd": ["EMFILE"],
    "fcntl": ["EINVAL"],
    "open": ["EMFILE", "EACCES"],
    "fopen": ["EMFILE", "ENOMEM"],
    "fstat": ["EIO"],
    "stat": ["EACCES"],
    "getrandom": ["ENOSYS"],
    "pthread_create": ["EAGAIN"],
    "poll": ["ENOMEM", "EINTR"],
    "fork": ["EAGAIN"],
    "pipe2": ["EMFILE"],
    "memfd_create": ["EMFILE"],
    "mmap": ["ENOMEM"],
    # Of an upgrade.
    "socketpair": [],
    "clone": [],
    "sendmsg": ["ECONNRESET", "EPIPE", "EINTR"],
    # Of a socket in the file system.
    "lstat": ["EACCES"],
    "fchmod": ["EPERM"],
    "chmod": ["EPERM"],
    "unlink": ["EACCES"],
    # Of the one who drops root's powers.
    "getpwnam": [],
    "prctl": [],
    "initgroups": [],
    "setresgid": [],
    "setresuid": [],
    "capset": [],
}
NAMES = list(FUNCTIONS)
HEAD = struct.Struct("=iiQQQQ")  # armed, error, first, last, seen, failed
FOREVER = (1 << 63) - 1


def build(folder):
    """Compiles the shim into the folder, and returns the library."""
    source = Path(__file__).with_name("fault_shim.c")
    library = Path(folder) / "fault_shim.so"
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror", "-D_GNU_SOURCE"]
    subprocess.run(["gcc", *flags, "-o", library, source], check=True)
    return library


class Faults:
    """The faults of one process: prefix its command with `prefix`, then `arm`."""

    def __init__(self, library, folder):
        path = Path(folder) / "faults"
        size = HEAD.size + 8 * len(NAMES)
        path.write_bytes(bytes(size))
        with path.open("r+b") as file:
            self.map = mmap.mmap(file.fileno(), size)
        self.disarm()
        self.prefix = ["env", f"LD_PRELOAD={library}", f"FAULT_SHIM={path}"]

    def disarm(self):
        self.map[0:4] = struct.pack("=i", -1)

    def arm(self, function, error, first=1, last=None):
        """From now on the calls numbered first to last (first, if not given) fail; error: None for
        none that errno tells of."""
        self.disarm()
        number = NAMES.index(function)
        last = first if last is None else last
        self.map[: HEAD.size] = HEAD.pack(-1, getattr(errno, error or "", 0), first, last, 0, 0)
        self.map[0:4] = struct.pack("=i", number)

    def change_error(self, error):
        """What is armed fails otherwise from now on."""
        self.map[4:8] = struct.pack("=i", getattr(errno, error))

    def failed(self):
        """How many calls have failed since the arming."""
        return HEAD.unpack(self.map[: HEAD.size])[5]

    def calls(self, function):
        """How often it was called in all."""
        at = HEAD.size + 8 * NAMES.index(function)
        return struct.unpack("=Q", self.map[at : at + 8])[0]

    def all_calls(self):
        return {name: self.calls(name) for name in NAMES}
