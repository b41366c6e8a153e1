"""Invariant 8: time is monotonic, clock jumps move nothing but the log's timestamps."""

import datetime
import signal
import subprocess
import sys
import time

import pytest
from balancer import Setup
from peers import connect, free_port

HOUR = 3600
SLACK_S = 120  # far more than a test takes, far less than a jump


def stamp(event):
    return datetime.datetime.fromisoformat(event["ts"].replace("Z", "+00:00")).timestamp()


def test_the_shim_reaches_libev_and_libc(clock):
    """What the other tests stand on: libev asks for the wall clock by a call that can be seen, not
    by a system call of its own, and the monotonic clock does not move."""
    clock.jump(HOUR)
    code = """if True:
        import ctypes, time
        ev_time = ctypes.CDLL("libev.so.4").ev_time
        ev_time.restype = ctypes.c_double
        print(ev_time(), time.time(), time.monotonic())"""
    result = subprocess.run(
        [*clock.prefix, sys.executable, "-c", code], stdout=subprocess.PIPE, check=True
    )
    by_libev, by_libc, monotonic = map(float, result.stdout.split())
    assert abs(by_libev - HOUR - time.time()) < SLACK_S
    assert abs(by_libc - HOUR - time.time()) < SLACK_S
    assert abs(monotonic - time.monotonic()) < SLACK_S


def greet(conn):
    conn.exactly(28)
    conn.send(b"220 at last\r\n")


def greet_and_stay(conn):
    greet(conn)
    conn.rest()


def hold_silent(conn):
    conn.rest()


def close_at_once(conn):
    conn.exactly(28)


def waiting_pool(name, port, relay, options, health):
    """A listener and its pool, whose clients wait until the relay comes round."""
    return f"""
pool {name} {{
    proxy_protocol = v2  greeting_retry = 50ms  {options}
    health {{ {health} }}
    backend relay1 {{ address = {relay.host} port = {relay.port} }}
}}
listener {name} {{ bind = 127.0.0.1:{port}  acl = senders  pool = {name} }}
"""


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_jump_ends_and_delays_nothing(start, relay, probed, clock, jump):
    """One session is idle; one waits for a greeting, one for a probe to bring its relay back, and
    one for the next trial of a relay that its greetings took out."""
    site = probed(status=503)
    plain, down = relay(), relay(greet_and_stay)
    silent, closing = relay(hold_silent), relay(close_at_once)
    setup = Setup([plain], top="drain_timeout = 300ms", listener="idle_timeout = 30m")
    gate, queue, trial = (("127.0.0.1", free_port()) for _ in range(3))
    text = setup.text()
    text += waiting_pool(
        "gate",
        gate[1],
        silent,
        "greeting_timeout = 200ms greeting_budget = 50m",
        "type = none greeting_fall = 0",
    )
    text += waiting_pool(
        "queue",
        queue[1],
        down,
        "queue_timeout = 30m",
        f"type = http port = {site.port} interval = 50ms rise = 1 fall = 1",
    )
    text += waiting_pool(
        "trial",
        trial[1],
        closing,
        "queue_timeout = 30m greeting_budget = 50m",
        "type = none greeting_fall = 1",
    )
    balancer = start(text, prefix=clock.prefix)
    balancer.wait("health", pool="queue", to="down")
    idle = setup.connect()
    conn = plain.next()
    greet(conn)
    assert idle.line() == b"220 at last"
    waiting = [connect(address) for address in (gate, queue, trial)]
    balancer.wait("attempt", pool="gate")
    balancer.wait("health", pool="trial", to="down", cause="greetings")

    clock.jump(jump)
    site.await_probes(3)
    # Timeouts are due as before, and use up no more of the budget than passed.
    balancer.wait("attempt", len(balancer.find("attempt", pool="gate")) + 2, pool="gate")
    balancer.wait("attempt", len(balancer.find("attempt", pool="trial")) + 1, pool="trial")
    silent.serve = closing.serve = greet_and_stay
    site.status = 200
    for client in waiting:
        assert client.line() == b"220 at last"
    # The session that was idle knows nothing of it.
    idle.send(b"NOOP\r\n")
    assert conn.line() == b"NOOP"
    conn.close()
    assert idle.rest() == b""
    idle.close()
    event = balancer.wait("session", listener="smtp", result="ok")
    assert abs(stamp(event) - stamp(balancer.ready()) - jump) < SLACK_S, "the clock did not jump"
    # And the end is due as before.
    balancer.signal(signal.SIGTERM)
    assert balancer.exit_code() == 0
    balancer.wait("session", 3, result="drained")
    for event in balancer.find("session"):
        for key in ("queue_ms", "connect_ms", "greeting_ms", "duration_ms"):
            assert int(event[key]) < SLACK_S * 1000, event


@pytest.mark.parametrize("jump", [HOUR, -HOUR])
def test_idle_timeout_comes_all_the_same(start, relay, clock, jump):
    one = relay(greet_and_stay)
    setup = Setup([one], listener="idle_timeout = 1s")
    balancer = start(setup, prefix=clock.prefix)
    with setup.connect() as client:
        assert client.line() == b"220 at last"
        client.send(b"NOOP\r\n")  # moves the deadline on, but not the timer behind it
        clock.jump(jump)
        assert client.rest() == b""
    event = balancer.wait("session", result="idle")
    assert 1000 <= int(event["duration_ms"]) < SLACK_S * 1000
    assert abs(stamp(event) - stamp(balancer.ready()) - jump) < SLACK_S, "the clock did not jump"
