"""Invariant 6: no room or no descriptors end single sessions with a reply, or keep clients waiting;
nothing spins, and all is well again by itself."""

import os
import re
import resource
import time
from pathlib import Path

import pytest
from balancer import Setup, run
from faults import FOREVER
from peers import eventually, smtp

FULL = re.compile(rb"421 4\.3\.2 lb\.test too many connections \([0-9a-f]{16}\)")
DENIED = re.compile(rb"421 4\.7\.1 lb\.test access denied \([0-9a-f]{16}\)\r\n")
STRANGER = "127.0.0.66"
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
    setup = Setup([relay(smtp(b"one"))], top="max_sessions = 1", workers=1, deny=STRANGER)
    balancer = start(setup)
    denied = [setup.connect(source=STRANGER) for _ in range(3)]
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


def denied(setup):
    with setup.connect(STRANGER) as client:
        assert DENIED.fullmatch(client.rest())


def test_no_descriptor_to_accept_with(start, relay):
    """Every client is answered, with the one descriptor that is held in reserve, and so is one that
    is denied; those who are in go on, and a crowd is one line in the log."""
    setup = Setup([relay(smtp(b"one"))], workers=1, deny=STRANGER)
    balancer = start(setup)
    inside = held_session(setup)
    set_descriptor_limit(balancer, lowest_free_descriptor(balancer))
    for _ in range(40):
        turned_away(setup)
        denied(setup)
    with setup.connect() as client:  # it gets its reply even if it has talked
        client.send(b"EHLO early\r\n")
        assert FULL.fullmatch(client.line())
    event = balancer.wait("accept")
    assert (event["level"], event["listener"]) == ("error", "smtp")
    assert event["detail"] == "Too many open files"
    assert balancer.wait("session", 41, result="limited")["end"] == "balancer"
    assert len(balancer.find("accept")) == 1
    inside.send(b"NOOP\r\n")
    assert inside.line() == b"250 one"
    set_descriptor_limit(balancer, 1024)
    assert setup.greeting() == b"220 one ESMTP"
    inside.quit()
    balancer.wait("session", 2, result="ok")
    assert relay_sources(setup) == 2


def relay_sources(setup):
    return sum(relay.accepted for relay in setup.relays)


def test_not_even_the_reserve(start, relay, faults):
    """Nobody can be answered: they wait in the accept queue, and nothing spins. Calls are counted:
    a tenth of a second's pause is about two of accept4."""
    setup = Setup([relay(smtp(b"one"))], workers=1)
    balancer = start(setup, prefix=faults.prefix)
    faults.arm("accept4", "EMFILE", last=FOREVER)
    began = time.monotonic()
    before = faults.all_calls()
    waiting = [setup.connect() for _ in range(5)]
    eventually(lambda: faults.failed() >= 8)
    pauses = (time.monotonic() - began) / PAUSE_S + 2
    after = faults.all_calls()
    assert after["accept4"] - before["accept4"] <= 2 * pauses
    assert after["epoll_wait"] - before["epoll_wait"] <= 3 * pauses
    assert len(balancer.find("accept")) == 1
    faults.disarm()
    for client in waiting:
        assert client.line() == b"220 one ESMTP"
        client.quit()


def test_resumes_as_soon_as_a_session_has_ended(start, relay, faults):
    """It does not wait for its pause to end."""
    setup = Setup([relay(smtp(b"one"))], workers=1)
    balancer = start(setup, prefix=faults.prefix)
    for turn in range(1, 6):
        inside = held_session(setup)
        faults.arm("accept4", "ENOMEM")
        waiting = setup.connect()
        eventually(lambda: faults.failed() == 1)
        inside.quit()
        assert waiting.line() == b"220 one ESMTP"
        waiting.quit()
        balancer.wait("session", 2 * turn, result="ok")


def test_the_reserve_stays_over_a_reload(start, relay, faults):
    setup = Setup([relay(smtp(b"one"))], workers=1)
    balancer = start(setup, prefix=faults.prefix)
    for _ in range(3):
        faults.arm("accept4", "EMFILE")
        turned_away(setup)
        assert setup.greeting() == b"220 one ESMTP"
        assert balancer.reload()["action"] == "reloaded"


@pytest.mark.parametrize("top", ["", "max_sessions = 1000"])
@pytest.mark.parametrize("limit", [26, 40, 64, 80, 100, 128])
def test_few_descriptors(start, relay, limit, top):
    """However few they are, sessions are limited before descriptors run out."""
    setup = Setup([relay(smtp(b"one"))], workers=1, top=top)
    balancer = start(setup, prefix=["prlimit", f"--nofile={limit}:{limit}"])
    clients = []
    while (client := setup.connect()).line() == b"220 one ESMTP":
        clients.append(client)
    client.close()
    assert clients
    assert balancer.wait("session", result="limited")
    assert not balancer.find("accept")
    assert not balancer.find("attempt")
    assert balancer.reload()["action"] == "reloaded"
    for one in clients:
        assert one.quit() == b"221 bye"


def test_too_few_descriptors(relay, tmp_path):
    conf = tmp_path / "smtplb.conf"
    conf.write_text(Setup([relay(smtp(b"one"))], workers=1).text())
    limit = resource.RLIMIT_NOFILE, (20, 20)
    result = run("run", "-c", conf, preexec_fn=lambda: resource.setrlimit(*limit))
    assert result.returncode == 1
    assert "the limit of 20 open files is too low" in result.stderr


def may_not_grow(balancer, spare=0):
    pages = int(Path(f"/proc/{balancer.pid}/statm").read_text().split()[0])
    size = pages * os.sysconf("SC_PAGE_SIZE") + spare
    resource.prlimit(balancer.pid, resource.RLIMIT_AS, (size, resource.RLIM_INFINITY))


def may_grow(balancer):
    infinity = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)
    resource.prlimit(balancer.pid, resource.RLIMIT_AS, infinity)


@pytest.mark.own_memory
@pytest.mark.parametrize("spare, what", [
    (1 << 20, "{table}: can't be loaded: Resource temporarily unavailable"),
    (12 << 20, "{conf}: no memory to load this configuration"),
], ids=["thread", "load"])
def test_no_memory_for_a_list_that_has_changed(start, relay, tmp_path, spare, what):
    """It says so, and reads the list again until there is."""
    table = tmp_path / "list"
    table.write_text("127.0.0.1\n")
    setup = Setup([relay(smtp(b"one"))], workers=1, allow=f'"file:{table}"')
    balancer = start(setup)
    may_not_grow(balancer, spare)
    table.write_text("127.0.0.5\n" + "".join(f"2001:db8:0:{i:x}::/64\n" for i in range(1 << 16)))
    event = balancer.wait("config", action="refused")
    assert event["detail"] == what.format(table=table, conf=balancer.conf)
    assert setup.greeting() == b"220 one ESMTP"
    may_grow(balancer)
    balancer.wait("config", action="reloaded")
    assert setup.greeting("127.0.0.5") == b"220 one ESMTP"
    assert setup.greeting().startswith(b"421 4.7.1 ")


@pytest.mark.own_memory
def test_memory_at_the_limit(start, relay, tmp_path):
    """The process may not grow: what needs memory is refused, by a reply or a closed connection; a
    reload says so; and all of it works again afterwards."""
    big = tmp_path / "big"
    big.write_text("".join(f"10.{i >> 8}.{i & 255}.0/24\n" for i in range(1 << 16)))
    setup = Setup([relay(smtp(b"one"))], workers=1)
    balancer = start(setup)
    assert setup.greeting() == b"220 one ESMTP"
    inside = held_session(setup)
    may_not_grow(balancer)
    small = setup.text()
    setup.allow += f', "file:{big}"'
    event = balancer.reload(setup.text())
    assert event["action"] == "refused"
    waiting = [setup.connect() for _ in range(200)]
    for client in waiting:
        try:
            assert client.line() in (b"220 one ESMTP", b"") or client.line() == b""
        except ConnectionResetError:
            pass
        client.close()
    inside.send(b"NOOP\r\n")
    assert inside.line() == b"250 one"
    may_grow(balancer)
    assert balancer.reload(setup.text())["action"] == "reloaded"
    assert balancer.reload(small)["action"] == "reloaded"
    assert setup.greeting() == b"220 one ESMTP"
    inside.quit()


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
    setup = Setup([relay(smtp(b"one"))], workers=1, deny=STRANGER)
    balancer = start(setup, prefix=["prlimit", "--nofile=136:136"])
    before = len(os.listdir(f"/proc/{balancer.pid}/fd"))
    strangers = [setup.connect(STRANGER) for _ in range(40)]
    for stranger in strangers:
        assert stranger.line().startswith(b"421 4.7.1 ")
    eventually(lambda: len(os.listdir(f"/proc/{balancer.pid}/fd")) <= before + 10)
    assert setup.greeting() == b"220 one ESMTP"
    for stranger in strangers:
        stranger.close()
