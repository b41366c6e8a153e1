"""A network namespace of a test's own, for what loopback can't show: addresses that come and go, no
IPv6, few ports. Needs root."""

import contextlib
import ctypes
import os
import subprocess

LIBC = ctypes.CDLL(None, use_errno=True)
CLONE_NEWNET = 0x40000000  # setns(2)


class Namespace:
    """Lives as long as the process that holds it open. Loopback is up."""

    def __init__(self):
        self.holder = subprocess.Popen(["unshare", "-n", "cat"], stdin=subprocess.PIPE)
        self.prefix = ["nsenter", "-t", str(self.holder.pid), "-n"]
        self.outside = os.open("/proc/self/ns/net", os.O_RDONLY)
        while self._is_outside():
            pass
        self.inside = os.open(f"/proc/{self.holder.pid}/ns/net", os.O_RDONLY)
        self.run("ip", "link", "set", "lo", "up")

    def _is_outside(self):
        return os.readlink(f"/proc/{self.holder.pid}/ns/net") == os.readlink("/proc/self/ns/net")

    def run(self, *command):
        subprocess.run([*self.prefix, *command], check=True)

    def has_route(self, host):
        command = [*self.prefix, "ip", "route", "get", host]
        return subprocess.run(command, capture_output=True, check=False).returncode == 0

    def set(self, name, value):
        """A setting below /proc/sys/net, which shows the namespace of who looks."""
        self.run("sh", "-c", f"echo {value} > /proc/sys/net/{name}")

    @contextlib.contextmanager
    def entered(self):
        """Sockets that this thread makes in the block are the namespace's, for ever."""
        assert LIBC.setns(self.inside, CLONE_NEWNET) == 0, os.strerror(ctypes.get_errno())
        try:
            yield
        finally:
            assert LIBC.setns(self.outside, CLONE_NEWNET) == 0

    def close(self):
        os.close(self.inside)
        os.close(self.outside)
        self.holder.stdin.close()
        self.holder.wait()
