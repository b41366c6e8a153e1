"""tests/lab/contain leaves nothing behind, whatever ends it."""

import os
import signal
import subprocess
import time
from pathlib import Path

import pytest

CONTAIN = Path(__file__).resolve().parents[1] / "lab" / "contain"

# What the lab makes: links, a second network namespace, a mount, and a daemon that left its parent.
INSIDE = """
ip link add lab-test-a type veth peer name lab-test-b
ip link add lab-test type bridge
ip link set lab-test-a master lab-test
mount -t tmpfs lab-test /mnt
setsid sh -c 'trap "" HUP INT TERM; while :; do sleep 60; done' >/dev/null &
unshare --net sleep 3600 >/dev/null &
until [ "$(readlink /proc/$!/ns/net)" != "$(readlink /proc/self/ns/net)" ]; do sleep 0.1; done
echo ready
wait
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="needs root for namespaces")


def processes():
    """The network namespace of every process of the machine, by its id."""
    found = {}
    for entry in os.listdir("/proc"):
        try:
            if entry.isdigit():
                found[int(entry)] = os.readlink(f"/proc/{entry}/ns/net")
        except OSError:  # it has just ended
            continue
    return found


def descendants(parent):
    """All processes below one, daemons included: they stay in its process namespace."""
    found = {parent}
    grown = True
    while grown:
        grown = False
        for pid in processes():
            try:
                fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rsplit(")", 1)[1]
            except OSError:
                continue
            if int(fields.split()[1]) in found and pid not in found:
                found.add(pid)
                grown = True
    return found - {parent}


def traces():
    mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8")
    links = subprocess.run(["ip", "-o", "link"], stdout=subprocess.PIPE, check=True, text=True)
    return "lab-test" in mounts or "lab-test" in links.stdout


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
def test_nothing_is_left(number):
    # Whoever runs the tests may ignore a signal (nohup), and a shell can't undo that.
    argv = ["env", "--default-signal=HUP,INT,TERM", CONTAIN, "sh", "-c", INSIDE]
    lab = subprocess.Popen(argv, stdout=subprocess.PIPE, text=True)
    try:
        assert lab.stdout.readline() == "ready\n"
        inside = descendants(lab.pid)
        assert len(inside) >= 5
        home = os.readlink("/proc/self/ns/net")
        spaces = {space for pid, space in processes().items() if pid in inside} - {home}
        assert len(spaces) == 2
        assert not traces()
        lab.send_signal(number)
        assert lab.wait(10) == -number
    finally:
        lab.kill()
        lab.stdout.close()
    deadline = time.monotonic() + 10
    while left := {pid for pid, space in processes().items() if pid in inside or space in spaces}:
        if time.monotonic() > deadline:
            for pid in left:
                os.kill(pid, signal.SIGKILL)
            pytest.fail(f"left behind: {left}")
        time.sleep(0.02)
    assert not traces()
