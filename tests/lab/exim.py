"""An ordinary Exim on a host of the lab: its configuration, its queue, and what it logs."""

import re

from topology import PATIENCE, wait_until

# Comments in an Exim configuration stand on lines of their own.
COMMON = """\
primary_hostname = {name}.example
tls_advertise_hosts =
log_selector = +proxy
keep_environment =
domainlist local_domains =
acl_smtp_rcpt = check_rcpt
{settings}

begin acl
check_rcpt:
    accept hosts = +mine
    deny message = relay not permitted

begin routers
onward:
    driver = manualroute
    domains = ! +local_domains
    transport = remote_smtp
    route_list = * {onward} byname
    no_more

begin transports
remote_smtp:
    driver = smtp
{transport}

begin retry
* * F,2h,15m
"""

SENDER = """\
local_interfaces = 127.0.0.1
hostlist mine = 127.0.0.1
"""

# However many messages come in one connection, each is sent on at once, not by the next queue run.
RELAY = """\
daemon_smtp_ports = 25 : 587
smtp_accept_queue_per_connection = 0
hosts_proxy = 10.0.1.25
hostlist mine = 203.0.113.10 : 203.0.113.11
"""

# => delivered, -> the same for one more recipient, == deferred, ** failed for good
DELIVERY = re.compile(r" (=>|->|==|\*\*) (\S+@\S+) (.*)$")
STATUS = {"=>": "sent", "->": "sent", "==": "deferred", "**": "bounced"}


class Exim:
    spool = "/var/spool/exim4/input"

    def __init__(self, host, settings, onward):
        self.host = host
        self.text = (settings, onward)
        for folder in ("/var/spool/exim4", self.spool, "/var/log/exim4", "/run/exim4"):
            host.run("install", "-d", "-o", "Debian-exim", "-g", "Debian-exim", folder)
        host.path("etc/exim4").mkdir(exist_ok=True)
        self.log = host.path("var/log/exim4/mainlog")
        self.seen = 0
        self.process = None

    def start(self, more="", transport=""):
        """more: further main settings; transport: of what sends the mail on"""
        settings, onward = self.text
        self.host.path("etc/exim4/exim4.conf").write_text(
            COMMON.format(name=self.host.name, settings=settings + more, onward=onward,
                          transport=transport),
            encoding="ascii")
        self.mark()
        self.process = self.host.spawn("exim4", "-bdf")
        wait_until(lambda: any("daemon started" in line for line in self.lines()),
                   f"{self.host.name}: Exim started")

    def stop(self):
        """Ends it and leaves nothing in the queue."""
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.discard()

    def mark(self):
        self.seen = self.log.stat().st_size if self.log.exists() else 0

    def lines(self):
        if not self.log.exists():
            return []
        with self.log.open("rb") as file:
            file.seek(self.seen)
            return file.read().decode("utf-8", "replace").splitlines()

    def deliveries(self):
        """(recipient, status, text) of every delivery attempt in the log."""
        found = (DELIVERY.search(line) for line in self.lines())
        return [(match.group(2), STATUS[match.group(1)], match.group(3))
                for match in found if match]

    def clients(self):
        """The address of the client of each message that it took."""
        found = (re.search(r" <= \S+ H=.*?\[([^\]]+)\]", line) for line in self.lines())
        return [match.group(1) for match in found if match]

    def bounces(self):
        return [line for line in self.lines() if " <= <> R=" in line]

    def queue(self):
        return list(self.host.path(self.spool).rglob("*-H"))

    def wait_until_empty(self, retry=False):
        def empty():
            if retry and self.queue():
                self.host.run("exim4", "-qff")
            return not self.queue()
        wait_until(empty, f"{self.host.name}: queue empty")

    def discard(self):
        """What waits for delivery, and what it remembers of hosts that failed."""
        self.host.run("sh", "-c", "cd /var/spool/exim4 && rm -rf input/* msglog/* db/*")
