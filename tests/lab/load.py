"""Mail that an application hands to its own mail server, steadily, while a test breaks things.

Every message has a recipient of its own, so that the destination's maildir shows which arrived,
and how often. The load never runs far ahead of delivery: it waits while the sender's queue is long,
and a test tells it to stop; its bound is there for a test that can't any more.
"""

import re
from collections import Counter

from topology import PATIENCE, wait_until

BATCH = 10
BATCHES_MAX = 2000

# Sends batch after batch of messages until told to stop; says how many batches were accepted.
LOOP = f"""
batch=0
while [ $batch -lt {BATCHES_MAX} ] && [ ! -e /tmp/$1.stop ]; do
    if [ $(ls $3 | wc -l) -gt 40 ]; then
        sleep 0.05
        continue
    fi
    smtp-source -N -s 2 -m {BATCH} -f app@sender.example -t -$1-$batch@$2 127.0.0.1:25 || exit 1
    batch=$((batch + 1))
    echo $batch >/tmp/$1.sent
done
"""

# What no balancer can hide. A session that had been connected to a relay and lost it:
CUT = re.compile(
    r"lost connection with balancer\S+ while (?!receiving the initial server greeting)")
# And a relay some of whose processes have died says so itself, in a session that it had already
# greeted. smtplb never says X.3.0.
DYING = re.compile(r" said: 4\d\d 4\.3\.0 ")
UNSURE = re.compile(r" (?:while sending end of data|\(in reply to end of DATA command\))")


def is_of_relay_that_died(reason):
    """What the sender may be put off by when a relay's processes are ended, and by nothing else."""
    return CUT.search(reason) or DYING.search(reason)


def may_be_taken(reason):
    """The relay may have made the message its own without having said so."""
    return UNSURE.search(reason)


class Load:
    def __init__(self, lab, tag, domain, sender):
        self.lab = lab
        self.sender = sender
        self.tag = tag
        self.domain = domain
        self.process = sender.host.spawn("sh", "-c", LOOP, "load", tag, domain, sender.spool)

    def sent(self):
        path = self.sender.host.path("tmp", self.tag + ".sent")
        return int(path.read_text(encoding="ascii") or 0) * BATCH if path.exists() else 0

    def arrived(self):
        return [message for message in self.lab.inbox.arrived() if f"-{self.tag}-" in message[0]]

    def wait_for_more(self, count):
        """Until so many more messages than now have arrived."""
        goal = len(self.arrived()) + count
        wait_until(lambda: len(self.arrived()) >= goal or self.process.poll() is not None,
                   f"{count} more messages")
        assert len(self.arrived()) >= goal, "the load ended too early"

    def stop(self):
        self.sender.host.path("tmp", self.tag + ".stop").touch()
        assert self.process.wait(PATIENCE) == 0, "smtp-source failed"

    def wait_until_all_arrived(self, retry=False):
        """Until all queues are empty, so that nothing can arrive any more."""
        for mailer in self.lab.mailers:
            mailer.wait_until_empty(retry)

    def duplicates(self, resent=True):
        """Recipients that got their message more than once. Without resent those are left out that
        one relay took once and sent on twice: a relay that dies in between does that."""
        messages = self.arrived() if resent else set(self.arrived())
        counts = Counter(recipient for recipient, _ in messages)
        return {recipient for recipient, count in counts.items() if count > 1}

    def missing(self):
        batches = self.sent() // BATCH
        wanted = {f"{number}-{self.tag}-{batch}@{self.domain}"
                  for batch in range(batches) for number in range(1, BATCH + 1)}
        return wanted - {recipient for recipient, _ in self.arrived()}

    def deferrals(self):
        """(recipient, reason) of every attempt of the sender's that was not `sent`."""
        return [(recipient, text) for recipient, status, text in self.sender.deliveries()
                if status != "sent"]

    def assert_exactly_once(self):
        """All arrived, none twice, and the sender was never put off."""
        wait_until(lambda: self.deferrals() or not self.sender.queue(), "sender: queue empty")
        assert not self.deferrals()
        self.wait_until_all_arrived()
        assert self.sent() and not self.missing() and not self.duplicates()
