"""Mail by the thousands while relays are taken out and back and restarted, and the balancer
reloads, without a pause: what was accepted arrives, and everybody counts the same."""

import pytest

import counts
from bulk import Bulk
from load import is_of_relay_that_died, may_be_taken
from postfix import Postfix
from topology import wait_until

MESSAGES = 10000
A_TURN = 200  # messages between two orders
A_PART = 750  # messages handed on before a relay is ended: most of them still to come
PATIENT = {"greeting_timeout": "60s"}  # a busy relay is not a broken one


@pytest.fixture
def bulk(lab, sender_with):
    """Mail to hand on; the sender tries again after two seconds what was put off."""
    sender_with(in_flow_delay="0", minimal_backoff_time="2s", maximal_backoff_time="2s",
                queue_run_delay="1s")
    lab.balancer.start(**PATIENT)
    mail = Bulk(lab)
    yield mail
    mail.stop()


def take_out_and_back(lab, name, restart):
    """What an operator does: order it out, wait until nothing is open, work on it, take it back."""
    lab.balancer.order("drain", name)
    lab.balancer.wait_for_no_session(name)
    if restart:
        lab.relays[name].wait_until_empty()
        lab.restart([lab.relays[name]])
    lab.balancer.reload(**PATIENT)
    lab.balancer.order("ready", name)


def test_relays_drained(lab, bulk):
    """The sender never notices, and each message arrives exactly once."""
    bulk.hand_on(MESSAGES)
    turn = 0
    while not bulk.is_over():
        take_out_and_back(lab, ("relay1", "relay2")[turn % 2], restart=turn % 4 < 2)
        bulk.wait_for_more(A_TURN)
        turn += 1
    assert turn >= 4
    for mailer in lab.mailers:
        mailer.wait_until_empty()
    counts.wait_until_all_written(lab, MESSAGES)
    arrived = bulk.arrived()
    assert {status for _, status, _ in lab.sender.deliveries()} == {"sent"}
    assert sorted(one for one, _ in arrived) == sorted(bulk.recipients())
    counts.assert_all_agree(lab, arrived)
    assert {one["result"] for one in lab.balancer.events("session")} == {"ok", "drained"}
    assert not lab.balancer.events("cut") and not lab.balancer.events("attempt")


def test_relays_not_drained(lab, bulk):
    """A relay that ends cuts its own sessions, or answers that it fails, and what it has taken
    without having said so comes again by the other one: that the sender notices, and nothing
    else."""
    for end in (Postfix.kill, Postfix.stop):
        for relay in lab.relays.values():
            bulk.hand_on(A_PART)
            bulk.wait_for_more(A_TURN)
            end(relay)
            lab.balancer.reload(**PATIENT)
            relay.start()
            bulk.wait_for_more(A_TURN)
    wait_until(bulk.is_over, "the sender has got rid of all")
    for mailer in lab.mailers:
        mailer.wait_until_empty(retry=True)
    counts.wait_until_all_written(lab, len(bulk.recipients()))
    put_off = [one for one in lab.sender.deliveries() if one[1] != "sent"]
    assert {status for _, status, _ in put_off} <= {"deferred"}
    assert not [one for one in put_off if not is_of_relay_that_died(one[2])]
    unsure = {one[0] for one in put_off if may_be_taken(one[2])}
    arrived = set(bulk.arrived())  # one that dies may also send again what it sent on
    assert {one for one, _ in arrived} == bulk.recipients()
    told = counts.acknowledged_to_sender(lab)
    there = {queue_id for _, (_, queue_id) in arrived}
    assert len(told) == len(bulk.recipients()) and set(told) <= there
    assert {one for one, (_, queue_id) in arrived if queue_id not in told} <= unsure
    assert counts.logged(lab, "accepted") == len(told)
    assert not lab.balancer.events("session", end="balancer")
