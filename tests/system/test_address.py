"""Our own addresses: from which the backends are reached, and those that listeners wait for."""

import os

import pytest
from balancer import Setup
from namespace import Namespace
from peers import connect, eventually, parse_proxy, smtp

NO_RELAY = b"421 4.3.2 lb.test no relay available ("

as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can make a namespace")


@pytest.fixture(name="space")
def fixture_space():
    space = Namespace()
    yield space
    space.close()


def peer_of(conn):
    return conn.sock.getpeername()[0]


def test_sessions_and_probes_come_from_source_address(start, relay, probed):
    """The PROXY header says who the client is all the same."""
    froms = []

    def serve(conn):
        froms.append(peer_of(conn))
        smtp(b"relay1")(conn)

    site = probed()
    site.froms = []
    answer = site.relay.serve

    def serve_probe(conn):
        site.froms.append(peer_of(conn))
        answer(conn)

    site.relay.serve = serve_probe
    log = []
    setup = Setup(
        [relay(serve)],
        pool="source_address = 127.5.5.5",
        health=f"port = {site.port} interval = 50ms",
    )
    start(setup)
    site.await_probes(2)
    assert setup.greeting(source="127.0.0.9") == b"220 relay1 ESMTP"
    assert set(froms) == {"127.5.5.5"}
    assert set(site.froms) == {"127.5.5.5"}
    setup.relays[0].serve = smtp(b"relay1", log=log)
    assert setup.greeting(source="127.0.0.9") == b"220 relay1 ESMTP"
    assert log[0][0][0] == "127.0.0.9"


def test_source_address_of_ipv6(start, relay):
    one = relay(host="::1")
    setup = Setup([one], pool='source_address = "::1"')
    start(setup)
    with setup.connect() as client:
        conn = one.next()
        assert peer_of(conn) == "::1"
        parse_proxy(conn.sock.recv(536))
        conn.send(b"220 six\r\n")
        assert client.line() == b"220 six"


@as_root
def test_source_address_that_is_not_there_yet(start, relay, space):
    """Says nothing of the backends: neither their greetings nor their probes count, whose want of a
    reply would take them out at once."""
    with space.entered():
        one = relay(smtp(b"relay1"))
    setup = Setup(
        [one],
        pool="source_address = 10.7.7.7 greeting_retry = 0s",
        health=f"type = http port = {one.port} interval = 20ms fall = 1 greeting_fall = 1",
    )
    balancer = start(setup, prefix=space.prefix)
    for count in (1, 2, 3):
        with space.entered():
            client = setup.connect()
        assert client.line().startswith(NO_RELAY)
        client.close()
        event = balancer.wait("attempt", count, cause="resources")
        assert event["detail"] == "source_address 10.7.7.7 is no address of this machine"
    assert one.accepted == 0
    assert not balancer.find("health")
    setup.health = "type = none greeting_fall = 1"
    balancer.reload(setup.text())
    space.run("ip", "addr", "add", "10.7.7.7/32", "dev", "lo")
    with space.entered():
        client = setup.connect()
    assert client.line() == b"220 relay1 ESMTP"
    client.close()


@as_root
@pytest.mark.parametrize("source", ["source_address = 127.5.5.5", ""])
def test_ports_are_shared_between_backends(start, relay, space, source):
    """Two ports for four sessions at the same time: two to each of two relays. A fifth has none:
    the backends' standing is untouched, and it gets a reply. (The clients call an address each:
    they need ports too.) Afterwards all is well."""
    space.set("ipv4/ip_local_port_range", '"40000 40001"')
    with space.entered():
        relays = [relay(smtp(b"relay%d" % i), port=2500 + i) for i in (1, 2)]
    setup = Setup(
        relays,
        pool=f"{source} greeting_retry = 0s",
        health="type = none greeting_fall = 1",
    )
    setup.port = 2525
    setup.bind = "0.0.0.0:2525"
    balancer = start(setup, prefix=space.prefix)
    clients = []
    for number in range(5):
        with space.entered():
            clients.append(connect((f"127.0.0.{number + 10}", 2525)))
    lines = [client.line() for client in clients]
    assert [line[:3] for line in lines] == [b"220"] * 4 + [b"421"]
    for backend in ("relay1", "relay2"):
        event = balancer.wait("attempt", backend=backend, cause="resources")
        assert event["detail"] == "no local port is free"
    assert not balancer.find("health")
    for client in clients[:4]:
        client.quit()
    balancer.wait("session", 4, result="ok")
    with space.entered():
        late = connect(("127.0.0.20", 2525))
    assert late.line().startswith(b"220 ")
    late.close()


@as_root
def test_without_ipv6_a_backend_is_unreachable(start, relay, space):
    """That is the backend's fault, or its configuration's, and no want of resources."""
    with space.entered():
        one = relay(smtp(b"relay1"))
        six = relay(smtp(b"relay2"), host="::1")
    for name in ("all", "lo"):
        space.set(f"ipv6/conf/{name}/disable_ipv6", "1")
    setup = Setup([six, one], health="type = none greeting_fall = 1")
    balancer = start(setup, prefix=space.prefix)
    with space.entered():
        client = setup.connect()
    assert client.line() == b"220 relay1 ESMTP"
    client.close()
    balancer.wait("attempt", backend="relay1", cause="unreachable")
    balancer.wait("health", backend="relay1", to="down", cause="greetings")


@as_root
@pytest.mark.parametrize("host, bind", [("10.7.7.7", "10.7.7.7"), ("fd07::7", "[fd07::7]")])
def test_address_that_comes_later_is_listened_on(start, relay, space, host, bind):
    """As a virtual address does, that is another machine's still."""
    with space.entered():
        one = relay(smtp(b"relay1"))
    setup = Setup([one], workers=2, allow="127.0.0.0/8, 10.0.0.0/8, fd00::/8")
    setup.bind = f"127.0.0.1:{setup.port}, {bind}:{setup.port}"
    balancer = start(setup, prefix=space.prefix)
    event = balancer.wait("config", action="warning")
    assert f"no interface of this machine has the address {host} yet" in event["detail"]
    assert not balancer.find("config", action="refused")
    # Without nodad an IPv6 address is not to be used for a moment.
    prefix, options = (f"{host}/128", ["nodad"]) if ":" in host else (f"{host}/32", [])
    space.run("ip", "addr", "add", prefix, "dev", "lo", *options)
    eventually(lambda: space.has_route(host))
    for _ in range(4):
        with space.entered():
            client = connect((host, setup.port))
        assert client.line() == b"220 relay1 ESMTP"
        client.close()
    balancer.reload(setup.text())
    assert len(balancer.find("config", action="warning")) == 1
