"""Limits: of a listener, and of each of its clients. Who is over one hears which, nobody else
notices, and room is there again when a session has ended, however it ended."""

import contextlib
import threading

import headers
import pytest
from balancer import Crowd, Setup
from peers import connect, eventually, free_port, smtp

GOOD = "127.0.0.10"
OTHER = "127.0.0.11"
FRONT = "127.0.0.9"
RELAY = b"220 relay ESMTP"
CALLED = {4: ("192.0.2.25", 25), 6: ("2001:db8::25", 25)}


def limited(relays, limits, listener="", **options):
    return Setup(relays, listener=f"limits {{ {limits} }} {listener}", **options)


def announced(setup, source, port=1000):
    """A client that a balancer in front announces."""
    client = connect(setup.address, FRONT)
    client.send(headers.v2((source, port), CALLED[6 if ":" in source else 4]))
    return client


def expect_refusal(client, event, text):
    """The reply to the letter, and the end."""
    assert client.rest().decode() == f"{text} ({event['id']})\r\n"
    client.close()


def hold(setup, count, source):
    """So many sessions that are served."""
    clients = [setup.connect(source) for _ in range(count)]
    for client in clients:
        assert client.line() == RELAY
    return clients


def leave(clients):
    for client in clients:
        assert client.quit() == b"221 bye"


def await_greeting(setup, source):
    """The other side's end is seen a little after the client's."""
    return eventually(lambda: setup.greeting(source) == RELAY)


@pytest.mark.parametrize("workers", [1, 2])
def test_sessions_of_a_client(start, relay, workers):
    setup = limited([relay(smtp())], "sessions_per_client = 3", workers=workers)
    balancer = start(setup)
    clients = hold(setup, 3, GOOD)
    for count in range(1, 6):
        refused = setup.connect(GOOD)
        event = balancer.wait("limited", count)
        expect_refusal(refused, event, f"421 4.7.0 lb.test too many connections from {GOOD}")
        assert list(event) == "ts level event id listener client limit rate".split()
        assert event["client"].startswith(f"{GOOD}:")
        assert (event["listener"], event["level"]) == ("smtp", "info")
        assert (event["limit"], event["rate"]) == ("sessions_per_client", "-")
        ended = balancer.wait("session", result="limited", id=event["id"])
        assert (ended["end"], ended["attempts"]) == ("balancer", "0")
    leave(hold(setup, 3, OTHER))
    leave(clients[:1])
    await_greeting(setup, GOOD)
    leave(clients[1:])
    balancer.wait("session", 3 + 3 + 1, result="ok")
    leave(hold(setup, 3, GOOD))


def test_sessions_of_a_listener(start, relay):
    setup = limited([relay(smtp())], "sessions = 4")
    balancer = start(setup)
    clients = hold(setup, 2, GOOD) + hold(setup, 2, OTHER)
    refused = setup.connect(FRONT)
    event = balancer.wait("limited")
    expect_refusal(refused, event, "421 4.3.2 lb.test too many connections")
    assert (event["limit"], event["rate"]) == ("sessions", "-")
    assert balancer.wait("session", result="limited")["id"] == event["id"]
    leave(clients)
    balancer.wait("session", 4, result="ok")
    leave(hold(setup, 4, FRONT))


def test_connects_of_a_client(start, relay):
    setup = limited([relay(smtp())], "connects_per_client = 3/1h")
    balancer = start(setup)
    for _ in range(3):
        assert setup.greeting(GOOD) == RELAY
    for count in range(1, 4):
        refused = setup.connect(GOOD)
        event = balancer.wait("limited", count)
        expect_refusal(refused, event, f"421 4.7.0 lb.test too many connections from {GOOD}")
        assert (event["limit"], event["rate"]) == ("connects_per_client", "3/1h")
    assert setup.greeting(OTHER) == RELAY


def test_connects_come_back(start, relay):
    """A token each 50 ms: who comes again and again is served each time that there is one."""
    setup = limited([relay(smtp())], "connects_per_client = 20/1s")
    balancer = start(setup)
    with Crowd(setup, source=GOOD) as crowd:
        eventually(lambda: sum(line == RELAY for line in list(crowd.lines)) >= 40)
    assert any(line.startswith(b"421 4.7.0 ") for line in crowd.lines)
    assert balancer.find("limited")[0]["rate"] == "20/1s"


def test_who_is_refused_takes_nothing(start, relay):
    """A refusal uses up no connect, and holds no room, neither the listener's nor the client's."""
    setup = limited(
        [relay(smtp())], "sessions = 2 sessions_per_client = 1 connects_per_client = 3/1h"
    )
    balancer = start(setup)
    mine, others = hold(setup, 1, GOOD), hold(setup, 1, OTHER)
    for _ in range(10):
        assert setup.greeting(GOOD).startswith(b"421 4.7.0 ")
        assert setup.greeting(FRONT).startswith(b"421 4.3.2 ")
    leave(mine + others)
    balancer.wait("session", 2, result="ok")
    ended = 2
    for source, rest in ((GOOD, 2), (OTHER, 2), (FRONT, 3)):
        for _ in range(rest):
            assert setup.greeting(source) == RELAY
            ended += 1
            balancer.wait("session", ended, result="ok")
        assert setup.greeting(source).startswith(b"421 4.7.0 ")


def test_the_daemon_is_full(start, relay):
    """Its refusal uses up none of the client's connects either."""
    setup = limited(
        [relay(smtp())], "connects_per_client = 2/1h sessions = 5", top="max_sessions = 1"
    )
    balancer = start(setup)
    (client,) = hold(setup, 1, GOOD)
    for count in range(1, 4):
        refused = setup.connect(OTHER)
        event = balancer.wait("limited", count)
        expect_refusal(refused, event, "421 4.3.2 lb.test too many connections")
        assert event["limit"] == "max_sessions"
    leave([client])
    for _ in range(2):
        await_greeting(setup, OTHER)
    assert setup.greeting(OTHER).startswith(b"421 4.7.0 ")


@pytest.mark.parametrize("how", ["fin", "rst", "no_backend", "backend_lost"])
def test_room_is_given_back_however_a_session_ends(start, relay, how):
    one = relay()
    setup = limited(
        [one], "sessions = 1 sessions_per_client = 1", pool="greeting_retry = 0s",
        health="type = none greeting_fall = 0",
    )
    balancer = start(setup)
    for count in range(1, 6):
        client = setup.connect(GOOD)
        peer = one.next()
        if how != "no_backend":
            peer.send(b"220 one\r\n")
            assert client.line() == b"220 one"
        if how == "rst":
            client.reset()
        elif how == "fin":
            client.close()
        else:
            peer.reset()
            if how == "no_backend":
                assert client.line().startswith(b"421 4.3.2 lb.test no relay available ")
            client.rest()
            client.close()
        peer.close()
        eventually(lambda n=count: len(balancer.find("session")) == n)
    assert not balancer.find("limited")


def test_a_client_that_waits_counts(start, relay):
    """Also while it has no greeting yet."""
    one = relay()
    setup = limited([one], "sessions_per_client = 1")
    balancer = start(setup)
    waiting = setup.connect(GOOD)
    peer = one.next()
    assert setup.greeting(GOOD).startswith(b"421 4.7.0 ")
    balancer.wait("limited", limit="sessions_per_client")
    peer.send(b"220 one\r\n")
    assert waiting.line() == b"220 one"
    waiting.close()


def test_another_listener_has_limits_of_its_own(start, relay):
    setup = limited([relay(smtp())], "sessions = 1 connects_per_client = 2/1h")
    port = free_port()
    text = setup.text() + (
        f"listener other {{ bind = 127.0.0.1:{port} acl = senders pool = relays\n"
        "    limits { connects_per_client = 1/1h } }\n"
        f"listener free {{ bind = 127.0.0.2:{port} acl = senders pool = relays }}\n"
    )
    balancer = start(text)
    (client,) = hold(setup, 1, GOOD)
    assert setup.greeting(GOOD).startswith(b"421 4.3.2 ")
    with connect(("127.0.0.1", port), GOOD) as other:
        assert other.line() == RELAY
    with connect(("127.0.0.1", port), GOOD) as other:
        assert other.line().startswith(b"421 4.7.0 ")
    event = balancer.wait("limited", 2)
    assert (event["listener"], event["rate"]) == ("other", "1/1h")
    for _ in range(3):
        with connect(("127.0.0.2", port), GOOD) as free:
            assert free.line() == RELAY
    leave([client])


def test_announced_clients(start, relay):
    """The client is who a balancer in front says; an IPv6 /64 is one."""
    setup = limited(
        [relay(smtp())], "connects_per_client = 2/1h", f"accept_proxy = {{ {FRONT} }}",
        allow="192.0.2.0/24, 2001:db8::/32",
    )
    balancer = start(setup)
    sources = [
        ("192.0.2.1", True), ("192.0.2.1", True), ("192.0.2.1", False), ("192.0.2.2", True),
        ("2001:db8:1:2::1", True), ("2001:db8:1:2:ffff::1", True), ("2001:db8:1:2::3", False),
        ("2001:db8:1:3::1", True), ("192.0.2.1", False), ("2001:db8:1:2::1", False),
    ]
    refused = 0
    for source, is_served in sources:
        with announced(setup, source) as client:
            if is_served:
                assert client.line() == RELAY
                continue
            refused += 1
            event = balancer.wait("limited", refused)
            text = f"421 4.7.0 lb.test too many connections from {source}"
            expect_refusal(client, event, text)
            host = f"[{source}]" if ":" in source else source
            assert event["client"] == f"{host}:1000"


def test_an_announced_client_that_is_over_keeps_no_room(start, relay):
    """Nor the daemon's, which the header waited in."""
    setup = limited(
        [relay(smtp())], "sessions_per_client = 1", f"accept_proxy = {{ {FRONT} }}",
        allow="192.0.2.0/24", top="max_sessions = 2",
    )
    balancer = start(setup)
    with announced(setup, "192.0.2.1") as first:
        assert first.line() == RELAY
        for count in range(1, 6):
            with announced(setup, "192.0.2.1") as refused:
                balancer.wait("limited", count, limit="sessions_per_client")
                with announced(setup, "192.0.2.2") as client:
                    assert client.line() == RELAY
                    assert client.quit() == b"221 bye"
                balancer.wait("session", count, result="ok")
                assert refused.line().startswith(b"421 4.7.0 ")


RELOADS = [
    # limits before and after, and how many of one client's sessions are served then, beside 2 that
    # have run since before
    ("sessions = 2", "sessions = 5", 3),
    ("sessions = 5", "sessions = 2", 0),
    ("sessions_per_client = 2", "sessions_per_client = 4", 2),
    ("sessions_per_client = 5", "sessions_per_client = 1", 0),
    ("connects_per_client = 2/1h", "connects_per_client = 5/1h", 3),
    ("connects_per_client = 5/1h", "connects_per_client = 2/1h", 0),
    ("connects_per_client = 5/1h", "connects_per_client = 4/1d", 2),
    ("sessions_per_client = 2", "", 5),
    # Nobody has counted those two.
    ("", "sessions_per_client = 3", 3),
    ("", "sessions = 3", 1),
]


@pytest.mark.parametrize("before, after, served", RELOADS)
def test_a_reload_changes_the_numbers_at_once(start, relay, before, after, served):
    setup = limited([relay(smtp())], before)
    balancer = start(setup)
    clients = hold(setup, 2, GOOD)
    setup.listener = f"limits {{ {after} }}"
    assert balancer.reload(setup.text())["action"] == "reloaded"
    clients += hold(setup, served, GOOD)
    if after:
        assert setup.greeting(GOOD).startswith(b"421 4.")
    for client in clients:
        client.send(b"NOOP\r\n")
        assert client.line() == b"250 relay"
    leave(clients)


def test_what_was_counted_survives_reloads(start, relay):
    setup = limited([relay(smtp())], "sessions_per_client = 2 connects_per_client = 3/1d")
    balancer = start(setup)
    clients = hold(setup, 2, GOOD)
    for _ in range(3):
        assert balancer.reload(setup.text())["action"] == "reloaded"
        assert setup.greeting(GOOD).startswith(b"421 4.7.0 ")
    # Meanwhile without, and with a name more.
    setup.listener = ""
    assert balancer.reload(setup.text())["action"] == "reloaded"
    clients += hold(setup, 2, GOOD)
    setup.listener = "limits { sessions_per_client = 4 connects_per_client = 3/1d }"
    assert balancer.reload(setup.text())["action"] == "reloaded"
    assert setup.greeting(GOOD).startswith(b"421 4.7.0 ")
    assert balancer.wait("limited", 4)["limit"] == "sessions_per_client"
    leave(clients)
    balancer.wait("session", 4, result="ok")
    assert setup.greeting(GOOD) == RELAY
    assert setup.greeting(GOOD).startswith(b"421 4.7.0 ")
    assert balancer.wait("limited", 5)["limit"] == "connects_per_client"


def test_refusals_are_summed_up_under_a_flood(start, relay):
    setup = limited([relay(smtp())], "connects_per_client = 1/1d")
    balancer = start(setup)
    assert setup.greeting(GOOD) == RELAY
    for _ in range(300):
        assert setup.greeting(GOOD).startswith(b"421 4.7.0 ")
    balancer.stop()
    eventually(lambda: balancer.closed)
    lines = balancer.find("limited")
    summed = [event for event in lines if "count" in event]
    assert summed
    assert len(lines) - len(summed) + sum(int(event["count"]) for event in summed) == 300
    for event in summed:
        assert list(event) == "ts level event id listener client limit rate count".split()
        assert {event[key] for key in ("id", "listener", "client", "limit", "rate")} == {"-"}


def flood(setup, source, done, refused):
    """Connects as fast as it can, and stays as long as it is let."""
    with contextlib.ExitStack() as stack:
        while not done.is_set():
            client = stack.enter_context(setup.connect(source))
            if client.line().startswith(b"421 4.7.0 "):
                refused.append(client)
                client.close()


def test_a_flood_beside_a_good_client(start, relay):
    """The good one is served each time, and finds room, while another asks for all of it."""
    setup = limited([relay(smtp())], "sessions = 8 sessions_per_client = 4")
    balancer = start(setup)
    done, refused = threading.Event(), []
    floods = [
        threading.Thread(target=flood, args=(setup, OTHER, done, refused)) for _ in range(3)
    ]
    for thread in floods:
        thread.start()
    try:
        eventually(lambda: len(refused) > 50)
        for _ in range(200):
            assert setup.greeting(GOOD) == RELAY
    finally:
        done.set()
        for thread in floods:
            thread.join()
    assert {event["limit"] for event in balancer.find("limited") if "count" not in event} == {
        "sessions_per_client"
    }


def test_counts_are_exact_over_workers(start, relay):
    """Many at once: just as many as the limits say are served."""
    setup = limited([relay(smtp())], "sessions = 30 sessions_per_client = 20", workers=4)
    start(setup)
    lines = {GOOD: [], OTHER: []}
    with contextlib.ExitStack() as stack:
        clients = []
        for _ in range(40):
            clients += [(source, stack.enter_context(setup.connect(source))) for source in lines]
        for source, client in clients:
            lines[source].append(client.line()[:9])
        served = {source: got.count(RELAY[:9]) for source, got in lines.items()}
        assert sum(served.values()) == 30
        assert max(served.values()) <= 20
        for source, got in lines.items():
            assert set(got) <= {RELAY[:9], b"421 4.7.0", b"421 4.3.2"}, source
