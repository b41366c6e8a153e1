"""Relays break under load: the sender never notices, and every message arrives exactly once.

Where a relay's processes die, sessions that are connected to them are cut, or are told of it by the
relay itself: no balancer can hide that. The sender may defer those for this reason and no other,
and tries them again.
"""

import pytest

from load import is_of_relay_that_died, may_be_taken


def assert_only_cut_sessions_deferred(lab, mail):
    """All arrived; the sender deferred nothing but what was connected to a relay that died."""
    mail.wait_until_all_arrived(retry=True)
    assert mail.sent() and not mail.missing()
    deferrals = mail.deferrals()
    assert not [one for one in deferrals if not is_of_relay_that_died(one[1])]
    assert not lab.balancer.events("session", end="balancer")
    # A relay that dies between taking a message and saying so makes the sender send it again.
    unsure = {name for name, why in deferrals if may_be_taken(why)}
    assert mail.duplicates(resent=False) <= unsure
    assert not [line for line in lab.relay_lines() if "haproxy read:" in line]


def test_health_page_down(lab, load):
    """No nginx: the relay gets no more sessions, and those that it has go on."""
    lab.balancer.start()
    mail = load()
    mail.wait_for_more(20)
    lab.nginx["relay1"].stop()
    lab.balancer.wait_for("health", backend="relay1", to="down", cause="probe")
    mail.wait_for_more(20)  # what was on its way to relay1 by then
    before = len(lab.relays["relay1"].connects())
    mail.wait_for_more(50)
    after = len(lab.relays["relay1"].connects())
    lab.nginx["relay1"].start()
    lab.balancer.wait_for("health", backend="relay1", to="up")
    mail.wait_for_more(50)
    mail.stop()
    mail.assert_exactly_once()
    assert after == before
    assert len(lab.relays["relay1"].connects()) > after


def test_relay_silent(lab, load):
    """The kernel accepts, Postfix never greets, the health page stays green."""
    lab.balancer.start()
    mail = load()
    mail.wait_for_more(20)
    lab.relays["relay1"].freeze()
    lab.balancer.wait_for("health", backend="relay1", to="down", cause="greetings")
    mail.wait_for_more(50)
    lab.relays["relay1"].thaw()
    lab.balancer.wait_for("health", backend="relay1", to="up")
    mail.wait_for_more(50)
    mail.stop()
    mail.assert_exactly_once()
    assert lab.balancer.events("attempt", backend="relay1", cause="greeting_timeout")
    assert not [line for line in lab.relay_lines() if "haproxy read:" in line]


@pytest.mark.parametrize("how", ["stop", "kill"])
def test_relay_ends(lab, load, how):
    lab.balancer.start()
    mail = load()
    mail.wait_for_more(20)
    getattr(lab.relays["relay1"], how)()
    lab.balancer.wait_for("attempt", backend="relay1", cause="refused")
    mail.wait_for_more(50)
    lab.relays["relay1"].start()
    mail.wait_for_more(50)
    mail.stop()
    assert_only_cut_sessions_deferred(lab, mail)


def test_both_relays_restart(lab, load):
    """For a moment there is no relay at all: sessions wait for one."""
    lab.balancer.start()
    mail = load()
    mail.wait_for_more(20)
    lab.restart_relays()
    mail.wait_for_more(50)
    mail.stop()
    assert_only_cut_sessions_deferred(lab, mail)
    assert not lab.balancer.events("session", result="no_backend")
