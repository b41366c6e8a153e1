"""What can happen to io_uring's engine alone."""

import random

import pytest
from balancer import Setup, stopped
from peers import eventually, smtp
from test_pump import SEED, Joined, Task, read_pieces, send_pieces

pytestmark = pytest.mark.engine("io_uring")


def test_more_at_once_than_the_ring_holds(start, relay):
    """All of them have something to say in one turn, and end in another."""
    crowd = 700
    setup = Setup([relay(smtp(b"one"))], workers=1)
    balancer = start(setup)
    clients = [setup.connect() for _ in range(crowd)]
    for client in clients:
        assert client.line() == b"220 one ESMTP"
    with stopped(balancer):
        for client in clients:
            client.send(b"NOOP\r\n")
    for client in clients:
        assert client.line() == b"250 one"
    with stopped(balancer):
        for client in clients:
            client.close()
    balancer.wait("session", crowd, result="ok")


@pytest.mark.own_memory
def test_no_memory_costs_an_open_session_nothing(start, relay, faults):
    """What the kernel receives into is there from the start, and comes back."""
    one = relay()
    setup = Setup([one], workers=1)
    balancer = start(setup, prefix=faults.prefix)
    session = Joined(setup, one)
    data = random.Random(SEED).randbytes(1 << 20) * 32  # more than all kernels on the way hold
    faults.arm("memory", "ENOMEM", last=30)
    sending = [Task(send_pieces, conn, data, 50000) for conn in (session.client, session.backend)]
    eventually(faults.failed)
    reading = [Task(read_pieces, conn, 1 << 16) for conn in (session.client, session.backend)]
    assert all(task.result() == data for task in reading)
    for task in sending:
        task.result()
    session.close()
    balancer.wait("session", result="ok", bytes_in=len(data))
