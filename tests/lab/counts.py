"""Who says how many messages: the sender, smtplb, the relays, and the destination."""

import re

from topology import wait_until

ACCEPTED = re.compile(r"qmgr\[\d+\]: (\w+): from=<app@sender\.example>, .*\(queue active\)$",
                      re.MULTILINE)
QUEUED = re.compile(r" status=sent \(250 2\.0\.0 Ok: queued as (\w+)\)$", re.MULTILINE)


def accepted_by_relays(lab):
    """(relay, queue id) of every message that a relay made its own."""
    return [(name, queue_id) for name, relay in lab.relays.items()
            for queue_id in set(ACCEPTED.findall("\n".join(relay.lines())))]


def acknowledged_to_sender(lab):
    """The relays' queue ids, as the sender was told them."""
    return QUEUED.findall("\n".join(lab.sender.lines()))


def logged(lab, key):
    """What smtplb's sessions counted, together."""
    return sum(int(one[key]) for one in lab.balancer.events("session") if one[key] != "-")


def wait_until_all_written(lab, messages):
    """The logs come a moment later than what they tell of."""
    lab.balancer.wait_for_no_session()
    wait_until(lambda: lab.sender.count(b" status=sent (") >= messages, "sender: all in its log")
    wait_until(lambda: sum(relay.count(b" (queue active)") for relay in lab.relays.values())
               >= messages, "relays: all in their logs")
    wait_until(lambda: logged(lab, "accepted") >= messages, "balancer: all in its log")


def assert_all_agree(lab, arrived):
    """Nothing is on its way any more. arrived: (recipient, (relay, its queue id)) of each message
    at the destination."""
    wait_until_all_written(lab, len(arrived))
    there = sorted(taken for _, taken in arrived)
    assert sorted(accepted_by_relays(lab)) == there
    assert sorted(acknowledged_to_sender(lab)) == sorted(queue_id for _, queue_id in there)
    for key, count in (("messages", len(there)), ("accepted", len(there)), ("deferred", 0),
                       ("rejected", 0)):
        assert logged(lab, key) == count, key
