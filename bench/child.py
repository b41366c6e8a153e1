"""Child processes that never outlive us.

Each is started through setpriv(1), which has the kernel kill it when the thread that started it
ends, however that happens: start children from the main thread.
"""

import os
import pathlib
import signal
import socket
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent


def build_folder():
    """Where the binaries of the variant under test are."""
    return ROOT / os.environ.get("SMTPLB_BUILD", "build")


class Child:
    """One process, stopped at the end of a `with`."""

    def __init__(self, argv, **popen):
        argv = [str(arg) for arg in argv]
        popen.setdefault("stdin", subprocess.DEVNULL)
        self.process = subprocess.Popen(
            ["setpriv", "--pdeathsig", "KILL", "--", *argv], **popen
        )

    @property
    def pid(self):
        return self.process.pid

    def signal(self, number):
        self.process.send_signal(number)

    def kill(self):
        """As a crash would: nothing is flushed, sockets are gone at once."""
        self.process.kill()
        self.process.wait()

    def stop(self, timeout=5):
        """Asks with TERM, then insists. Returns the exit status."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGTERM)
            try:
                self.process.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        return self.process.returncode

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()


def free_port(*hosts):
    """A port that nobody listens on at any of the hosts just now."""
    for _ in range(100):
        with socket.socket() as first:
            first.bind((hosts[0], 0))
            port = first.getsockname()[1]
            if all(is_free(host, port) for host in hosts[1:]):
                return port
    raise OSError(f"no port is free on all of {', '.join(hosts)}")


def is_free(host, port):
    with socket.socket() as probe:
        try:
            probe.bind((host, port))
        except OSError:
            return False
        return True
