"""PROXY in: a trusted source says for whom it comes, and the rest of us believes it; nobody else is
believed, and no byte of the client's is lost or read before its turn."""

import contextlib
import re
import signal
import socket
import subprocess
import threading

import headers
import pytest
from balancer import ROOT, Setup, stopped
from headers import LOCAL, NOOP, PROXY, SSL, TCP4, TCP6, UDP4, UNIX, UNSPEC, block, tlv
from peers import (
    DEADLINE,
    V2_SIGNATURE,
    connect,
    eventually,
    free_port,
    is_listening,
    parse_proxy,
    smtp,
)

FRONT = "127.0.0.9"  # the balancer in front, which is trusted
CLIENT = ("203.0.113.7", 40112)
CALLED = ("192.0.2.25", 2525)
CLIENT6 = ("2001:db8::7", 40112)
CALLED6 = ("2001:db8::25", 2525)
V4_PAIR = headers.pair(CLIENT, CALLED)
MAPPED = ("::ffff:203.0.113.7", 40112)
MAPPED_CALLED = ("::ffff:192.0.2.25", 2525)


def trusting(relays, allow="203.0.113.0/24, 2001:db8::/32", listener="", **options):
    """Trusts FRONT, which is none of those who may send itself."""
    return Setup(
        relays, allow=allow, listener=f"accept_proxy = {{ {FRONT} }}\n    {listener}", **options
    )


def announce(setup, header, source=FRONT):
    client = setup.connect(source)
    client.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    client.send(header)
    return client


def own(client):
    """The connection's own addresses."""
    return client.sock.getsockname()[:2], client.sock.getpeername()[:2]


def text(endpoint):
    return f"[{endpoint[0]}]:{endpoint[1]}" if ":" in endpoint[0] else "%s:%d" % endpoint


ANNOUNCED = [
    ("v1", headers.v1(CLIENT, CALLED), CLIENT, CALLED),
    ("v2", headers.v2(CLIENT, CALLED), CLIENT, CALLED),
    ("v1 IPv6", headers.v1(CLIENT6, CALLED6), CLIENT6, CALLED6),
    ("v2 IPv6", headers.v2(CLIENT6, CALLED6), CLIENT6, CALLED6),
    ("v1 mapped", headers.v1(MAPPED, MAPPED_CALLED), CLIENT, CALLED),
    ("v2 mapped", headers.v2(MAPPED, MAPPED_CALLED), CLIENT, CALLED),
    ("TLVs", headers.v2(CLIENT, CALLED, tlv(NOOP, b"x" * 9) + tlv(0xE3, b"")), CLIENT, CALLED),
    ("SSL", headers.v2(CLIENT, CALLED, tlv(SSL, b"\1\0\0\0\0" + tlv(0x21, b"TLSv1.3"))), CLIENT,
     CALLED),
    ("CRC32C", headers.v2(CLIENT, CALLED, tlv(NOOP, b"pad"), checksum=True), CLIENT, CALLED),
    ("64 KB", headers.v2(CLIENT, CALLED, tlv(NOOP, b"x" * 65000)), CLIENT, CALLED),
    ("port 0", headers.v2((CLIENT[0], 0), CALLED), (CLIENT[0], 0), CALLED),
]


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("header, source, destination", [a[1:] for a in ANNOUNCED],
                         ids=[a[0] for a in ANNOUNCED])
def test_announced_client(start, relay, version, header, source, destination):
    log = []
    setup = trusting([relay(smtp(log=log))], proxy=version)
    balancer = start(setup)
    with announce(setup, header) as client:
        assert client.line() == b"220 relay ESMTP"
        assert client.quit() == b"221 bye"
    assert log == [(source, destination)]
    event = balancer.wait("session", result="ok", client=text(source))
    assert event["bytes_in"] == "6"  # QUIT: the header is not the client's


OWN = [
    ("LOCAL", block(LOCAL, UNSPEC, b"")),
    ("LOCAL with addresses", block(LOCAL, TCP4, V4_PAIR)),
    ("LOCAL with TLVs", block(LOCAL, UNSPEC, tlv(NOOP, b"pad"))),
    ("UNSPEC", block(PROXY, UNSPEC, b"")),
    ("UDP", block(PROXY, UDP4, V4_PAIR)),
    ("UNIX", block(PROXY, UNIX, bytes(216))),
    ("UNKNOWN", b"PROXY UNKNOWN\r\n"),
    ("UNKNOWN and more", b"PROXY UNKNOWN 203.0.113.7 192.0.2.25 1 2\r\n"),
]


@pytest.mark.parametrize("header", [o[1] for o in OWN], ids=[o[0] for o in OWN])
def test_the_connections_own_addresses(start, relay, header):
    """Behind the header a whole session goes on, its first command at once."""
    log = []
    setup = trusting([relay(smtp(log=log))], allow=FRONT)
    balancer = start(setup)
    with announce(setup, header + b"NOOP\r\n") as client:
        addresses = own(client)
        assert client.line() == b"220 relay ESMTP"
        assert client.line() == b"250 relay"
        assert client.quit() == b"221 bye"
    assert log == [addresses]
    balancer.wait("session", result="ok", client=text(addresses[0]))


@pytest.mark.parametrize("header", [o[1] for o in OWN], ids=[o[0] for o in OWN])
def test_the_acl_holds_for_the_own_address(start, relay, header):
    one = relay(smtp())
    setup = trusting([one])
    balancer = start(setup)
    with announce(setup, header) as client:
        assert client.line().startswith(b"421 4.7.1 ")
        assert balancer.wait("denied")["client"] == text(own(client)[0])
    assert one.accepted == 0


MALFORMED = [
    ("SMTP", b"EHLO client\r\n", "no PROXY header"),
    ("v1 protocol", b"PROXY TCP5 1.2.3.4 1.2.3.4 1 2\r\n", "none of TCP4"),
    ("v1 zero", b"PROXY TCP4 203.0.113.07 192.0.2.25 1 25\r\n", "source is no"),
    ("v1 zone", b"PROXY TCP6 fe80::1%lo 2001:db8::25 1 25\r\n", "source is no"),
    ("v1 blanks", b"PROXY TCP4 203.0.113.7  192.0.2.25 1 25\r\n", "destination is no"),
    ("v1 port", b"PROXY TCP4 203.0.113.7 192.0.2.25 1 65536\r\n", "destination port"),
    ("v1 too long", b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n", "107 bytes"),
    ("v1 families", headers.v1(MAPPED, CALLED6), "different families"),
    ("v2 version", block(0x31, TCP4, V4_PAIR), "version"),
    ("v2 command", block(0x22, TCP4, V4_PAIR), "command"),
    ("v2 family", block(PROXY, 0x41, V4_PAIR), "family"),
    ("v2 transport", block(PROXY, 0x13, V4_PAIR), "transport"),
    ("v2 short", block(PROXY, TCP6, V4_PAIR), "cut short"),
    ("v2 families", block(PROXY, TCP6, headers.pair(MAPPED, CALLED6)), "different families"),
    ("v2 TLV", block(PROXY, TCP4, V4_PAIR + b"\4\0\5x"), "past the end"),
    ("v2 TLV of LOCAL", block(LOCAL, UNSPEC, b"\4\0\5x"), "past the end"),
    ("v2 SSL", block(PROXY, TCP4, V4_PAIR + tlv(SSL, b"\1\0\0\0\0\x21\0\5x")), "past the end"),
    ("v2 CRC32C", block(PROXY, TCP4, V4_PAIR + tlv(3, b"nope")), "checksum is wrong"),
]


def assert_refused(balancer, relay, detail, end="balancer"):
    """Without a reply, with a line that says why, and without a connection to the relay."""
    event = balancer.wait("session", result="error", end=end)
    assert (event["backend"], event["attempts"], event["bytes_out"]) == ("-", "0", "0")
    why = balancer.wait("proxy", id=event["id"])
    assert detail in why["detail"] and why["client"] == event["client"]
    assert event["client"].startswith(FRONT)
    assert relay.accepted == 0


@pytest.mark.parametrize(
    "header, detail", [m[1:] for m in MALFORMED], ids=[m[0] for m in MALFORMED]
)
def test_malformed(start, relay, header, detail):
    one = relay(smtp())
    setup = trusting([one], allow=f"{FRONT}, 203.0.113.7")
    balancer = start(setup)
    with announce(setup, header) as client:
        assert_refused(balancer, one, detail)
        assert client.recv() == b""


@pytest.mark.parametrize("part", [b"", b"PROXY TCP4 203.0.113.7", V2_SIGNATURE])
@pytest.mark.parametrize("how", ["late", "fin", "rst"])
def test_truncated(start, relay, how, part):
    one = relay(smtp())
    timeout = "50ms" if how == "late" else "1h"
    setup = trusting([one], allow=FRONT, listener=f"proxy_timeout = {timeout}")
    balancer = start(setup)
    with announce(setup, part) as client:
        if how == "late":
            assert client.rest() == b""
            assert_refused(balancer, one, "in time")
        elif how == "fin":
            client.finish()
            assert client.rest() == b""
            assert_refused(balancer, one, "closed with", end="client")
        else:
            client.reset()
            assert_refused(balancer, one, "reset", end="client")


@pytest.mark.parametrize("header", [headers.v1(CLIENT6, CALLED6), headers.v2(
    CLIENT6, CALLED6, tlv(NOOP, b"pad"), checksum=True)], ids=["v1", "v2"])
def test_dripped(start, relay, header):
    """A byte a segment; the client's first command drips behind it."""
    log = []
    setup = trusting([relay(smtp(log=log))])
    start(setup)
    with announce(setup, b"") as client:
        for byte in header + b"NOOP\r\n":
            client.send(bytes([byte]))
        assert client.line() == b"220 relay ESMTP"
        assert client.line() == b"250 relay"
    assert log == [(CLIENT6, CALLED6)]


@pytest.mark.parametrize("header", [headers.v1(CLIENT, CALLED), headers.v2(CLIENT, CALLED)],
                         ids=["v1", "v2"])
def test_from_any_other_source_it_is_the_clients_data(start, relay, header):
    """Nothing is read of it, and the relay gets it behind a header that tells the truth."""
    one = relay()
    setup = trusting([one], allow="127.0.0.0/8")
    balancer = start(setup)
    with announce(setup, header + b"QUIT\r\n", source="127.0.0.8") as client:
        addresses = own(client)
        conn = one.next()
        source, destination, rest = parse_proxy(conn.exactly(28))
        assert (source, destination, rest) == (*addresses, b"")
        conn.send(b"220 go\r\n")
        assert conn.exactly(len(header) + 6) == header + b"QUIT\r\n"
        conn.close()
    balancer.wait("session", client=text(addresses[0]), bytes_in=len(header) + 6)


def test_a_denied_source_gets_nowhere_by_a_header(start, relay):
    one = relay(smtp())
    setup = trusting([one])
    balancer = start(setup)
    with announce(setup, headers.v2(CLIENT, CALLED), source="127.0.0.8") as client:
        assert client.line().startswith(b"421 4.7.1 ")
        assert balancer.wait("denied")["client"] == text(own(client)[0])
    assert one.accepted == 0


@pytest.mark.parametrize("version", [headers.v1, headers.v2])
def test_early_data_is_kept_and_not_consumed(start, relay, version):
    """Invariant 4: what came with the header is kept over failing attempts; what came later stays
    with the kernel until the gate opens."""
    first, second = relay(), relay()
    setup = trusting([first, second])
    balancer = start(setup)
    early = b"EHLO early\r\n" * 100
    late = bytes(range(256)) * (64 << 10)
    with announce(setup, version(CLIENT, CALLED) + early) as client:
        conn = first.next()
        assert parse_proxy(conn.exactly(28)) == (CLIENT, CALLED, b"")
        client.sock.setblocking(False)
        sent = 0
        with pytest.raises(BlockingIOError):
            while True:
                sent += client.sock.send(late[sent:])
        assert 0 < sent < len(late)
        conn.sock.setblocking(False)
        with pytest.raises(BlockingIOError):
            conn.sock.recv(1)
        conn.sock.settimeout(DEADLINE)
        conn.send(b"421 busy\r\n")
        assert conn.rest() == b""
        conn = second.next()
        assert parse_proxy(conn.exactly(28)) == (CLIENT, CALLED, b"")
        conn.send(b"220 go\r\n")
        assert conn.exactly(len(early)) == early
        client.sock.settimeout(DEADLINE)
        assert client.line() == b"220 go"
        assert conn.exactly(sent) == late[:sent]
        client.finish()
        assert conn.rest() == b""
        conn.close()
    balancer.wait("session", result="ok", bytes_in=len(early) + sent)


@pytest.mark.parametrize("early", [b"QUIT\r\n", b"x" * 15000], ids=["little", "much"])
def test_a_half_close_behind_early_data_is_kept(start, relay, early):
    one = relay()
    setup = trusting([one])
    balancer = start(setup)
    with announce(setup, headers.v2(CLIENT, CALLED) + early) as client:
        client.finish()
        conn = one.next()
        conn.exactly(28)
        conn.send(b"220 go\r\n")
        assert conn.rest() == early
        conn.send(b"221 bye\r\n")
        conn.close()
        assert client.rest() == b"220 go\r\n221 bye\r\n"
    balancer.wait("session", result="ok", end="client")


@pytest.mark.parametrize("early", [b"", b"QUIT\r\n"], ids=["silent", "with early data"])
def test_a_reset_while_waiting_is_noticed(start, relay, early):
    one = relay()
    pool = "greeting_timeout = 100ms greeting_retry = 10ms"
    setup = trusting([one], pool=pool, health="type = none greeting_fall = 0")
    balancer = start(setup)
    client = announce(setup, headers.v2(CLIENT, CALLED) + early)
    one.next()
    client.reset()
    assert balancer.wait("session", result="client_lost", end="client")["client"] == text(CLIENT)


def test_much_early_data(start, relay):
    """More than is received at once: it comes in order, and nothing is lost."""
    one = relay()
    setup = trusting([one])
    start(setup)
    data = bytes(range(256)) * (1 << 12)
    with announce(setup, b"") as client:
        sender = threading.Thread(
            target=lambda: client.send(headers.v1(CLIENT, CALLED) + data), daemon=True)
        sender.start()
        conn = one.next()
        conn.exactly(28)
        conn.send(b"220 go\r\n")
        assert client.line() == b"220 go"
        assert conn.exactly(len(data)) == data
        sender.join(DEADLINE)


DENIALS = [("421", b"421 4.7.1 "), ("554", b"554 5.7.1 "), ("reset", None), ("drop", b"")]


@pytest.mark.parametrize("early", [b"", b"EHLO early\r\n" * 1000], ids=["silent", "early data"])
@pytest.mark.parametrize("action, reply", DENIALS, ids=[d[0] for d in DENIALS])
def test_denied_announced_source(start, relay, action, reply, early):
    """Invariant 3, by a source that may send itself; with what it sent early the reply still
    arrives, and nothing of it does at a relay."""
    one = relay(smtp())
    setup = trusting([one], allow="127.0.0.0/8", listener=f"on_deny = {action}")
    balancer = start(setup)
    with announce(setup, headers.v2(CLIENT, CALLED) + early) as client:
        event = balancer.wait("denied")
        if reply:
            assert client.line().startswith(reply)
        try:
            assert client.rest() == b"" and reply is not None
        except ConnectionResetError:
            # A plain close with unread bytes is a reset, too.
            assert reply is None or (reply == b"" and early)
    assert (event["client"], event["rule"], event["action"]) == (text(CLIENT), "default", action)
    assert one.accepted == 0 and not balancer.find("session")


VERDICTS = [
    ("203.0.113.7", "", "203.0.113.7", True),
    ("203.0.113.0/24", "203.0.113.7", "203.0.113.7", False),
    ("::/1", "", "203.0.113.7", False),
    ("::/1", "", "::ffff:203.0.113.7", False),
    ("203.0.113.7", "", "::ffff:203.0.113.7", True),
    ("203.0.113.0/24, ::/1", "203.0.113.7", "::ffff:203.0.113.7", False),
    ("2001:db8::/32", "2001:db8::/64", "2001:db8::1", False),
    ("2001:db8::/32", "2001:db8::/64", "2001:db8:0:1::1", True),
]


@pytest.mark.parametrize("version", [headers.v1, headers.v2])
@pytest.mark.parametrize("allow, deny, source, allowed", VERDICTS)
def test_verdict_of_an_announced_source(start, relay, version, allow, deny, source, allowed):
    one = relay(smtp())
    setup = trusting([one], allow=allow, deny=deny)
    start(setup)
    called = "::ffff:192.0.2.25" if ":" in source else "192.0.2.25"
    if source.startswith("2001"):
        called = "2001:db8::25"
    with announce(setup, version((source, 1), (called, 25))) as client:
        assert client.line().startswith(b"220 " if allowed else b"421 4.7.1 ")
    assert one.accepted == allowed


def test_a_backend_without_port_gets_our_own(start, relay):
    """Not the one that was called at the balancer in front."""
    port = free_port()
    log = []
    one = relay(smtp(log=log), host="127.0.1.1", port=port)
    setup = trusting([one])
    setup.bind = f"127.0.0.1:{port}"
    start(re.sub(r"port = \d+", "", setup.text()))
    with connect(("127.0.0.1", port), FRONT) as client:
        client.send(headers.v2(CLIENT, CALLED))
        assert client.line() == b"220 relay ESMTP"
    assert log == [(CLIENT, CALLED)]


def test_the_list_of_trusted_sources(start, relay):
    """Addresses and networks, IPv6 among them."""
    log = []
    setup = Setup([relay(smtp(log=log))], allow="203.0.113.7, 2001:db8::7",
                  listener="accept_proxy = { 127.1.0.0/16, ::1, 127.0.0.9 }")
    setup.bind += f", [::1]:{setup.port}"
    start(setup)
    for source, host in [("127.1.2.3", "127.0.0.1"), ("::1", "::1"), (FRONT, "127.0.0.1")]:
        for header in (headers.v1(CLIENT, CALLED), headers.v2(CLIENT6, CALLED6)):
            with connect((host, setup.port), source) as client:
                client.send(header)
                assert client.line() == b"220 relay ESMTP"
    assert len(log) == 6
    with connect(("127.0.0.1", setup.port), "127.2.2.3") as client:
        assert client.line().startswith(b"421 4.7.1 ")


FULL = b"421 4.3.2 lb.test too many connections "


def test_who_waits_takes_room(start, relay):
    """And gives it back when refused, denied or served."""
    setup = trusting([relay(smtp())], top="max_sessions = 1", workers=1)
    balancer = start(setup)
    waiting = announce(setup, b"PROXY")
    for count in (1, 2):
        # Turned away before its header was read.
        with announce(setup, headers.v2(CLIENT, CALLED) + b"QUIT\r\n") as client:
            assert client.line().startswith(FULL)
            assert client.rest() == b""
        assert balancer.wait("session", count, result="limited")["client"].startswith(FRONT)
    waiting.send(b" TCP4 198.51.100.1 192.0.2.25 1 25\r\n")
    assert waiting.line().startswith(b"421 4.7.1 ")
    # Denied, it may linger; that takes none.
    served = announce(setup, headers.v2(CLIENT, CALLED))
    assert served.line() == b"220 relay ESMTP"
    with announce(setup, b"") as client:
        assert client.line().startswith(FULL)
    served.quit()
    balancer.wait("session", result="ok")
    announce(setup, b"PROXY").close()
    balancer.wait("session", result="error")
    with announce(setup, headers.v2(CLIENT, CALLED)) as client:
        assert client.line() == b"220 relay ESMTP"
    waiting.close()


def test_no_descriptor_to_wait_for_a_header_with(start, relay, faults):
    """Turned away at once, as everybody, for whomever it would have come."""
    setup = trusting([relay(smtp())], workers=1)
    balancer = start(setup, prefix=faults.prefix)
    faults.arm("accept4", "EMFILE")
    with setup.connect(FRONT) as client:
        assert client.line().startswith(FULL)
        assert client.rest() == b""
    assert balancer.wait("session", result="limited")["client"].startswith(f"{FRONT}:")
    with announce(setup, headers.v2(CLIENT, CALLED)) as client:
        assert client.line() == b"220 relay ESMTP"


@pytest.mark.engine("libev")
def test_no_memory_to_wait_for_a_header_with(start, relay, faults):
    setup = trusting([relay(smtp()), relay(smtp())], workers=1, listener="proxy_timeout = 1h")
    balancer = start(setup, prefix=faults.prefix)
    with announce(setup, headers.v2(CLIENT, CALLED)) as inside:
        assert inside.line() == b"220 relay ESMTP"
        inside.send(b"NOOP\r\n")
        assert inside.line() == b"250 relay"  # by now all is watched
        faults.arm("epoll_ctl", "ENOMEM")
        with announce(setup, b"PROXY ") as client:
            assert_refused(balancer, setup.relays[1], "Cannot allocate memory")
            client.reset()
    with announce(setup, headers.v2(CLIENT, CALLED)) as client:
        assert client.line() == b"220 relay ESMTP"


@pytest.mark.parametrize("how", ["fin", "rst"])
@pytest.mark.parametrize("version", ["v1", "v2"])
def test_health_check_of_a_balancer_in_front(start, relay, version, how):
    """LOCAL, or its own addresses, and gone, at once or in a moment: a relay never hears of it."""
    one = relay(smtp())
    setup = trusting([one])
    balancer = start(setup)
    for count in range(1, 21):
        with contextlib.ExitStack() as stack:
            if count % 2:
                stack.enter_context(stopped(balancer))
            client = setup.connect(FRONT)
            header = headers.v1(*own(client)) if version == "v1" else block(LOCAL, UNSPEC, b"")
            client.send(header)
            if how == "rst":
                client.reset()
            client.close()
        balancer.wait("session", count)
    # With its RST the kernel may drop the header.
    results = {(event["result"], event["end"]) for event in balancer.find("session")}
    assert results <= {("client_lost", "client"), ("error", "client")}
    assert results == {("client_lost", "client")} or how == "rst"
    assert one.accepted == 0 and not balancer.find("denied")


def test_stop_does_not_wait_for_a_header(start, relay):
    setup = trusting([relay(smtp())], listener="proxy_timeout = 1h", top="drain_timeout = 1h")
    balancer = start(setup)
    with announce(setup, b"PROXY ") as client:
        balancer.signal(signal.SIGTERM)
        assert balancer.exit_code() == 0
        assert client.recv() == b""
    assert_refused(balancer, setup.relays[0], "in time")


def test_a_header_on_its_way_at_the_stop_is_served(start, relay):
    """As is whoever is in the accept queue."""
    setup = trusting([relay(smtp())])
    balancer = start(setup)
    with stopped(balancer):
        client = announce(setup, headers.v2(CLIENT, CALLED))
        balancer.signal(signal.SIGTERM)
    with client:
        assert client.line() == b"220 relay ESMTP"
        assert client.quit() == b"221 bye"
    assert balancer.exit_code() == 0


def test_cut_while_waiting(start, relay):
    setup = trusting([relay(smtp())], listener="proxy_timeout = 1h")
    balancer = start(setup)
    with announce(setup, b"PROXY ") as client:
        balancer.signal(signal.SIGINT)
        # With a reset, where it was cut before it had read the byte.
        assert client.is_reset() in (True, False)
    assert balancer.exit_code() == 0


def test_whom_a_reload_denied_meanwhile_is_denied(start, relay):
    """A session begins when its header is there, under the configuration of that moment."""
    one = relay(smtp())
    setup = trusting([one])
    balancer = start(setup)
    with announce(setup, b"PROXY TCP4 ") as client:
        with announce(setup, headers.v2(CLIENT, CALLED)) as other:
            assert other.line() == b"220 relay ESMTP"
        setup.deny = "203.0.113.7"
        assert balancer.reload(setup.text())["action"] == "reloaded"
        client.send(b"203.0.113.7 192.0.2.25 1 25\r\n")
        assert client.line().startswith(b"421 4.7.1 ")
    assert one.accepted == 1


def test_whom_a_reload_trusts_no_more_is_not_believed(start, relay):
    one = relay(smtp())
    setup = trusting([one])
    balancer = start(setup)
    with announce(setup, b"PROXY TCP4 ") as client:
        with announce(setup, headers.v2(CLIENT, CALLED)) as other:
            assert other.line() == b"220 relay ESMTP"
        assert balancer.reload(setup.text().replace(FRONT, "127.0.0.10"))["action"] == "reloaded"
        client.send(b"203.0.113.7 192.0.2.25 1 25\r\n")
        assert client.rest() == b""
    assert "no longer trusted" in balancer.wait("proxy")["detail"]
    assert one.accepted == 1


def test_a_listener_that_a_reload_took_away(start, relay):
    """Who is connected already is served as before."""
    setup = trusting([relay(smtp())])
    balancer = start(setup)
    with announce(setup, b"PROXY TCP4 ") as client:
        with announce(setup, headers.v2(CLIENT, CALLED)) as other:
            assert other.line() == b"220 relay ESMTP"
        other_name = setup.text().replace("listener smtp", "listener other")
        assert balancer.reload(other_name)["action"] == "reloaded"
        client.send(b"203.0.113.7 192.0.2.25 1 25\r\n")
        assert client.line() == b"220 relay ESMTP"


@pytest.mark.parametrize("outer", ["v1", "v2"])
@pytest.mark.parametrize("inner", ["v1", "v2"])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_chained_balancers(start, relay, outer, inner, host):
    """The relay sees the client of the first one, and where that was called."""
    log = []
    second = Setup([relay(smtp(log=log))], proxy=inner, listener="accept_proxy = { 127.0.0.1 }")
    start(second)
    second.host = "127.0.0.1"
    first = Setup([second], proxy=outer)
    first.bind = f"127.0.0.1:{first.port}, [::1]:{first.port}"
    start(first)
    with connect((host, first.port), host) as client:
        addresses = own(client)
        assert client.line() == b"220 relay ESMTP"
        client.send(b"NOOP\r\n")
        assert client.line() == b"250 relay"
        assert client.quit() == b"221 bye"
    assert log == [addresses]


def test_chained_balancers_deny_by_the_first_ones_client(start, relay):
    """The first one lets it in, the second does not: its 421 is an attempt that failed."""
    one = relay(smtp())
    second = Setup([one], allow="127.0.0.0/8", deny="127.0.0.66",
                   listener="accept_proxy = { 127.0.0.1 }")
    behind = start(second)
    second.host = "127.0.0.1"
    first = Setup([second], pool="greeting_retry = 0s")
    front = start(first)
    with first.connect("127.0.0.66") as client:
        assert client.line().startswith(b"421 4.3.2 lb.test no relay available")
    assert behind.wait("denied")["client"].startswith("127.0.0.66:")
    assert front.wait("attempt", cause="greeting_reply")["reply"].startswith("421 4.7.1 ")
    assert one.accepted == 0


HAPROXY = """\
global
    nbthread 1
defaults
    mode tcp
    timeout connect 5s
    timeout client 1m
    timeout server 1m
    timeout check 5s
listen smtp
    bind 127.0.0.1:{port}
    bind [::1]:{port}
    server smtplb 127.0.0.1:{behind} source {front} {options}
"""


@pytest.fixture(name="haproxy")
def fixture_haproxy(tmp_path):
    """Debian's HAProxy in front of a balancer: haproxy(setup, options) returns its port."""
    unpacked = subprocess.run([ROOT / "tests/peers", "haproxy"], check=True, text=True,
                              stdout=subprocess.PIPE).stdout.strip()
    running = []

    def make(setup, options):
        port = free_port()
        conf = tmp_path / "haproxy.cfg"
        conf.write_text(
            HAPROXY.format(port=port, behind=setup.port, front=FRONT, options=options))
        libraries = ":".join(f"{unpacked}/usr/lib/{machine}-linux-gnu"
                             for machine in ("x86_64", "aarch64"))
        running.append(subprocess.Popen(
            [f"{unpacked}/usr/sbin/haproxy", "-db", "-f", conf],
            env={"LD_LIBRARY_PATH": libraries}, stderr=subprocess.DEVNULL))
        eventually(lambda: is_listening(("127.0.0.1", port)))
        return port

    yield make
    for process in running:
        process.kill()
        process.wait()


@pytest.mark.parametrize("options", [
    "send-proxy",
    "send-proxy-v2",
    "send-proxy-v2 proxy-v2-options crc32c,unique-id",
    "send-proxy check check-send-proxy inter 10ms",
    "send-proxy-v2 check check-send-proxy inter 10ms",
])
@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_behind_haproxy(start, relay, haproxy, host, options):
    log = []
    setup = trusting([relay(smtp(log=log))], allow="127.0.0.0/8, ::1")
    balancer = start(setup)
    port = haproxy(setup, options)
    if " check" in options:
        # Several of its health checks first; the relay hears of none.
        balancer.wait("session", 5, result="client_lost")
        assert not log
    with connect((host, port), host) as client:
        addresses = own(client)
        assert client.line() == b"220 relay ESMTP"
        client.send(b"NOOP\r\n")
        assert client.line() == b"250 relay"
        assert client.quit() == b"221 bye"
    balancer.wait("session", result="ok", client=text(addresses[0]))
    assert addresses in log
    assert not balancer.find("session", result="error")
