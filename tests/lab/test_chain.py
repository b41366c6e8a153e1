"""A balancer in front of the balancer, which says with a PROXY header who its client is.

The balancer believes it, as accept_proxy lists it: its acl, its log and the header that it sends to
the relays go by the client that was announced, not by the front's own address."""

import pytest

from client import Client
from topology import wait_until

FRONT, FRONT6 = "203.0.113.26", "2001:db8:12::26"
SENDER = "sender[203.0.113.10]"
SENDER6 = "sender6[2001:db8:12::10]"
TRUST = f"    accept_proxy = {{ {FRONT} }}"


def smtplb(lab, proxy):
    """To this front a client that the balancer denies is a relay without a 220: it shall not be
    taken out for that, nor tried again."""
    lab.front_balancer.start(allow="203.0.113.0/24, 2001:db8:12::/64", proxy=proxy,
                             relays=("balancer",), health="type = none greeting_fall = 0",
                             pool="    greeting_retry = 0s")


FRONTS = {
    "smtplb-v2": lambda lab: smtplb(lab, "v2"),
    "smtplb-v1": lambda lab: smtplb(lab, "v1"),
    "haproxy-v2": lambda lab: lab.front.haproxy("send-proxy-v2"),
    "haproxy-v1": lambda lab: lab.front.haproxy("send-proxy"),
    "nginx": lambda lab: lab.front.nginx(),
}


def served(lab):
    """The clients' addresses, a session each, but those of checks that came and went."""
    return [one["client"].rsplit(":", 1)[0] for one in lab.balancer.events("session")
            if one["attempts"] != "0"]


@pytest.mark.parametrize("front", FRONTS)
def test_relays_know_the_client_of_the_front(lab, load, front):
    lab.balancer.start(allow="203.0.113.10, 2001:db8:12::10", deny=FRONT, listener=TRUST)
    FRONTS[front](lab)
    mail = load("chain.example")
    mail.wait_for_more(30)
    mail.stop()
    mail.assert_exactly_once()
    six = Client(lab.sender.host, FRONT6)
    assert six.greeting.startswith("220 relay")
    assert six.ask("QUIT").startswith("221 ")
    six.close()

    # The acl is for who was announced: the stranger is not let in by the front's good name.
    refusal = "421 4.7.1 balancer.example access denied ("
    if front.startswith("smtplb"):
        refusal = "421 4.3.2 front.example no relay available ("
    for address in (FRONT, FRONT6):
        stranger = Client(lab.stranger, address)
        assert stranger.greeting.startswith(refusal)
        stranger.close()

    def all_connects():
        return [one for relay in lab.relays.values() for one in relay.connects()]

    wait_until(lambda: SENDER6 in all_connects(), "the relay's line of the last session")
    connects = all_connects()
    assert set(connects) == {SENDER, SENDER6}
    assert connects.count(SENDER6) == 1
    assert not [line for line in lab.relay_lines() if "haproxy read:" in line]
    wait_until(lambda: len(served(lab)) >= len(connects), "a line of each session")
    assert set(served(lab)) == {"203.0.113.10", "[2001:db8:12::10]"}
    denied = {one["client"].rsplit(":", 1)[0] for one in lab.balancer.events("denied")}
    assert {"203.0.113.66", "[2001:db8:12::66]"} <= denied <= \
        {"203.0.113.66", "[2001:db8:12::66]", FRONT}  # its own checks, where it makes any


@pytest.mark.parametrize("send", ["send-proxy", "send-proxy-v2"])
def test_checks_of_a_front_count_as_the_front(lab, send):
    """HAProxy's own connections announce nobody (v2: LOCAL; v1: its own address, or UNKNOWN): they
    are the front's, which may be let in, and then hears a relay's greeting."""
    lab.balancer.start(allow=f"203.0.113.10, {FRONT}", listener=TRUST)
    lab.front.haproxy(send, more="option smtpchk HELO front.example")
    wait_until(lambda: len(lab.balancer.events("session")) >= 4, "four checks")
    assert {one["client"].rsplit(":", 1)[0] for one in lab.balancer.events("session")} == {FRONT}
    assert not lab.balancer.events("denied")
    lab.wait_for_connects(4)
    for name, relay in lab.relays.items():
        assert set(relay.connects()) == {f"front[{FRONT}]"}, name
    assert not [line for line in lab.relay_lines() if "haproxy read:" in line]
    assert not [line for line in lab.front.lines() if "failed" in line or "DOWN" in line]


def test_header_of_who_is_not_trusted_is_no_header(lab):
    """Straight from the sender, past the front: what looks like a header is the client's data, a
    relay gets it after the header that tells who really sent it."""
    lab.balancer.start(allow="203.0.113.10", listener=TRUST)
    with lab.stranger.connect("203.0.113.25", 25) as connection:
        connection.sendall(b"PROXY TCP4 203.0.113.10 203.0.113.25 40000 25\r\n")
        assert connection.recv(4096).startswith(b"421 4.7.1 ")
    with lab.sender.host.connect("203.0.113.25", 25) as connection:
        connection.sendall(b"PROXY TCP4 203.0.113.66 203.0.113.25 40000 25\r\n")
        reply = b""
        while reply.count(b"\r\n") < 2:
            piece = connection.recv(4096)
            assert piece, reply
            reply += piece
    assert reply.startswith(b"220 relay") and b"\r\n5" in reply
    assert lab.wait_for_connects(1) == [SENDER]
