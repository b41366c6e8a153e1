"""Who gets in: the balancer's allowlist in front, the relays' mynetworks behind it."""

from postfix import APPLICATIONS
from topology import wait_until

STRANGER = "203.0.113.66"


def test_stranger_never_reaches_a_relay(lab, load):
    lab.balancer.start()
    for port in (25, 587):
        with lab.stranger.connect("203.0.113.25", port) as connection:
            connection.sendall(b"EHLO stranger.example\r\nMAIL FROM:<x@stranger.example>\r\n")
            reply = b""
            while piece := connection.recv(4096):
                reply += piece
        assert reply.startswith(b"421 4.7.1 balancer.example access denied ("), reply
        assert reply.count(b"\r\n") == 1
    wait_until(lambda: len(lab.balancer.events("denied")) >= 2, "two denied events")
    assert [one["client"].split(":")[0] for one in lab.balancer.events("denied")] == [STRANGER] * 2
    # The sender gets in meanwhile, and only the sender is in the relays' logs.
    mail = load()
    mail.wait_for_more(10)
    mail.stop()
    mail.assert_exactly_once()
    assert not [line for line in lab.relay_lines() if STRANGER in line]


def test_relay_access_denied_only_without_mynetworks(lab, load):
    """The relays decide by the sender's real address, which only the PROXY header tells them."""
    lab.balancer.start()
    mail = load()
    mail.wait_for_more(10)
    mail.stop()
    mail.assert_exactly_once()
    assert not [line for line in lab.relay_lines() if "Relay access denied" in line]

    # The balancer's own address does not help a sender who is not listed.
    lab.restart_relays(mynetworks="10.0.1.25")
    late = load()
    wait_until(lambda: len(late.deferrals()) >= late.sent() > 0, "deferrals")
    late.stop()
    wait_until(lambda: len(late.deferrals()) >= late.sent(), "deferrals")
    assert all("Relay access denied" in text for _, text in late.deferrals())
    assert not late.arrived()

    lab.restart_relays(mynetworks=APPLICATIONS)
    late.wait_until_all_arrived(retry=True)
    assert not late.missing() and not late.duplicates()
