"""A relay is taken out by command, worked on, and taken back, while mail flows."""

import pytest

from topology import wait_until


@pytest.mark.parametrize("state", ["drain", "maint"])
def test_relay_is_taken_out_and_back(lab, load, state):
    """What is open with it ends between two messages, though the sender would use its connections
    for minutes; meanwhile it gets nothing, in maintenance no probes either, and can be stopped. The
    sender sees none of it."""
    lab.balancer.start()
    mail = load()
    mail.wait_for_more(20)
    lab.balancer.order(state, "relay1")
    wait_until(lambda: lab.balancer.status("relay1")["sessions"] == 0, "relay1: drained")
    before = len(lab.relays["relay1"].connects())
    lab.relays["relay1"].stop()
    lab.nginx["relay1"].stop()
    mail.wait_for_more(40)
    lab.nginx["relay1"].start()
    lab.relays["relay1"].start()
    assert len(lab.relays["relay1"].connects()) == before
    downs = lab.balancer.events("health", backend="relay1", to="down")
    assert state == "drain" or not downs
    lab.balancer.order("ready", "relay1")
    lab.balancer.wait_until_all_up()
    wait_until(lambda: len(lab.relays["relay1"].connects()) > before, "relay1: sessions again")
    mail.wait_for_more(20)
    mail.stop()
    mail.assert_exactly_once()
    assert [one["state"] for one in lab.balancer.events("admin")] == [state, "ready"]
    assert not lab.balancer.events("cut")
    assert not lab.balancer.events("attempt")
