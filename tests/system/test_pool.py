"""The pool: whose turn it is, who is out, and what happens while nobody is in."""

import resource
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from balancer import Crowd, Setup
from peers import eventually, reset, smtp

NO_RELAY = b"421 4.3.2 lb.test no relay available ("


def relays_of(relay, count):
    return [relay(smtp(b"relay%d" % i)) for i in range(1, count + 1)]


def served_by(setup, count):
    """The names of the relays that serve so many sessions, one after the other."""
    return [setup.greeting().split()[1].decode() for _ in range(count)]


def served_by_in_parallel(setup, count):
    with ThreadPoolExecutor(8) as clients:
        lines = clients.map(lambda _: setup.greeting(), range(count))
        return [line.split()[1].decode() for line in lines]


def busy(conn):
    conn.sock.recv(536)
    conn.send(b"421 4.3.2 busy\r\n")
    conn.rest()


def greet(conn, line=b"220 relay\r\n"):
    conn.exactly(28)
    conn.send(line)


# Turns.


def test_sessions_go_round_whatever_the_worker(start, relay):
    setup = Setup(relays_of(relay, 3), workers=4)
    start(setup)
    assert served_by(setup, 60) == ["relay1", "relay2", "relay3"] * 20


def test_parallel_sessions_are_shared_out_equally(start, relay):
    setup = Setup(relays_of(relay, 3), workers=4)
    start(setup)
    assert Counter(served_by_in_parallel(setup, 240)) == dict.fromkeys(
        ("relay1", "relay2", "relay3"), 80
    )


def test_open_sessions_are_shared_out_equally(start, relay):
    setup = Setup(relays_of(relay, 4), workers=4)
    start(setup)
    clients = [setup.connect() for _ in range(80)]
    names = [client.line().split()[1] for client in clients]
    for client in clients:
        client.close()
    assert set(Counter(names).values()) == {20}


@pytest.mark.parametrize(
    "weights, cycle", [((5, 3, 1), 9), ((2, 4), 3), ((1, 1, 2), 4), ((256, 255), 511)]
)
def test_weights_are_exact_over_any_cycle(start, relay, weights, cycle):
    relays = relays_of(relay, len(weights))
    for one, weight in zip(relays, weights):
        one.options = f"weight = {weight}"
    setup = Setup(relays, workers=4)
    start(setup)
    share = {
        f"relay{i}": weight * cycle // sum(weights) for i, weight in enumerate(weights, 1)
    }
    if cycle > 100:
        assert Counter(served_by_in_parallel(setup, cycle)) == share
        return
    names = served_by(setup, 4 * cycle)
    for at in range(3 * cycle + 1):
        assert Counter(names[at : at + cycle]) == share, f"from session {at} on"


def test_a_reload_does_not_begin_the_round_again(start, relay):
    setup = Setup(relays_of(relay, 3))
    balancer = start(setup)
    names = served_by(setup, 4)
    assert balancer.reload()["action"] == "reloaded"
    names += served_by(setup, 4)
    assert names == (["relay1", "relay2", "relay3"] * 3)[:8]


@pytest.mark.parametrize("serve", [served_by, served_by_in_parallel])
def test_the_share_of_a_backend_that_refuses_is_spread_evenly(start, relay, serve):
    """The first picks go on in turn, and what fails is spread over the others."""
    relays = relays_of(relay, 4)
    setup = Setup(relays, workers=4, health="type = none greeting_fall = 0")
    balancer = start(setup)
    relays[1].close()
    assert Counter(serve(setup, 48)) == {"relay1": 16, "relay3": 16, "relay4": 16}
    balancer.wait("session", count=12, attempts=2)
    balancer.wait("session", count=36, attempts=1)
    assert len(balancer.find("attempt", backend="relay2", cause="refused")) == 12


def test_the_share_of_two_failing_backends_is_spread_by_weight(start, relay):
    relays = relays_of(relay, 4)
    relays[0].serve = relays[1].serve = busy
    relays[3].options = "weight = 2"
    setup = Setup(relays, health="type = none greeting_fall = 0")
    balancer = start(setup)
    # 50 first picks are 10, 10, 10, 20. What fails is tried again at the others, by their weights.
    names = Counter(served_by(setup, 50))
    assert set(names) == {"relay3", "relay4"}
    assert abs(names["relay4"] - 2 * names["relay3"]) <= 4
    attempts = Counter(event["backend"] for event in balancer.find("attempt"))
    assert attempts["relay1"] >= 10 and attempts["relay2"] >= 10


def test_the_share_of_a_backend_that_is_down_is_spread_evenly(start, hosts):
    relays = hosts(*(smtp(b"relay%d" % i) for i in range(1, 5)))
    health = f"port = {relays[0].probe.port} interval = 50ms rise = 1 fall = 1"
    setup = Setup(relays, workers=4, health=health)
    balancer = start(setup)
    relays[2].probe.status = 503
    balancer.wait("health", backend="relay3", to="down")
    names = served_by(setup, 30)
    for at in range(28):
        assert set(names[at : at + 3]) == {"relay1", "relay2", "relay4"}
    relays[2].probe.status = 200
    balancer.wait("health", backend="relay3", to="up")
    names = served_by(setup, 40)
    for at in range(37):
        assert set(names[at : at + 4]) == {"relay1", "relay2", "relay3", "relay4"}
    assert relays[2].accepted == 10
    assert not balancer.find("attempt")


# Greetings as health.


def fail_sessions(balancer, setup, one, count):
    """So many sessions whose one attempt is closed by the relay. The last one, where it takes the
    backend out, does not wait for it to come back."""
    for _ in range(count):
        failed = len(balancer.find("attempt"))
        with setup.connect():
            one.next().close()
            balancer.wait("attempt", count=failed + 1)


def suspend(balancer, setup, one):
    fail_sessions(balancer, setup, one, 3)
    balancer.wait("health", to="down", cause="greetings")


def queued(balancer):
    """How many sessions are, or were, in the queue."""
    return len({event["id"] for event in balancer.find("phase", phase="queue")})


def greet_session(setup, one):
    with setup.connect() as client:
        conn = one.next()
        greet(conn)
        assert client.line() == b"220 relay"
        conn.close()


def test_greetings_take_a_backend_out_while_its_probe_is_green(start, hosts):
    relays = hosts(busy, smtp(b"relay2"))
    setup = Setup(relays, health=f"port = {relays[0].probe.port} interval = 20ms")
    balancer = start(setup)
    relays[0].probe.await_probes(2)
    assert served_by(setup, 6) == ["relay2"] * 6
    event = balancer.wait("health")
    assert (event["backend"], event["from"], event["to"]) == ("relay1", "up", "down")
    assert event["cause"] == "greetings" and event["pool"] == "relays"
    assert event["detail"] == "3 sessions in a row without a 220, the last: greeting_reply"
    relays[0].probe.await_probes(2)
    # Out of the round: of these sessions only one that is a trial meets it.
    assert served_by(setup, 40) == ["relay2"] * 40
    assert len(balancer.find("attempt")) < 10
    assert len(balancer.find("health")) == 1


def test_a_trial_brings_a_backend_back(start, relay):
    one = relay()
    setup = Setup([one], pool="greeting_retry = 0s")
    balancer = start(setup)
    suspend(balancer, setup, one)
    with setup.connect() as client:
        greet(one.next())
        assert client.line() == b"220 relay"
        event = balancer.wait("health", to="up")
    assert (event["from"], event["cause"], event["backend"]) == ("down", "greetings", "relay1")
    greet_session(setup, one)
    assert one.accepted == 5
    assert len(balancer.find("health")) == 2


def test_a_trial_that_fails_is_followed_by_another(start, relay):
    """A waiting session has both, and is served in the end."""
    one = relay()
    setup = Setup([one], pool="greeting_retry = 0s")
    balancer = start(setup)
    suspend(balancer, setup, one)
    with setup.connect() as client:
        one.next().close()
        conn = one.next()
        greet(conn)
        assert client.line() == b"220 relay"
        conn.close()
    event = balancer.wait("session", result="ok")
    assert event["attempts"] == "2" and int(event["queue_ms"]) > 0
    assert [e["to"] for e in balancer.find("health")] == ["down", "up"]
    assert len(balancer.find("attempt")) == 4
    assert one.accepted == 5


def test_one_session_makes_the_trial_for_all_that_wait(start, relay):
    one = relay()
    setup = Setup([one], pool="greeting_retry = 0s", top="log { level = debug }")
    balancer = start(setup)
    suspend(balancer, setup, one)
    clients = [setup.connect() for _ in range(10)]
    eventually(lambda: queued(balancer) >= 10)  # the one that failed last among them
    trial = one.next()
    assert one.none_waiting()
    greet(trial)
    for _ in range(9):
        greet(one.next())
    for client in clients:
        assert client.line() == b"220 relay"
        client.close()
    assert one.accepted == 13


def test_a_trial_that_the_client_leaves_is_made_by_the_next(start, relay):
    one = relay()
    setup = Setup([one], pool="greeting_retry = 0s", top="log { level = debug }")
    balancer = start(setup)
    suspend(balancer, setup, one)
    leaves = setup.connect()
    one.next()
    balancer.wait("phase", count=4, phase="greeting")
    before = queued(balancer)
    with setup.connect() as client:
        eventually(lambda: queued(balancer) > before)
        leaves.reset()
        greet(one.next())
        assert client.line() == b"220 relay"


def descriptors(balancer):
    return {int(path.name) for path in Path(f"/proc/{balancer.pid}/fd").iterdir()}


def limit_descriptors(balancer, limit):
    hard = resource.prlimit(balancer.pid, resource.RLIMIT_NOFILE)[1]
    resource.prlimit(balancer.pid, resource.RLIMIT_NOFILE, (limit or hard, hard))


def test_a_trial_that_never_began_is_made_again_later(start, relay):
    """For want of a descriptor, which says nothing of the backend. Later: no spin in between."""
    one = relay()
    setup = Setup([one], pool="greeting_retry = 0s")
    balancer = start(setup)
    idle = descriptors(balancer)
    suspend(balancer, setup, one)
    eventually(lambda: descriptors(balancer) == idle)
    # Room for the client, and none for its backend.
    free = [number for number in range(len(idle) + 2) if number not in idle]
    limit_descriptors(balancer, free[1])
    with setup.connect() as client:
        balancer.wait("attempt", cause="resources")
        limit_descriptors(balancer, None)
        greet(one.next())
        assert client.line() == b"220 relay"
    balancer.wait("health", to="up")
    assert len(balancer.find("attempt")) < 20


def test_only_misses_in_a_row_count(start, relay):
    """By one worker, so that the order of the sessions is that of what is counted."""
    one = relay()
    setup = Setup([one], workers=1, pool="greeting_retry = 0s")
    balancer = start(setup)
    for _ in range(3):
        fail_sessions(balancer, setup, one, 2)
        greet_session(setup, one)
    balancer.wait("session", count=3, result="ok")
    assert not balancer.find("health")
    fail_sessions(balancer, setup, one, 3)
    balancer.wait("health", to="down", cause="greetings")


@pytest.mark.parametrize("fall", [1, 5])
def test_greeting_fall_says_how_many(start, relay, fall):
    one = relay()
    setup = Setup([one], pool="greeting_retry = 0s", health=f"type = none greeting_fall = {fall}")
    balancer = start(setup)
    fail_sessions(balancer, setup, one, fall - 1)
    assert not balancer.find("health")
    fail_sessions(balancer, setup, one, 1)
    assert balancer.wait("health")["detail"].startswith(f"{fall} sessions in a row")


def test_without_greeting_fall_no_greeting_counts(start, relay):
    one = relay()
    health = "type = none greeting_fall = 0"
    setup = Setup([one], pool="greeting_retry = 0s", health=health)
    balancer = start(setup)
    fail_sessions(balancer, setup, one, 20)
    greet_session(setup, one)
    balancer.wait("session", result="ok")
    assert not balancer.find("health")


def test_a_session_that_fails_many_times_counts_once(start, relay):
    one = relay()
    setup = Setup([one], pool="greeting_retry = 10ms")
    balancer = start(setup)
    for number in (1, 2):
        client = setup.connect()
        for _ in range(6):
            one.next().close()
        last = one.next()
        client.reset()
        balancer.wait("session", count=number, result="client_lost", attempts=7)
        last.close()
    assert not balancer.find("health")
    with setup.connect() as client:
        one.next().close()
        balancer.wait("health", to="down", cause="greetings")
        greet(one.next())
        assert client.line() == b"220 relay"


# Nobody is in.


@pytest.fixture
def closed(start, hosts):
    """closed(pool): a balancer whose two backends are down by their probes."""

    def make(pool=""):
        relays = hosts(smtp(b"relay1"), smtp(b"relay2"))
        for one in relays:
            one.probe.status = 503
        health = f"port = {relays[0].probe.port} interval = 50ms rise = 1 fall = 1"
        make.setup = Setup(relays, pool=pool, health=health, top="log { level = debug }")
        make.balancer = start(make.setup)
        make.balancer.wait("health", count=2, to="down", cause="probe")
        return relays

    return make


def test_sessions_wait_for_a_backend(closed):
    relays = closed()
    clients = [closed.setup.connect() for _ in range(6)]
    eventually(lambda: queued(closed.balancer) == 6)
    assert [one.accepted for one in relays] == [0, 0]
    relays[1].probe.status = 200
    for client in clients:
        assert client.line() == b"220 relay2 ESMTP"
        assert client.quit() == b"221 bye"
    closed.balancer.wait("session", count=6, result="ok", backend="relay2", attempts=1)
    assert all(int(event["queue_ms"]) > 0 for event in closed.balancer.find("session"))


def test_a_client_that_waits_is_not_read(closed):
    """Early data and a half-close are kept for the backend."""
    relays = closed()
    with closed.setup.connect() as client:
        client.send(b"NOOP\r\nQUIT\r\n")
        client.finish()
        closed.balancer.wait("phase", phase="queue")
        relays[0].probe.status = 200
        assert client.rest() == b"220 relay1 ESMTP\r\n250 relay1\r\n221 bye\r\n"


@pytest.mark.parametrize("timeout", ["0s", "200ms"])
def test_a_wait_has_an_end(closed, timeout):
    closed(f"queue_timeout = {timeout}")
    with closed.setup.connect() as client:
        client.send(b"EHLO early\r\n")
        line = client.line()
        assert client.rest() == b""
    event = closed.balancer.wait("session", result="no_backend", end="balancer")
    assert line == NO_RELAY + event["id"].encode() + b")"
    assert (event["backend"], event["backend_addr"], event["attempts"]) == ("-", "-", "0")
    assert (int(event["queue_ms"]) > 0) == (timeout != "0s")
    assert bool(closed.balancer.find("phase", phase="queue")) == (timeout != "0s")


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_client_that_leaves_the_queue_is_noticed(closed, how):
    closed()
    client = closed.setup.connect()
    closed.balancer.wait("phase", phase="queue")
    if how == "rst":
        client.reset()
    else:
        client.close()
    event = closed.balancer.wait("session", result="client_lost", end="client")
    assert (event["backend"], event["attempts"]) == ("-", "0")


@pytest.fixture
def half_full(start, relay):
    """A balancer with a relay that is full and one, `bad`, that closes every connection; and a
    client that waits, which has tried that."""
    one = relay(smtp(b"full"))
    one.options = "max_sessions = 1"
    bad = relay(lambda conn: conn.sock.recv(536))
    setup = Setup(
        [one, bad], workers=1, pool="greeting_retry = 200ms", health="type = none greeting_fall = 0"
    )
    balancer = start(setup)
    with setup.connect() as holder, setup.connect() as client:
        assert holder.line() == b"220 full ESMTP"
        balancer.wait("attempt", backend="relay2")
        yield balancer, bad, client


def test_another_round_while_a_backend_is_full(half_full):
    """Who waits for a backend that is full tries the others again meanwhile."""
    balancer, bad, client = half_full
    balancer.wait("attempt", 3, backend="relay2")
    bad.serve = smtp(b"good")
    assert client.line() == b"220 good ESMTP"


def test_nothing_puts_off_the_next_round(half_full):
    """Each reload lets those who wait look again."""
    balancer, bad, client = half_full
    bad.serve = smtp(b"good")
    eventually(lambda: balancer.reload() and bad.accepted > 1)
    assert client.line() == b"220 good ESMTP"


def test_all_relays_restart_at_once(start, relay):
    """Under load: every session is greeted."""
    relays = [relay(smtp(), host=f"127.0.1.{i}") for i in (1, 2)]
    setup = Setup(relays, workers=4)
    balancer = start(setup)
    with Crowd(setup, 50) as crowd:
        crowd.await_more()
        for one in relays:
            one.close()
        balancer.wait("attempt", count=20)
        for one in relays:
            relay(smtp(), host=one.host, port=one.port)
        crowd.await_more()
        crowd.await_more()
    assert set(crowd.lines) == {b"220 relay ESMTP"}


def test_a_relay_that_resets_everybody_costs_no_greeting(start, relay):
    def slam(conn):
        reset(conn.sock)

    setup = Setup([relay(slam), relay(smtp(b"relay2")), relay(slam)], workers=4)
    start(setup)
    assert set(served_by_in_parallel(setup, 100)) == {"relay2"}


def test_the_last_chance_of_a_session_that_waited(start, relay):
    """The next trial is further off than the session can wait: it tries all the same, before it
    is refused."""
    one = relay(lambda conn: conn.sock.recv(536))
    setup = Setup([one], pool="greeting_retry = 0s queue_timeout = 300ms")
    balancer = start(setup)
    for _ in range(3):
        assert setup.greeting().startswith(b"421 4.3.2 ")
    balancer.wait("health", backend="relay1", to="down", cause="greetings")
    one.serve = smtp(b"back")
    assert setup.greeting() == b"220 back ESMTP"
    balancer.wait("health", backend="relay1", to="up", cause="greetings")
    assert int(balancer.wait("session", result="ok")["queue_ms"]) > 0
