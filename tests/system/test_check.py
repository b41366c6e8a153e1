"""The checks that speak to the relay's mail port: smtp (a session of greeting and QUIT) and tcp (the
connection is all). What passes, what fails, and that the relay sees an ordinary client."""

import socket
import threading

import pytest
from balancer import Setup
from peers import V2_SIGNATURE, Conn, eventually, parse_proxy, smtp

LOCAL = V2_SIGNATURE + b"\x20\0\0\0"


def take_header(conn):
    """The header of a probe in a v2 pool, which comes in one piece."""
    header = conn.sock.recv(536)
    assert header == LOCAL, header


def says(*pieces, end=Conn.rest):
    """A relay that sends these pieces and then ends, whatever it is told."""

    def serve(conn):
        take_header(conn)
        conn.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for piece in pieces:
            conn.send(piece)
        end(conn)

    return serve


def bytewise(data):
    return [data[at : at + 1] for at in range(len(data))]


def drip(data):
    """Sends this over and over again, a byte at a time and for longer than any probe may take."""

    def serve(conn):
        take_header(conn)
        conn.sock.settimeout(0.02)
        while True:
            for byte in bytewise(data):
                conn.send(byte)
                try:
                    if conn.sock.recv(1) == b"":
                        return
                except TimeoutError:
                    pass

    return serve


def endless(conn):
    take_header(conn)
    while True:
        conn.send(b"220-and so on\r\n" * 1000)


def bye(conn):
    """The rest of an ordinary session, as the relay knows it."""
    assert conn.line() == b"QUIT"
    conn.send(b"221 2.0.0 Bye\r\n")


RESET = "reset: Connection reset by peer"
CUT = "closed: in the middle of the greeting"

FAILURES = [
    ("421", says(b"421 4.3.2 too busy\r\n", end=bye), "reply: 421 4.3.2 too busy"),
    ("421, then closes", says(b"421 4.3.2 too busy\r\n", end=Conn.close), "reply: 421 4.3.2"),
    ("554", says(b"554 5.7.1 go away\r\n", end=bye), "reply: 554 5.7.1 go away"),
    ("554 in lines", says(b"554-go\r\n", b"554 away\r\n", end=bye), "reply: 554-go"),
    ("250", says(b"250 well\r\n", end=bye), "reply: 250 well"),
    ("forged line", says(b"554 a\x1b[1m\"b\rc\r\n", end=bye), "reply: 554 a?[1m\"b?c"),
    ("closes at once", says(end=Conn.close), "closed: without a greeting"),
    ("closes in the code", says(b"22", end=Conn.close), CUT),
    ("closes before the LF", says(b"220 mx\r", end=Conn.close), CUT),
    ("closes after a teaser", says(b"220-mx\r\n", end=Conn.close), CUT),
    ("resets at once", says(end=Conn.reset), RESET),
    ("another protocol", says(b"SSH-2.0-x\r\n"), "malformed: not a greeting (SSH-2.0-x"),
    ("another code below", says(b"220-mx\r\n421 no\r\n"), "malformed: not a greeting (220-mx"),
    ("four digits", says(b"2200 mx\r\n"), "malformed: not a greeting"),
    ("past 4 KB", says(b"220 " + b"x" * 4091 + b"\r\n"), "malformed: greeting too long"),
    ("endless", endless, "malformed: greeting too long"),
]


def start_with(start, relay, serve, health, **options):
    one = relay(serve, host="127.0.1.1")
    return one, start(Setup([one], health=f"interval = 50ms fall = 1 {health}", **options))


@pytest.mark.parametrize("serve, detail", [f[1:] for f in FAILURES], ids=[f[0] for f in FAILURES])
def test_what_fails_an_smtp_probe(start, relay, serve, detail):
    _, balancer = start_with(start, relay, serve, "type = smtp")
    event = balancer.wait("health", to="down", cause="probe")
    assert event["detail"].startswith(detail)


RESET_AFTER = [b"2", b"220", b"220-", b"220-mx\r\n", b"220-mx\r\n22", b"220 mx", b"220 mx\r"]


@pytest.mark.parametrize("at", RESET_AFTER, ids=[repr(at)[2:-1] for at in RESET_AFTER])
def test_a_reset_at_each_step(start, relay, at):
    _, balancer = start_with(start, relay, says(*bytewise(at), end=Conn.reset), "type = smtp")
    assert balancer.wait("health", to="down", cause="probe")["detail"] == RESET


TIMEOUTS = [
    ("silent", says(), "timeout: no greeting within 200ms"),
    ("in the code", says(b"2"), "timeout: no whole greeting within 200ms"),
    ("teaser only", says(b"220-mx\r\n"), "timeout: no whole greeting within 200ms"),
    ("drips", drip(b"220 x"), "timeout: no whole greeting within 200ms"),
    ("drips lines", drip(b"220-\r\n"), "timeout: no whole greeting within 200ms"),
]


@pytest.mark.parametrize("serve, detail", [t[1:] for t in TIMEOUTS], ids=[t[0] for t in TIMEOUTS])
def test_one_deadline_over_an_smtp_probe(start, relay, serve, detail):
    _, balancer = start_with(start, relay, serve, "type = smtp timeout = 200ms")
    assert balancer.wait("health", to="down", cause="probe")["detail"] == detail


GREETING = b"220-mx.example.jp ready\r\n220-\r\n220 mx.example.jp ESMTP\r\n"
PASSING = [
    ("whole", says(GREETING, end=bye)),
    ("split everywhere", says(*bytewise(GREETING), end=bye)),
    ("bare", says(b"220\r\n", end=bye)),
    ("bare LF", says(b"220 mx\n", end=bye)),
    ("just below 4 KB", says(b"220 " + b"x" * 4089 + b"\r\n", end=bye)),
    ("says more", says(GREETING + b"250 what?\r\n", end=bye)),
    ("closes without 221", says(GREETING, end=Conn.close)),
    ("closes at QUIT", says(GREETING, end=Conn.line)),
    ("resets after QUIT", says(GREETING, end=lambda conn: (conn.line(), conn.reset()))),
    ("never closes", says(GREETING, end=lambda conn: (conn.line(), conn.rest()))),
]


@pytest.mark.parametrize("serve", [p[1] for p in PASSING], ids=[p[0] for p in PASSING])
def test_what_passes_an_smtp_probe(start, relay, serve):
    one, balancer = start_with(
        start, relay, says(b"450 not yet\r\n", end=bye), "type = smtp rise = 2 timeout = 1s"
    )
    balancer.wait("health", to="down")
    one.serve = serve
    assert balancer.wait("health", to="up", cause="probe")["detail"] == "220"


def is_quiet(conn):
    """Nothing has come, neither a byte nor an end."""
    conn.sock.setblocking(False)
    try:
        data = conn.sock.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return True
    finally:
        conn.sock.settimeout(15)
    return data is None


def test_it_awaits_the_whole_banner_says_quit_and_lingers(start, relay):
    """What the relay sees is a client that knows its manners: silent until the greeting's last
    byte, one QUIT, and no close before the relay's own."""
    one = relay(host="127.0.1.1")
    start(Setup([one], health="type = smtp interval = 1h timeout = 15s"))
    conn = one.next()
    take_header(conn)
    for byte in bytewise(GREETING):
        assert is_quiet(conn)
        conn.send(byte)
    assert conn.line() == b"QUIT"
    assert conn.buffer == b""
    assert is_quiet(conn)
    conn.send(b"221 2.0.0 Bye\r\n")
    assert is_quiet(conn)
    conn.finish()
    assert not conn.is_reset()


def header_of(conn, proxy):
    """The opening of a probe, all of it, as it ought to be."""
    if proxy == "v2":
        return LOCAL
    if proxy == "off":
        return b""
    (own, own_port), (here, port) = conn.sock.getpeername()[:2], conn.sock.getsockname()[:2]
    family = b"TCP6" if ":" in own else b"TCP4"
    return b"PROXY %s %s %s %d %d\r\n" % (family, own.encode(), here.encode(), own_port, port)


@pytest.mark.parametrize("host", ["127.0.1.1", "::1"])
@pytest.mark.parametrize("proxy", ["v1", "v2", "off"])
def test_an_smtp_probe_sends_the_header_first(start, relay, proxy, host):
    one = relay(host=host)
    start(Setup([one], health="type = smtp interval = 1h", proxy=proxy))
    conn = one.next()
    header = header_of(conn, proxy)
    assert conn.exactly(len(header)) == header
    assert conn.segments() == (1 if header else 0)
    conn.send(b"220 mx\r\n")
    assert conn.line() == b"QUIT"


@pytest.mark.parametrize("host", ["127.0.1.1", "::1"])
@pytest.mark.parametrize("proxy", ["v1", "v2", "off"])
def test_a_tcp_probe_of_the_mail_port_sends_the_header(start, relay, proxy, host):
    one = relay(host=host)
    start(Setup([one], health="type = tcp interval = 1h", proxy=proxy))
    conn = one.next()
    assert conn.rest() == header_of(conn, proxy)


def test_a_tcp_probe_of_another_port_says_nothing(start, hosts):
    relays = hosts(smtp())
    server = relays[0].probe.relay
    server.serve = None
    start(Setup(relays, health=f"type = tcp port = {server.port} interval = 1h"))
    assert server.next().rest() == b""
    assert relays[0].accepted == 0


def test_a_port_where_sessions_go_is_a_mail_port(start, relay):
    """Also of a backend that has none of its own, because it gets the listener's."""
    one = relay(host="127.0.1.1")
    setup = Setup([one], health=f"type = tcp port = {one.port} interval = 1h")
    setup.bind = f"127.0.0.1:{one.port}"
    start(setup.text().replace(f"address = 127.0.1.1 port = {one.port}", "address = 127.0.1.1"))
    assert one.next().rest() == LOCAL


@pytest.mark.parametrize("kind", ["smtp", "tcp"])
def test_down_while_nobody_listens(start, relay, kind):
    one = relay(says(GREETING, end=bye), host="127.0.1.1")
    setup = Setup([one], health=f"type = {kind} interval = 50ms fall = 2 rise = 1")
    balancer = start(setup)
    eventually(lambda: one.accepted >= 3)
    assert not balancer.find("health")
    one.close()
    event = balancer.wait("health", to="down", cause="probe")
    assert event["detail"] == "refused: Connection refused"
    relay(says(GREETING, end=bye), host=one.host, port=one.port)
    event = balancer.wait("health", to="up", cause="probe")
    assert event["detail"] == ("220" if kind == "smtp" else "connected")


def test_sessions_and_probes_share_the_port(start, relay):
    """Each has its own header, and a session is served whatever the probes do."""
    probes, sessions = [], []
    lock = threading.Lock()

    def serve(conn):
        header = conn.sock.recv(536)
        if header == LOCAL:
            with lock:
                probes.append(1)
            conn.send(GREETING)
            bye(conn)
            return
        with lock:
            sessions.append(parse_proxy(header)[0])
        conn.send(b"220 relay1 ESMTP\r\n")
        conn.line()
        conn.send(b"221 bye\r\n")

    one = relay(serve, host="127.0.1.1")
    setup = Setup([one], health="type = smtp interval = 20ms")
    balancer = start(setup)
    for _ in range(20):
        assert setup.greeting() == b"220 relay1 ESMTP"
    eventually(lambda: len(probes) >= 5)
    assert len(sessions) == 20
    assert not balancer.find("health")
