"""proxy_tlv: what a relay is told of a client beside its address, and that it is true."""

import struct

import pytest
from balancer import Setup
from peers import V2_SIGNATURE, connect, smtp
from test_relay_tls import check
from tls import Secured, SecureSetup, StarttlsSetup, secure

ADDRESSES = 12  # bytes, of IPv4

AUTHORITY, CRC32C, UNIQUE_ID, SSL, SSL_VERSION, SSL_CIPHER = 2, 3, 5, 0x20, 0x21, 0x23


def tlvs(data):
    """{type: value}"""
    found = {}
    while data:
        kind, length = struct.unpack("!BH", data[:3])
        assert kind not in found
        found[kind] = data[3 : 3 + length]
        data = data[3 + length :]
    return found


def told(conn):
    """The TLVs of a relay's connection, which is greeted then."""
    head = conn.exactly(16)
    assert head.startswith(V2_SIGNATURE)
    rest = conn.exactly(struct.unpack("!H", head[14:])[0])
    conn.send(b"220 relay\r\n")
    return tlvs(rest[ADDRESSES:])


def ssl_parts(value):
    """(version, cipher) of a client that speaks TLS and has shown no certificate."""
    assert value[:5] == b"\1" + b"\0\0\0\1"
    parts = tlvs(value[5:])
    assert set(parts) == {SSL_VERSION, SSL_CIPHER}
    return parts[SSL_VERSION].decode(), parts[SSL_CIPHER].decode()


@pytest.mark.parametrize("name", ["lb.test", None])
def test_implicit_tls(start, relay, certificate, name):
    one = relay()
    setup = SecureSetup([one], certificate, pool="proxy_tlv = on")
    balancer = start(setup)
    context = certificate.context()
    context.check_hostname = name is not None
    with setup.connect_plainly() as client:
        client.sock = Secured(client.sock, context, name)
        with one.next() as conn:
            found = told(conn)
    event = balancer.wait("session")
    assert found.pop(UNIQUE_ID).decode() == event["id"]
    assert "/".join(ssl_parts(found.pop(SSL))) == event["tls"]
    assert found.pop(AUTHORITY, None) == (name and name.encode())
    assert len(found.pop(CRC32C)) == 4 and not found


def test_no_tls_yet(start, relay, certificate):
    """A client that begins it later, or not at all."""
    one = relay()
    setup = StarttlsSetup([one], certificate, pool="proxy_tlv = on")
    balancer = start(setup)
    with connect(setup.address) as client, one.next() as conn:
        found = told(conn)
        client.line()
        client.send(b"STARTTLS\r\n")
        assert client.line().startswith(b"220")
        secure(client, certificate)
    event = balancer.wait("session")
    assert event["tls"] != "-"
    assert found.pop(UNIQUE_ID).decode() == event["id"]
    assert set(found) == {CRC32C}


def test_off(start, relay):
    one = relay()
    setup = Setup([one])
    start(setup)
    with connect(setup.address), one.next() as conn:
        assert told(conn) == {}


def test_a_balancer_behind_understands(start, relay, certificate):
    """The checksum, and what it has no use for."""
    log = []
    behind = Setup([relay(smtp(log=log))], listener="accept_proxy = { 127.0.0.1 }")
    start(behind)
    front = SecureSetup([type("Behind", (), {"host": "127.0.0.1", "port": behind.port})],
                        certificate, pool="proxy_tlv = on")
    start(front)
    with front.connect() as client:
        source = client.sock.getsockname()
        assert client.line() == b"220 relay ESMTP"
    assert log[0][0] == source


def test_check(tmp_path):
    assert check(tmp_path, "proxy_tlv = on")[0] == 0
    status, said = check(tmp_path, "proxy_tlv = on", proxy="v1")
    assert status == 1 and "`proxy_tlv = on` needs `proxy_protocol = v2`" in said
