"""Exim in front of the balancer and behind it: to it a refused connection defers and a 554 bounces,
and a balancer in between must neither put it off nor make it give up."""

import pytest

from client import Client
from exim import RELAY, SENDER, Exim
from topology import wait_until

EXIM = "203.0.113.11"
ALL = ("relay1", "relay2", "relay3")


@pytest.fixture
def exim(lab):
    """The application's mail server is an Exim whose smarthost is the balancer."""
    mailer = Exim(lab.hosts["exim"], SENDER, "balancer")
    mailer.start()
    lab.mailers.insert(0, mailer)
    yield mailer
    lab.mailers.remove(mailer)
    mailer.stop()


@pytest.fixture
def relay3(lab):
    """A third relay, which is an Exim; the test starts it."""
    lab.nginx["relay3"].start()
    mailer = Exim(lab.hosts["relay3"], RELAY, "destination")
    lab.mailers.insert(lab.mailers.index(lab.destination), mailer)
    yield mailer
    lab.mailers.remove(mailer)
    mailer.stop()
    lab.nginx["relay3"].stop()


def test_exim_sends(lab, exim, load):
    """... and the relays, Postfix, know it."""
    lab.balancer.start(allow=EXIM)
    mail = load(sender=exim)
    mail.wait_for_more(20)
    mail.stop()
    mail.assert_exactly_once()
    connects = {one for relay in lab.relays.values() for one in relay.connects()}
    assert connects == {f"exim[{EXIM}]"}


def test_exim_sends_past_a_dead_and_a_silent_relay(lab, exim, relay3, load):
    """One relay refuses, one never greets, one is well: neither a deferral nor a bounce."""
    relay3.start()
    lab.relays["relay1"].stop()
    lab.relays["relay2"].freeze()
    lab.balancer.start(allow=EXIM, relays=ALL)
    mail = load(sender=exim)
    mail.wait_for_more(20)
    lab.balancer.wait_for("attempt", backend="relay1", cause="refused")
    lab.balancer.wait_for("attempt", backend="relay2", cause="greeting_timeout")
    mail.stop()
    mail.assert_exactly_once()
    assert {one[1][0] for one in mail.arrived()} == {"relay3"}
    assert not exim.bounces()


@pytest.mark.parametrize("on_deny", ["421", "reset", "drop", "554"])
def test_exim_denied(lab, exim, load, on_deny):
    """All but 554 leave the mail in its queue until the list is mended."""
    listener = f"    on_deny = {on_deny}"
    lab.balancer.start(listener=listener)
    mail = load(sender=exim)
    wait_until(lambda: mail.sent() and {one for one, _ in mail.deferrals()} >= mail.missing(),
               "a failed attempt of every message")
    mail.stop()
    wait_until(lambda: {one for one, _ in mail.deferrals()} >= mail.missing(),
               "a failed attempt of every message")
    statuses = {status for _, status, _ in exim.deliveries()}
    if on_deny == "554":
        assert "bounced" in statuses and exim.bounces()
        return
    assert statuses == {"deferred"} and not exim.bounces()
    lab.balancer.reload(allow=EXIM, listener=listener)
    mail.wait_until_all_arrived(retry=True)
    assert not mail.missing() and not mail.duplicates()


@pytest.mark.parametrize("proxy", ["v2", "v1"])
def test_exim_relays(lab, relay3, load, proxy):
    relay3.start()
    lab.balancer.start(allow="203.0.113.10, 203.0.113.66", proxy=proxy, relays=("relay3",),
                       greeting_timeout="10s")
    for domain in ("mail.example", "submission.example"):
        mail = load(domain)
        mail.wait_for_more(10)
        mail.stop()
        mail.assert_exactly_once()
    assert set(relay3.clients()) == {"203.0.113.10"}
    # Who has come in through the balancer is still not Exim's friend.
    stranger = Client(lab.stranger, "203.0.113.25")
    assert stranger.ask("EHLO stranger.example").startswith("250-relay3.example Hello")
    assert stranger.ask("MAIL FROM:<x@stranger.example>").startswith("250 ")
    assert stranger.ask("RCPT TO:<x@mail.example>") == "550 relay not permitted\r\n"
    stranger.close()
    assert [line for line in relay3.lines() if "[203.0.113.66]" in line and "rejected RCPT" in line]


def test_full_exim_is_replaced(lab, relay3, load):
    """At its limit Exim greets with 421, before it has read the header: another relay is tried."""
    relay3.start("smtp_accept_max = 1\n")
    lab.balancer.start(relays=("relay3",), greeting_timeout="10s")
    held = Client(lab.sender.host, "203.0.113.25")
    assert held.greeting.startswith("220 relay3.example ESMTP Exim")
    lab.balancer.reload(relays=ALL, greeting_timeout="10s")
    mail = load()
    failed = lab.balancer.wait_for("attempt", backend="relay3", cause="greeting_reply")
    assert failed["reply"].startswith("421 Too many concurrent SMTP connections")
    lab.balancer.wait_for("health", backend="relay3", to="down", cause="greetings")
    mail.wait_for_more(20)
    assert held.ask("QUIT").startswith("221 ")
    held.close()
    lab.balancer.wait_for("health", backend="relay3", to="up", cause="greetings")
    mail.wait_for_more(20)
    mail.stop()
    mail.assert_exactly_once()
