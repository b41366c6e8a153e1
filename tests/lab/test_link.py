"""A link that bounces: down and up again and again while mail flows."""

import pytest

from client import Client
from load import CUT
from topology import wait_until

BOUNCES = 4


def take_down(lab, which):
    if which == "cable":
        lab.relays["relay1"].host.unplug("inner")
    elif which == "interface":
        lab.relays["relay1"].host.take_down("inner")
    else:
        lab.balancer.host.take_down("inner")


def greets(lab, relay):
    """The sender's own sessions last for many messages: a new one shows who is next."""
    client = Client(lab.sender.host, "203.0.113.25")
    client.ask("QUIT")
    client.close()
    return client.greeting.startswith(f"220 {relay}")


@pytest.fixture
def plugged(lab):
    yield
    lab.relays["relay1"].host.plug_in()
    lab.balancer.host.plug_in()


@pytest.mark.parametrize("which", ["cable", "interface", "balancer"])
def test_link_bounces(lab, load, which, plugged):  # pylint: disable=unused-argument
    """Now and then for so long that the relay is found to be down, or (the balancer's own link)
    that all are, else for as long as a few messages take. TCP sends again what was lost, so open
    sessions go on; the balancer tries another relay where a new one gets no greeting."""
    host = lab.balancer.host if which == "balancer" else lab.relays["relay1"].host
    lab.balancer.start()
    mail = load()
    for bounce in range(BOUNCES):
        mail.wait_for_more(10)
        take_down(lab, which)
        if bounce % 2:
            downs = len(lab.balancer.events("health", backend="relay1", to="up"))
            lab.balancer.wait_for("health", more_than=downs, backend="relay1", to="down")
        elif which != "balancer":
            mail.wait_for_more(5)
        host.plug_in()
    lab.balancer.wait_until_all_up()
    wait_until(lambda: greets(lab, "relay1"), "relay1 has its share again")
    mail.wait_for_more(50)
    mail.stop()
    mail.wait_until_all_arrived(retry=True)
    assert mail.sent() and not mail.missing() and not mail.duplicates()
    assert not [one for one in mail.deferrals() if not CUT.search(one[1])]
    assert not lab.balancer.events("session", result="no_backend")
