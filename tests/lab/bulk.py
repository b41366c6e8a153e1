"""Mail by the thousands: handed to the sender a part at a time, or all at once, and taken at the
destination by Postfix's smtp-sink, which keeps what it took in one file and costs little. Each
message has a recipient of its own."""

import re
import subprocess

from postfix import BULK_PORT
from topology import PATIENCE, wait_until

DOMAIN = "bulk.example"
SESSIONS = 4  # in which they are handed to the sender
KEPT = "/tmp/bulk"
MESSAGE = re.compile(
    r"^X-Rcpt-Args: <([^>]+)>.*?by (relay\d)\.example \(Postfix\) with \w+ id (\w+)",
    re.MULTILINE | re.DOTALL)


class Bulk:
    def __init__(self, lab):
        self.lab = lab
        self.parts = []  # how many messages each has
        self.sources = []
        self.kept = lab.destination.host.path(KEPT)
        self.sink = lab.destination.host.spawn("smtp-sink", "-u", "mailbox", "-D", KEPT,
                                               f":{BULK_PORT}", "1000")
        wait_until(self._listens, "destination: smtp-sink")

    def hand_on(self, count):
        """So many messages more for the sender."""
        self.sources.append(self.lab.sender.host.spawn(
            "smtp-source", "-d", "-N", "-s", str(SESSIONS), "-m", str(count), "-f",
            "app@sender.example", "-t", f"-{len(self.parts)}@{DOMAIN}", "127.0.0.1:25",
            stdout=subprocess.DEVNULL))
        self.parts.append(count)

    def _listens(self):
        assert self.sink.poll() is None, "smtp-sink ended"
        return self.lab.destination.host.run("ss", "-Hltn", f"sport = :{BULK_PORT}").stdout.strip()

    def is_over(self):
        """Nothing more comes from the sender."""
        return (all(source.poll() is not None for source in self.sources)
                and self.lab.sender.is_empty())

    def wait_for_more(self, count):
        """Until the sender has got rid of so many more, or of all."""
        goal = self.sent() + count
        wait_until(lambda: self.sent() >= goal or self.is_over(), f"{count} more messages")

    def sent(self):
        """So many have a sender that knows that a relay has them."""
        return self.lab.sender.count(b" status=sent (")

    def recipients(self):
        return {f"{number}-{part}@{DOMAIN}" for part, count in enumerate(self.parts)
                for number in range(1, count + 1)}

    def arrived(self):
        """(recipient, relay and its queue id) of all messages so far, one entry a message."""
        text = self.kept.read_text(encoding="ascii")
        return [(match[1], (match[2], match[3])) for match in MESSAGE.finditer(text)]

    def stop(self):
        for process in (*self.sources, self.sink):
            if process.poll() is None:
                process.terminate()
            process.wait(PATIENCE)
        self.kept.unlink(missing_ok=True)
