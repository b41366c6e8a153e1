"""How many system calls a process makes, told by strace(1), which slows it down: nothing else is
measured meanwhile."""

import collections
import os
import pathlib
import signal
import subprocess
import tempfile

from bench import child


def family(pid):
    """The process and its children."""
    pids = [pid]
    for task in pathlib.Path(f"/proc/{pid}/task").iterdir():
        for offspring in (task / "children").read_text().split():
            pids += family(int(offspring))
    return pids


def parse(summary):
    """Counts by name, of what `strace -c` has written."""
    counts = collections.Counter()
    for line in summary.splitlines():
        words = line.split()
        if len(words) >= 5 and words[3].isdigit() and words[-1] != "total":
            counts[words[-1]] += int(words[3])
    return counts


def count(contender, run):
    pids = family(contender.process.pid)
    with tempfile.TemporaryDirectory(prefix="smtplb-strace-") as folder:
        summary = os.path.join(folder, "summary")
        argv = ["strace", "-c", "-f", "-o", summary]
        for pid in pids:
            argv += ["-p", pid]
        with child.Child(argv, stderr=subprocess.PIPE, text=True) as tracer:
            for _ in pids:  # each is told of once it is attached
                tracer.process.stderr.readline()
            run()
            tracer.signal(signal.SIGINT)
            tracer.process.stderr.read()
            tracer.process.wait()
            tracer.process.stderr.close()
        with open(summary, encoding="utf-8") as file:
            return parse(file.read())
