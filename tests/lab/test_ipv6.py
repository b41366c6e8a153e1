"""The same over IPv6: clients, listener, relays, probes, and what the relays are told."""

import pytest

from client import Client
from topology import wait_until

SENDER4, SENDER6 = "sender[203.0.113.10]", "sender6[2001:db8:12::10]"
ALLOW = "203.0.113.10, 2001:db8:12::/64"


@pytest.mark.parametrize("proxy", ["v2", "v1"])
@pytest.mark.parametrize("relays", ["v6", "v4"])
def test_mail_over_ipv6(lab, load, proxy, relays):
    """The relays know an IPv6 client by its own address, whichever way they are reached."""
    lab.balancer.start(allow=ALLOW, proxy=proxy, family=relays)
    mail = load("six.example")
    mail.wait_for_more(50)
    mail.stop()
    mail.assert_exactly_once()
    for name, relay in lab.relays.items():
        assert set(relay.connects()) == {SENDER6}, name
        assert not [line for line in relay.lines() if "fd00:1::25" in line or "10.0.1.25" in line]
    assert not [line for line in lab.relay_lines() if "haproxy read:" in line]
    sessions = lab.balancer.events("session")
    assert {one["result"] for one in sessions} == {"ok"}
    assert all(one["client"].startswith("[2001:db8:12::10]:") for one in sessions)
    network = "[fd00:1::1" if relays == "v6" else "10.0.1.1"
    assert all(one["backend_addr"].startswith(network) for one in sessions)


@pytest.mark.parametrize("proxy", ["v2", "v1"])
def test_ipv4_client_with_ipv6_relays(lab, load, proxy):
    lab.balancer.start(allow=ALLOW, proxy=proxy, family="v6")
    mail = load("mail.example")
    mail.wait_for_more(20)
    mail.stop()
    mail.assert_exactly_once()
    for name, relay in lab.relays.items():
        assert set(relay.connects()) == {SENDER4}, name


@pytest.mark.parametrize("allow,deny", [("2001:db8:12::/64", "2001:db8:12::66"),
                                        ("2001:db8:12::10", "2001:db8:12::/64"),
                                        ("2001:db8:12::10, ::ffff:0:0/97", "")])
def test_ipv6_allowlist(lab, allow, deny):
    """The longest prefix decides; and no IPv6 rule, not even for mapped addresses, lets IPv4 in."""
    lab.balancer.start(allow=allow, deny=deny, family="v6")
    sender = Client(lab.sender.host, "2001:db8:12::25")
    stranger = Client(lab.stranger, "2001:db8:12::25")
    four = Client(lab.sender.host, "203.0.113.25")
    assert sender.greeting.startswith("220 relay")
    for client in (stranger, four):
        assert client.greeting.startswith("421 4.7.1 balancer.example access denied (")
    for client in (sender, stranger, four):
        client.close()
    wait_until(lambda: len(lab.balancer.events("denied")) == 2, "two denied events")
    assert {one["client"].rsplit(":", 1)[0] for one in lab.balancer.events("denied")} == \
        {"[2001:db8:12::66]", "203.0.113.10"}
    assert [one for relay in lab.relays.values() for one in relay.connects()] == [SENDER6]


def test_ipv6_relay_down_and_up(lab, load):
    """Probes over IPv6 find out, and a relay that refuses costs nothing."""
    lab.balancer.start(allow=ALLOW, family="v6")
    mail = load("six.example")
    mail.wait_for_more(20)
    lab.nginx["relay1"].stop()
    lab.balancer.wait_for("health", backend="relay1", to="down", cause="probe")
    lab.nginx["relay1"].start()
    lab.balancer.wait_for("health", backend="relay1", to="up")
    mail.wait_for_more(20)
    mail.stop()
    mail.assert_exactly_once()
    assert any(line.startswith("fd00:1::25 ") for line in lab.nginx["relay1"].requests())
