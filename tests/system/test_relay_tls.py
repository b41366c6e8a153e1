"""TLS to the relays: by STARTTLS or from the first byte, with whom, and that a relay whose TLS fails
is one more failed attempt, which no client sees."""

import re
import ssl

import pytest
from balancer import Setup, run
from peers import connect, eventually, smtp
from test_tls import SUITE
from tls import Certificate, SecureSetup, receive_starttls, receive_tls, relay_tls, secure_by

HEADER = 28  # bytes of a PROXY v2 header for IPv4
MODES = ["starttls", "implicit"]
NO_RETRY = "greeting_retry = 0s"


@pytest.mark.parametrize("proxy", ["v2", "v1", "off"])
@pytest.mark.parametrize("mode", MODES)
def test_a_session(start, relay, certificate, mode, proxy):
    log = []
    one = relay(smtp(proxy=proxy != "off", log=log, secure=secure_by(mode, certificate)))
    setup = Setup([one], proxy=proxy, pool=relay_tls(mode, certificate))
    balancer = start(setup)
    with setup.connect() as client:
        source = client.sock.getsockname()
        assert client.line() == b"220 relay ESMTP"
        for word, reply in ((b"EHLO me", b"250 relay"), (b"MAIL FROM:<a@b>", b"250 relay"),
                            (b"RCPT TO:<c@d>", b"250 relay"), (b"DATA", b"354 go on"),
                            (b"text\r\n.", b"250 taken by relay")):
            client.send(word + b"\r\n")
            assert client.line() == reply
        assert client.quit() == b"221 bye"
    event = balancer.wait("session", result="ok", messages=1, tls="-", attempts=1)
    assert re.fullmatch(SUITE, event["backend_tls"])
    assert proxy == "off" or log == [(source, setup.address)]


@pytest.mark.parametrize("mode", MODES)
def test_both_sides(start, relay, certificate, mode):
    one = relay(smtp(secure=secure_by(mode, certificate)))
    setup = SecureSetup([one], certificate, pool=relay_tls(mode, certificate))
    balancer = start(setup)
    assert setup.greeting() == b"220 relay ESMTP"
    event = balancer.wait("session", result="ok")
    assert re.fullmatch(SUITE, event["tls"]) and re.fullmatch(SUITE, event["backend_tls"])


@pytest.mark.parametrize("mode", MODES)
def test_the_address_is_the_name(start, relay, tmp_path, mode):
    """Where there is no other."""
    certificate = Certificate(tmp_path, "127.0.0.1", san="IP")
    one = relay(smtp(secure=secure_by(mode, certificate)))
    setup = Setup([one], pool=f"tls = {mode} tls_ca = {certificate.pem}")
    start(setup)
    assert setup.greeting() == b"220 relay ESMTP"


@pytest.mark.parametrize("name, asked", [("lb.test", "lb.test"), ("127.0.0.1", None)])
def test_what_it_is_asked_by(start, relay, tmp_path, certificate, name, asked):
    """SNI, which is for names only: RFC 6066 section 3."""
    asks = []
    address = Certificate(tmp_path, "127.0.0.1", san="IP")
    shown = certificate if asked else address
    shown.server.sni_callback = lambda _, name, __: asks.append(name)
    one = relay(smtp(secure=secure_by("implicit", shown)))
    setup = Setup([one], pool=f'tls = implicit tls_ca = {shown.pem} tls_name = "{name}"')
    start(setup)
    assert setup.greeting() == b"220 relay ESMTP"
    shown.server.sni_callback = None
    assert asks == [asked]


@pytest.mark.parametrize("mode", MODES)
def test_sessions_are_resumed(start, relay, certificate, mode):
    """With whichever worker, and by each relay its own."""
    log = []
    setup = Setup([relay(smtp(secure=secure_by(mode, certificate, log))) for _ in range(2)],
                  pool=relay_tls(mode, certificate), workers=2)
    start(setup)
    for _ in range(8):
        assert setup.greeting() == b"220 relay ESMTP"
    assert [one.session_reused for one in log] == [False] * 2 + [True] * 6


def refuse(conn, *replies):
    """STARTTLS, or EHLO before it. What the balancer says last is heard."""
    conn.exactly(HEADER)
    conn.send(b"220 one\r\n")
    for reply in replies:
        conn.line()
        conn.send(reply)
    conn.rest()


def refusing(*replies):
    return lambda conn: refuse(conn, *replies)


def in_the_clear(conn):
    conn.exactly(HEADER)
    conn.send(b"220 one\r\n")
    conn.rest()


def leave_within(conn):
    conn.exactly(HEADER + 5)
    conn.finish()
    conn.rest()


def reset_within(conn):
    conn.exactly(HEADER + 5)
    conn.reset()


OFFER = b"250-one\r\n250 STARTTLS\r\n"


@pytest.mark.parametrize("mode, serve, cause, reply, detail", [
    ("starttls", refusing(b"250 one\r\n"), "tls", "250", "STARTTLS is not offered"),
    ("starttls", refusing(b"250-STARTTLS\r\n250 STARTTLSX\r\n"), "tls", "250",
     "STARTTLS is not offered"),
    ("starttls", refusing(b"502 5.5.1 no\r\n"), "tls", "502 5.5.1", "STARTTLS is not offered"),
    ("starttls", refusing(OFFER, b"454 4.7.0 not now\r\n"), "tls", "454 4.7.0",
     "STARTTLS is refused"),
    ("starttls", refusing(OFFER + b"250 more\r\n"), "tls", "-", "not a reply"),
    ("starttls", refusing(OFFER, b"what?\r\n"), "tls", "-", "not a reply"),
    ("starttls", refusing(OFFER, b"220 go\r\nEHLO\r\n"), "greeting_timeout", "-", "-"),
    ("starttls", refusing(), "greeting_timeout", "-", "-"),
    ("implicit", in_the_clear, "tls", "-", "wrong version number"),
    ("implicit", leave_within, "tls", "-", "closed within the handshake"),
    ("implicit", reset_within, "reset", "-", "-"),
    ("implicit", lambda conn: conn.rest(), "greeting_timeout", "-", "-"),
])
def test_the_next_one_is_tried(start, relay, certificate, mode, serve, cause, reply, detail):
    """Nothing of it is heard by the client."""
    two = relay(smtp(b"two", secure=secure_by(mode, certificate)))
    setup = Setup([relay(serve), two], pool=relay_tls(
        mode, certificate, f"{NO_RETRY} greeting_timeout = 300ms"))
    balancer = start(setup)
    setup.relays[1].options = "backup = yes"
    greetings = {setup.greeting() for _ in range(2)}
    assert greetings == {b"220 relay ESMTP" if mode == "starttls" else b"220 two ESMTP"}
    event = balancer.wait("attempt", backend="relay1")
    assert (event["cause"], event["reply"], event["detail"]) == (cause, reply, detail)


@pytest.fixture(scope="module")
def others(tmp_path_factory):
    """Certificates of other kinds."""
    folder = tmp_path_factory.mktemp("others")
    return {"expired": Certificate(folder, "expired.test", days=-1),
            "stranger": Certificate(folder, "stranger.test")}


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("shown, trusted, name, detail", [
    ("stranger", None, "stranger.test", "self-signed certificate"),
    ("stranger", "stranger", "else.test", "hostname mismatch"),
    ("stranger", "stranger", "", "IP address mismatch"),
    ("expired", "expired", "expired.test", "certificate has expired"),
])
def test_who_is_not_trusted(start, relay, certificate, others, mode, shown, trusted, name, detail):
    one = relay(smtp(secure=secure_by(mode, others[shown])))
    setup = Setup([one], pool=(
        f'tls = {mode} tls_ca = {others.get(trusted, certificate).pem} tls_name = "{name}" '
        f"{NO_RETRY}"))
    balancer = start(setup)
    assert setup.greeting().startswith(b"421 4.3.2 lb.test no relay available")
    balancer.wait("attempt", cause="tls", detail=detail)
    setup.pool = f"tls = {mode} tls_verify = no"
    assert balancer.reload(setup.text())["action"] == "reloaded"
    assert setup.greeting() == b"220 relay ESMTP"


def test_what_a_relay_says_behind_its_220(start, relay, certificate):
    """Before TLS, is not heard behind it: CVE-2011-0411 the other way round."""

    def serve(conn):
        conn.exactly(HEADER)
        conn.send(b"220 one\r\n250 evil\r\n")
        conn.line()
        conn.send(OFFER)
        conn.line()
        conn.send(b"220 go\r\n250 evil\r\n")
        receive_tls(conn, certificate)
        while line := conn.line():
            conn.send(b"250 to " + line + b"\r\n")

    setup = Setup([relay(serve)], pool=relay_tls("starttls", certificate))
    start(setup)
    with setup.connect() as client:
        assert client.line() == b"220 one"
        client.send(b"NOOP\r\n")
        assert client.line() == b"250 to NOOP"


@pytest.mark.parametrize("mode", MODES)
def test_half_closes_pass(start, relay, certificate, mode):
    """Each side's end behind its last byte, as close_notify and FIN."""
    one = relay()
    setup = Setup([one], pool=relay_tls(mode, certificate))
    balancer = start(setup)
    with setup.connect() as client, one.next() as conn:
        conn.exactly(HEADER)
        if mode == "starttls":
            receive_starttls(conn, certificate, b"220 one")
        else:
            receive_tls(conn, certificate)
            conn.send(b"220 one\r\n")
        assert client.line() == b"220 one"
        client.send(b"last")
        client.finish()
        assert conn.rest() == b"last"
        conn.send(b"250 answer\r\n")
        conn.finish()
        assert client.rest() == b"250 answer\r\n"
    balancer.wait("session", result="ok", end="client")


def check(folder, pool, **options):
    conf = folder / "smtplb.conf"
    conf.write_text(Setup([type("Relay", (), {"host": "127.0.0.1", "port": 25})], pool=pool,
                          **options).text())
    done = run("check", "-c", conf)
    return done.returncode, done.stdout + done.stderr


def test_check(certificate, tmp_path):
    (tmp_path / "empty.pem").write_text("")
    for pool, status, wanted in (
            ("tls = starttls", 0, "ok: "),
            (f"tls = implicit tls_ca = {certificate.pem}", 0, "ok: "),
            (f"tls = implicit tls_ca = {tmp_path}/none.pem", 1, "none.pem` can't be used: No such"),
            (f"tls = implicit tls_ca = {tmp_path}/empty.pem", 1, "empty.pem` can't be used: "),
            ("tls = implicit tls_ca = relays.pem", 1, "absolute"),
            ('tls = implicit tls_name = "relay one"', 1, "is no name"),
            ("tls = implicit tls_verify = perhaps", 1, "tls_verify = perhaps"),
            ("tls_name = relay.test", 0, "`tls_name = relay.test` has no effect"),
            (f"tls = starttls tls_verify = no tls_ca = {certificate.pem}", 0, "has no effect"),
            ("tls = starttls_required", 1, "possible: off, starttls, implicit")):
        code, said = check(tmp_path, pool)
        assert code == status and wanted in said, said


def test_a_reload_changes_whom_to_trust(start, relay, certificate, others):
    one = relay(smtp(secure=secure_by("implicit", certificate)))
    setup = Setup([one], pool=relay_tls("implicit", certificate, NO_RETRY))
    balancer = start(setup)
    with connect(setup.address) as before:
        assert before.line() == b"220 relay ESMTP"
        setup.pool = relay_tls("implicit", others["stranger"], NO_RETRY)
        assert balancer.reload(setup.text())["action"] == "reloaded"
        assert setup.greeting().startswith(b"421 4.3.2")
        assert before.quit() == b"221 bye"
    eventually(lambda: balancer.find("session", result="ok"))


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_versions_are_not_spoken(start, relay, certificate):
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    old.load_cert_chain(certificate.pem, certificate.key)
    old.set_ciphers("ALL:@SECLEVEL=0")
    old.maximum_version = ssl.TLSVersion.TLSv1_1
    shown = type("Old", (), {"server": old})
    setup = Setup([relay(smtp(secure=secure_by("implicit", shown)))],
                  pool=relay_tls("implicit", certificate, NO_RETRY))
    balancer = start(setup)
    assert setup.greeting().startswith(b"421 4.3.2")
    balancer.wait("attempt", cause="tls")
