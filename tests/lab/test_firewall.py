"""Packet filters between the balancer and a relay, put in place and lifted while mail flows."""

import pytest

from client import Client

BALANCER = "10.0.1.25"
MAIL = "tcp dport { 25, 587 }"
PROBES = "tcp dport 80"
# Not `ct state new`: where nothing was tracked before, the packets of open connections match too.
NEW = "tcp flags syn / syn,ack"

# What a relay's firewall does to a connection, and how it looks to who connects.
VERDICTS = {
    "drop": ("drop", "connect_timeout", "timeout"),
    "reset": ("reject with tcp reset", "refused", "refused"),
    "port-unreachable": ("reject", "refused", "refused"),
    "prohibited": ("reject with icmpx admin-prohibited", "unreachable", "unreachable"),
}


def block(firewall, relay, what, verdict):
    firewall.add(relay.host, "input", f"ip saddr {BALANCER} {what} {verdict}")


def held_session(lab, relay):
    """A client of the balancer's whose session is with that relay, in the middle of a message."""
    while True:
        client = Client(lab.sender.host, "203.0.113.25")
        if f"250-{relay}.example" in client.ask("EHLO app.example"):
            assert client.ask("MAIL FROM:<app@sender.example>").startswith("250 ")
            assert client.ask("RCPT TO:<held@mail.example>").startswith("250 ")
            assert client.ask("DATA").startswith("354 ")
            client.send("Subject: held\r\n\r\nhalf of it")
            return client
        client.close()


@pytest.mark.parametrize("verdict", VERDICTS)
def test_relay_behind_a_firewall(lab, load, firewall, verdict):
    """A new rule that new connections meet: the next relay takes what this one would have had."""
    rule, cause, detail = VERDICTS[verdict]
    lab.balancer.start()
    mail = load()
    mail.wait_for_more(20)
    block(firewall, lab.relays["relay1"], f"tcp dport {{ 25, 80, 587 }} {NEW}", rule)
    lab.balancer.wait_for("attempt", backend="relay1", cause=cause)
    down = lab.balancer.wait_for("health", backend="relay1", to="down")
    mail.wait_for_more(50)
    firewall.lift()
    lab.balancer.wait_for("health", backend="relay1", to="up")
    mail.wait_for_more(20)
    mail.stop()
    mail.assert_exactly_once()
    assert {one["cause"] for one in lab.balancer.events("attempt")} == {cause}
    assert down["cause"] == "greetings" or down["detail"].split(":")[0] == detail
    assert not [line for line in lab.relay_lines() if "haproxy read:" in line]


@pytest.mark.parametrize("verdict", ["drop", "reset"])
def test_only_the_probes_port_is_blocked(lab, load, firewall, verdict):
    """The relay is down, though it would take mail; no session is lost to find that out."""
    rule, _, detail = VERDICTS[verdict]
    lab.balancer.start()
    mail = load()
    mail.wait_for_more(20)
    block(firewall, lab.relays["relay1"], PROBES, rule)
    down = lab.balancer.wait_for("health", backend="relay1", to="down")
    assert (down["cause"], down["detail"].split(":")[0]) == ("probe", detail)
    mail.wait_for_more(20)
    before = len(lab.relays["relay1"].connects())
    mail.wait_for_more(50)
    assert len(lab.relays["relay1"].connects()) == before
    firewall.lift()
    lab.balancer.wait_for("health", backend="relay1", to="up", cause="probe")
    mail.stop()
    mail.assert_exactly_once()
    assert not lab.balancer.events("attempt")


@pytest.mark.parametrize("verdict", ["drop", "prohibited"])
def test_only_the_mail_ports_are_blocked(lab, load, firewall, verdict):
    """The probe stays green: only the sessions' greetings take the relay out, and bring it back."""
    rule, cause, _ = VERDICTS[verdict]
    lab.balancer.start()
    mail = load()
    mail.wait_for_more(20)
    block(firewall, lab.relays["relay1"], f"{MAIL} {NEW}", rule)
    lab.balancer.wait_for("health", backend="relay1", to="down", cause="greetings")
    probed = len(lab.nginx["relay1"].requests())
    mail.wait_for_more(50)
    firewall.lift()
    lab.balancer.wait_for("health", backend="relay1", to="up", cause="greetings")
    mail.wait_for_more(20)
    mail.stop()
    mail.assert_exactly_once()
    assert {one["cause"] for one in lab.balancer.events("attempt")} == {cause}
    assert not lab.balancer.events("health", cause="probe")
    assert len(lab.nginx["relay1"].requests()) > probed


def test_open_session_outlasts_a_drop(lab, load, firewall):
    """Packets that are dropped are sent again: a session in mid-message waits and then goes on."""
    lab.balancer.start()
    held = held_session(lab, "relay1")
    mail = load()
    mail.wait_for_more(20)
    block(firewall, lab.relays["relay1"], "ip protocol tcp", "drop")
    held.send("\r\nthe other half\r\n.")
    lab.balancer.wait_for("health", backend="relay1", to="down")
    mail.wait_for_more(20)
    firewall.lift()
    assert held.read().startswith("250 ")
    held.ask("QUIT")
    held.close()
    mail.stop()
    mail.assert_exactly_once()
    assert [one for one, _ in lab.inbox.arrived()].count("held@mail.example") == 1


def test_open_session_is_cut_by_a_reset(lab, firewall):
    """Past the greeting no balancer can save a session: its client hears at once that it is over,
    rather than to wait for a reply that nobody will send, and does not believe it was accepted."""
    lab.balancer.start()
    held = held_session(lab, "relay1")
    block(firewall, lab.relays["relay1"], MAIL, "reject with tcp reset")
    held.send("\r\nthe other half\r\n.")
    assert held.read() == ""
    held.close()
    lost = lab.balancer.wait_for("session", backend="relay1", result="backend_lost")
    assert lost["end"] == "backend"
    # It tries again, as every mail server does, and gets to the other relay.
    again = Client(lab.sender.host, "203.0.113.25")
    assert "250-relay2.example" in again.ask("EHLO app.example")
    again.close()


def test_no_relay_in_reach_for_a_while(lab, load, firewall):
    """Clients wait, silently, and none is put off."""
    lab.balancer.start()
    mail = load()
    mail.wait_for_more(20)
    firewall.add(lab.balancer.host, "output", f"ip daddr 10.0.1.0/24 {NEW} drop")
    for name in lab.relays:
        lab.balancer.wait_for("health", backend=name, to="down")
    arrived = len(mail.arrived())
    firewall.lift()
    mail.wait_for_more(50)
    mail.stop()
    mail.assert_exactly_once()
    assert len(mail.arrived()) > arrived
    assert not lab.balancer.events("session", result="no_backend")
