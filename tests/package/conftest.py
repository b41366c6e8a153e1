"""Fixtures: a root with the package, and two relays on the loopback."""

import smtplib
import subprocess
import sys

import pytest

from boot import Boot
from root import CHECKOUT, PATIENCE, Root

sys.path[:0] = [str(CHECKOUT), str(CHECKOUT / "tests/system")]

from bench.sink import Sink  # noqa: E402  pylint: disable=wrong-import-position

RELAYS = {"10.0.1.11": "127.0.0.11", "10.0.2.11": "127.0.0.12"}  # minimal.conf's, and here
RELAY_PORT = 2525
PROBE_PORT = 80


@pytest.fixture(scope="session", autouse=True)
def loopback():
    subprocess.run(["ip", "link", "set", "lo", "up"], check=True)


@pytest.fixture(name="root")
def fixture_root(tmp_path):
    root = Root(tmp_path)
    yield root
    subprocess.run(["umount", "--lazy", tmp_path], check=True)


@pytest.fixture
def configured(root, relays):
    """README's way: the example, and in it the four values that are marked."""
    text = root.path("usr/share/doc/smtplb/minimal.conf").read_text()
    values = {"lb1.example.jp": "lb1.test", "203.0.113.0/24": "127.0.0.0/8"}
    values |= {there: f"{here}  port = {RELAY_PORT}" for there, here in RELAYS.items()}
    for marked, value in values.items():
        line = next(line for line in text.splitlines() if marked in line)
        assert "<==" in line
        text = text.replace(marked, value)
    assert text.count("# <==") == len(values)
    root.path("etc/smtplb/smtplb.conf").write_text(text)
    return root


@pytest.fixture
def boot(configured, tmp_path):
    """The root with systemd as its process 1."""
    boot = Boot(configured, tmp_path)
    yield boot
    print("\n".join(boot.journal()))  # for a test that fails
    boot.stop()


@pytest.fixture
def client():
    """A session with a relay, through the balancer."""
    return lambda: smtplib.SMTP("127.0.0.1", 25, timeout=PATIENCE)


@pytest.fixture
def relays():
    sinks = [Sink(host, RELAY_PORT, PROBE_PORT, proxy="v2", name=f"relay{number}.test")
             for number, host in enumerate(RELAYS.values(), 1)]
    yield sinks
    for sink in sinks:
        sink.stop()
