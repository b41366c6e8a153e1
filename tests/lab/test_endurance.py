"""Ten thousand messages while the relays are taken out and back one after the other, restarted, and
the balancer reloads, without a pause: each arrives exactly once, the sender never notices, and
everybody counts the same."""

import re

import pytest

from bulk import Bulk
from topology import wait_until

MESSAGES = 10000
A_TURN = 200  # messages between two orders
ACCEPTED = re.compile(r"qmgr\[\d+\]: (\w+): from=<app@sender\.example>, .*\(queue active\)$",
                      re.MULTILINE)
QUEUED = re.compile(r" status=sent \(250 2\.0\.0 Ok: queued as (\w+)\)$", re.MULTILINE)


@pytest.fixture
def bulk(lab):
    usual = lab.sender.settings("in_flow_delay")
    lab.restart([lab.sender], in_flow_delay="0")
    lab.balancer.start(greeting_timeout="60s")  # a busy relay is not a broken one
    bulk = Bulk(lab, MESSAGES)
    yield bulk
    bulk.stop()
    lab.restart([lab.sender], **usual)


def sessions(lab, relay=None):
    names = [relay] if relay else lab.relays
    return sum(lab.balancer.status(name)["sessions"] for name in names)


def take_out_and_back(lab, bulk, name, restart):
    """What an operator does: order it out, wait until nothing is open, work on it, take it back."""
    lab.balancer.order("drain", name)
    wait_until(lambda: sessions(lab, name) == 0, f"{name}: drained")
    if restart:
        lab.relays[name].wait_until_empty()
        lab.restart([lab.relays[name]])
    lab.balancer.reload()
    lab.balancer.order("ready", name)
    bulk.wait_for_more(A_TURN)


def test_ten_thousand_messages(lab, bulk):
    turn = 0
    while not bulk.is_over():
        name = ("relay1", "relay2")[turn % 2]
        take_out_and_back(lab, bulk, name, restart=turn % 4 < 2)
        turn += 1
    for mailer in lab.mailers:
        mailer.wait_until_empty()
    wait_until(lambda: sessions(lab) == 0, "all sessions over")

    arrived = bulk.arrived()
    assert not [one for one in lab.sender.deliveries() if one[1] != "sent"]
    assert sorted(one for one, _ in arrived) == sorted(bulk.recipients())
    # Each message by its queue id, from all who wrote it down.
    taken = sorted(one for _, one in arrived)
    accepted = [(name, queue_id) for name, relay in lab.relays.items()
                for queue_id in set(ACCEPTED.findall("\n".join(relay.lines())))]
    assert sorted(accepted) == taken
    queued = QUEUED.findall("\n".join(lab.sender.lines()))
    assert sorted(queued) == sorted(queue_id for _, queue_id in taken)
    logged = lab.balancer.events("session")
    for key, count in (("messages", MESSAGES), ("accepted", MESSAGES), ("deferred", 0),
                       ("rejected", 0)):
        assert sum(int(one[key]) for one in logged) == count, key
    assert {one["result"] for one in logged} == {"ok", "drained"}
    assert not lab.balancer.events("cut") and not lab.balancer.events("attempt")
    assert turn >= 10
