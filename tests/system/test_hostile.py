"""Hostile, broken and slow peers: each costs bounded memory and time, everybody else goes on, and
nothing of it is left behind. What was heard is compared byte by byte."""

import os
import re
import select
import socket

import pytest
from balancer import Setup
from peers import Conn, eventually, smtp
from test_pump import GREETING, HEADER, Flood, Joined, resident_memory, stopped, wait_until_taken

STRANGER = "127.0.0.66"
REFUSED = re.compile(rb"421 4\.3\.2 lb\.test no relay available \([0-9a-f]{16}\)\r\n")
DENIED = re.compile(rb"421 4\.7\.1 lb\.test access denied \([0-9a-f]{16}\)\r\n")


def descriptors(balancer):
    return len(os.listdir(f"/proc/{balancer.pid}/fd"))


class Watched:
    """A balancer that has served one session, and how many descriptors it holds then."""

    def __init__(self, start, setup):
        self.setup = setup
        self.balancer = start(setup)
        self.before = descriptors(self.balancer)

    def assert_nothing_left(self):
        eventually(lambda: descriptors(self.balancer) == self.before)


def heard(conn):
    """(all that came, whether a RST ended it)."""
    parts = [conn.buffer]
    conn.buffer = b""
    try:
        while data := conn.sock.recv(65536):
            parts.append(data)
    except ConnectionResetError:
        return b"".join(parts), True
    return b"".join(parts), False


# Closing in all 16 orders: who first, how, how the other one, and whether bytes of the first are
# still unread by the other when it ends. The result, who ended it, and what the other one heard.
ENDS = [
    ("client", "fin", "fin", "ok", "client"),
    ("client", "fin", "rst", "backend_lost", "backend"),
    ("client", "rst", "fin", "client_lost", "client"),
    ("client", "rst", "rst", "client_lost", "client"),
    ("backend", "fin", "fin", "ok", "backend"),
    ("backend", "fin", "rst", "ok", "backend"),
    ("backend", "rst", "fin", "backend_lost", "backend"),
    ("backend", "rst", "rst", "backend_lost", "backend"),
]


@pytest.mark.parametrize("in_flight", [0, 70000], ids=["quiet", "in flight"])
@pytest.mark.parametrize("who, first, second, result, end", ENDS)
def test_ends_in_every_order(start, relay, who, first, second, result, end, in_flight):
    """The first one's last bytes and its end are there at once; the other one hears all of them,
    and a FIN, and ends then."""
    one = relay()
    watched = Watched(start, Setup([one], workers=1))
    session = Joined(watched.setup, one)
    left, right = session.sides(who)
    said = os.urandom(in_flight)
    with stopped(watched.balancer):
        left.send(said)
        wait_until_taken(left)
        if first == "rst":
            left.reset()
        else:
            left.finish()
    assert heard(right) == (said, False)
    if second == "rst":
        right.reset()
    else:
        right.close()
    if first == "fin":
        assert heard(left)[0] == b""
        left.close()
    event = watched.balancer.wait("session")
    assert (event["result"], event["end"]) == (result, end)
    sent, got = (in_flight, 0) if who == "client" else (0, in_flight)
    assert (int(event["bytes_in"]), int(event["bytes_out"])) == (sent, got + len(GREETING))
    watched.assert_nothing_left()


@pytest.mark.parametrize("who", ["client", "backend"])
@pytest.mark.parametrize("orders", ["fin fin", "fin rst", "rst fin", "rst rst"])
def test_both_end_at_the_same_moment(start, relay, who, orders):
    """Each with bytes that the other has not got yet: what a side that is still there hears is a
    part of what was said, from its beginning."""
    one = relay()
    watched = Watched(start, Setup([one], workers=1))
    session = Joined(watched.setup, one)
    said = {"client": os.urandom(50000), "backend": os.urandom(50000)}
    first = session.sides(who)
    with stopped(watched.balancer):
        for conn in first:
            conn.send(said["client" if conn is session.client else "backend"])
            wait_until_taken(conn)
        for conn, how in zip(first, orders.split()):
            if how == "rst":
                conn.reset()
            else:
                conn.finish()
    for conn, how in zip(first, orders.split()):
        if how == "rst":
            continue
        other = "backend" if conn is session.client else "client"
        got = heard(conn)[0]
        assert said[other].startswith(got)
        if orders == "fin fin":
            assert got == said[other]
        conn.close()
    event = watched.balancer.wait("session")
    if orders == "fin fin":
        assert event["result"] == "ok"
    else:
        # Whichever it saw first; behind the backend's FIN a client's RST is no loss.
        lost = "client_lost", "backend_lost"
        assert event["result"] in lost or (event["result"], event["end"]) == ("ok", "backend")
    watched.assert_nothing_left()


MOMENTS = ["waiting", "greeting", "command", "data", "reply unread", "after quit"]


@pytest.mark.parametrize("moment", MOMENTS)
@pytest.mark.parametrize("who", ["client", "backend"])
def test_a_reset_at_any_moment(start, relay, who, moment):
    """The other side hears of it, and the next session is served."""
    one = relay()
    setup = Setup([one], workers=1, pool="greeting_retry = 0s")
    watched = Watched(start, setup)
    client = setup.connect()
    backend = one.next()
    if moment != "waiting":
        assert len(backend.exactly(HEADER)) == HEADER
        backend.send(GREETING)
        assert client.line() + b"\r\n" == GREETING
    if moment in ("command", "data", "reply unread", "after quit"):
        client.send(b"DATA\r\n")
        assert backend.line() == b"DATA"
    if moment == "data":
        client.send(b"x" * 30000)
        backend.exactly(30000)
    if moment == "reply unread":
        backend.send(b"354 go on\r\n")
    if moment == "after quit":
        backend.send(b"221 bye\r\n")
        backend.finish()
        assert client.line() == b"221 bye"
    if who == "client":
        client.reset()
        assert heard(backend)[0] in (b"", b"\r\n" + bytes(HEADER)) or moment == "waiting"
        backend.close()
    else:
        backend.reset()
        got = heard(client)[0]
        if moment == "waiting":
            assert REFUSED.fullmatch(got)
        else:
            assert got == (b"354 go on\r\n" if moment == "reply unread" else b"")
        client.close()
    watched.balancer.wait("session")
    watched.assert_nothing_left()


ODD_CLIENTS = {
    "tls": bytes.fromhex("16030100a5010000a10303") + bytes(160),
    "http": b"GET / HTTP/1.1\r\nHost: lb\r\n\r\n",
    "socks": b"\x05\x01\x00",
    "line without end": b"x" * 65536,
    "bare newlines": b"\n" * 65536,
    "proxy header": b"PROXY TCP4 192.0.2.1 192.0.2.2 1 25\r\n",
    "nothing": b"",
}


@pytest.mark.parametrize("kind", list(ODD_CLIENTS))
def test_a_client_that_speaks_something_else(start, relay, kind):
    """It waits for its greeting as everybody; what it said is the relay's to judge."""
    one = relay()
    watched = Watched(start, Setup([one], workers=1))
    said = ODD_CLIENTS[kind]
    client = watched.setup.connect()
    client.send(said)
    client.finish()
    if not said:  # gone without a word, perhaps before a relay was called
        watched.balancer.wait("session", result="client_lost")
        watched.assert_nothing_left()
        return
    backend = one.next()
    backend.exactly(HEADER)
    backend.send(GREETING)
    assert backend.rest() == said
    backend.send(b"500 what?\r\n")
    backend.close()
    assert client.rest() == GREETING + b"500 what?\r\n"
    watched.balancer.wait("session", result="ok")
    watched.assert_nothing_left()


@pytest.mark.parametrize("kind", list(ODD_CLIENTS))
def test_a_denied_client_that_speaks_something_else(start, relay, kind):
    one = relay()
    watched = Watched(start, Setup([one], workers=1, deny=STRANGER))
    with watched.setup.connect(STRANGER) as client:
        client.send(ODD_CLIENTS[kind])
        client.finish()
        assert DENIED.fullmatch(client.rest())
    watched.balancer.wait("denied")
    watched.assert_nothing_left()
    assert one.none_waiting()


def greet_without_end(conn):
    conn.exactly(HEADER)
    while True:
        conn.send(b"220-" + b"x" * 60 + b"\r\n")


def greet_in_one_line(conn):
    conn.exactly(HEADER)
    conn.send(b"220 " + b"x" * 100000)
    conn.rest()


def drip_greeting(conn):
    conn.exactly(HEADER)
    while True:
        conn.send(b"2")
        if select.select([conn.sock], [], [], 0.02)[0]:
            return


def greet_http(conn):
    conn.exactly(HEADER)
    conn.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    conn.rest()


def greet_tls(conn):
    conn.exactly(HEADER)
    conn.send(b"\x15\x03\x01\x00\x02\x02\x46")


ODD_RELAYS = [greet_without_end, greet_in_one_line, drip_greeting, greet_http, greet_tls]


@pytest.mark.parametrize("serve", ODD_RELAYS, ids=[serve.__name__ for serve in ODD_RELAYS])
def test_a_relay_that_never_greets_properly(start, relay, serve):
    """The client hears nothing of it but the next relay's greeting."""
    setup = Setup(
        [relay(serve), relay(smtp(b"two"))],
        workers=1,
        pool="greeting_timeout = 300ms greeting_retry = 0s",
        health="type = none greeting_fall = 0",
    )
    watched = Watched(start, setup)
    before = resident_memory(watched.balancer.pid)
    for _ in range(4):
        assert setup.greeting() == b"220 two ESMTP"
    watched.balancer.wait("attempt", 2, backend="relay1")
    watched.balancer.wait("session", 4, result="ok")
    assert resident_memory(watched.balancer.pid) - before < 4 << 20
    watched.assert_nothing_left()


def test_windows_full_both_ways(start, relay):
    """Both send and neither reads: bounded memory for many of them, and others flow."""
    silent = relay()
    setup = Setup([silent], workers=1)
    watched = Watched(start, setup)
    before = resident_memory(watched.balancer.pid)
    sessions = [Joined(setup, silent, receive_buffer=4096) for _ in range(4)]
    floods = [Flood(conn, 100) for one in sessions for conn in (one.client, one.backend)]
    for flood in floods:
        flood.await_block()
    assert all(flood.sent < 100 << 20 for flood in floods)
    # Two chunks each way at most: one that waits for its window, and what came in one turn. A ring
    # has 64 that it receives into in turn.
    most = (4 * 2 * 5 + 64) * 16384 + (1 << 20)
    assert resident_memory(watched.balancer.pid) - before < most
    good = Joined(setup, silent)
    good.client.send(b"NOOP\r\n")
    assert good.backend.line() == b"NOOP"
    good.close()
    for one in sessions:
        one.close()
    watched.balancer.wait("session", 5)
    watched.assert_nothing_left()


def test_refused_clients_that_never_read(start, relay):
    """The reply is in their window; they are closed all the same, and others are served."""
    one = relay(smtp(b"one"))
    watched = Watched(start, Setup([one], workers=1, deny=STRANGER))
    clients = []
    for _ in range(50):
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        sock.bind((STRANGER, 0))
        sock.connect(watched.setup.address)
        clients.append(Conn(sock))
    for client in clients:
        client.sock.setblocking(False)
        try:
            while True:
                client.sock.send(b"x" * 65536)
        except (BlockingIOError, ConnectionError):
            pass
    assert watched.setup.greeting() == b"220 one ESMTP"
    watched.assert_nothing_left()
    for client in clients:
        client.close()


def test_a_drip_in_every_session(start, relay):
    """A byte at a time, both ways, in many sessions at once: all of them arrive."""
    one = relay()
    setup = Setup([one], workers=1)
    watched = Watched(start, setup)
    sessions = [Joined(setup, one) for _ in range(30)]
    text = b"MAIL FROM:<a@b>\r\n"
    for i in range(len(text)):
        for session in sessions:
            session.client.send(text[i : i + 1])
            session.backend.send(text[i : i + 1])
    for session in sessions:
        assert session.backend.exactly(len(text)) == text
        assert session.client.exactly(len(text)) == text
        session.close()
    watched.balancer.wait("session", 30)
    watched.assert_nothing_left()


def test_a_backend_that_closes_costs_no_turn(start, relay, faults):
    """Over PROXY v2 a relay that closes behind its 221 while the client stays: the loop sleeps."""
    one = relay()
    setup = Setup([one], workers=1)
    balancer = start(setup, prefix=faults.prefix)
    session = Joined(setup, one)
    session.backend.send(b"221 bye\r\n")
    session.backend.close()
    assert session.client.rest() == b"221 bye\r\n"
    # Whatever it does now it would do again and again: another session takes some turns.
    assert_few_turns(setup, one, faults)
    session.client.close()
    balancer.wait("session", result="ok", end="backend")


def assert_few_turns(setup, one, faults):
    before = faults.calls("epoll_wait")
    for _ in range(5):
        other = Joined(setup, one)
        other.client.finish()
        assert other.backend.rest() == b""
        other.close()
    assert faults.calls("epoll_wait") - before < 5 * 20


def test_a_client_that_has_talked_early_costs_no_turn(start, relay, faults):
    """Its bytes must wait unread: the loop sleeps meanwhile."""
    one = relay()
    setup = Setup([one], workers=1)
    start(setup, prefix=faults.prefix)
    early = setup.connect()
    early.send(b"EHLO early\r\n")
    early.finish()
    waiting = one.next()
    assert_few_turns(setup, one, faults)
    waiting.exactly(HEADER)
    waiting.send(GREETING)
    assert waiting.rest() == b"EHLO early\r\n"
    waiting.close()
    assert early.rest() == GREETING
    early.close()
