"""An ordinary Postfix instance on a host of the lab, and what it says in its maillog."""

import os
import re
import signal
import stat
import subprocess

from topology import ACCOUNTS, PATIENCE, wait_until

MAIN = """\
compatibility_level = 3.6
myhostname = {name}.example
mydestination =
local_recipient_maps =
alias_maps =
inet_protocols = all
maillog_file = /var/log/mail.log
disable_dns_lookups = yes
enable_long_queue_ids = yes
notify_classes =
"""

# service type private unpriv chroot wakeup maxproc command; no service is chrooted. The queue manager
# looks for new mail every second: one that misses the word that there is some finds it so, and no
# test waits five minutes for it.
MASTER = """\
smtp       inet  n - n -    - smtpd
587        inet  n - n -    - smtpd -o syslog_name=postfix/submission
465        inet  n - n -    - smtpd -o syslog_name=postfix/submissions -o smtpd_tls_wrappermode=yes
pickup     unix  n - n 60   1 pickup
cleanup    unix  n - n -    0 cleanup
qmgr       unix  n - n 1    1 qmgr
rewrite    unix  - - n -    - trivial-rewrite
bounce     unix  - - n -    0 bounce
defer      unix  - - n -    0 bounce
trace      unix  - - n -    0 bounce
flush      unix  n - n 1000 0 flush
proxymap   unix  - - n -    - proxymap
smtp       unix  - - n -    - smtp
showq      unix  n - n -    - showq
error      unix  - - n -    - error
retry      unix  - - n -    - error
virtual    unix  - n n -    - virtual
anvil      unix  - - n -    1 anvil
scache     unix  - - n -    1 scache
tlsmgr     unix  - - n 1000 1 tlsmgr
postlog    unix-dgram n - n - 1 postlogd
"""

# postfix-files: $queue_directory/NAME:d:OWNER:GROUP:MODE:FLAGS
FOLDER = re.compile(r"^\$(queue|data)_directory(\S*?):d:(\S+?):(\S+?):(\d+):", re.MULTILINE)
DELIVERY = re.compile(r"postfix/\w+\[\d+\]: \w+: to=<([^>]*)>,.* status=(\w+) \((.*)\)$")
QUEUES = ("maildrop", "hold", "incoming", "active", "deferred")

SENDER = """\
inet_interfaces = loopback-only
mynetworks = 127.0.0.0/8
relayhost = [balancer]:25
transport_maps = inline:{
    { submission.example = smtp:[balancer]:587 }, { six.example = smtp:[balancer6]:25 },
    { chain.example = smtp:[front]:25 } }
"""

APPLICATIONS = "203.0.113.10 203.0.113.11 [2001:db8:12::10]"

BULK_PORT = 2525  # of the destination, see bulk.py

RELAY = f"""\
smtpd_upstream_proxy_protocol = haproxy
mynetworks = {APPLICATIONS}
relayhost = [destination]
transport_maps = inline:{{ {{ bulk.example = smtp:[destination]:{BULK_PORT} }} }}
"""

DESTINATION = """\
mynetworks =
virtual_mailbox_domains = mail.example submission.example six.example chain.example
virtual_mailbox_base = /var/mail
virtual_mailbox_maps = static:inbox/
virtual_uid_maps = static:64004
virtual_gid_maps = static:64004
"""


def is_ready(path):
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:  # it has just been delivered
        return False
    return stat.S_ISREG(mode) and bool(mode & stat.S_IXUSR)


class Postfix:
    spool = "/var/spool/postfix/active"  # what is being delivered

    def __init__(self, host, settings):
        self.host = host
        etc = host.path("etc/postfix")
        etc.mkdir(exist_ok=True)
        (etc / "main.cf").write_text(MAIN.format(name=host.name) + settings, encoding="ascii")
        (etc / "master.cf").write_text(MASTER, encoding="ascii")
        self.make_folders()
        self.log = host.path("var/log/mail.log")
        self.seen = 0  # the log's length when the current test began
        self.counts = {}  # text: (up to where it was counted, how often it was there)

    def make_folders(self):
        """What `postfix start` would make, hundreds of processes long: see begin_start()."""
        owners = {"root": 0, "$mail_owner": ACCOUNTS["postfix"][0]}
        groups = {"-": -1, "$setgid_group": ACCOUNTS["postdrop"][1]}
        parents = {"queue": "var/spool/postfix", "data": "var/lib/postfix"}
        listed = self.host.path("etc/postfix/postfix-files").read_text(encoding="ascii")
        for which, name, owner, group, mode in FOLDER.findall(listed):
            path = self.host.path(parents[which], name)
            path.mkdir(exist_ok=True)
            os.chown(path, owners[owner], groups[group])
            path.chmod(int(mode, 8))

    def begin_start(self):
        """Returns the process that starts it: quickly, which is to say without checking first
        whether the installation is whole."""
        self.host.path("var/spool/postfix/quick-start").touch()
        return self.host.spawn("postfix", "start", stderr=subprocess.DEVNULL)

    def start(self):
        assert self.begin_start().wait(PATIENCE) == 0

    def stop(self):
        self.host.run("postfix", "stop")

    def begin_restart(self, **settings):
        """The same for a restart, with these changes of main.cf."""
        script = '[ $# = 0 ] || postconf "$@"; postfix quick-stop; postfix start'
        changes = [f"{key}={value}" for key, value in settings.items()]
        return self.host.spawn("sh", "-c", script, "restart", *changes, stderr=subprocess.DEVNULL)

    def settings(self, *names):
        return {name: self.host.run("postconf", "-h", name).stdout.strip() for name in names}

    def kill(self):
        """SIGKILL to the master and all its children at once, and to what it forked meanwhile."""
        while self.host.processes(*self._names()):
            self.host.signal(signal.SIGKILL, *self._names())

    def freeze(self):
        """The kernel goes on accepting, but nobody greets."""
        self.host.signal(signal.SIGSTOP, *self._names())

    def thaw(self):
        self.host.signal(signal.SIGCONT, *self._names())

    def is_running(self):
        return bool(self.host.processes("master"))

    @staticmethod
    def _names():
        """Process names: the master's, and those of the programs that it starts."""
        programs = {line.split()[7] for line in MASTER.splitlines()}
        return ["master", *(name[:15] for name in programs)]

    def mark(self):
        """From here on lines() are those of the current test."""
        self.seen = self.log.stat().st_size if self.log.exists() else 0
        self.counts = {}

    def lines(self):
        if not self.log.exists():
            return []
        with self.log.open("rb") as file:
            file.seek(self.seen)
            return file.read().decode("utf-8", "replace").splitlines()

    def count(self, text):
        """How many of the lines have this text, in bytes; each line is read once."""
        if text not in self.counts:
            self.counts[text] = (self.seen, 0)
        at, found = self.counts[text]
        with self.log.open("rb") as file:
            file.seek(at)
            new = file.read()
        whole = new.rfind(b"\n") + 1
        found += new.count(text, 0, whole)
        self.counts[text] = (at + whole, found)
        return found

    def connects(self):
        """The client of every connection, as name[address]."""
        found = (re.search(r"smtpd\[\d+\]: connect from (\S+)$", line) for line in self.lines())
        return [match.group(1) for match in found if match]

    def deliveries(self):
        """(recipient, status, text) of every delivery attempt in the log."""
        found = (DELIVERY.search(line) for line in self.lines())
        return [match.groups() for match in found if match]

    def _waiting(self):
        """The queue files. One without the x bit is not complete: its sender got no 250 for it."""
        spool = self.host.path("var/spool/postfix")
        return (path for name in QUEUES for path in (spool / name).rglob("*") if is_ready(path))

    def queue(self):
        return list(self._waiting())

    def is_empty(self):
        return next(self._waiting(), None) is None

    def wait_until_empty(self, retry=False):
        """Until nothing waits for delivery; with retry what was deferred is tried again at once,
        as is what a queue manager passed over because one that was killed had just begun it."""
        def empty():
            queue = self.queue()
            if retry and queue and not any("active" in path.parts for path in queue):
                self.host.run("postqueue", "-f")
            return not queue
        wait_until(empty, f"{self.host.name}: queue empty")

    def discard(self):
        self.host.run("postsuper", "-d", "ALL")


class Inbox:
    """What has arrived at the destination: it keeps every message in a maildir."""

    def __init__(self, host):
        host.path("var/mail").mkdir()
        host.run("chown", "mailbox:mailbox", "/var/mail")
        self.folder = host.path("var/mail/inbox/new")
        self.messages = {}  # file name: (recipient, the relay's name and queue id)

    def arrived(self):
        """(recipient, relay and queue id) of all messages so far, one entry a message."""
        if self.folder.exists():
            for path in self.folder.iterdir():
                if path.name not in self.messages:
                    head = path.read_text(encoding="utf-8", errors="replace")
                    recipient = re.search(r"^Delivered-To: (\S+)$", head, re.MULTILINE).group(1)
                    relay = re.search(r"by (relay\d)\.example [^;]*?\sid ([\w-]+)", head)
                    self.messages[path.name] = (recipient, relay.groups())
        return list(self.messages.values())
