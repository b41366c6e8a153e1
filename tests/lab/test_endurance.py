"""Mail by the thousands while relays are taken out and back and restarted, and the balancer
reloads, without a pause: what was accepted arrives, and everybody counts the same."""

import pytest

import counts
from bulk import Bulk
from load import is_of_relay_that_died, may_be_taken

MESSAGES = 10000
FEWER = 3000
A_TURN = 200  # messages between two orders
PATIENT = {"greeting_timeout": "60s"}  # a busy relay is not a broken one


@pytest.fixture
def bulk(lab, sender_with):
    """Starts it; the sender tries again after two seconds what was put off."""
    started = []
    sender_with(in_flow_delay="0", minimal_backoff_time="2s", maximal_backoff_time="2s",
                queue_run_delay="1s")
    lab.balancer.start(**PATIENT)

    def start(count):
        started.append(Bulk(lab, count))
        return started[-1]
    yield start
    for one in started:
        one.stop()


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
    mail = bulk(MESSAGES)
    turn = 0
    while not mail.is_over():
        take_out_and_back(lab, ("relay1", "relay2")[turn % 2], restart=turn % 4 < 2)
        mail.wait_for_more(A_TURN)
        turn += 1
    assert turn >= 4
    for mailer in lab.mailers:
        mailer.wait_until_empty()
    counts.wait_until_all_written(lab, MESSAGES)
    arrived = mail.arrived()
    assert {status for _, status, _ in lab.sender.deliveries()} == {"sent"}
    assert sorted(one for one, _ in arrived) == sorted(mail.recipients())
    counts.assert_all_agree(lab, arrived)
    assert {one["result"] for one in lab.balancer.events("session")} == {"ok", "drained"}
    assert not lab.balancer.events("cut") and not lab.balancer.events("attempt")


def test_relays_not_drained(lab, bulk):
    """A relay that ends cuts its own sessions, or answers that it fails, and what it has taken
    without having said so comes again by the other one: that the sender notices, and nothing
    else."""
    mail = bulk(FEWER)
    turn = 0
    while not mail.is_over():
        relay = lab.relays[("relay1", "relay2")[turn % 2]]
        (relay.kill if turn % 4 < 2 else relay.stop)()
        lab.balancer.reload(**PATIENT)
        relay.start()
        mail.wait_for_more(A_TURN)
        turn += 1
    assert turn >= 4
    for mailer in lab.mailers:
        mailer.wait_until_empty(retry=True)
    counts.wait_until_all_written(lab, FEWER)
    put_off = [one for one in lab.sender.deliveries() if one[1] != "sent"]
    assert {status for _, status, _ in put_off} <= {"deferred"}
    assert not [one for one in put_off if not is_of_relay_that_died(one[2])]
    unsure = {one[0] for one in put_off if may_be_taken(one[2])}
    arrived = set(mail.arrived())  # one that dies may also send again what it sent on
    assert {one for one, _ in arrived} == mail.recipients()
    told = counts.acknowledged_to_sender(lab)
    there = {queue_id for _, (_, queue_id) in arrived}
    assert len(told) == len(mail.recipients()) and set(told) <= there
    assert {one for one, (_, queue_id) in arrived if queue_id not in told} <= unsure
    assert counts.logged(lab, "accepted") == len(told)
    assert not lab.balancer.events("session", end="balancer")
