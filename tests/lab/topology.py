"""The lab's machines and the wires between them.

       outer 203.0.113.0/24                          inner 10.0.1.0/24
         2001:db8:12::/64                              fd00:1::/64

  sender   .10 ────┐                              ┌──── relay1      .11
  exim     .11 ────┤                              ├──── relay2      .12
                   ├──── .25  balancer  .25 ──────┤
  front    .26 ────┤                              ├──── relay3      .13
  stranger .66 ────┘                              └──── destination .20

sender, relay1, relay2 and destination run Postfix, and the relays nginx for the probes; exim and
relay3 run Exim, in its tests only. front is a balancer in front of the balancer, in the tests of
such chains: smtplb, HAProxy or nginx. A name is the host's IPv4 address, the one in the first
column where it has two, and the name with a 6 behind it (sender6) its IPv6 address.

The balancer does not route: the only way from the outer side to a relay is a session through
smtplb. outer and inner are bridges in a network namespace of their own, that of the tests; the
cable between a bridge and a host, a veth pair, can be unplugged.

A host is a network namespace and a root folder of its own: the machine's own root with the
unpacked packages (tests/peers) laid over it, and fresh /var, /run and /tmp. So each Postfix is an
ordinary instance that finds its files, and its accounts, at their usual places. All of it hangs
on the namespaces that tests/lab/contain made, and goes with them. Tests that run in parallel (a
pytest worker each) have a whole lab each.
"""

import ctypes
import os
import socket
import subprocess
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
LAB = CHECKOUT / "build" / "lab" / os.environ.get("PYTEST_XDIST_WORKER", "main")  # a tmpfs
LAYER = LAB / "layer"  # what all hosts have in common, above the machine's root

OUTER = ("outer", "203.0.113.{}", 24, "2001:db8:12::{}", 64)
INNER = ("inner", "10.0.1.{}", 24, "fd00:1::{}", 64)
HOSTS = {
    "sender": (10, [OUTER]),
    "exim": (11, [OUTER]),
    "front": (26, [OUTER]),
    "stranger": (66, [OUTER]),
    "balancer": (25, [OUTER, INNER]),
    "relay1": (11, [INNER]),
    "relay2": (12, [INNER]),
    "relay3": (13, [INNER]),
    "destination": (20, [INNER]),
}

# name: (user id, group id, has a user)
ACCOUNTS = {
    "postfix": (64001, 64001, True),
    "postdrop": (None, 64002, False),
    "smtplb": (64003, 64003, True),
    "mailbox": (64004, 64004, True),
    "Debian-exim": (64005, 64005, True),
    "postgrey": (64006, 64006, True),
    "opensmtpd": (64007, 64007, True),
    "opensmtpq": (64008, 64008, True),
    "dovecot": (64009, 64009, True),
    "dovenull": (64010, 64010, True),
}
SHADOWED = ("var", "run", "tmp")  # fresh on every host

PATIENCE = 120.0  # seconds for what should take one, on a machine that has other things to do

CLONE_NEWNET = 0x40000000
libc = ctypes.CDLL(None, use_errno=True)


def call(*argv):
    subprocess.run([str(word) for word in argv], check=True)


def wait_until(condition, what, timeout=PATIENCE):
    """Polls until the condition is true, and returns its value; fails, saying what was missed."""
    deadline = time.monotonic() + timeout
    while True:
        value = condition()
        if value:
            return value
        assert time.monotonic() < deadline, f"{what}: not within {timeout:g} s"
        time.sleep(0.02)


def enter_network(fd):
    """Moves the calling thread into a network namespace; None makes a new one."""
    failed = libc.unshare(CLONE_NEWNET) if fd is None else libc.setns(fd, CLONE_NEWNET)
    if failed:
        raise OSError(ctypes.get_errno(), "network namespace")


def address_of(name, family="v4"):
    number, links = HOSTS[name]
    return links[0][1 if family == "v4" else 3].format(number)


class Host:
    def __init__(self, name, home):
        self.name = name
        self.number, self.links = HOSTS[name]
        self.address = address_of(name)
        self.root = LAB / name / "root"
        self.home = home  # the network namespace of the tests
        self._make_root()
        self._make_network()

    def _make_root(self):
        upper, work = LAB / self.name / "upper", LAB / self.name / "work"
        for folder in (self.root, upper, work):
            folder.mkdir(parents=True)
        call("mount", "-t", "overlay", "-o",
             f"lowerdir={LAYER}:/,upperdir={upper},workdir={work}", self.name, self.root)
        for folder in SHADOWED:
            call("mount", "-t", "tmpfs", self.name, self.path(folder))
        self.path("tmp").chmod(0o1777)
        for folder in ("log", "spool", "lib", "tmp"):
            self.path("var", folder).mkdir()
        self.path("var/run").symlink_to("/run")
        self.path("etc/hostname").write_text(self.name + "\n", encoding="ascii")
        call("mount", "--rbind", "/dev", self.path("dev"))
        call("mount", "-t", "proc", "proc", self.path("proc"))

    def _make_network(self):
        enter_network(None)
        self.network = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
        call("ip", "link", "set", "lo", "up")
        enter_network(self.home)
        for bridge, *_ in self.links:
            near, inside = self._near(bridge), bridge
            call("ip", "link", "add", near, "type", "veth",
                 "peer", "name", inside, "netns", self._network_file())
            call("ip", "link", "set", near, "master", bridge, "up")
        self.plug_in()

    def _near(self, bridge):
        return f"{bridge}-{self.number}"

    def unplug(self, bridge):
        """Pulls the cable at the bridge: the host's interface stays up, without a carrier."""
        call("ip", "link", "set", self._near(bridge), "down")

    def take_down(self, bridge):
        """Takes the host's own interface down: its routes go at once, and its IPv6 addresses."""
        enter_network(self.network)
        call("ip", "link", "set", bridge, "down")
        enter_network(self.home)

    def plug_in(self):
        """All its links are up and have their addresses."""
        for bridge, v4, v4_len, v6, v6_len in self.links:
            call("ip", "link", "set", self._near(bridge), "up")
            enter_network(self.network)
            call("ip", "link", "set", bridge, "up")
            for address, length in ((v4, v4_len), (v6, v6_len)):
                call("ip", "address", "replace", f"{address.format(self.number)}/{length}",
                     "dev", bridge, *(["nodad"] if address == v6 else []))
            enter_network(self.home)

    def _network_file(self):
        return f"/proc/{os.getpid()}/fd/{self.network}"

    def path(self, *parts):
        """A file of the host's, as the tests reach it."""
        return self.root.joinpath(*(part.lstrip("/") for part in parts))

    def command(self, *argv):
        return ["nsenter", f"--net={self._network_file()}", f"--root={self.root}",
                f"--wd={self.root}", *(str(word) for word in argv)]

    def run(self, *argv, check=True, **options):
        done = subprocess.run(self.command(*argv), stdin=subprocess.DEVNULL, check=False, text=True,
                              stdout=subprocess.PIPE, stderr=subprocess.STDOUT, **options)
        assert not check or done.returncode == 0, f"{self.name}: {argv}: {done.stdout}"
        return done

    def spawn(self, *argv, **options):
        return subprocess.Popen(self.command(*argv), stdin=subprocess.DEVNULL, **options)

    def converse(self, *argv):
        """A process to talk with through pipes."""
        return subprocess.Popen(self.command(*argv), stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                stderr=subprocess.DEVNULL)

    def connect(self, address, port, timeout=10.0):
        """A TCP connection that starts at this host."""
        enter_network(self.network)
        try:
            return socket.create_connection((address, port), timeout)
        finally:
            enter_network(self.home)

    def processes(self, *names):
        """Ids of the host's processes with these names, or of all; the oldest first."""
        found = []
        for entry in sorted(int(pid) for pid in os.listdir("/proc") if pid.isdigit()):
            try:
                mine = os.readlink(f"/proc/{entry}/root") == str(self.root)
                name = Path(f"/proc/{entry}/comm").read_text(encoding="ascii").strip()
            except OSError:  # it has just ended
                continue
            if mine and (not names or name in names):
                found.append(entry)
        return found

    def signal(self, number, *names):
        for pid in self.processes(*names):
            try:
                os.kill(pid, number)
            except ProcessLookupError:
                pass


def make_layer(peers):
    """The files that all hosts share: the unpacked packages, the accounts, names to addresses."""
    call("cp", "-r", "--preserve=mode,links", f"{peers}/.", LAYER)
    etc = LAYER / "etc"
    etc.mkdir(exist_ok=True)
    lines = {name: Path("/etc", name).read_text(encoding="utf-8").splitlines()
             for name in ("passwd", "group")}
    for table in lines.values():
        table[:] = [line for line in table if line.split(":")[0] not in ACCOUNTS]
    for name, (uid, gid, has_user) in ACCOUNTS.items():
        lines["group"].append(f"{name}:x:{gid}:")
        if has_user:
            lines["passwd"].append(f"{name}:x:{uid}:{gid}::/nonexistent:/usr/sbin/nologin")
    for name, table in lines.items():
        (etc / name).write_text("\n".join(table) + "\n", encoding="utf-8")
    for tool in ("postdrop", "postqueue"):
        os.chown(LAYER / "usr/sbin" / tool, 0, ACCOUNTS["postdrop"][1])
        os.chmod(LAYER / "usr/sbin" / tool, 0o2755)
    (etc / "nsswitch.conf").write_text("passwd: files\ngroup: files\nhosts: files\n",
                                       encoding="ascii")
    names = [line for name in HOSTS
             for line in (f"{address_of(name)} {name}", f"{address_of(name, 'v6')} {name}6")]
    (etc / "hosts").write_text("\n".join(["127.0.0.1 localhost", *names]) + "\n", encoding="ascii")


def build(peers):
    """Builds everything and returns the hosts by name. The caller is inside tests/lab/contain, and
    moves into the network namespace that has the bridges."""
    assert "SMTPLB_CONTAINED" in os.environ, "run tests/lab/run: this makes links and mounts"
    LAB.mkdir(parents=True, exist_ok=True)
    call("mount", "-t", "tmpfs", "lab", LAB)
    LAYER.mkdir()
    make_layer(peers)
    enter_network(None)
    for bridge in (OUTER[0], INNER[0]):
        call("ip", "link", "add", bridge, "type", "bridge", "mcast_snooping", "0")
        call("ip", "link", "set", bridge, "up")
    home = os.open("/proc/thread-self/ns/net", os.O_RDONLY)
    return {name: Host(name, home) for name in HOSTS}
