"""Sockets that a start finds, by systemd's protocol (sd_listen_fds(3))."""

import os
import socket
import stat
import sys

import pytest
from admin import Admin
from balancer import Crowd, Setup, run
from generations import Generations
from peers import DEADLINE, connect, free_port, smtp, unless_refused

# Puts its sockets where the protocol wants them, and becomes the program.
STARTER = """
import os, sys
sockets, pid = [int(number) for number in sys.argv[1].split(",")], sys.argv[2]
moved = [os.dup2(fd, 100 + i) for i, fd in enumerate(sockets)]
for i, fd in enumerate(moved):
    os.dup2(fd, 3 + i)
for fd in {*moved, *sockets}.difference(range(3, 3 + len(sockets))):
    os.close(fd)
os.environ["LISTEN_FDS"] = str(len(sockets))
os.environ["LISTEN_PID"] = pid or str(os.getpid())
os.environ["LISTEN_FDNAMES"] = "any"
os.execvp(sys.argv[3], sys.argv[3:])
"""


@pytest.fixture(name="given")
def fixture_given():
    """Makes sockets, and gives them to a start: its prefix."""
    sockets = []

    class Given:
        def listen(self, address, family=socket.AF_INET, backlog=100, options=()):
            sock = socket.socket(family)
            sockets.append(sock)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            for level, option, value in options:
                sock.setsockopt(level, option, value)
            sock.bind(address)
            if backlog:
                sock.listen(backlog)
            os.set_inheritable(sock.fileno(), True)
            return sock

        def prefix(self, pid=""):
            numbers = ",".join(str(sock.fileno()) for sock in sockets)
            return [sys.executable, "-c", STARTER, numbers, str(pid)]

    yield Given()
    for sock in sockets:
        sock.close()


REUSE = [(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)]


@pytest.mark.parametrize("sockets, workers", [(1, 1), (1, 3), (3, 2)])
def test_listeners(start_given, given, relay, sockets, workers):
    """Whoever was in the queue before there was a balancer is served, too."""
    setup = Setup([relay(smtp())], workers=workers)
    for _ in range(sockets):
        given.listen(setup.address, options=REUSE)
    early = [setup.connect() for _ in range(8)]
    start_given(setup)
    for client in early:
        with client:
            assert client.line() == b"220 relay ESMTP"
    with Crowd(setup) as crowd:
        crowd.await_more()


@pytest.fixture(name="start_given")
def fixture_start_given(start, given):
    def make(setup, pid="", **options):
        # Python's own children close what they are not told to keep.
        return start(setup, prefix=given.prefix(pid), close_fds=False, **options)
    return make


def test_the_admin_interface(start_given, given, relay, tmp_path):
    admin = Admin(tmp_path)
    setup = Setup([relay(smtp())], admin=admin.text())
    given.listen(str(admin.path), socket.AF_UNIX)
    given.listen(("127.0.0.1", admin.port))
    inode = admin.path.stat().st_ino
    start_given(setup)
    assert admin.run("status").returncode == 0
    assert admin.ask("GET", "/healthz", tcp=True).status == 200
    assert admin.path.stat().st_ino == inode
    assert stat.S_ISSOCK(admin.path.stat().st_mode)
    assert setup.greeting() == b"220 relay ESMTP"  # by a socket of our own


def test_a_path_that_somebody_keeps(start_given, given, relay, tmp_path):
    """It is there for the next one, too; and where it is gone, it is made anew, and is ours."""
    admin = Admin(tmp_path)
    setup = Setup([relay(smtp())], admin=admin.text())
    given.listen(str(admin.path), socket.AF_UNIX)
    for _ in range(2):
        balancer = start_given(setup)
        assert admin.run("status").returncode == 0
        balancer.stop()
        assert admin.path.exists()
    admin.path.unlink()
    balancer = start_given(setup)
    assert admin.run("status").returncode == 0
    balancer.stop()
    assert not admin.path.exists()


def test_a_path_that_somebody_keeps_through_an_upgrade(start_given, given, relay, tmp_path):
    admin = Admin(tmp_path)
    setup = Setup([relay(smtp())], admin=admin.text())
    given.listen(str(admin.path), socket.AF_UNIX)
    mine = Generations(start_given(setup))
    for _ in range(2):
        before = mine.pid
        mine.upgrade()
        mine.await_end(before)
        assert admin.run("status").returncode == 0
    mine.stop()
    assert admin.path.exists()


def test_what_nobody_wants_is_closed(start_given, given, relay, tmp_path):
    other = ("127.0.0.1", free_port())
    setup = Setup([relay(smtp())])
    ours = [given.listen(other), given.listen(str(tmp_path / "path"), socket.AF_UNIX)]
    balancer = start_given(setup)
    for where in (f"127.0.0.1:{other[1]}", str(tmp_path / "path")):
        assert any(f"closed the socket at {where} that smtplb was started with" in one["detail"]
                   for one in balancer.find("config", action="warning"))
    for sock in ours:
        sock.close()
    assert unless_refused(lambda: connect(other)) is None
    assert setup.greeting() == b"220 relay ESMTP"


def test_sockets_of_somebody_else(start_given, given, relay):
    """LISTEN_PID names another process: they are none of ours, and stay as they are."""
    other = ("127.0.0.1", free_port())
    setup = Setup([relay(smtp())])
    given.listen(other)
    balancer = start_given(setup, pid=1)
    assert not balancer.find("config", action="warning")
    assert setup.greeting() == b"220 relay ESMTP"


UNUSABLE = [
    ({"address": ("127.0.0.1", 0), "backlog": 0}, "it does not listen"),
    ({"address": ("::", 0), "family": socket.AF_INET6,
      "options": [(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)]}, "it takes IPv4 too"),
]


@pytest.mark.parametrize("how, why", UNUSABLE, ids=[why for _, why in UNUSABLE])
def test_what_can_not_be_used(given, relay, tmp_path, how, why):
    given.listen(**how)
    conf = tmp_path / "smtplb.conf"
    conf.write_text(Setup([relay()]).text())
    result = run("run", "-c", conf, prefix=given.prefix(), close_fds=False)
    assert result.returncode == 1
    assert result.stderr.startswith(f"LISTEN_FDS: descriptor 3 can't be used: {why}")
    assert result.stderr.count("\n") == 1


def test_what_is_no_stream(given, relay, tmp_path):
    conf = tmp_path / "smtplb.conf"
    conf.write_text(Setup([relay()]).text())
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock, open("/dev/null") as null:
        for one, why in ((sock, "it is neither TCP nor a Unix socket"), (null, os.strerror(88))):
            os.set_inheritable(one.fileno(), True)
            prefix = [sys.executable, "-c", STARTER, str(one.fileno()), ""]
            result = run("run", "-c", conf, prefix=prefix, close_fds=False)
            assert result.returncode == 1
            assert f"descriptor 3 can't be used: {why}" in result.stderr
