"""What load costs: CPU time, of the balancer and of all that has to do with it."""

import contextlib
import json
import os
import subprocess
import time

from bench import child, contenders
from bench.machine import awake_ns, cpu_ns

SETTLE_S = 0.05


class Refused(Exception):
    """A measurement that does not count."""


class Load(child.Child):
    """The load generator (bench/load_main.c) on its way to a contender."""

    def __init__(self, contender, prefix=(), **options):
        argv = [*contender.inside, *prefix, child.build_folder() / "load",
                "--to", "%s:%d" % contender.address]
        for name, value in options.items():
            argv += [f"--{name}"] if value is True else [f"--{name}", value]
        super().__init__(argv, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                         stderr=subprocess.PIPE, text=True)

    def wait_until_all_stay(self):
        line = self.process.stdout.readline()
        if line != "ready\n":
            raise Refused(f"sessions could not be held: {line}")

    def result(self):
        """Ends what goes on, and returns what it was."""
        line, complaint = self.process.communicate()
        if self.process.returncode != 0:
            raise Refused(complaint.strip()[-200:])
        result = json.loads(line.splitlines()[-1])
        if result["failed"]:
            raise Refused(f"{result['failed']} of {result['sessions']} sessions failed, "
                          f"the first one {result['why']}")
        return result


def run_load(contender, prefix=(), **options):
    with Load(contender, prefix, **options) as load:
        return load.result()


def run_source(contender, prefix, sessions, parallel):
    """The same with Postfix's smtp-source: messages of 1 KB, each in a session of its own."""
    argv = [*prefix, contenders.PEERS / "usr/sbin/smtp-source", "-s", parallel, "-m", sessions,
            "-l", 1024, "-M", "bench.test", "-f", "sender@bench.test", "-t", "recipient@bench.test",
            "inet:%s:%d" % contender.address]
    started = time.monotonic()
    source = child.Child(argv, env=contenders.peer_environment(), stderr=subprocess.PIPE)
    complaint = source.process.stderr.read().decode(errors="replace").strip()
    source.process.stderr.close()
    _, status, usage = os.wait4(source.pid, 0)
    source.process.returncode = os.waitstatus_to_exitcode(status)
    if source.process.returncode != 0:
        raise Refused(f"a session failed: {complaint[-200:]}")
    return {"seconds": time.monotonic() - started, "messages": sessions, "sessions": sessions,
            "cpu_ns": int((usage.ru_utime + usage.ru_stime) * 1e9)}


def count_kept(relays):
    """Messages so far; None of relays that do not count."""
    return sum(relay.kept() for relay in relays) if hasattr(relays[0], "kept") else None


def busiest(before, after, seconds):
    """The share of the time in which the busiest thread did not sleep."""
    return max(ns - before.get(thread, 0) for thread, ns in after.items()) / 1e9 / seconds


def measure(contender, run):
    """Runs the load, run(contender), and adds to its result the CPU nanoseconds of the balancer
    (own_ns), of the relays (relays_ns) and of everything (all_ns); and which share of the time the
    balancer's busiest thread did not sleep (busy)."""
    relays = contender.relays
    kept = count_kept(relays)
    before = [cpu_ns(contender.process.pid) if contender.process else 0,
              sum(cpu_ns(relay.pid) for relay in relays)]
    awake = awake_ns(contender.process.pid) if contender.process else {}
    result = run(contender)
    if contender.process:
        result["busy"] = busiest(awake, awake_ns(contender.process.pid), result["seconds"])
    time.sleep(SETTLE_S)  # the last sessions are closed behind the load's back
    own = cpu_ns(contender.process.pid) - before[0] if contender.process else 0
    spent = sum(cpu_ns(relay.pid) for relay in relays) - before[1]
    if kept is not None and count_kept(relays) - kept != result["messages"]:
        raise Refused(f"{count_kept(relays) - kept} messages were kept of {result['messages']}")
    return {**result, "own_ns": own, "relays_ns": spent,
            "all_ns": own + spent + result["cpu_ns"]}


class SmtpSink(child.Child):
    """Postfix's smtp-sink as a relay. It counts nothing, and knows no PROXY protocol."""

    def __init__(self, host, prefix=()):
        self.smtp = (host, child.free_port(host))
        user = ("-u", "root") if os.geteuid() == 0 else ()  # or it refuses to be root
        super().__init__([*prefix, contenders.PEERS / "usr/sbin/smtp-sink", *user,
                          "inet:%s:%d" % self.smtp, 1024],
                         env=contenders.peer_environment(), stderr=subprocess.DEVNULL)
        with contextlib.ExitStack() as on_error:
            on_error.callback(self.stop)
            if not contenders.is_listening(self, self.smtp[1], host):
                raise OSError("smtp-sink does not listen")
            on_error.pop_all()
