"""What systemd is told, by its protocol (sd_notify(3))."""

import os
import signal
import socket

import pytest
from balancer import Setup
from generations import Generations
from peers import DEADLINE, smtp
from scene import Talk


class Supervisor:
    """Hears what is told."""

    def __init__(self, name):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(name.replace("@", "\0", 1))
        self.sock.settimeout(DEADLINE)
        self.prefix = ["env", f"NOTIFY_SOCKET={name}"]

    def heard(self):
        """The next message's assignments."""
        return dict(line.split("=", 1) for line in self.sock.recv(4096).decode().splitlines())

    def close(self):
        self.sock.close()


@pytest.fixture(name="supervisor", params=["path", "abstract"])
def fixture_supervisor(request, tmp_path):
    name = str(tmp_path / "notify") if request.param == "path" else f"@smtplb-{tmp_path}"
    made = Supervisor(name)
    yield made
    made.close()


def test_its_life(start, relay, supervisor):
    setup = Setup([relay()])
    balancer = start(setup, prefix=supervisor.prefix)
    assert supervisor.heard() == {"READY": "1", "STATUS": "Serving"}
    for text in (setup.text(), "nonsense"):
        balancer.reload(text)
        reloading = supervisor.heard()
        assert reloading["RELOADING"] == "1" and int(reloading["MONOTONIC_USEC"]) > 0
        assert supervisor.heard()["READY"] == "1"
    talk = Talk(setup)
    talk.begin()
    balancer.signal(signal.SIGTERM)
    assert supervisor.heard() == {"STOPPING": "1", "STATUS": "Sessions finish"}
    balancer.signal(signal.SIGTERM)
    assert supervisor.heard() == {"STOPPING": "1", "STATUS": "Sessions are cut"}
    talk.close()


def test_an_upgrade(start, relay, supervisor):
    """By the old process, which is the one that systemd believes; then by the new one."""
    setup = Setup([relay()], top="drain_timeout = 100ms")
    mine = Generations(start(setup, prefix=supervisor.prefix))
    talk = Talk(setup)
    talk.begin()
    try:
        supervisor.heard()
        mine.upgrade()
        mine.balancer.wait("stopping", how="gracefully")  # the old one, which is not the service
        assert supervisor.heard() == {
            "MAINPID": str(mine.pid), "READY": "1", "STATUS": "Serving"}
        mine.await_end(mine.balancer.pid)
        os.kill(mine.pid, signal.SIGHUP)
        assert supervisor.heard()["RELOADING"] == "1"
        assert supervisor.heard()["READY"] == "1"
    finally:
        mine.stop()
        talk.close()
    assert supervisor.heard()["STOPPING"] == "1"


@pytest.mark.parametrize("name", ["", "relative", "/" + "x" * 200, "/there/is/none", "@nobody"])
def test_nobody_to_tell(start, relay, name):
    setup = Setup([relay(smtp())])
    start(setup, prefix=["env", f"NOTIFY_SOCKET={name}"])
    assert setup.greeting() == b"220 relay ESMTP"
