"""The gate: whatever a backend does instead of greeting with 220, the client never notices."""

import socket
import threading
from types import SimpleNamespace

import pytest
from balancer import Setup, stopped
from peers import (
    DEADLINE, connect, eventually, full_relay, is_connecting, parse_proxy, reset, smtp,
)


def hold_silent(conn):
    conn.rest()


def close_at_once(conn):
    conn.sock.recv(536)


def reset_at_once(conn):
    conn.sock.recv(536)
    reset(conn.sock)


def greet(*lines):
    def serve(conn):
        conn.sock.recv(536)
        conn.send(b"".join(lines))
        conn.rest()

    return serve


def drip(piece):
    """One piece after the other, without end."""

    def serve(conn):
        conn.sock.recv(536)
        stop = threading.Event()
        while not stop.wait(0.02):
            conn.send(piece)

    return serve


FAILURES = [
    ("silent", hold_silent, "greeting_timeout", None),
    ("closes", close_at_once, "closed", None),
    ("resets", reset_at_once, "reset", None),
    ("busy", greet(b"421 4.3.2 busy\r\n"), "greeting_reply", "421 4.3.2 busy"),
    ("refuses", greet(b"554 5.7.1 no\r\n"), "greeting_reply", "554 5.7.1 no"),
    ("many lines", greet(b"421-wait\r\n421 busy\r\n"), "greeting_reply", "421-wait"),
    ("mixed", greet(b"220-hello\r\n421 no\r\n"), "greeting_reply", "220-hello"),
    ("another protocol", greet(b"SSH-2.0-OpenSSH_9\r\n"), "greeting_reply", None),
    ("too long", greet(b"220-" + b"x" * 5000 + b"\r\n"), "greeting_reply", None),
    ("without end", greet(b"220-x\r\n" * 600, b"220-y\r\n" * 600), "greeting_reply", None),
    ("closes in it", lambda conn: conn.sock.recv(9) and conn.send(b"220 hal"), None, None),
    ("drips", drip(b"2"), "greeting_reply", None),
    ("drips lines", drip(b"220-\r\n"), "greeting_timeout", None),
]


@pytest.mark.parametrize("name, serve, cause, reply", FAILURES, ids=[f[0] for f in FAILURES])
def test_failing_backend_is_replaced_unseen(start, relay, name, serve, cause, reply):
    bad, good = relay(serve), relay(smtp(b"good"))
    timeout = "300ms" if cause == "greeting_timeout" else "10s"
    setup = Setup([bad, good], pool=f"greeting_timeout = {timeout}")
    balancer = start(setup)
    with setup.connect() as client:
        assert client.line() == b"220 good ESMTP"
        assert client.quit() == b"221 bye"
    event = balancer.wait("attempt", backend="relay1")
    if cause:
        assert event["cause"] == cause
    if reply:
        assert event["reply"] == reply
    assert balancer.wait("session", result="ok", attempts=2)["backend"] == "relay2"


def test_refused_backend_is_replaced_unseen(start, relay):
    bad, good = relay(smtp()), relay(smtp(b"good"))
    setup = Setup([bad, good])
    balancer = start(setup)
    bad.close()
    with setup.connect() as client:
        assert client.line() == b"220 good ESMTP"
    balancer.wait("attempt", backend="relay1", cause="refused")


def test_greeting_is_passed_on_whole_and_only_when_complete(start, relay):
    """postscreen's teaser: a line now, its end seconds later."""
    one = relay()
    setup = Setup([one])
    start(setup)
    with setup.connect() as client:
        conn = one.next()
        conn.exactly(28)
        conn.send(b"220-wait\r\n")
        client.sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            client.sock.recv(1)
        client.sock.settimeout(DEADLINE)
        conn.send(b"220 here\r\n250 too early\r\n")
        assert client.exactly(35) == b"220-wait\r\n220 here\r\n250 too early\r\n"


def test_early_data_is_not_consumed_before_the_gate_opens(start, relay):
    """Invariant 4: an attempt that fails costs none of the client's bytes."""
    first, second = relay(), relay()
    setup = Setup([first, second])
    start(setup)
    with setup.connect() as client:
        client.send(b"EHLO early\r\nQUIT\r\n")
        conn = first.next()
        conn.exactly(28)
        conn.sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            conn.sock.recv(1)
        conn.sock.settimeout(DEADLINE)
        conn.send(b"421 busy\r\n")
        assert conn.rest() == b""
        conn = second.next()
        conn.exactly(28)
        conn.send(b"220 go\r\n")
        assert conn.line() == b"EHLO early"
        assert conn.line() == b"QUIT"
        assert client.line() == b"220 go"


@pytest.mark.parametrize("early", [b"", b"EHLO x\r\n"], ids=["silent", "with early data"])
@pytest.mark.parametrize("how", ["fin", "rst"])
def test_client_that_leaves_while_waiting_is_noticed(start, relay, early, how):
    one = relay()
    pool = "greeting_timeout = 300ms greeting_retry = 100ms"
    setup = Setup([one], pool=pool, health="type = none greeting_fall = 0")
    balancer = start(setup)
    client = setup.connect()
    client.send(early)
    one.next()
    if how == "rst":
        client.reset()
    elif not early:
        client.close()
    else:
        # A FIN behind data is a half-close: the client may still await its replies.
        client.finish()
        conn = one.next()
        conn.exactly(28)
        conn.send(b"220 go\r\n")
        assert conn.rest() == early
        assert client.line() == b"220 go"
        return
    event = balancer.wait("session", result="client_lost")
    assert event["end"] == "client" and event["backend"] == "-"


def test_rounds_are_repeated_within_the_budget(start, relay):
    """All backends fail at first; one that comes to itself in time is found, by the same session."""
    one = relay()
    setup = Setup([one], pool="greeting_retry = 50ms", health="type = none greeting_fall = 0")
    balancer = start(setup)
    with setup.connect() as client:
        for _ in range(5):
            one.next().close()
        conn = one.next()
        conn.exactly(28)
        conn.send(b"220 at last\r\n")
        assert client.line() == b"220 at last"
    conn.close()
    assert balancer.wait("session")["attempts"] == "6"


def test_without_retry_each_backend_is_tried_once(start, relay):
    relays = [relay(close_at_once), relay(close_at_once), relay(close_at_once)]
    setup = Setup(relays, pool="greeting_retry = 0s")
    balancer = start(setup)
    with setup.connect() as client:
        reply = client.line()
        assert client.rest() == b""
    event = balancer.wait("session", result="no_backend")
    assert reply == b"421 4.3.2 lb.test no relay available (%s)" % event["id"].encode()
    assert event["attempts"] == "3" and event["end"] == "balancer"
    assert [one.accepted for one in relays] == [1, 1, 1]


def test_budget_ends_the_attempts(start, relay):
    one = relay(close_at_once)
    setup = Setup(
        [one],
        pool="greeting_retry = 20ms greeting_budget = 300ms",
        health="type = none greeting_fall = 0",
    )
    balancer = start(setup)
    with setup.connect() as client:
        assert client.line().startswith(b"421 4.3.2 lb.test no relay available (")
    assert int(balancer.wait("session", result="no_backend")["attempts"]) > 1


def test_a_budget_that_one_attempt_uses_up(start, relay):
    silent, good = relay(hold_silent), relay(smtp(b"good"))
    setup = Setup([silent, good], pool="greeting_budget = 300ms")
    balancer = start(setup)
    with setup.connect() as client:
        assert client.line().startswith(b"421 4.3.2 lb.test no relay available (")
    assert balancer.wait("session", result="no_backend")["attempts"] == "1"
    assert balancer.wait("attempt")["cause"] == "greeting_timeout"
    assert good.accepted == 0


@pytest.mark.parametrize("times, down", [
    ("greeting_timeout = 10s greeting_budget = 300ms", ["relay1"]),
    ("greeting_timeout = 300ms greeting_budget = 500ms", ["relay1"]),
    ("greeting_timeout = 300ms greeting_budget = 1m greeting_retry = 0s queue_timeout = 0s",
     ["relay1", "relay2"]),
], ids=["one", "one and a half", "two"])  # fmt: skip
def test_a_miss_is_a_whole_timeout_or_the_whole_budget(start, relay, times, down):
    """What is left of the budget for a second relay says little about it."""
    setup = Setup(
        [relay(hold_silent), relay(hold_silent)], pool=times, health="type = none greeting_fall = 1"
    )
    balancer = start(setup)
    with setup.connect() as client:
        assert client.line().startswith(b"421 4.3.2 lb.test no relay available (")
    balancer.wait("session", result="no_backend")
    assert [event["backend"] for event in balancer.find("health", to="down")] == down


OUR_FAULTS = [
    ("socket", "EMFILE", 1),
    ("socket", "ENFILE", 1),
    ("socket", "ENOBUFS", 1),
    ("setsockopt", "ENOMEM", 1),
] + [
    pytest.param(*fault, marks=pytest.mark.engine("libev"))
    for fault in (
        ("connect", "EAGAIN", 1),
        ("epoll_ctl", "ENOMEM", 2),  # the first is for the client
        ("epoll_ctl", "ENOSPC", 2),
        ("getsockopt", "ENOBUFS", 1),
        ("recv", "ENOMEM", 2),
    )
]


@pytest.mark.parametrize("call, error, number", OUR_FAULTS)
def test_no_relay_is_blamed_for_a_want_of_ours(start, relay, faults, call, error, number):
    """At once, not when a timer ends; the session's next attempt succeeds."""
    setup = Setup(
        [relay(smtp(b"one"))],
        workers=1,
        pool="connect_timeout = 1m greeting_timeout = 1m greeting_budget = 2m greeting_retry = 10ms",
        health="type = none greeting_fall = 1",
    )
    balancer = start(setup, prefix=faults.prefix)
    with setup.connect() as inside:
        assert inside.line() == b"220 one ESMTP"
        inside.send(b"NOOP\r\n")
        assert inside.line() == b"250 one"  # by now all is watched
        faults.arm(call, error, number)
        assert setup.greeting() == b"220 one ESMTP"
        assert faults.failed() == 1
    assert balancer.wait("attempt")["cause"] == "resources"
    balancer.wait("session", result="ok", attempts=2)
    assert not balancer.find("health")


def test_our_reply_arrives_even_if_the_client_has_talked(start, relay):
    """A close with unread bytes would reset the connection and take the reply with it."""
    setup = Setup([relay(close_at_once)], pool="greeting_retry = 0s")
    start(setup)
    with setup.connect() as client:
        client.send(b"EHLO early\r\n" * 100)
        assert client.line().startswith(b"421 4.3.2 ")
        client.send(b"QUIT\r\n")
        assert client.rest() == b""


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_proxy_header_is_the_first_read_of_every_attempt(start, relay, version, host):
    """Invariant 2: one write, sent at connect, anew each attempt, and its own family."""
    one, two = relay(), relay()
    setup = Setup([one, two], proxy=version)
    bind = f"[{host}]" if ":" in host else host
    setup.bind = f"{bind}:{setup.port}"
    setup.address = (host, setup.port)
    start(setup)
    for first, second in ((one, two), (two, one)):
        with setup.connect() as client:
            for backend, greeting in ((first, b"421 next\r\n"), (second, b"220 yes\r\n")):
                conn = backend.next()
                data = conn.sock.recv(536)
                source, destination, rest = parse_proxy(data)
                assert source == client.sock.getsockname()[:2]
                assert destination == (host, setup.port)
                assert rest == b""
                assert conn.segments() == 1
                if version == "v1":
                    assert data.startswith(b"PROXY TCP6 " if ":" in host else b"PROXY TCP4 ")
                conn.send(greeting)
            assert client.line() == b"220 yes"


def test_without_proxy_protocol_nothing_precedes_the_client(start, relay):
    one = relay()
    setup = Setup([one], proxy="off")
    start(setup)
    with setup.connect() as client:
        conn = one.next()
        conn.send(b"220 go\r\n")
        assert client.line() == b"220 go"
        client.send(b"NOOP\r\n")
        assert conn.recv() == b"NOOP\r\n"


def test_backend_over_ipv6_and_client_over_ipv4(start, relay):
    one = relay(smtp(b"six"), host="::1")
    setup = Setup([one])
    start(setup)
    with setup.connect() as client:
        assert client.line() == b"220 six ESMTP"


def test_backend_without_port_gets_the_listeners(start, relay):
    one = relay(smtp(b"same port"), host="127.0.0.9")
    setup = Setup([one], bind="", proxy="off")
    setup.relays[0].serve = smtp(b"same port", proxy=False)
    text = setup.text().replace("bind = {  }", f"bind = {{ 127.0.0.1:{one.port} }}")
    text = text.replace(f"port = {one.port}", "")
    start(text)
    setup.address = ("127.0.0.1", one.port)
    with setup.connect() as client:
        assert client.line() == b"220 same port ESMTP"


def test_connect_timeout(start, relay):
    """A backend whose accept queue is full drops the handshake."""
    full = full_relay()
    fillers = []
    for _ in range(3):
        filler = socket.socket()
        filler.setblocking(False)
        filler.connect_ex(full.getsockname())
        fillers.append(filler)
    bad = relay(smtp())
    bad.port = full.getsockname()[1]
    setup = Setup([bad, relay(smtp(b"good"))], pool="connect_timeout = 200ms")
    balancer = start(setup)
    with setup.connect() as client:
        assert client.line() == b"220 good ESMTP"
    balancer.wait("attempt", backend="relay1", cause="connect_timeout")
    for filler in fillers:
        filler.close()
    full.close()


def test_client_that_leaves_at_once_causes_no_bare_connection(start, relay):
    """As a TCP check of something in front of us does: Postfix would log `haproxy read:`."""
    firsts = []
    one = relay(lambda conn: firsts.append(conn.sock.recv(536)))
    setup = Setup([one])
    balancer = start(setup)
    for _ in range(300):
        setup.connect().close()
    balancer.wait("session", 300)
    eventually(lambda: len(firsts) == one.accepted)
    assert b"" not in firsts
    for first in firsts:
        parse_proxy(first)


def test_client_that_leaves_as_the_backend_connects_causes_no_bare_connection(start):
    """The connection stands, and the client is gone, before the balancer knows of either."""
    with full_relay() as full:
        address = full.getsockname()
        setup = Setup([SimpleNamespace(host=address[0], port=address[1])])
        balancer = start(setup)
        with connect(address):  # all that the backend's queue holds
            client = setup.connect()
            eventually(lambda: is_connecting(address[1]))
            with stopped(balancer):
                full.accept()[0].close()
                late = full.accept()[0]
                client.close()
            with late:
                parse_proxy(late.recv(536))
    assert balancer.wait("session")["result"] == "client_lost"
