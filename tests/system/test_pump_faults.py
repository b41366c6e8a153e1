"""A session whose gate is open when calls fail: it ends, nothing waits for ever, and each side gets
what was received for it before."""

import random

import pytest
from balancer import Setup
from faults import FOREVER
from peers import eventually
from test_pump import GREETING, SEED, Flood, Joined, Task, read_pieces

# These are calls that libev's engine makes.
pytestmark = pytest.mark.engine("libev")


@pytest.fixture(name="join")
def fixture_join(start, relay, faults):
    """join(): the one session of a balancer with faults."""
    made = []

    def make(**options):
        join_relay = relay()
        setup = Setup([join_relay], workers=1)
        make.balancer = start(setup, prefix=faults.prefix)
        made.append(Joined(setup, join_relay, **options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.mark.parametrize("side, result", [("client", "ok"), ("backend", "backend_lost")])
def test_a_side_that_has_ended_and_takes_no_more_ends_the_session(join, faults, side, result):
    """It sent its FIN, what came for it has to wait, and then it turns out to be gone: the other
    side says nothing more, and need not."""
    session = join()
    ended, other = session.sides(side)
    ended.finish()
    assert other.rest() == b""
    faults.arm("send", "EAGAIN", last=FOREVER)
    other.send(b"x")
    eventually(lambda: faults.failed() > 0)
    faults.change_error("ECONNRESET")
    event = join.balancer.wait("session")
    assert (event["result"], event["end"]) == (result, side)


@pytest.mark.parametrize("lost", ["client", "backend"])
def test_a_side_that_can_no_more_be_watched(join, faults, lost):
    """Both sides have sent more than anybody takes when the memory is gone to wait for one of them.
    The other gets all that was received for it, however slowly."""
    session = join(receive_buffer=4096)
    gone, stays = session.sides(lost)
    flood = Flood(gone, 20)
    flood.await_block()
    assert flood.is_alive()
    faults.arm("epoll_ctl", "ENOMEM")
    stays.send(random.Random(SEED).randbytes(20 << 20))
    stays.finish()
    assert faults.failed() == 1
    got = len(read_pieces(stays, 1 << 16))
    with pytest.raises(OSError):
        flood.result()
    assert 0 < got <= flood.sent
    event = join.balancer.wait("session")
    assert (event["result"], event["end"]) == ("error", "balancer")
    assert int(event["bytes_in" if lost == "client" else "bytes_out"]) == got + (
        len(GREETING) if lost == "backend" else 0
    )


def test_a_client_that_can_not_be_watched(start, relay, faults):
    """It spoke too early and was not watched for a while."""
    one = relay()
    setup = Setup([one], workers=1, pool="connect_timeout = 1m")  # no timer wakes it
    balancer = start(setup, prefix=faults.prefix)
    with setup.connect() as client:
        backend = one.next()
        backend.exactly(28)
        before = faults.calls("epoll_ctl")
        client.send(b"early")
        eventually(lambda: faults.calls("epoll_ctl") > before)  # given up
        faults.arm("epoll_ctl", "ENOMEM")
        backend.send(GREETING)
        assert client.line() + b"\r\n" == GREETING
        assert backend.rest() == b""
        backend.close()
        event = balancer.wait("session")
        assert faults.failed() == 1
    assert (event["result"], event["end"]) == ("error", "balancer")
    assert event["bytes_in"] == "0"


@pytest.mark.own_memory
def test_no_memory_for_what_is_received(start, relay, faults):
    """By a relay's greeting: it is ours to blame, and the next attempt succeeds. (Later there are
    blocks in reserve.)"""
    one = relay()
    setup = Setup(
        [one],
        workers=1,
        pool="greeting_retry = 50ms",
        health="type = none greeting_fall = 1",
    )
    balancer = start(setup, prefix=faults.prefix)
    with setup.connect() as client:
        backend = one.next()
        backend.exactly(28)
        faults.arm("memory", "ENOMEM")
        backend.send(GREETING)
        assert balancer.wait("attempt")["cause"] == "resources"
        backend.close()
        backend = one.next()
        backend.exactly(28)
        backend.send(GREETING)
        assert client.line() + b"\r\n" == GREETING
        backend.close()
    balancer.wait("session", result="ok", attempts=2)
    assert not balancer.find("health")
