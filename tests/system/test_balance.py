"""How a pool balances: least connections, source, backups, limits and the line before them,
fail_open."""

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest
from balancer import Setup
from peers import eventually, smtp

NO_RELAY = b"421 4.3.2 lb.test no relay available ("
SOURCES = [f"127.1.{i}.{i * 7 % 250 + 1}" for i in range(40)]


def relays_of(relay, count):
    return [relay(smtp(b"relay%d" % i)) for i in range(1, count + 1)]


def held_session(setup, source=None):
    """An open session, and the name of the relay that serves it."""
    client = setup.connect(source)
    line = client.line()
    assert line.startswith(b"220 "), line
    client.name = line.split()[1].decode()
    return client


def name_of(setup, source=None):
    return setup.greeting(source).split()[1].decode()


def queued(balancer):
    return len({event["id"] for event in balancer.find("phase", phase="queue")})


# Least connections.


def test_leastconn_evens_out_open_sessions(start, relay):
    setup = Setup(relays_of(relay, 3), workers=4, pool="balance = leastconn")
    start(setup)
    clients = [held_session(setup) for _ in range(12)]
    assert Counter(client.name for client in clients) == dict.fromkeys(
        ("relay1", "relay2", "relay3"), 4
    )
    # All of relay2's end: the next ones are its own.
    for client in [client for client in clients if client.name == "relay2"]:
        clients.remove(client)
        assert client.quit() == b"221 bye"
    eventually(lambda: name_of(setup) == "relay2")
    fresh = [held_session(setup) for _ in range(4)]
    assert {client.name for client in fresh} == {"relay2"}
    for client in clients + fresh:
        client.close()


def test_leastconn_goes_by_weight(start, relay):
    relays = relays_of(relay, 2)
    relays[1].options = "weight = 3"
    setup = Setup(relays, workers=4, pool="balance = leastconn")
    start(setup)
    with ThreadPoolExecutor(8) as pool:
        clients = list(pool.map(lambda _: held_session(setup), range(40)))
    assert Counter(client.name for client in clients) == {"relay1": 10, "relay2": 30}
    for client in clients:
        client.close()


def test_leastconn_counts_attempts(start, relay):
    """A relay that accepts and never greets has a session too."""
    silent = relay()
    setup = Setup([silent, relay(smtp(b"relay2"))], pool="balance = leastconn")
    start(setup)
    first = setup.connect()
    silent.next()
    for _ in range(3):
        with held_session(setup) as client:
            assert client.name == "relay2"
    first.close()


# Source.


def source_setup(relays, **options):
    return Setup(relays, pool="balance = source greeting_retry = 0s", **options)


def homes_of(setup):
    return {source: name_of(setup, source) for source in SOURCES}


def test_source_is_the_same_for_two_balancers_and_after_a_restart(start, relay):
    setup = source_setup(relays_of(relay, 3), workers=4)
    first = start(setup)
    homes = homes_of(setup)
    assert set(homes.values()) == {"relay1", "relay2", "relay3"}
    assert homes_of(setup) == homes
    other = source_setup(list(reversed(setup.relays)))
    names = {"relay1": "relay3", "relay2": "relay2", "relay3": "relay1"}
    text = other.text()
    for number in (1, 2, 3):  # the same names, in another order
        text = text.replace(f"backend relay{number} ", f"backend r{names[f'relay{number}'][-1]} ")
    start(text.replace("backend r", "backend relay"))
    assert homes_of(other) == homes
    first.stop()
    start(setup)
    assert homes_of(setup) == homes


def test_source_moves_only_the_clients_of_a_backend_that_goes(start, relay):
    relays = relays_of(relay, 3)
    setup = source_setup(relays)
    balancer = start(setup)
    homes = homes_of(setup)
    setup.relays = relays[:2]
    balancer.reload(setup.text())
    moved = homes_of(setup)
    assert all(moved[source] == home for source, home in homes.items() if home != "relay3")
    assert {moved[source] for source, home in homes.items() if home == "relay3"} == {
        "relay1",
        "relay2",
    }
    setup.relays = relays
    balancer.reload(setup.text())
    assert homes_of(setup) == homes


def test_source_goes_to_the_next_while_its_backend_is_down_and_returns(start, hosts):
    relays = hosts(*(smtp(b"relay%d" % i) for i in (1, 2, 3)))
    health = f"port = {relays[0].probe.port} interval = 50ms rise = 1 fall = 1"
    setup = source_setup(relays, health=health)
    balancer = start(setup)
    homes = homes_of(setup)
    relays[0].probe.status = 503
    balancer.wait("health", backend="relay1", to="down")
    away = homes_of(setup)
    assert "relay1" not in away.values()
    assert all(away[source] == home for source, home in homes.items() if home != "relay1")
    relays[0].probe.status = 200
    balancer.wait("health", backend="relay1", to="up")
    assert homes_of(setup) == homes


def test_source_retries_follow_the_clients_order(start, relay):
    """A backend that fails is replaced by the one that serves the client when it is gone."""
    relays = relays_of(relay, 3)
    setup = source_setup(relays, health="type = none greeting_fall = 0")
    balancer = start(setup)
    homes = homes_of(setup)
    relays[1].close()
    retried = homes_of(setup)
    assert balancer.find("attempt", backend="relay2", cause="refused")
    setup.relays = [relays[0], relays[2]]
    text = setup.text().replace("backend relay2 ", "backend relay3 ")
    balancer.reload(text)
    assert homes_of(setup) == retried
    assert all(retried[source] == home for source, home in homes.items() if home != "relay2")


# Backups.


def test_backup_serves_only_when_no_other_is_up(start, hosts):
    relays = hosts(*(smtp(b"relay%d" % i) for i in (1, 2, 3, 4)))
    relays[0].options = relays[2].options = "backup = yes"
    health = f"port = {relays[0].probe.port} interval = 50ms rise = 1 fall = 1"
    setup = Setup(relays, workers=4, health=health)
    balancer = start(setup)
    assert Counter(name_of(setup) for _ in range(20)) == {"relay2": 10, "relay4": 10}
    relays[1].probe.status = relays[3].probe.status = 503
    balancer.wait("health", count=2, to="down")
    assert Counter(name_of(setup) for _ in range(20)) == {"relay1": 10, "relay3": 10}
    relays[3].probe.status = 200
    balancer.wait("health", to="up")
    assert Counter(name_of(setup) for _ in range(20)) == {"relay4": 20}


def test_backup_is_tried_after_all_others_failed_a_session(start, relay):
    relays = [relay(lambda conn: conn.sock.recv(536)) for _ in range(2)]
    relays.insert(0, relay(smtp(b"backup")))
    relays[0].options = "backup = yes"
    setup = Setup(relays, health="type = none greeting_fall = 0")
    balancer = start(setup)
    for _ in range(5):
        assert name_of(setup) == "backup"
    balancer.wait("session", count=5, backend="relay1", attempts=3)
    assert not balancer.find("phase", phase="pause")


# Limits.


def limited(relay, limit, **options):
    one = relay(smtp(b"relay1"))
    one.options = f"max_sessions = {limit}"
    pool = options.pop("pool", "")
    return Setup([one], workers=4, pool=pool, top="log { level = debug }", **options)


def test_a_session_waits_for_a_full_backend(start, relay):
    setup = limited(relay, 1)
    balancer = start(setup)
    first = held_session(setup)
    with setup.connect() as second:
        eventually(lambda: queued(balancer) == 1)
        assert setup.relays[0].accepted == 1
        assert first.quit() == b"221 bye"
        assert second.line() == b"220 relay1 ESMTP"
        second.quit()
    waited, _ = balancer.wait("session", count=2), None
    assert (waited["attempts"], waited["result"]) == ("1", "ok")
    assert balancer.find("phase", id=waited["id"], phase="queue")
    assert balancer.find("session")[0]["queue_ms"] == "0"


@pytest.mark.parametrize("timeout", ["0s", "200ms"])
def test_the_wait_for_a_full_backend_has_an_end(start, relay, timeout):
    setup = limited(relay, 1, pool=f"queue_timeout = {timeout}")
    balancer = start(setup)
    with held_session(setup):
        with setup.connect() as client:
            line = client.line()
            assert client.rest() == b""
        event = balancer.wait("session", result="no_backend", end="balancer")
        assert line == NO_RELAY + event["id"].encode() + b")"
        assert (event["backend"], event["attempts"]) == ("-", "0")
        assert (int(event["queue_ms"]) >= 200) == (timeout != "0s")


def test_first_come_first_served_whatever_the_worker(start, relay):
    setup = limited(relay, 1)
    balancer = start(setup)
    clients = [held_session(setup)]
    for number in range(1, 13):
        clients.append(setup.connect())
        eventually(lambda count=number: queued(balancer) == count)
    for now, after in zip(clients, clients[1:]):
        assert now.quit() == b"221 bye"
        assert after.line() == b"220 relay1 ESMTP"
    clients[-1].quit()


@pytest.mark.parametrize("how", ["leaves", "is refused"])
def test_a_place_in_the_line_is_given_up(start, relay, how):
    """A client that leaves the line does not take the place of those behind it."""
    timeout = "30s" if how == "leaves" else "300ms"
    setup = limited(relay, 1, pool=f"queue_timeout = {timeout}")
    balancer = start(setup)
    first = held_session(setup)
    gone = setup.connect()
    eventually(lambda: queued(balancer) == 1)
    if how == "leaves":
        gone.reset()
        balancer.wait("session", result="client_lost")
    else:
        assert gone.line().startswith(NO_RELAY)
    with setup.connect() as last:
        eventually(lambda: queued(balancer) == 2)
        assert first.quit() == b"221 bye"
        assert last.line() == b"220 relay1 ESMTP"


class Counted:
    """A serve function that knows the most sessions it had at the same time: from the connection
    to the balancer's close of it."""

    def __init__(self, name):
        self.name = name
        self.lock = threading.Lock()
        self.now = self.most = self.total = 0

    def __call__(self, conn):
        with self.lock:
            self.now += 1
            self.total += 1
            self.most = max(self.most, self.now)
        try:
            conn.sock.recv(536)
            conn.send(b"220 " + self.name + b" ESMTP\r\n")
            while conn.line()[:4] not in (b"QUIT", b""):
                conn.send(b"250 ok\r\n")
        finally:
            with self.lock:
                self.now -= 1
            conn.send(b"221 bye\r\n")


@pytest.mark.parametrize("balance", ["roundrobin", "leastconn", "source"])
def test_a_limit_is_never_exceeded(start, relay, balance):
    """400 sessions of 16 clients over 4 workers, two relays with room for 3 and 2: nobody is turned
    away, and nobody forgotten."""
    serves = [Counted(b"relay1"), Counted(b"relay2")]
    relays = [relay(serve) for serve in serves]
    relays[0].options, relays[1].options = "max_sessions = 3", "max_sessions = 2"
    setup = Setup(relays, workers=4, pool=f"balance = {balance}")
    balancer = start(setup)
    with ThreadPoolExecutor(16) as clients:
        names = Counter(clients.map(lambda i: name_of(setup, f"127.2.0.{i % 200 + 1}"), range(400)))
    assert names.total() == 400
    assert serves[0].most <= 3 and serves[1].most <= 2
    assert serves[0].total + serves[1].total == 400
    balancer.wait("session", count=400, result="ok", attempts=1)


def test_the_share_of_a_full_backend_is_spread_evenly(start, relay):
    relays = relays_of(relay, 4)
    relays[1].options = "max_sessions = 1"
    setup = Setup(relays, workers=4)
    start(setup)
    held = [held_session(setup) for _ in range(2)]
    assert held[1].name == "relay2"
    names = [name_of(setup) for _ in range(30)]
    for at in range(28):
        assert set(names[at : at + 3]) == {"relay1", "relay3", "relay4"}
    for client in held:
        client.close()


def test_a_full_backend_is_not_tried(start, relay):
    """The one that has room fails: the session waits for the other, and has it in the end."""
    full, bad = relay(smtp(b"relay1")), relay(lambda conn: conn.sock.recv(536))
    full.options = "max_sessions = 1"
    pool = "greeting_retry = 0s"
    setup = Setup([full, bad], pool=pool, top="log { level = debug }")
    balancer = start(setup)
    first = held_session(setup)
    with setup.connect() as second:
        balancer.wait("attempt", backend="relay2", cause="closed")
        balancer.wait("phase", phase="queue")
        assert first.quit() == b"221 bye"
        assert second.line() == b"220 relay1 ESMTP"
    balancer.wait("session", attempts=2, backend="relay1", result="ok")


def test_a_reload_raises_the_limit(start, relay):
    setup = limited(relay, 1)
    balancer = start(setup)
    first = held_session(setup)
    with setup.connect() as second:
        eventually(lambda: queued(balancer) == 1)
        setup.relays[0].options = "max_sessions = 2"
        balancer.reload(setup.text())
        assert second.line() == b"220 relay1 ESMTP"
    first.close()


def test_a_failed_attempt_gives_its_place_to_who_waits(start, relay):
    one = relay()
    one.options = "max_sessions = 1"
    setup = Setup([one], pool="greeting_retry = 0s", top="log { level = debug }")
    balancer = start(setup)
    first = setup.connect()
    conn = one.next()
    with setup.connect() as second:
        eventually(lambda: queued(balancer) == 1)
        conn.close()
        assert first.line().startswith(NO_RELAY)
        conn = one.next()
        conn.exactly(28)
        conn.send(b"220 yours\r\n")
        assert second.line() == b"220 yours"
    first.close()


# fail_open, and coming up.


@pytest.fixture(name="down")
def fixture_down(start, hosts):
    """down(pool): relays that are down by their probes, and their balancer."""

    def make(*serves, pool="fail_open = yes"):
        relays = hosts(*serves)
        for one in relays:
            one.probe.status = 503
        health = f"port = {relays[0].probe.port} interval = 50ms rise = 1 fall = 1"
        setup = Setup(relays, pool=pool, health=health, top="log { level = debug }")
        balancer = start(setup)
        balancer.wait("health", count=len(serves), to="down", cause="probe")
        return setup, balancer

    return make


def test_fail_open_tries_all(down):
    setup, balancer = down(smtp(b"relay1"), lambda conn: conn.sock.recv(536), smtp(b"relay3"))
    event = balancer.wait("fail_open", state="on")
    assert (event["pool"], event["level"]) == ("relays", "warning")
    assert Counter(name_of(setup) for _ in range(10)).keys() == {"relay1", "relay3"}
    assert balancer.wait("attempt", backend="relay2", cause="closed")
    # A greeting is no probe: they are down still.
    assert not balancer.find("health", to="up")
    setup.relays[0].probe.status = 200
    balancer.wait("health", backend="relay1", to="up", cause="probe")
    balancer.wait("fail_open", state="off")
    assert {name_of(setup) for _ in range(6)} == {"relay1"}


def test_without_fail_open_nobody_is_tried(down):
    setup, balancer = down(smtp(b"relay1"), pool="queue_timeout = 100ms")
    assert setup.greeting().startswith(NO_RELAY)
    assert setup.relays[0].accepted == 0
    assert not balancer.find("fail_open")


def test_fail_open_by_greetings(start, relay):
    """Out by its greetings, and its trial far off: with fail_open nobody waits for that."""
    one = relay(lambda conn: conn.sock.recv(536))
    setup = Setup([one], pool="fail_open = yes greeting_retry = 0s")
    balancer = start(setup)
    for _ in range(3):
        assert setup.greeting().startswith(NO_RELAY)
    balancer.wait("health", to="down", cause="greetings")
    one.serve = smtp(b"back")
    assert setup.greeting() == b"220 back ESMTP"
    balancer.wait("health", to="up", cause="greetings")
    event = balancer.wait("session", result="ok")
    assert event["queue_ms"] == "0"


def test_who_comes_up_ends_a_pause(down):
    """A session that has tried all others and pauses is served at once by one that it has not."""
    pool = "greeting_retry = 50s"
    setup, balancer = down(lambda conn: conn.sock.recv(536), smtp(b"relay2"), pool=pool)
    setup.relays[0].probe.status = 200
    balancer.wait("health", backend="relay1", to="up")
    with setup.connect() as client:
        balancer.wait("phase", phase="pause")
        setup.relays[1].probe.status = 200
        assert client.line() == b"220 relay2 ESMTP"


def test_turning_greetings_off_brings_a_backend_back(start, relay):
    relays = [relay(lambda conn: conn.sock.recv(536)), relay(smtp(b"relay2"))]
    setup = Setup(relays, health="type = none greeting_fall = 1")
    balancer = start(setup)
    assert name_of(setup) == "relay2"
    balancer.wait("health", backend="relay1", to="down", cause="greetings")
    setup.health = "type = none greeting_fall = 0"
    balancer.reload(setup.text())
    event = balancer.wait("health", backend="relay1", to="up", cause="greetings")
    assert event["detail"] == "greeting_fall is 0 now"
