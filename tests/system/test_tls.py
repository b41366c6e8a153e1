"""TLS for clients on a listener with `tls = implicit`: who gets in, what fails and how it is told,
certificates by name, by reload, and under load. That the pump does not mind is in test_pump.py."""

import contextlib
import datetime
import re
import socket
import ssl
import subprocess
import time

import headers
import pytest
from admin import Admin
from balancer import PROGRAM, Crowd, Setup, run
from metrics import scrape
from peers import DEADLINE, connect, eventually, free_port, smtp
from tls import DAYS, Certificate, Secured, SecureSetup, pairs, secure

SUITE = r"TLSv1\.3/TLS_[A-Z0-9_]+"
HANDSHAKE_S = 10  # HANDSHAKE_MS of lb/handshake.h
FRONT = "127.0.0.9"
HEADER = 28  # bytes of a PROXY v2 header for IPv4


def hello(certificate):
    """A client's first words of TLS."""
    into, out = ssl.MemoryBIO(), ssl.MemoryBIO()
    client = certificate.context().wrap_bio(into, out, server_hostname=certificate.name)
    with contextlib.suppress(ssl.SSLWantReadError):
        client.do_handshake()
    return out.read()


def peer(client):
    """Its peer's certificate."""
    return client.sock.object.getpeercert(binary_form=True)


def shown(setup, name, context):
    """The certificate that a client is shown who asks for the name, by the name that is in it."""
    with connect(setup.address) as client:
        client.sock = Secured(client.sock, context, name)
        assert client.line() == b"220 relay ESMTP"
        text = ssl.DER_cert_to_PEM_cert(peer(client))
    return re.search(r"CN ?= ?(\S+)", subprocess.run(
        ["openssl", "x509", "-noout", "-subject"], input=text, capture_output=True, text=True,
        check=True).stdout)[1]


@contextlib.contextmanager
def resumed(setup, client):
    """Another client, with the TLS session of one that has been greeted."""
    with setup.connect_plainly() as again:
        again.sock = Secured(again.sock, client.sock.context, setup.certificate.name,
                             session=client.sock.object.session)
        assert again.line() == b"220 relay ESMTP"
        yield again


def trusting_all():
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context


def test_a_session(start, relay, certificate):
    log = []
    setup = SecureSetup([relay(smtp(log=log))], certificate)
    balancer = start(setup)
    with setup.connect() as client:
        source = client.sock.getsockname()
        assert client.line() == b"220 relay ESMTP"
        for word in (b"EHLO me", b"MAIL FROM:<a@b>", b"RCPT TO:<c@d>"):
            client.send(word + b"\r\n")
            assert client.line() == b"250 relay"
        client.send(b"DATA\r\n")
        assert client.line() == b"354 go on"
        client.send(b"Subject: test\r\n.\r\n")
        assert client.line() == b"250 taken by relay"
        assert client.quit() == b"221 bye"
    event = balancer.wait("session", result="ok", messages=1)
    assert re.fullmatch(SUITE, event["tls"])
    assert log[0][0] == source


def test_nobody_is_told_before(start, relay, certificate):
    """Whoever is turned away before TLS stands is closed."""
    setup = SecureSetup([relay(smtp())], certificate, deny="127.0.0.7",
                        listener="limits { sessions = 1 }")
    balancer = start(setup)
    with connect(setup.address, "127.0.0.7") as client:
        assert client.rest() == b""
    assert balancer.wait("denied")["action"] == "drop"
    with setup.connect() as first:
        first.line()
        with setup.connect_plainly() as second:
            second.send(hello(certificate))
            with contextlib.suppress(ConnectionResetError):  # where the hello came too late
                assert second.rest() == b""
    balancer.wait("session", result="limited", tls="-")
    told = run("explain", "-c", str(balancer.conf), "127.0.0.7")
    assert "reply     none: closed" in told.stdout


def test_a_refusal_comes_inside(start, certificate):
    setup = SecureSetup([], certificate)
    setup.relays = [type("Nobody", (), {"host": "127.0.0.1", "port": free_port()})]
    setup.pool = "greeting_retry = 0s"
    balancer = start(setup)
    with setup.connect() as client:
        assert re.fullmatch(rb"421 4\.3\.2 lb\.test no relay available \([0-9a-f]{16}\)",
                            client.line())
        assert client.rest() == b""
    balancer.wait("session", result="no_backend")


def test_another_relay_is_tried(start, relay, certificate):
    setup = SecureSetup([relay(smtp(b"one")), relay(smtp(b"two"))], certificate)
    setup.relays[0].close()
    balancer = start(setup)
    assert {setup.greeting() for _ in range(4)} == {b"220 two ESMTP"}
    assert balancer.find("attempt", backend="relay1", cause="refused")


@pytest.mark.parametrize("words, detail", [
    (b"EHLO me\r\n" * 10, "wrong version number"),
    (b"GET / HTTP/1.1\r\n\r\n", "http request"),
    (b"\x16\x03\x01\xff\xff" + b"x" * 300, None),
    (bytes(2000), "wrong version number"),
])
def test_what_is_no_tls(start, relay, certificate, words, detail):
    one = relay()
    setup = SecureSetup([one], certificate)
    balancer = start(setup)
    with setup.connect_plainly() as client:
        client.send(words)
        client.finish()
        with contextlib.suppress(ConnectionResetError):
            client.rest()
    event = balancer.wait("tls", listener="smtp")
    assert detail in (None, event["detail"])
    balancer.wait("session", id=event["id"], result="error", end="client", attempts=0, tls="-")
    assert one.none_waiting()


@pytest.mark.filterwarnings("ignore:ssl.TLSVersion")
def test_old_versions_are_refused(start, relay, certificate):
    setup = SecureSetup([relay(smtp())], certificate)
    balancer = start(setup)
    for version, works in ((ssl.TLSVersion.TLSv1_1, False), (ssl.TLSVersion.TLSv1_2, True)):
        context = trusting_all()
        context.set_ciphers("ALL:@SECLEVEL=0")
        context.minimum_version = context.maximum_version = version
        with setup.connect_plainly() as client:
            if works:
                assert secure(client, certificate, context).line() == b"220 relay ESMTP"
            else:
                with pytest.raises(ssl.SSLError):
                    secure(client, certificate, context)
    balancer.wait("tls", detail="unsupported protocol")


@pytest.mark.parametrize("pieces", [0, 1, 100])
def test_a_handshake_has_its_time(start, relay, certificate, clock, tmp_path, pieces):
    """Whoever says nothing, or a byte now and then."""
    admin = Admin(tmp_path)
    setup = SecureSetup([relay()], certificate, admin=admin.text())
    clock.stop()
    balancer = start(setup, prefix=clock.prefix)
    with setup.connect_plainly() as client:
        for byte in hello(certificate)[:pieces]:
            client.send(bytes([byte]))
        eventually(lambda: [one["phase"] for one in admin.get("/v1/sessions")["sessions"]]
                   == ["handshake"])
        clock.advance(HANDSHAKE_S + 1)
        for _ in range(2):  # the first one wakes the worker
            admin.get("/v1/sessions")
        assert client.rest() == b""
    event = balancer.wait("tls", detail="no complete handshake in time")
    balancer.wait("session", id=event["id"], result="error", end="balancer")


def test_left_within_the_handshake(start, relay, certificate):
    setup = SecureSetup([relay()], certificate)
    balancer = start(setup)
    with setup.connect_plainly() as client:
        client.send(hello(certificate)[:100])
        client.finish()
        assert client.rest() == b""
    balancer.wait("tls", detail="closed within the handshake")
    with setup.connect_plainly() as client:
        client.send(hello(certificate)[:100])
        client.reset()
    balancer.wait("session", count=2, result="error", end="client")


def test_a_fin_alone_is_an_end_too(start, relay, certificate):
    """In mid-message, as a wire that was cut would have it: the relay sees no dot."""
    one = relay()
    setup = SecureSetup([one], certificate)
    balancer = start(setup)
    with setup.connect() as client, one.next() as conn:
        conn.exactly(HEADER)
        conn.send(b"220 relay\r\n")
        client.line()
        client.send(b"Subject: half of it\r\n")
        assert conn.line() == b"Subject: half of it"
        client.sock.raw.shutdown(socket.SHUT_WR)
        assert conn.rest() == b""
        conn.send(b"421 gone\r\n")
        assert client.line() == b"421 gone"
    balancer.wait("session", result="ok", end="client")


def test_the_end_is_told(start, relay, certificate):
    """close_notify behind the last byte, whoever ends."""
    setup = SecureSetup([relay(smtp())], certificate)
    start(setup)
    with setup.connect() as client:
        client.send(b"QUIT\r\n")
        assert client.rest() == b"220 relay ESMTP\r\n221 bye\r\n"  # ssl.SSLEOFError without


def test_a_proxy_header_comes_first(start, relay, certificate):
    log = []
    setup = SecureSetup([relay(smtp(log=log))], certificate, allow="203.0.113.0/24",
                        listener=f"accept_proxy = {{ {FRONT} }}")
    start(setup)
    announced = headers.v2(("203.0.113.7", 40112), setup.address)
    for alone, ahead in ((b"", announced), (announced, b"")):
        with connect(setup.address, FRONT) as client:
            client.send(alone)
            client.sock = Secured(client.sock, certificate.context(), "lb.test", ahead)
            assert client.line() == b"220 relay ESMTP"
    eventually(lambda: [source for source, _ in log] == [("203.0.113.7", 40112)] * 2)


def test_the_name_chooses(start, relay, certificate, tmp_path):
    other = Certificate(tmp_path, "mail.test", kind=("rsa", "rsa_keygen_bits:2048"))
    setup = SecureSetup([relay(smtp())], certificate, other)
    start(setup)
    for name, cn in (("mail.test", "mail.test"), ("lb.test", "lb.test"), ("else.test", "lb.test"),
                     (None, "lb.test"), ("MAIL.test", "mail.test")):
        assert shown(setup, name, trusting_all()) == cn


def test_sessions_are_resumed_by_any_worker(start, relay, certificate):
    setup = SecureSetup([relay(smtp())], certificate, workers=2)
    start(setup)
    context = certificate.context()
    ticket = None
    for _ in range(12):
        with setup.connect_plainly() as client:
            client.sock = Secured(client.sock, context, certificate.name, session=ticket)
            assert client.line() == b"220 relay ESMTP"
            assert client.sock.object.session_reused == (ticket is not None)
            ticket = client.sock.object.session


def test_the_chain_is_what_is_in_the_file(start, relay, certificate, tmp_path):
    issuer = Certificate(tmp_path, "issuer.test")
    both = Certificate(tmp_path, "both.test")
    both.pem.write_bytes(both.pem.read_bytes() + issuer.pem.read_bytes())
    for one, count in ((certificate, 1), (both, 2)):
        setup = SecureSetup([relay(smtp())], one)
        start(setup)
        done = subprocess.run(
            ["openssl", "s_client", "-showcerts", "-connect", f"127.0.0.1:{setup.port}"],
            input="QUIT\n", capture_output=True, text=True, timeout=DEADLINE, check=False)
        assert len(re.findall(r"^ \d s:CN = ", done.stdout, re.M)) == count


def test_the_suite_is_our_choice(start, relay, certificate):
    """Whatever order a client has, but for one who would rather have ChaCha20."""
    aes, strong, chacha = ("TLS_AES_128_GCM_SHA256", "TLS_AES_256_GCM_SHA384",
                           "TLS_CHACHA20_POLY1305_SHA256")
    setup = SecureSetup([relay(smtp())], certificate)
    balancer = start(setup)
    offers = (((strong, chacha, aes), aes), ((strong, chacha), strong), ((chacha, aes), chacha),
              ((strong,), strong))
    for count, (offer, chosen) in enumerate(offers, 1):
        subprocess.run(
            ["openssl", "s_client", "-ciphersuites", ":".join(offer), "-connect",
             f"127.0.0.1:{setup.port}"], input="QUIT\n", capture_output=True, text=True,
            timeout=DEADLINE, check=False)
        assert balancer.wait("session", count=count)["tls"] == f"TLSv1.3/{chosen}"


def test_no_renegotiation(start, relay, certificate):
    setup = SecureSetup([relay(smtp())], certificate)
    start(setup)
    done = subprocess.run(
        ["openssl", "s_client", "-tls1_2", "-CAfile", certificate.pem,
         "-connect", f"127.0.0.1:{setup.port}"], input="R\n",
        capture_output=True, text=True, timeout=DEADLINE, check=False)
    assert "RENEGOTIATING" in done.stderr + done.stdout
    assert done.stderr.count("depth=0") == 1 and done.returncode != 0


def test_what_the_log_says(start, relay, certificate):
    """Also of a client that has been lost."""
    setup = SecureSetup([relay(smtp())], certificate)
    balancer = start(setup)
    with setup.connect() as client:
        assert client.line() == b"220 relay ESMTP"
        with resumed(setup, client) as again:
            again.reset()
        balancer.wait("session", result="client_lost", sni="lb.test", resumed="yes")
    balancer.wait("session", result="ok", sni="lb.test", resumed="no")
    with setup.connect_plainly() as client:
        client.sock = Secured(client.sock, trusting_all(), None)
        client.line()
        client.quit()
    assert balancer.wait("session", count=3)["sni"] == "-"


ALERT = b"\x15\x03\x03\x00\x02\x01\x5a"  # a warning
CHANGE_CIPHER_SPEC = b"\x14\x03\x03\x00\x01\x01"
EMPTY = b"\x16\x03\x03\x00\x00"


@pytest.mark.parametrize("record", [ALERT, CHANGE_CIPHER_SPEC, EMPTY])
@pytest.mark.parametrize("ahead", [True, False])
def test_floods_of_records(start, relay, certificate, record, ahead):
    """Records that say nothing end the handshake, beside which others are served."""
    setup = SecureSetup([relay(smtp())], certificate)
    balancer = start(setup)
    with setup.connect_plainly() as client:
        with contextlib.suppress(ConnectionError):
            client.send(b"" if ahead else hello(certificate))
            for _ in range(1000):
                client.send(record * 100)
        assert setup.greeting() == b"220 relay ESMTP"
        balancer.wait("tls")
        with contextlib.suppress(ConnectionError):
            client.rest()


def test_a_flood_of_tiny_records(start, relay, certificate):
    """A byte each: slow for who sends them, and for nobody else."""
    one = relay()
    setup = SecureSetup([one], certificate)
    start(setup)
    with setup.connect() as client, one.next() as conn:
        conn.exactly(HEADER)
        conn.send(b"220 relay\r\n")
        client.line()
        data = b"NOOP nothing\r\n" * 500
        for byte in data:
            client.sock.object.write(bytes([byte]))
        client.sock.raw.sendall(client.sock.out.read())
        assert conn.exactly(len(data)) == data


def test_half_done_handshakes_beside_good_mail(start, relay, certificate):
    setup = SecureSetup([relay(smtp())], certificate)
    start(setup)
    begun = hello(certificate)[:50]
    with contextlib.ExitStack() as stack:
        for _ in range(1000):
            stack.enter_context(setup.connect_plainly()).send(begun)
        assert {setup.greeting() for _ in range(10)} == {b"220 relay ESMTP"}


def test_certificates_are_swapped_under_load(start, relay, certificate, tmp_path):
    """New clients see the new one, old ones stay; nobody is lost."""
    (tmp_path / "new").mkdir()
    new = Certificate(tmp_path / "new")
    setup = SecureSetup([relay(smtp())], certificate)
    balancer = start(setup)
    setup.certificate = type("Any", (), {"context": lambda _: trusting_all(), "name": "lb.test"})()
    with setup.connect() as old, Crowd(setup) as crowd:
        assert old.line() == b"220 relay ESMTP"
        for one in (new, certificate, new):
            setup.listener = f"tls = implicit {pairs(one)}"
            assert balancer.reload(setup.text())["action"] == "reloaded"
            crowd.await_more()
        with setup.connect() as client:
            assert peer(client) != peer(old)
        assert old.quit() == b"221 bye"


def test_a_certificate_that_does_not_fit_changes_nothing(start, relay, certificate, tmp_path):
    other = Certificate(tmp_path, "other.test")
    setup = SecureSetup([relay(smtp())], certificate)
    balancer = start(setup)
    event = balancer.reload(setup.text().replace(str(certificate.key), str(other.key)))
    assert event["action"] == "refused"
    assert f"`key = {other.key}` can't be used: it is not the key of {certificate.pem}" in event[
        "detail"]
    assert setup.greeting() == b"220 relay ESMTP"


def check(folder, text):
    conf = folder / "smtplb.conf"
    conf.write_text(Setup([type("Relay", (), {"host": "127.0.0.1", "port": 25})],
                          listener=text).text())
    done = subprocess.run([PROGRAM, "check", "-c", conf], capture_output=True, text=True,
                          check=False)
    return done.returncode, done.stdout + done.stderr


def test_check(certificate, tmp_path):
    """Everything that would go wrong later is said, and where."""
    old = Certificate(tmp_path, "old.test", days=-1)
    soon = Certificate(tmp_path, "soon.test", days=5)
    locked = tmp_path / "locked.key"
    subprocess.run(["openssl", "pkey", "-in", certificate.key, "-aes128", "-passout", "pass:x",
                    "-out", locked], check=True)
    (tmp_path / "empty.pem").write_text("")
    missing = tmp_path / "missing.pem"
    sound = pairs(certificate)
    assert check(tmp_path, f"tls = implicit {sound}")[0] == 0
    for text, wanted in (
            ("tls = implicit", "needs a certificate and its key"),
            (f"tls = implicit certificate = {certificate.pem}", "give one key for each"),
            (f"tls = implicit {sound.replace('.pem', '.nopem')}", "No such file or directory"),
            (f"tls = implicit certificate = {missing} key = {certificate.key}",
             f"`certificate = {missing}` can't be used: No such file or directory"),
            (f"tls = implicit certificate = {tmp_path}/empty.pem key = {certificate.key}",
             "no start line"),
            (f"tls = implicit {pairs(old)}", "the certificate has expired"),
            (f"tls = implicit certificate = {certificate.pem} key = {locked}",
             "the key is encrypted; give one without a passphrase"),
            (f"tls = implicit certificate = {certificate.pem} key = {old.key}",
             "it is not the key of"),
            (f"tls = implicit certificate = lb.pem key = {certificate.key}", "absolute")):
        status, said = check(tmp_path, text)
        assert status == 1 and wanted in said, said
    status, said = check(tmp_path, f"tls = implicit {pairs(soon)}")
    assert status == 0 and re.search(r"expires in [45] days", said)
    assert re.search(r"ok: .*, days until a certificate expires [45]\n", said)


@pytest.mark.parametrize("turn", [1, -1])
def test_check_warns_of_the_one_that_expires(certificate, tmp_path, turn):
    soon = Certificate(tmp_path, "soon.test", days=5)
    status, said = check(tmp_path, f"tls = implicit {pairs(*[soon, certificate][::turn])}")
    assert status == 0
    assert re.findall(r"`certificate = (\S+)` expires in [45] days", said) == [str(soon.pem)]


def test_it_is_told(start, relay, certificate, tmp_path):
    """In /v1/status and the metrics: when it expires, and what came of handshakes."""
    admin = Admin(tmp_path)
    setup = SecureSetup([relay(smtp())], certificate, admin=admin.text())
    start(setup)
    with setup.connect() as client:
        assert client.line() == b"220 relay ESMTP"
        with resumed(setup, client):
            sessions = admin.get("/v1/sessions")["sessions"]
            assert all(re.fullmatch(SUITE, one["tls"]) for one in sessions) and len(sessions) == 2
    with setup.connect_plainly() as client:
        client.send(b"EHLO me\r\n")
        client.finish()
        client.is_reset()
    (listener,) = admin.get("/v1/status")["listeners"]
    expires = datetime.datetime.fromisoformat(listener["certificate_expires"])
    assert listener["tls"] == "implicit"
    assert 0 <= expires.timestamp() - time.time() - (DAYS - 1) * 86400 <= 86400
    page = scrape(admin)
    assert page("smtplb_certificate_expiry_timestamp_seconds", listener="smtp") == (
        expires.timestamp())
    assert [page("smtplb_tls_handshakes_total", listener="smtp", outcome=outcome)
            for outcome in ("full", "resumed", "failed")] == [1, 1, 1]
    assert [page("smtplb_tls_failures_total", listener="smtp", cause=cause)
            for cause in ("closed", "timeout", "protocol", "resources")] == [0, 0, 1, 0]
