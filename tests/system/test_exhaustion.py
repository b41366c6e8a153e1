"""Invariant 6: no room or no descriptors end single sessions with a reply, or keep clients waiting;
nothing spins, and all is well again by itself."""

import os
import re
import resource
import time
from pathlib import Path

from balancer import Setup
from peers import smtp

FULL = re.compile(rb"421 4\.3\.2 lb\.test too many connections \([0-9a-f]{16}\)")
PAUSE_S = 0.1  # of a worker that could not accept


def held_session(setup):
    client = setup.connect()
    assert client.line() == b"220 one ESMTP"
    return client


def turned_away(setup):
    with setup.connect() as client:
        assert FULL.fullmatch(client.line())
        assert client.rest() == b""


def set_descriptor_limit(balancer, count):
    _, hard = resource.prlimit(balancer.pid, resource.RLIMIT_NOFILE)
    resource.prlimit(balancer.pid, resource.RLIMIT_NOFILE, (count, hard))


def lowest_free_descriptor(balancer):
    used = {int(path.name) for path in Path(f"/proc/{balancer.pid}/fd").iterdir()}
    return next(fd for fd in range(len(used) + 1) if fd not in used)


def cpu_seconds(balancer):
    fields = Path(f"/proc/{balancer.pid}/stat").read_text("ascii").rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def test_max_sessions(start, relay):
    setup = Setup([relay(smtp(b"one"))], top="max_sessions = 2", workers=1)
    balancer = start(setup)
    first, second = held_session(setup), held_session(setup)
    for count in (1, 2, 3):
        turned_away(setup)
        event = balancer.wait("session", count, result="limited")
        assert (event["end"], event["backend"], event["attempts"]) == ("balancer", "-", "0")
    assert setup.relays[0].accepted == 2
    first.quit()
    balancer.wait("session", result="ok")
    third = held_session(setup)
    turned_away(setup)
    second.quit()
    third.quit()


def test_reload_changes_max_sessions(start, relay):
    setup = Setup([relay(smtp(b"one"))], top="max_sessions = 1", workers=1)
    balancer = start(setup)
    clients = [held_session(setup)]
    turned_away(setup)
    setup.top = "max_sessions = 3"
    balancer.reload(setup.text())
    clients += [held_session(setup), held_session(setup)]
    turned_away(setup)
    setup.top = "max_sessions = 1"
    balancer.reload(setup.text())
    turned_away(setup)
    for client in clients:  # none of them was cut
        client.send(b"NOOP\r\n")
        assert client.line() == b"250 one"
        client.quit()


def test_those_turned_away_take_no_room(start, relay):
    """They linger until they have read why; until then they must not keep others out."""
    setup = Setup([relay(smtp(b"one"))], top="max_sessions = 1", workers=1, deny="127.0.0.66")
    balancer = start(setup)
    denied = [setup.connect(source="127.0.0.66") for _ in range(3)]
    for client in denied:
        assert client.line().startswith(b"421 4.7.1 ")
    first = held_session(setup)
    limited = [setup.connect() for _ in range(3)]
    for client in limited:
        assert FULL.fullmatch(client.line())
    first.quit()
    balancer.wait("session", result="ok")
    held_session(setup).quit()
    for client in denied + limited:
        client.close()


def test_descriptor_limit_decides_where_nothing_is_configured(start, relay):
    """It has room for 31 sessions of two descriptors each, after what we need ourselves and for
    those who only linger."""
    setup = Setup([relay(smtp(b"one"))], workers=1)
    balancer = start(setup, prefix=["prlimit", "--nofile=136:136"])
    clients = [held_session(setup) for _ in range(31)]
    turned_away(setup)
    assert not balancer.find("accept")
    assert not balancer.find("attempt")
    clients.pop().quit()
    balancer.wait("session", result="ok")
    clients.append(held_session(setup))
    turned_away(setup)
    for client in clients:
        client.quit()
    balancer.wait("session", 32, result="ok")


def test_no_descriptor_to_accept_with(start, relay):
    """The clients wait in the accept queue, those who are in go on, and nothing spins."""
    setup = Setup([relay(smtp(b"one"))], workers=1)
    balancer = start(setup)
    inside = held_session(setup)
    set_descriptor_limit(balancer, lowest_free_descriptor(balancer))
    began, cpu_before = time.monotonic(), cpu_seconds(balancer)
    waiting = [setup.connect() for _ in range(5)]
    event = balancer.wait("accept", 10)
    assert (event["level"], event["listener"]) == ("error", "smtp")
    assert event["detail"] == "Too many open files"
    tries = len(balancer.find("accept"))
    cpu = cpu_seconds(balancer) - cpu_before
    elapsed = time.monotonic() - began
    assert tries <= elapsed / PAUSE_S + 2
    assert cpu < elapsed / 2
    inside.send(b"NOOP\r\n")
    assert inside.line() == b"250 one"
    set_descriptor_limit(balancer, 1024)
    for client in waiting:
        assert client.line() == b"220 one ESMTP"
        client.quit()
    inside.quit()
    balancer.wait("session", 6, result="ok")


def test_reload_while_accepting_pauses(start, relay):
    """The pause goes with the sockets, whichever configuration they are under."""
    setup = Setup([relay(smtp(b"one"))], workers=1)
    balancer = start(setup)
    limit = lowest_free_descriptor(balancer)
    # The loader needs a descriptor to read the file with: what accepts must not get it.
    with balancer.loading(setup.text()):
        set_descriptor_limit(balancer, limit)
        client = setup.connect()
        balancer.wait("accept", 2)
    balancer.wait("config", action="reloaded")
    balancer.wait("accept", len(balancer.find("accept")) + 2)
    set_descriptor_limit(balancer, 1024)
    assert client.line() == b"220 one ESMTP"
    client.quit()


def test_no_descriptor_to_load_with(start, relay):
    setup = Setup([relay(smtp(b"one"))], workers=1)
    balancer = start(setup)
    set_descriptor_limit(balancer, lowest_free_descriptor(balancer))
    event = balancer.reload()
    assert event["action"] == "refused"
    assert event["detail"].endswith("Too many open files")
    set_descriptor_limit(balancer, 1024)
    assert balancer.reload()["action"] == "reloaded"
    assert setup.greeting() == b"220 one ESMTP"


def test_no_descriptor_to_connect_with(start, relay):
    """Accepted, but no descriptor is left for the relay's side: the session retries while its
    budget lasts, and no relay is blamed."""
    setup = Setup(
        [relay(smtp(b"one")), relay(smtp(b"two"))],
        workers=1,
        pool="greeting_retry = 50ms",
        health="type = none greeting_fall = 1",
    )
    balancer = start(setup)
    set_descriptor_limit(balancer, lowest_free_descriptor(balancer) + 1)
    client = setup.connect()
    balancer.wait("attempt", 4, cause="resources")
    set_descriptor_limit(balancer, 1024)
    assert client.line() in (b"220 one ESMTP", b"220 two ESMTP")
    client.quit()
    balancer.wait("session", result="ok")
    assert {setup.greeting() for _ in range(2)} == {b"220 one ESMTP", b"220 two ESMTP"}
    assert not balancer.find("health")
    assert {event["cause"] for event in balancer.find("attempt")} == {"resources"}


def test_no_descriptor_to_connect_with_until_the_budget_ends(start, relay):
    setup = Setup(
        [relay(smtp(b"one"))],
        workers=1,
        pool="greeting_retry = 50ms greeting_budget = 300ms",
    )
    balancer = start(setup)
    set_descriptor_limit(balancer, lowest_free_descriptor(balancer) + 1)
    with setup.connect() as client:
        assert client.line().startswith(b"421 4.3.2 lb.test no relay available (")
        assert client.rest() == b""
    balancer.wait("session", result="no_backend")
    set_descriptor_limit(balancer, 1024)
    assert setup.greeting() == b"220 one ESMTP"


def test_strangers_who_stay_hold_few_descriptors(start, relay):
    """Who is refused is given time to read why, but not all at once."""
    setup = Setup([relay(smtp(b"one"))], workers=1, deny="127.0.0.66")
    balancer = start(setup, prefix=["prlimit", "--nofile=136:136"])
    before = len(os.listdir(f"/proc/{balancer.pid}/fd"))
    strangers = [setup.connect("127.0.0.66") for _ in range(40)]
    for stranger in strangers:
        assert stranger.line().startswith(b"421 4.7.1 ")
    assert len(os.listdir(f"/proc/{balancer.pid}/fd")) <= before + 10
    assert setup.greeting() == b"220 one ESMTP"
    for stranger in strangers:
        stranger.close()
