"""Probes through TLS: https, and smtp as the pool's sessions have it."""

import pytest
from balancer import Setup
from peers import reset
from tls import Certificate, receive_starttls, receive_tls, relay_tls
from test_health import OK, SICK, read_request

HEADER = 16  # bytes of a PROXY v2 header that says LOCAL
SOON = "interval = 20ms timeout = 2s rise = 1 fall = 1"


@pytest.fixture(scope="module")
def localhost(tmp_path_factory):
    return Certificate(tmp_path_factory.mktemp("probed"), "127.0.0.1", san="IP")


def https(certificate, reply=OK, heard=None):
    """A probed server. heard: a list that gets its requests."""

    def serve(conn):
        receive_tls(conn, certificate)
        request = read_request(conn)
        if heard is not None:
            heard.append(request)
        conn.send(reply)
        conn.rest()

    return serve


class Bench:
    """A balancer whose one relay is never called, but for probes at a port of their own."""

    def __init__(self, start, probed, health, pool="", proxy="v2"):
        self.relay = type("Relay", (), {"host": "127.0.0.1", "port": probed.port})
        self.setup = Setup([self.relay], health=f"{health} port = {probed.port} {SOON}", pool=pool,
                           proxy=proxy)
        self.balancer = start(self.setup)

    def is_down(self, detail):
        event = self.balancer.wait("health", to="down", cause="probe")
        assert event["detail"] == detail


def test_https(start, relay, localhost):
    """Whoever answers is asked; down and up again by what is answered."""
    heard = []
    one = relay(https(localhost, SICK, heard))
    bench = Bench(start, one, "type = https path = /health host = relay.test")
    bench.is_down("status 503")
    one.serve = https(localhost)
    bench.balancer.wait("health", to="up", cause="probe", detail="200")
    assert heard[0][:2] == [b"GET /health HTTP/1.1", b"Host: relay.test"]


def test_a_large_page(start, relay, localhost):
    """All in one record, of which a piece is read at a time."""
    page = b"HTTP/1.1 503 Sick\r\nX: " + b"x" * 7900 + b"\r\n\r\n" + b"y" * 8000
    bench = Bench(start, relay(https(localhost, page)), "type = https")
    bench.is_down("status 503")


@pytest.mark.parametrize("host, detail", [
    ("", None),
    ("127.0.0.1", None),
    ("127.0.0.1:8443", None),
    ("lb.test:8443", "tls: hostname mismatch"),
    ("lb.test", "tls: hostname mismatch"),
])
def test_https_is_verified_where_it_shall_be(start, relay, localhost, host, detail):
    one = relay(https(localhost, SICK))
    bench = Bench(start, one, f'type = https tls_verify = yes host = "{host}"',
                  f"tls_ca = {localhost.pem}")
    bench.is_down(detail or "status 503")


def test_https_from_somebody_unknown(start, relay, localhost, certificate):
    bench = Bench(start, relay(https(localhost)), "type = https tls_verify = yes",
                  f"tls_ca = {certificate.pem}")
    bench.is_down("tls: self-signed certificate")


def in_the_clear(conn):
    conn.recv()
    conn.send(SICK)


def leave(conn):
    conn.recv()


def reset_at_once(conn):
    conn.recv()
    reset(conn.sock)


def leave_behind_tls(certificate):
    def serve(conn):
        receive_tls(conn, certificate)
        read_request(conn)
        conn.send(b"HTTP/1.1 2")
    return serve


def half_a_record(certificate):
    """And nothing more: the balancer has to wait for the rest, not to look for it."""
    def serve(conn):
        receive_tls(conn, certificate)
        read_request(conn)
        conn.sock.object.write(OK)
        record = conn.sock.out.read()
        conn.sock.raw.sendall(record[: len(record) // 2])
        conn.rest()
    return serve


@pytest.mark.parametrize("serve, detail", [
    (half_a_record, "timeout: no reply within 2s"),
    (lambda _: in_the_clear, "tls: wrong version number"),
    (lambda _: leave, "tls: unexpected eof while reading"),
    (lambda _: reset_at_once, "reset: Connection reset by peer"),
    (leave_behind_tls, "closed: in the middle of the header"),
    (lambda _: lambda conn: conn.rest(), "timeout: no handshake within 2s"),
])
def test_what_goes_wrong(start, relay, localhost, serve, detail):
    bench = Bench(start, relay(serve(localhost)), "type = https")
    bench.is_down(detail)


def smtp_probed(mode, certificate, log, proxy=True):
    """A relay that is asked how it is: what it hears goes to the log."""

    def serve(conn):
        if proxy:
            assert len(conn.exactly(HEADER)) == HEADER
        if mode == "starttls":
            log.append(receive_starttls(conn, certificate, b"220 relay"))
        else:
            receive_tls(conn, certificate)
            conn.send(b"220 relay\r\n")
        log.append(conn.line())
        conn.send(b"221 bye\r\n")

    return serve


@pytest.mark.parametrize("proxy", ["v2", "off"])
@pytest.mark.parametrize("mode, said", [
    ("starttls", [b"lb.test", b"QUIT"]), ("implicit", [b"QUIT"])])
def test_smtp(start, relay, certificate, mode, said, proxy):
    """With EHLO and STARTTLS where the pool has it, and always a QUIT."""
    log = []
    one = relay(in_the_clear)
    bench = Bench(start, one, "type = smtp", relay_tls(mode, certificate), proxy)
    bench.balancer.wait("health", to="down", cause="probe")
    one.serve = smtp_probed(mode, certificate, log, proxy == "v2")
    bench.balancer.wait("health", to="up", detail="TLSv1.3" if mode == "starttls" else "220")
    bench.balancer.stop()
    assert log[: len(said)] == said


def refusing(*replies):
    def serve(conn):
        conn.exactly(HEADER)
        for reply in replies:
            conn.send(reply)
            conn.line()
    return serve


@pytest.mark.parametrize("replies, detail", [
    ((b"220 hi\r\n", b"250 one\r\n"), "tls: STARTTLS is not offered (250)"),
    ((b"220 hi\r\n", b"250-one\r\n250 STARTTLS\r\n", b"454 4.7.0 no\r\n"),
     "tls: STARTTLS is refused (454 4.7.0)"),
    ((b"220 hi\r\n", b"oh\r\n"), "malformed: not a reply"),
    ((b"421 busy\r\n",), "reply: 421 busy"),
])
def test_smtp_without(start, relay, certificate, replies, detail):
    bench = Bench(start, relay(refusing(*replies)), "type = smtp",
                  relay_tls("starttls", certificate))
    bench.is_down(detail)


def test_smtp_with_a_stranger(start, relay, certificate, localhost):
    log = []
    bench = Bench(start, relay(smtp_probed("starttls", localhost, log)), "type = smtp",
                  relay_tls("starttls", certificate))
    bench.is_down("tls: self-signed certificate")
