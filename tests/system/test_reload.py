"""HUP: a configuration comes into effect whole or not at all, and nobody who is connected, or is
just connecting, notices."""

import random
import signal
from pathlib import Path

import pytest
from balancer import Crowd, Setup
from peers import connect, free_port, is_listening, listen, smtp

RELOADS = 20


def line_of(text, what):
    """The number of the first line that holds it."""
    return next(i for i, line in enumerate(text.splitlines(), 1) if what in line)


def test_open_session_goes_on(start, relay):
    """Its relay is no longer configured, and the new acl denies its client."""
    one, two = relay(), relay(smtp(b"two"))
    setup = Setup([one])
    balancer = start(setup)
    with setup.connect() as client:
        conn = one.next()
        conn.exactly(28)
        conn.send(b"220 one\r\n")
        assert client.line() == b"220 one"
        setup.relays = [two]
        setup.deny = "127.0.0.1"
        assert balancer.reload(setup.text())["action"] == "reloaded"
        client.send(b"EHLO there\r\n")
        assert conn.line() == b"EHLO there"
        conn.send(b"250 here\r\n")
        assert client.line() == b"250 here"
        assert setup.greeting(source="127.0.0.2") == b"220 two ESMTP"
        assert setup.greeting().startswith(b"421 4.7.1 lb.test access denied (")
        client.send(b"QUIT\r\n")
        assert conn.line() == b"QUIT"
        conn.close()
        assert client.rest() == b""
    balancer.wait("session", result="ok", backend_addr=f"127.0.0.1:{one.port}")


def test_session_in_the_gate_keeps_its_configuration(start, relay):
    """It began under v1: later attempts speak v1 too, though the relays now get v2."""
    first, second = relay(), relay()
    setup = Setup([first, second], proxy="v1")
    balancer = start(setup)
    with setup.connect() as client:
        conn = first.next()
        assert conn.line().startswith(b"PROXY TCP4 ")
        setup.proxy = "v2"
        balancer.reload(setup.text())
        conn.send(b"421 busy\r\n")
        conn = second.next()
        assert conn.line().startswith(b"PROXY TCP4 ")
        conn.send(b"220 two\r\n")
        assert client.line() == b"220 two"


def test_no_connection_is_refused_or_reset(start, relay):
    """Sockets are kept by address: closing one resets what is in its accept queue."""
    setup = Setup([relay(smtp(b"one")), relay(smtp(b"two"))])
    balancer = start(setup)
    with Crowd(setup) as crowd:
        for i in range(RELOADS):
            setup.relays[0].options = f"weight = {1 + i % 3}"
            also = f", 127.0.0.2:{setup.port}" if i % 2 else ""
            setup.bind = f"127.0.0.1:{setup.port}{also}"
            assert balancer.reload(setup.text())["action"] == "reloaded"
            crowd.await_more()
    assert set(crowd.lines) == {b"220 one ESMTP", b"220 two ESMTP"}
    assert not balancer.find("attempt")


def test_denied_means_denied_during_reloads(start, relay):
    """Invariant 3: no moment between two configurations lets in whom neither of them allows."""
    log = []
    setup = Setup([relay(smtp(b"one", log=log))], deny="127.0.0.66")
    balancer = start(setup)
    with Crowd(setup, source="127.0.0.66") as strangers:
        for i in range(RELOADS):
            if i % 2:
                setup.allow, setup.deny = "127.0.0.0/8", "127.0.0.66"
            else:
                setup.allow, setup.deny = "127.0.0.1", ""
            assert balancer.reload(setup.text())["action"] == "reloaded"
            strangers.await_more()
            assert setup.greeting() == b"220 one ESMTP"
    for line in strangers.lines:
        assert line.startswith(b"421 4.7.1 lb.test access denied (")
    assert {source for (source, _), _ in log} == {"127.0.0.1"}
    assert setup.relays[0].accepted == len(log) == RELOADS


def test_client_denied_by_the_new_acl_is_denied_from_then_on(start, relay):
    log = []
    setup = Setup([relay(smtp(b"one", log=log))])
    balancer = start(setup)
    for deny in ("127.0.0.5", "", "127.0.0.5, 127.0.0.6", ""):
        setup.deny = deny
        balancer.reload(setup.text())
        before = len(log)
        greeting = setup.greeting(source="127.0.0.5")
        assert greeting.startswith(b"421 4.7.1 " if deny else b"220 one")
        assert len(log) == before + (0 if deny else 1)


def test_broken_configuration_is_refused(start, relay):
    setup = Setup([relay(smtp(b"one"))])
    balancer = start(setup)
    text = setup.text().replace("workers =", "wurkers =").replace("acl = senders", "acl = sendrs")
    event = balancer.reload(text)
    assert event["action"] == "refused" and event["level"] == "error"
    balancer.wait("config", 2, action="refused")
    details = [event["detail"] for event in balancer.find("config", action="refused")]
    for detail, what in zip(details, ("wurkers", "sendrs"), strict=True):
        assert detail.startswith(f"{balancer.conf}:{line_of(text, what)}: ") and what in detail
    assert setup.greeting() == b"220 one ESMTP"
    assert balancer.reload(setup.text() + "listener {{{\n")["action"] == "refused"
    assert setup.greeting() == b"220 one ESMTP"
    balancer.conf.unlink()
    event = balancer.reload()
    assert event["action"] == "refused"
    assert event["detail"].startswith(f"{balancer.conf}: can't be read")
    assert setup.greeting() == b"220 one ESMTP"
    assert balancer.reload(setup.text())["action"] == "reloaded"
    assert setup.greeting() == b"220 one ESMTP"


def test_bind_that_can_not_be_made_changes_nothing(start, relay):
    """Neither the other addresses nor the pool nor the acl of the same file come into effect."""
    setup = Setup([relay(smtp(b"one"))])
    balancer = start(setup)
    with listen() as foreign:
        taken = foreign.getsockname()[1]
        other = free_port()
        changed = Setup([relay(smtp(b"two"))], deny="127.0.0.9")
        changed.bind = f"127.0.0.1:{setup.port}, 127.0.0.1:{other}, 127.0.0.1:{taken}"
        text = changed.text()
        event = balancer.reload(text)
        assert event["action"] == "refused"
        assert event["detail"].startswith(
            f"{balancer.conf}:{line_of(text, 'bind =')}: can't listen on 127.0.0.1:{taken}: "
        )
        assert not is_listening(("127.0.0.1", other))
        assert setup.greeting() == b"220 one ESMTP"
        assert setup.greeting(source="127.0.0.9") == b"220 one ESMTP"
    assert balancer.reload()["action"] == "reloaded"
    assert setup.greeting() == b"220 two ESMTP"
    assert setup.greeting(source="127.0.0.9").startswith(b"421 4.7.1 ")
    for port in (other, taken):
        with connect(("127.0.0.1", port)) as client:
            assert client.line() == b"220 two ESMTP"


def test_new_address_is_served_and_removed_one_closed(start, relay):
    """From the moment on at which the reload is said to be done."""
    setup = Setup([relay(smtp(b"one"))])
    balancer = start(setup)
    old, new = setup.address, ("127.0.0.1", free_port())
    for _ in range(5):
        setup.bind = f"127.0.0.1:{new[1]}"
        assert balancer.reload(setup.text())["action"] == "reloaded"
        with pytest.raises(ConnectionRefusedError):
            connect(old)
        setup.address = new
        assert setup.greeting() == b"220 one ESMTP"
        setup.bind = f"127.0.0.1:{old[1]}, 127.0.0.1:{new[1]}"
        assert balancer.reload(setup.text())["action"] == "reloaded"
        for setup.address in (old, new):
            assert setup.greeting() == b"220 one ESMTP"


def test_accept_queue_of_a_removed_address_is_served(start, relay):
    """More clients than one turn of the loop accepts wait there when the address goes. Strangers
    among them are denied as ever."""
    one = relay(smtp(b"one"))
    setup = Setup([one], deny="127.0.0.66")
    balancer = start(setup)
    old = setup.address
    balancer.signal(signal.SIGSTOP)
    clients = [connect(old) for _ in range(300)]
    strangers = [connect(old, "127.0.0.66") for _ in range(20)]
    setup.bind = f"127.0.0.1:{free_port()}"
    balancer.write(setup.text())
    balancer.signal(signal.SIGHUP)
    balancer.signal(signal.SIGCONT)
    for client in clients:
        assert client.line() == b"220 one ESMTP"
        assert client.quit() == b"221 bye"
    for stranger in strangers:
        assert stranger.line().startswith(b"421 4.7.1 ")
    balancer.wait("config", action="reloaded")
    assert not is_listening(old)
    assert one.accepted == len(clients)


def test_pools_and_listeners_change(start, relay):
    one, two, three = (relay(smtp(name)) for name in (b"one", b"two", b"three"))
    setup = Setup([one, two])
    balancer = start(setup)
    assert {setup.greeting() for _ in range(2)} == {b"220 one ESMTP", b"220 two ESMTP"}
    setup.relays = [one, three]
    balancer.reload(setup.text())
    assert {setup.greeting() for _ in range(4)} == {b"220 one ESMTP", b"220 three ESMTP"}
    other = free_port()
    text = setup.text() + f"""
pool spare {{
    proxy_protocol = v2
    health {{ type = none }}
    backend relay1 {{ address = {two.host} port = {two.port} }}
}}
listener submission {{ bind = 127.0.0.1:{other}  acl = senders  pool = spare }}
"""
    balancer.reload(text)
    with connect(("127.0.0.1", other)) as client:
        assert client.line() == b"220 two ESMTP"
    event = balancer.wait("session", listener="submission")
    assert (event["pool"], event["backend"]) == ("spare", "relay1")
    # The address stays, and with it the sockets; the listener behind it and its pool are others.
    text = text.replace("listener smtp", "listener renamed")
    text = text.replace("pool = relays", "pool = spare")
    balancer.reload(text)
    assert setup.greeting() == b"220 two ESMTP"
    balancer.wait("session", listener="renamed", pool="spare")


def test_measured_state_survives(start, relay):
    """A backend that its greetings took out is still out after a reload that keeps its address."""
    bad, good = relay(smtp(b"bad")), relay(smtp(b"good"))
    setup = Setup([bad, good], health="type = none greeting_fall = 1")
    bad.close()
    balancer = start(setup)
    assert {setup.greeting() for _ in range(2)} == {b"220 good ESMTP"}
    balancer.wait("health", backend="relay1", to="down", cause="greetings")
    good.options = "weight = 3"
    balancer.reload(setup.text())
    assert {setup.greeting() for _ in range(4)} == {b"220 good ESMTP"}
    assert not balancer.find("health", backend="relay1", to="up")


@pytest.mark.parametrize(
    "old, new",
    [
        ("workers = 2", "workers = 3"),
        ("hostname = lb.test", "hostname = other.test"),
        ('user = ""', "user = nobody"),
    ],
)
def test_what_keeps_its_value_until_a_restart(start, relay, old, new):
    setup = Setup([relay(smtp(b"one"))], deny="127.0.0.9")
    balancer = start(setup)
    text = setup.text().replace(old, new)
    assert text != setup.text()
    assert balancer.reload(text)["action"] == "reloaded"
    event = balancer.wait("config", action="warning")
    assert event["level"] == "warning"
    assert event["detail"] == f"{balancer.conf}: {new.split()[0]} keeps its value until a restart"
    assert setup.greeting(source="127.0.0.9").startswith(b"421 4.7.1 lb.test access denied (")
    assert setup.greeting() == b"220 one ESMTP"
    balancer.reload(setup.text())
    assert len(balancer.find("config", action="warning")) == 1


def test_two_hups_in_quick_succession(start, relay):
    """The second comes while the first is being loaded: the last file wins."""
    one, two, three = (relay(smtp(name)) for name in (b"one", b"two", b"three"))
    setup = Setup([one])
    balancer = start(setup)
    with balancer.loading(setup.text().replace(f"port = {one.port}", f"port = {two.port}")):
        setup.relays = [three]
        balancer.write(setup.text())
        balancer.signal(signal.SIGHUP)
        balancer.signal(signal.SIGHUP)
        assert setup.greeting() == b"220 one ESMTP"
    balancer.wait("config", 2, action="reloaded")
    assert setup.greeting() == b"220 three ESMTP"
    assert not balancer.find("config", action="refused")


def test_a_long_load_holds_up_nothing(start, relay, probed):
    """200,000 prefixes, and a loader that waits for the file as long as the test likes: sessions
    and probes go on."""
    site = probed()
    setup = Setup([relay(smtp(b"one"))], health=f"type = http port = {site.port} interval = 50ms")
    balancer = start(setup)
    table = balancer.conf.with_name("table")
    rng = random.Random(7)
    rows = {f"{rng.randrange(1, 127)}.{i >> 8 & 255}.{i & 255}.0/24" for i in range(65536)}
    rows |= {f"2001:db8:{i:x}::/48" for i in range(65536)}
    rows |= {f"192.{i >> 16}.{i >> 8 & 255}.{i & 255}" for i in range(2 * 65536)}
    table.write_text("\n".join(sorted(rows)) + "\n127.0.0.5\n")
    assert len(rows) > 200000
    setup.allow = f"file:{table}"
    with balancer.loading(setup.text()):
        site.await_probes(3)
        assert setup.greeting() == b"220 one ESMTP"
    while not balancer.find("config", action="reloaded"):
        assert setup.greeting(source="127.0.0.5") == b"220 one ESMTP"
        assert not balancer.find("config", action="refused")
    assert setup.greeting(source="127.0.0.5") == b"220 one ESMTP"
    assert setup.greeting().startswith(b"421 4.7.1 ")


def test_changed_list_comes_into_effect(start, relay, tmp_path):
    table = tmp_path / "network_table"
    table.write_text("127.0.0.0/8\n!127.0.0.7\n")
    setup = Setup([relay(smtp(b"one"))], allow=f"file:{table}")
    balancer = start(setup)
    assert setup.greeting(source="127.0.0.7").startswith(b"421 4.7.1 ")
    assert balancer.wait("denied")["rule"] == f"{table}:2 deny 127.0.0.7/32"
    table.write_text("127.0.0.7 # only\n")
    assert balancer.reload()["action"] == "reloaded"
    assert setup.greeting(source="127.0.0.7") == b"220 one ESMTP"
    assert setup.greeting().startswith(b"421 4.7.1 ")
    table.write_text("127.0.0.1\n127.0.0.300\n")
    event = balancer.reload()
    assert event["action"] == "refused"
    assert event["detail"].startswith(f"{table}:2: ")
    assert setup.greeting(source="127.0.0.7") == b"220 one ESMTP"
    assert setup.greeting().startswith(b"421 4.7.1 ")
    table.unlink()
    assert balancer.reload()["action"] == "refused"
    assert setup.greeting(source="127.0.0.7") == b"220 one ESMTP"


def test_overlapping_address_is_refused(start, relay):
    """Of one port, nobody gets an address while somebody has all, ourselves included. The reason
    is told: it is no other process."""
    setup = Setup([relay(smtp(b"one"))])
    setup.bind = f"0.0.0.0:{setup.port}"
    balancer = start(setup)
    setup.bind = f"127.0.0.1:{setup.port}"
    event = balancer.reload(setup.text())
    assert event["action"] == "refused"
    assert f"this smtplb listens on 0.0.0.0:{setup.port}" in event["detail"]
    assert setup.greeting() == b"220 one ESMTP"


def test_reloads_leak_no_descriptor(start, relay):
    setup = Setup([relay(smtp(b"one"))])
    balancer = start(setup)
    with listen() as foreign:
        taken = f"127.0.0.1:{foreign.getsockname()[1]}, 127.0.0.2:{setup.port}"
        refused = setup.text().replace("bind = {", f"bind = {{ {taken},")

        def count_after_reloads():
            assert balancer.reload(setup.text())["action"] == "reloaded"
            assert balancer.reload(refused)["action"] == "refused"
            assert balancer.reload(setup.text() + "nonsense\n")["action"] == "refused"
            return len(list(Path(f"/proc/{balancer.pid}/fd").iterdir()))

        before = count_after_reloads()
        assert [count_after_reloads() for _ in range(5)] == [before] * 5
