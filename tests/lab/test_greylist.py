"""Relays that greylist: who is new is told to come again, and each relay knows only whom it saw.

With balance = source a client comes back to the relay that put it off. With roundrobin it comes to
the other one, which puts it off again."""

import pytest

from postgrey import POLICY, Postgrey
from topology import wait_until


@pytest.fixture
def greylisting(lab, impatient):  # pylint: disable=unused-argument
    """On both relays."""
    daemons = [Postgrey(relay.host) for relay in lab.relays.values()]
    lab.restart_relays(smtpd_recipient_restrictions=POLICY)
    yield
    lab.restart_relays(smtpd_recipient_restrictions="")
    for daemon in daemons:
        daemon.stop()


def send(lab, recipient):
    """One message; returns the replies that put it off until it was taken."""
    lab.sender.host.run("smtp-source", "-f", "app@sender.example", "-t", recipient, "127.0.0.1:25")

    def attempts():
        found = [one[1:] for one in lab.sender.deliveries() if one[0] == recipient]
        return found and found[-1][0] == "sent" and found
    *deferred, _ = wait_until(attempts, f"{recipient}: sent")
    assert all(status == "deferred" and "Greylisted" in text for status, text in deferred)
    return [text for _, text in deferred]


@pytest.mark.usefixtures("greylisting")
@pytest.mark.parametrize("balance,deferrals", [("source", 1), ("roundrobin", 2)])
def test_greylisted_client_comes_back(lab, balance, deferrals):
    lab.balancer.start(pool=f"    balance = {balance}")
    recipients = [f"{balance}-{number}@mail.example" for number in range(2)]
    for recipient in recipients:
        assert len(send(lab, recipient)) == deferrals
    lab.balancer.wait_for("session", more_than=2 * (deferrals + 1) - 1)
    relays = {one["backend"] for one in lab.balancer.events("session")}
    assert len(relays) == (1 if balance == "source" else 2)
    for mailer in lab.mailers:
        mailer.wait_until_empty()
    arrived = [one for one, _ in lab.inbox.arrived()]
    assert [arrived.count(recipient) for recipient in recipients] == [1, 1]
