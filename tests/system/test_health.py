"""Health: what probes say of a backend, what becomes of it, and that the relay hears nothing."""

import pytest
from balancer import Setup
from peers import DEADLINE, reset, smtp

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n"
SICK = b"HTTP/1.1 503 Sick\r\nContent-Length: 0\r\n\r\n"


def read_request(conn):
    lines = []
    while line := conn.line():
        lines.append(line)
    return lines


def answer(reply):
    """A probed server that gives this reply to each request."""

    def serve(conn):
        read_request(conn)
        conn.send(reply)

    return serve


def hold(conn):
    conn.rest()


def close_unread(conn):
    conn.sock.recv(1)
    reset(conn.sock)


def drip(conn):
    """A byte at a time, for longer than any probe may take."""
    read_request(conn)
    conn.sock.settimeout(0.02)
    for byte in b"HTTP/1.1 200 OK\r\nX: " + b"x" * 5000:
        conn.send(bytes([byte]))
        try:
            if conn.sock.recv(1) == b"":
                return
        except TimeoutError:
            pass


def names_served(setup, count):
    return {setup.greeting().split()[1].decode() for _ in range(count)}


class Hand:
    """Answers the probes of one of two backends by hand, each when the test says so; those of the
    other are well."""

    def __init__(self, hosts, **health):
        self.relays = hosts(smtp(b"relay1"), smtp(b"relay2"))
        self.server = self.relays[0].probe.relay
        self.server.serve = None
        self.waiting = None
        self.setup = Setup(self.relays)
        self.set(**{"interval": "20ms", "timeout": f"{DEADLINE}s", **health})

    def set(self, **health):
        values = " ".join(f"{key} = {value}" for key, value in health.items())
        self.setup.health = f"port = {self.server.port} {values}"

    def await_verdict(self):
        """When the next probe has come, the verdict on all replies so far has fallen."""
        if self.waiting is None:
            self.waiting = self.server.next()

    def reply(self, *replies):
        """Answers so many probes."""
        for reply in replies:
            self.await_verdict()
            read_request(self.waiting)
            self.waiting.send(reply)
            self.waiting.close()
            self.waiting = None

    def served(self):
        """Who serves, once the verdict has fallen."""
        self.await_verdict()
        return names_served(self.setup, 4)


BOTH = {"relay1", "relay2"}


def test_a_backend_is_down_after_fall_and_up_after_rise(start, hosts):
    hand = Hand(hosts, fall=3, rise=2)
    balancer = start(hand.setup)
    hand.reply(SICK, SICK)
    assert hand.served() == BOTH
    hand.reply(OK, SICK, SICK)
    assert hand.served() == BOTH
    hand.reply(SICK)
    assert hand.served() == {"relay2"}
    event = balancer.wait("health")
    assert (event["pool"], event["backend"]) == ("relays", "relay1")
    assert (event["from"], event["to"]) == ("up", "down")
    assert (event["cause"], event["detail"]) == ("probe", "status 503")
    hand.reply(OK, SICK, OK)
    assert hand.served() == {"relay2"}
    hand.reply(OK)
    assert hand.served() == BOTH
    event = balancer.wait("health", count=2)
    assert (event["from"], event["to"]) == ("down", "up")
    assert (event["cause"], event["detail"]) == ("probe", "200")
    assert len(balancer.find("health")) == 2


FAILURES = [
    ("status", answer(SICK), "status 503"),
    ("redirect", answer(b"HTTP/1.1 302 Found\r\n\r\n"), "status 302"),
    ("resets", close_unread, "reset: Connection reset by peer"),
    ("closes", answer(b""), "closed: without a reply"),
    ("closes in it", answer(b"HTTP/1.1 200 OK\r\n"), "closed: in the middle of the header"),
    ("silent", hold, "timeout: no reply within 150ms"),
    ("drips", drip, "timeout: no whole reply within 150ms"),
    ("another protocol", answer(b"220 mx ESMTP\r\n"), "malformed: not HTTP (220 mx ESMTP)"),
    ("four digits", answer(b"HTTP/1.1 2000 OK\r\n\r\n"), "malformed: not an HTTP status"),
    ("overflow", answer(b"HTTP/1.1 65736 OK\r\n\r\n"), "malformed: not an HTTP status"),
    ("endless", answer(b"HTTP/1.1 200 OK\r\n" + b"X: y\r\n" * 50000), "malformed: header too long"),
]


@pytest.mark.parametrize("name, serve, detail", FAILURES, ids=[f[0] for f in FAILURES])
def test_what_fails_a_probe(start, hosts, name, serve, detail):
    relays = hosts(smtp(b"relay1"), smtp(b"relay2"))
    relays[0].probe.relay.serve = serve
    health = f"port = {relays[0].probe.port} interval = 200ms timeout = 150ms fall = 1"
    setup = Setup(relays, health=health)
    balancer = start(setup)
    event = balancer.wait("health", to="down", cause="probe")
    assert event["backend"] == "relay1"
    assert event["detail"].startswith(detail)
    assert names_served(setup, 4) == {"relay2"}
    assert relays[0].accepted == 0


def test_a_probe_that_is_refused(start, hosts):
    relays = hosts(smtp(b"relay1"), smtp(b"relay2"))
    health = f"port = {relays[0].probe.port} interval = 50ms fall = 2"
    setup = Setup(relays, health=health)
    balancer = start(setup)
    relays[0].probe.await_probes(2)
    relays[0].probe.close()
    event = balancer.wait("health", to="down")
    assert (event["backend"], event["cause"]) == ("relay1", "probe")
    assert event["detail"] == "refused: Connection refused"


PASSING = [
    ("whole", "", OK, "200"),
    ("old version", "", b"HTTP/1.0 200 OK\r\n\r\n", "200"),
    ("without reason", "", b"HTTP/1.1 200\r\n\r\n", "200"),
    ("interim first", "", b"HTTP/1.1 100 Continue\r\n\r\n" + OK, "200"),
    ("of a list", "status = { 200-299, 302 }", b"HTTP/1.1 302 Found\r\n\r\n", "302"),
    ("end of a range", "status = { 200-299, 302 }", b"HTTP/1.1 299 Odd\r\n\r\n", "299"),
    ("with a page", "", OK + b"<html>" * 1000, "200"),
]


@pytest.mark.parametrize("name, status, reply, detail", PASSING, ids=[p[0] for p in PASSING])
def test_what_passes_a_probe(start, hosts, name, status, reply, detail):
    """The header comes a byte at a time."""
    relays = hosts(smtp(b"relay1"))
    sick = [True]

    def serve(conn):
        read_request(conn)
        if sick:
            conn.send(SICK.replace(b"503", b"404"))
            return
        for at in range(min(len(reply), 100)):
            conn.send(reply[at : at + 1])
        conn.send(reply[100:])
        conn.rest()

    relays[0].probe.relay.serve = serve
    health = f"port = {relays[0].probe.port} interval = 50ms fall = 1 rise = 2 {status}"
    balancer = start(Setup(relays, health=health))
    balancer.wait("health", to="down")
    sick.clear()
    assert balancer.wait("health", to="up", cause="probe")["detail"] == detail


@pytest.mark.parametrize("given", [False, True], ids=["default", "given"])
def test_the_request(start, hosts, given):
    relays = hosts(smtp())
    server = relays[0].probe.relay
    server.serve = None
    more = 'path = "/alive?deep=1" host = mx.example.jp' if given else ""
    start(Setup(relays, health=f"port = {server.port} {more}"))
    lines = read_request(server.next())
    assert lines[0] == (b"GET /alive?deep=1 HTTP/1.1" if given else b"GET / HTTP/1.1")
    assert (b"Host: mx.example.jp" if given else b"Host: 127.0.1.1:%d" % server.port) in lines
    assert b"Connection: close" in lines


def test_probes_leave_the_relay_alone(start, hosts):
    relays = hosts(smtp(b"relay1"), smtp(b"relay2"))
    health = f"port = {relays[0].probe.port} interval = 10ms"
    setup = Setup(relays, health=health)
    balancer = start(setup)
    for one in relays:
        one.probe.await_probes(20)
    assert [one.accepted for one in relays] == [0, 0]
    assert names_served(setup, 4) == BOTH
    balancer.wait("session", count=4)
    assert [one.accepted for one in relays] == [2, 2]


def test_without_probes_a_backend_is_up(start, hosts):
    relays = hosts(smtp(b"relay1"), smtp(b"relay2"))
    for one in relays:
        one.probe.status = 503
    setup = Setup(relays, health=f"type = none port = {relays[0].probe.port} interval = 10ms")
    balancer = start(setup)
    assert names_served(setup, 40) == BOTH
    assert [one.probe.answered for one in relays] == [0, 0]
    assert not balancer.find("health")


def test_a_backend_is_up_until_probes_have_failed(start, hosts):
    """However long the first probe hangs."""
    hand = Hand(hosts, fall=1)
    start(hand.setup)
    assert hand.served() == BOTH
    hand.reply(SICK)
    assert hand.served() == {"relay2"}


# Reloads.


def test_down_survives_a_reload(start, hosts):
    hand = Hand(hosts, fall=1, interval="20ms")
    balancer = start(hand.setup)
    hand.reply(SICK)
    assert hand.served() == {"relay2"}
    hand.set(fall=1, interval="1h", timeout="1h")
    for _ in range(3):
        assert balancer.reload(hand.setup.text())["action"] == "reloaded"
        assert names_served(hand.setup, 8) == {"relay2"}
    assert [event["to"] for event in balancer.find("health")] == ["down"]


def test_the_count_survives_a_reload(start, hosts):
    hand = Hand(hosts, fall=3)
    balancer = start(hand.setup)
    hand.reply(SICK, SICK)
    assert hand.served() == BOTH
    assert balancer.reload()["action"] == "reloaded"
    hand.reply(SICK)
    assert hand.served() == {"relay2"}


@pytest.mark.parametrize("change", ["name", "address"])
def test_another_name_or_address_is_another_backend(start, hosts, relay, change):
    """Which counts as up until its own probes have failed."""
    hand = Hand(hosts, fall=1)
    balancer = start(hand.setup)
    hand.reply(SICK)
    assert hand.served() == {"relay2"}
    hand.set(fall=1, interval="1h", timeout="1h")
    text = hand.setup.text()
    if change == "name":
        text = text.replace("backend relay1", "backend other")
    else:
        one = relay(smtp(b"relay1"), host="127.0.1.9")
        hidden = relay(host=one.host, port=hand.server.port)
        hand.setup.relays[0] = one
        text = hand.setup.text()
    assert balancer.reload(text)["action"] == "reloaded"
    assert names_served(hand.setup, 4) == BOTH
    if change == "address":
        hidden.next()
    assert len(balancer.find("health")) == 1


def test_a_port_is_no_other_backend(start, hosts, relay):
    hand = Hand(hosts, fall=1)
    balancer = start(hand.setup)
    hand.reply(SICK)
    assert hand.served() == {"relay2"}
    hand.set(fall=1, interval="1h", timeout="1h")
    moved = relay(smtp(b"relay1"), host=hand.relays[0].host)
    hand.setup.relays[0] = moved
    assert balancer.reload(hand.setup.text())["action"] == "reloaded"
    assert names_served(hand.setup, 8) == {"relay2"}


def test_a_backend_that_is_probed_no_more_is_up(start, hosts):
    hand = Hand(hosts, fall=1)
    balancer = start(hand.setup)
    hand.reply(SICK)
    assert hand.served() == {"relay2"}
    hand.set(type="none")
    assert balancer.reload(hand.setup.text())["action"] == "reloaded"
    event = balancer.wait("health", to="up")
    assert (event["cause"], event["detail"]) == ("probe", "no check")
    assert names_served(hand.setup, 4) == BOTH


# Probes and greetings together.


def miss_greetings(balancer, setup, one, count):
    """So many sessions whose attempt at the relay is closed by it; another serves them."""
    for number in range(1, count + 1):
        with setup.connect() as client, setup.connect() as other:
            one.next().close()
            assert client.line() == other.line() == b"220 relay2 ESMTP"
        balancer.wait("attempt", count=number, backend="relay1")


def test_a_relay_that_comes_to_itself_has_its_trial(start, hosts):
    """Out by its greetings and then by its probes: no session is a trial before these succeed, and
    it is back when a trial was greeted. Only what changes is told."""
    hand = Hand(hosts, fall=1, rise=1)
    one = hand.relays[0]
    one.serve = None
    balancer = start(hand.setup)
    miss_greetings(balancer, hand.setup, one, 3)
    balancer.wait("health", backend="relay1", cause="greetings")
    hand.reply(OK, SICK)
    hand.await_verdict()
    assert names_served(hand.setup, 10) == {"relay2"}
    assert one.none_waiting()
    hand.reply(OK)
    hand.await_verdict()
    with hand.setup.connect() as client:
        conn = one.next()
        conn.exactly(28)
        conn.send(b"220 relay1 again\r\n")
        assert client.line() == b"220 relay1 again"
    conn.close()
    event = balancer.wait("health", count=2)
    assert (event["to"], event["cause"]) == ("up", "greetings")
    assert len(balancer.find("health")) == 2


def test_a_suspension_survives_a_reload(start, hosts):
    relays = hosts(None, smtp(b"relay2"))
    setup = Setup(relays)
    balancer = start(setup)
    miss_greetings(balancer, setup, relays[0], 3)
    balancer.wait("health", backend="relay1", cause="greetings")
    relays[0].serve = smtp(b"relay1")
    assert balancer.reload()["action"] == "reloaded"
    # Only a trial may lead there, and then it is told.
    if names_served(setup, 4) != {"relay2"}:
        balancer.wait("health", to="up", cause="greetings")
