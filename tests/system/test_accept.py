"""Accepting when calls fail: what says nothing about the next connection costs no client anything,
what does is waited out, and nothing is for good."""

import errno
import os
import signal
import socket

import pytest
from balancer import Setup, stopped
from faults import FOREVER
from peers import DEADLINE, eventually, smtp
from test_exhaustion import (
    held_session,
    lowest_free_descriptor,
    set_descriptor_limit,
    turned_away,
)

# accept(2): of connections that have failed in the queue, and of nothing at all.
PASSING = [
    "EAGAIN", "EINTR", "ECONNABORTED", "ENETDOWN", "EPROTO", "ENOPROTOOPT", "EHOSTDOWN", "ENONET",
    "EHOSTUNREACH", "EOPNOTSUPP", "ENETUNREACH", "EPERM",
]


def is_readable(client):
    client.sock.setblocking(False)
    try:
        return bool(client.sock.recv(1, socket.MSG_PEEK))
    except BlockingIOError:
        return False
    finally:
        client.sock.settimeout(DEADLINE)


def test_errors_of_one_connection_only(start, relay, faults):
    """The next one is served at once, and the log is silent."""
    setup = Setup([relay(smtp(b"one"))], workers=1)
    balancer = start(setup, prefix=faults.prefix)
    for error in PASSING:
        faults.arm("accept4", error)
        assert setup.greeting() == b"220 one ESMTP"
        assert faults.failed() == 1
    assert not balancer.find("accept")


def test_another_has_taken_the_reserve(start, relay, faults):
    """No descriptor to hold it anew: who comes then waits until there is one."""
    setup = Setup([relay(smtp(b"one"))], workers=1)
    balancer = start(setup, prefix=faults.prefix)
    inside = held_session(setup)
    limit = lowest_free_descriptor(balancer)
    set_descriptor_limit(balancer, limit)
    faults.arm("open", "EMFILE", last=FOREVER)
    turned_away(setup)
    eventually(lambda: lowest_free_descriptor(balancer) < limit)  # where the reserve was
    set_descriptor_limit(balancer, lowest_free_descriptor(balancer))
    waiting = setup.connect()
    eventually(lambda: faults.failed() >= 4)
    assert not is_readable(waiting)
    set_descriptor_limit(balancer, 1024)
    assert waiting.line() == b"220 one ESMTP"
    inside.quit()
    waiting.quit()


def test_stop_while_every_connection_is_aborted(start, relay, faults):
    """The queue of an address that is served no more is emptied, however long that seems."""
    setup = Setup([relay(smtp(b"one"))], workers=1)
    balancer = start(setup, prefix=faults.prefix)
    faults.arm("accept4", "ECONNABORTED", last=FOREVER)
    balancer.signal(signal.SIGTERM)
    assert balancer.exit_code() == 0
    assert faults.failed() > 1


def test_one_aborted_connection_in_the_queue_at_the_stop(start, relay, faults):
    """... costs those behind it nothing."""
    setup = Setup([relay(smtp(b"one"))], workers=1)
    balancer = start(setup, prefix=faults.prefix)
    with stopped(balancer):
        clients = [setup.connect() for _ in range(3)]
        faults.arm("accept4", "ECONNABORTED", last=2)
        balancer.signal(signal.SIGTERM)
    for client in clients:
        assert client.line() == b"220 one ESMTP"
        assert client.quit() == b"221 bye"
    assert balancer.exit_code() == 0


@pytest.mark.own_memory
@pytest.mark.engine("libev")
def test_memory_that_is_short(start, relay, faults):
    """Sessions come in until the loop needs memory to watch one more, and there is none but the
    reserve. Then nobody is accepted before that is filled again. By io_uring it watches none."""
    setup = Setup([relay(smtp(b"one"))], workers=1)
    balancer = start(setup, prefix=faults.prefix)
    clients = []

    def comes_in():
        """Whether a session had all that it needs: the first two blocks are its own."""
        faults.arm("memory", "ENOMEM", first=3, last=FOREVER)
        clients.append(setup.connect())
        eventually(lambda: faults.failed() > 2 or is_readable(clients[-1]))
        return faults.failed() == 0

    assert setup.greeting() == b"220 one ESMTP"  # there are blocks for what is received
    while comes_in():
        assert clients[-1].line() == b"220 one ESMTP"
    faults.arm("memory", "ENOMEM", first=FOREVER)  # the loop goes on, without its reserve
    assert clients[-1].line() == b"220 one ESMTP"
    faults.arm("memory", "ENOMEM", last=FOREVER)
    late = setup.connect()
    assert balancer.wait("accept")["detail"] == os.strerror(errno.ENOMEM)
    faults.disarm()
    assert late.line() == b"220 one ESMTP"
    for client in [*clients, late]:
        assert client.quit() == b"221 bye"
