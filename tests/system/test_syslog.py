"""log { target = syslog }: to a daemon that the test plays, on /dev/log of a mount namespace of the
balancer's own. A real rsyslogd is in the lab."""

import contextlib
import re
import signal
import socket
import subprocess
import threading

import pytest
from admin import Admin
from balancer import Setup, parse_line, run
from metrics import scrape
from peers import DEADLINE, eventually, listen, smtp, unless_refused

FORM = re.compile(r"<(\d+)>([A-Z][a-z]{2} [ 123]\d \d\d:\d\d:\d\d) smtplb\[(\d+)\]: ([ -~]+)")
MAIL = 2 << 3
SEVERITY = {"error": 3, "warning": 4, "info": 6, "debug": 7}

# A folder in place of /dev, with what a program needs there; "$0" is the folder.
ENTER = """
for name in null zero full random urandom; do
    touch "$0/$name" && mount --bind "/dev/$name" "$0/$name" || exit 9
done
mount --rbind "$0" /dev && exec "$@"
"""


def can_mount():
    command = ["unshare", "-m", "mount", "-t", "tmpfs", "test", "/mnt"]
    return subprocess.run(command, capture_output=True, check=False).returncode == 0


in_namespace = pytest.mark.skipif(
    not can_mount(), reason="needs root and leave to make a mount namespace"
)


class Daemon:
    """A syslog daemon; takes what comes as long as `reading` is set."""

    def __init__(self, folder):
        folder.mkdir(exist_ok=True)
        self.folder = folder
        self.path = folder / "log"
        self.prefix = ["unshare", "-m", "sh", "-c", ENTER, str(folder)]
        self.messages = []  # (priority, pid, line)
        self.changed = threading.Condition()
        self.reading = threading.Event()
        self.sock = None

    def start(self):
        self.path.unlink(missing_ok=True)
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.sock.bind(str(self.path))
        self.reading.set()
        threading.Thread(target=self._read, args=(self.sock,), daemon=True).start()

    def _read(self, sock):
        while True:
            self.reading.wait()
            try:
                data = sock.recv(65536).decode("ascii")
            except OSError:
                return
            if not data:
                return
            priority, _, pid, line = FORM.fullmatch(data).groups()
            with self.changed:
                self.messages.append((int(priority), int(pid), line))
                self.changed.notify_all()

    def stop(self):
        self.reading.set()
        if self.sock:
            try:
                self.sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass
            self.sock.close()
        self.sock = None

    def find(self, event, **keys):
        wanted = {"event": event, **keys}
        events = [parse_line(line) for _, _, line in list(self.messages)]
        return [e for e in events if wanted.items() <= e.items()]

    def wait(self, event, count=1, **keys):
        with self.changed:
            done = self.changed.wait_for(
                lambda: len(self.find(event, **keys)) >= count, DEADLINE
            )
        assert done, f"no {count} x {event} {keys} among {self.messages}"
        return self.find(event, **keys)[count - 1]


@pytest.fixture(name="daemon")
def fixture_daemon(tmp_path):
    one = Daemon(tmp_path / "dev")
    yield one
    one.stop()


def syslog(extra=""):
    return f"log {{ target = syslog {extra} }}"


@in_namespace
@pytest.mark.parametrize("form", ["logfmt", "json", "elb"])
def test_lines_and_their_priorities(start, relay, daemon, form):
    """A datagram a line, facility mail, severity by level; nothing on stderr."""
    daemon.start()
    setup = Setup(
        [relay(lambda conn: conn.send(b"421 a\r\nb\x00\xff\r\n")), relay(smtp(b"one"))],
        top=syslog(f"level = debug format = {form}"),
    )
    balancer = start(setup, prefix=daemon.prefix, ready=False)
    daemon.wait("ready", pid=str(balancer.pid))
    assert setup.greeting() == b"220 one ESMTP"
    balancer.write("nonsense")
    balancer.signal(signal.SIGHUP)
    daemon.wait("config", action="refused")
    daemon.wait("session", result="ok")
    seen = set()
    for priority, pid, line in list(daemon.messages):
        level = parse_line(line).get("level", "info")  # a client's line of elb has none
        assert priority == MAIL | SEVERITY[level]
        assert pid == balancer.pid
        is_clients = parse_line(line)["event"] == "session"
        begin = "20" if form == "elb" and is_clients else "{" if form == "json" else "ts="
        assert line.startswith(begin)
        seen.add(level)
    assert seen == set(SEVERITY)
    assert balancer.lines == []


@in_namespace
def test_reload_changes_the_target(start, relay, daemon):
    """From the line on that tells of it; what was for the other goes there, in order."""
    daemon.start()
    setup = Setup([relay(smtp(b"one"))])
    balancer = start(setup, prefix=daemon.prefix)
    text = setup.text()
    setup.greeting()
    balancer.wait("session")
    for count in (1, 2):
        balancer.write(text + syslog())
        balancer.signal(signal.SIGHUP)
        daemon.wait("config", count, action="reloaded")
        setup.greeting()
        daemon.wait("session", count)
        assert len(daemon.messages) == 2 * count
        assert balancer.reload(text)["action"] == "reloaded"
        setup.greeting()
        balancer.wait("session", count + 1)
        assert len(daemon.messages) == 2 * count
    events = [event["event"] for event in balancer.events]
    assert events == ["config", "ready", "session"] + ["config", "session"] * 2


@in_namespace
def test_who_came_before_it_was_ready(start, relay, daemon):
    """Clients wait in the accept queues of all workers while it starts, and the lines about them go
    where all others do."""
    daemon.start()
    setup = Setup([relay(smtp(b"one"))], top=syslog(), workers=64, allow="127.0.0.9")
    balancer = start(setup, prefix=daemon.prefix, ready=False)
    with contextlib.ExitStack() as stack:
        clients = [
            stack.enter_context(eventually(lambda: unless_refused(setup.connect)))
            for _ in range(16)
        ]
        for client in clients:
            assert client.line().startswith(b"421 ")
    daemon.wait("ready")
    daemon.wait("denied")
    assert balancer.lines == []


def refusing(text):
    """A serve function that refuses, and the count of its attempts."""
    count = [0]

    def serve(conn):
        count[0] += 1
        conn.send(b"421 " + text + b"\r\n")

    return serve, count


@in_namespace
def test_blocked_daemon_blocks_no_session(start, relay, daemon):
    """It does not read: sessions flow, lines are dropped, counted, and told of."""
    daemon.start()
    serve, attempts = refusing(b"\x01" * 400)
    setup = Setup([relay(serve)], pool="greeting_retry = 1ms", top=syslog())
    balancer = start(setup, prefix=daemon.prefix, ready=False)
    daemon.wait("ready")
    daemon.reading.clear()
    with setup.connect(), setup.connect():  # each line of theirs is longer than 500 bytes
        eventually(lambda: attempts[0] > 3000)
    setup.relays = [relay(smtp(b"good"))]
    balancer.write(setup.text())
    balancer.signal(signal.SIGHUP)
    eventually(lambda: setup.greeting() == b"220 good ESMTP")
    daemon.reading.set()
    event = daemon.wait("log")
    assert event["level"] == "warning" and int(event["dropped"]) > 0
    assert setup.greeting(source="127.0.0.9") == b"220 good ESMTP"
    eventually(lambda: any("client=127.0.0.9:" in line for _, _, line in list(daemon.messages)))
    told = sum(int(event["dropped"]) for event in daemon.find("log"))
    assert told + len(daemon.find("attempt")) >= attempts[0] - 2


@in_namespace
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stop_with_a_blocked_daemon(start, relay, daemon, number):
    daemon.start()
    setup = Setup([relay(smtp(b"one"))], top=syslog("level = debug"))
    balancer = start(setup, prefix=daemon.prefix, ready=False)
    daemon.wait("ready")
    daemon.reading.clear()
    for _ in range(40):
        assert setup.greeting() == b"220 one ESMTP"
    balancer.signal(number)
    assert balancer.exit_code() == 0


@in_namespace
def test_way_out_of_a_blocked_daemon(start, relay, daemon):
    """A reload to stderr: what waits for the daemon no longer holds up the log."""
    daemon.start()
    setup = Setup([relay(smtp(b"one"))], top=syslog("level = debug"))
    balancer = start(setup, prefix=daemon.prefix, ready=False)
    daemon.wait("ready")
    daemon.reading.clear()
    for _ in range(40):
        assert setup.greeting() == b"220 one ESMTP"
    setup.top = ""
    assert balancer.reload(setup.text())["action"] == "reloaded"
    assert int(balancer.wait("log")["dropped"]) > 0
    setup.greeting()
    balancer.wait("session")


@in_namespace
def test_daemon_that_comes_goes_and_comes_again(start, relay, daemon, tmp_path):
    """Lines for it are dropped meanwhile; the first line that it takes is followed by their count."""
    admin = Admin(tmp_path)
    setup = Setup([relay(smtp(b"one"))], top=syslog(), admin=admin.text())
    balancer = start(setup, prefix=daemon.prefix, ready=False)

    def served():
        return unless_refused(setup.greeting)

    def dropped():
        return scrape(admin)("smtplb_log_dropped_total")

    lost = 0
    assert eventually(served) == b"220 one ESMTP"
    for count in (1, 2):
        eventually(lambda: dropped() > lost)  # the log's thread has tried in vain
        daemon.start()
        eventually(lambda: served() and daemon.find("session"))
        assert int(daemon.wait("log", count)["dropped"]) > 0
        daemon.stop()
        lost = dropped()
        assert served() == b"220 one ESMTP"
        before = len(daemon.messages)
        assert served() == b"220 one ESMTP"
        assert len(daemon.messages) == before
        daemon.messages = [m for m in daemon.messages if "event=log" in m[2]]
    # Started anew while nothing was to be said: no line is lost.
    eventually(lambda: dropped() > lost)
    daemon.start()
    eventually(lambda: served() and daemon.find("session"))
    daemon.wait("log", 3)
    daemon.stop()
    daemon.start()
    before = len(daemon.find("session"))
    served()
    daemon.wait("session", before + 1)
    assert balancer.lines == []


def test_errors_at_the_start_are_told_on_stderr(tmp_path):
    """Of the configuration, and of what can't be bound."""
    conf = tmp_path / "smtplb.conf"
    conf.write_text(syslog() + "\nlistener smtp { }\n")
    result = run("run", "-c", conf)
    assert result.returncode == 1 and f"{conf}:2: " in result.stderr
    with listen() as taken:
        setup = Setup([], top=syslog())
        setup.bind = f"127.0.0.1:{taken.getsockname()[1]}"
        conf.write_text(
            setup.text().replace("health {", "backend one { address = 127.0.0.1 } health {")
        )
        result = run("run", "-c", conf)
    assert result.returncode == 1 and "can't listen on" in result.stderr
