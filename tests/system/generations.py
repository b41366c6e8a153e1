"""A balancer and those that replace it: each has the sockets of the one before, and writes to the
same log."""

import contextlib
import os
import signal
import shutil
from pathlib import Path

from balancer import PROGRAM
from peers import eventually


def is_alive(pid):
    """Also of a process that is no child of ours."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_text(encoding="ascii")
    except (FileNotFoundError, ProcessLookupError):
        return False
    return stat.rpartition(")")[2].split()[0] != "Z"


def copy_of_program(folder):
    """One that a test may replace."""
    return Path(shutil.copy2(PROGRAM, folder / "smtplb"))


def put_there(path, content, mode=0o755):
    """Replaces a program as a package does: in one step, by a file of its own."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    fresh.chmod(mode)
    os.replace(fresh, path)


class Generations:
    def __init__(self, balancer):
        self.balancer = balancer
        self.pids = [balancer.pid]

    @property
    def pid(self):
        """Of the newest."""
        return self.pids[-1]

    def order(self, pid=None):
        """Of the newest, if it is not said of which."""
        os.kill(pid or self.pid, signal.SIGUSR2)

    def upgrade(self):
        """Returns once the new one serves alone."""
        self.order()
        done = self.balancer.wait("upgrade", len(self.pids), action="done")
        self.pids.append(int(done["pid"]))
        self.balancer.wait("ready", pid=self.pid)
        return self.pid

    def refused(self, pid=None):
        """Why it is not even tried."""
        count = len(self.balancer.find("upgrade", action="refused"))
        self.order(pid)
        return self.balancer.wait("upgrade", count + 1, action="refused")["detail"]

    def failed(self):
        """Why it was tried in vain."""
        count = len(self.balancer.find("upgrade", action="failed"))
        self.order()
        return self.balancer.wait("upgrade", count + 1, action="failed")["detail"]

    def await_end(self, pid):
        """Of one that has been replaced."""
        if pid == self.balancer.pid:
            assert self.balancer.exit_code() == 0
        eventually(lambda: not is_alive(pid))

    def reload(self, text=None):
        """What came of it, with the newest."""
        if text is not None:
            self.balancer.write(text)
        count = len(self.balancer.find("config"))
        os.kill(self.pid, signal.SIGHUP)
        eventually(lambda: len(self.balancer.find("config")) > count)
        return self.balancer.find("config")[count]["action"]

    def stop(self):
        for pid in self.pids[1:]:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
            eventually(lambda pid=pid: not is_alive(pid))
