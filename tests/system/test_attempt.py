"""What is told of an attempt: how long it took, and how it ended."""

from types import SimpleNamespace

import pytest
from balancer import Setup
from metrics import Page
from peers import Conn, connect, eventually, full_relay, is_connecting
from scene import HEADER, Scene

BACKEND = {"pool": "relays", "backend": "relay1"}


def accept(full):
    return Conn(full.accept()[0])


def page_of(stage):
    return Page(stage.admin.ask("GET", "/metrics").body.decode())


@pytest.fixture
def full():
    with full_relay() as sock:
        yield sock


def test_its_times(start, clock, tmp_path, full):
    """From its begin until the connection stands, and from there until the greeting is whole."""
    host, port = full.getsockname()
    setup = Setup(
        [SimpleNamespace(host=host, port=port)],
        pool="connect_timeout = 30m greeting_timeout = 30m greeting_budget = 1h",
    )
    stage = Scene(start, setup, clock, tmp_path)
    with connect((host, port)), setup.connect() as client:
        eventually(lambda: is_connecting(port))
        stage.pass_time(2.5)
        accept(full).close()
        with accept(full) as relay:
            relay.exactly(HEADER)
            relay.send(b"220-relay\r\n")
            stage.pass_time(7.25)
            relay.send(b"220 ESMTP\r\n")
            assert client.line() == b"220-relay"
            assert client.line() == b"220 ESMTP"
            page = page_of(stage)
        assert client.rest() == b""
    stage.balancer.wait("session", connect_ms=2500, greeting_ms=7250, attempts=1)
    assert page("smtplb_backend_sessions_total", **BACKEND) == 1
    for name, seconds in (("connect", 2.5), ("greeting", 7.25)):
        assert page(f"smtplb_{name}_seconds_count", **BACKEND) == 1
        assert page(f"smtplb_{name}_seconds_sum", **BACKEND) == seconds


def test_its_failure(scene):
    """One line and one count, and the reply that was none to go on with."""
    stage = scene()
    with stage.setup.connect() as client:
        with stage.setup.relays[0].next() as relay:
            relay.exactly(HEADER)
            relay.send(b"554 5.3.2 not today\r\n")
            assert relay.rest() == b""
        (session,) = stage.settle()
        page = page_of(stage)
        client.close()
    event = stage.balancer.wait("session", result="client_lost", backend="-", greeting_ms="-")
    assert session["id"] == event["id"]
    (failed,) = stage.balancer.find("attempt")
    assert {key: failed[key] for key in ("id", "pool", "backend", "cause", "reply")} == {
        "id": event["id"], **BACKEND, "cause": "greeting_reply", "reply": "554 5.3.2 not today"
    }
    assert page("smtplb_backend_failures_total", **BACKEND, cause="greeting_reply") == 1
    assert page("smtplb_backend_sessions_total", **BACKEND) == 0
    assert page("smtplb_backend_replies_total", **BACKEND, verb="GREETING", **{"class": "5"}) == 1
