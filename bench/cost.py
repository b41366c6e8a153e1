"""What sessions with one 1 KB message each cost: CPU time, of the balancer and of all processes."""

import os
import pathlib
import subprocess
import time

from bench import child, contenders
from bench.sink import Sink

SETTLE_S = 0.05


class Relay(Sink):
    """A sink that counts what it has kept."""

    def __init__(self, folder, name, host, proxy):
        self.record = folder / f"{name}.record"
        super().__init__(host, proxy=proxy, record=self.record, name=f"{name}.test")
        self._seen = self.record.open("rb")

    def count_new(self):
        return self._seen.read().count(b"\n")

    def stop(self, timeout=5):
        self._seen.close()
        return super().stop(timeout)


def cpu_ns(pid):
    """What the process, its threads and its children have run so far."""
    total = 0
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        total += int((task / "schedstat").read_text().split()[0])
        for offspring in (task / "children").read_text().split():
            total += cpu_ns(offspring)
    return total


class Refused(Exception):
    """A measurement that does not count."""


def run_source(address, sessions, parallel):
    """Returns the seconds it took and the CPU nanoseconds of the source itself."""
    argv = [contenders.PEERS / "usr/sbin/smtp-source", "-s", parallel, "-m", sessions, "-l", 1024,
            "-M", "bench.test", "-f", "sender@bench.test", "-t", "recipient@bench.test",
            "inet:%s:%d" % address]
    started = time.monotonic()
    source = child.Child(argv, env=contenders.peer_environment(), stderr=subprocess.PIPE)
    complaint = source.process.stderr.read().decode(errors="replace").strip()
    source.process.stderr.close()
    _, status, usage = os.wait4(source.pid, 0)
    source.process.returncode = os.waitstatus_to_exitcode(status)
    if source.process.returncode != 0:
        raise Refused(f"a session failed: {complaint[-200:]}")
    return time.monotonic() - started, int((usage.ru_utime + usage.ru_stime) * 1e9)


def measure(contender, sessions, parallel):
    """CPU microseconds a session, the balancer's and in all, and the sessions a second."""
    for relay in contender.relays:
        relay.count_new()
    own = cpu_ns(contender.process.pid) if contender.process else 0
    relays = sum(cpu_ns(relay.pid) for relay in contender.relays)
    seconds, source = run_source(contender.address, sessions, parallel)
    time.sleep(SETTLE_S)  # the last sessions are closed behind the source's back
    own = cpu_ns(contender.process.pid) - own if contender.process else 0
    relays = sum(cpu_ns(relay.pid) for relay in contender.relays) - relays
    kept = sum(relay.count_new() for relay in contender.relays)
    if kept != sessions:
        raise Refused(f"{kept} messages were kept of {sessions}")
    return {
        "own_us": own / sessions / 1000,
        "all_us": (own + relays + source) / sessions / 1000,
        "sessions_per_s": sessions / seconds,
    }
