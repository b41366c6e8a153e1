"""Runs build/smtplb under a configuration that a test writes, and reads its log as events."""

import contextlib
import errno
import json
import os
import re
import signal
import subprocess
import threading
from pathlib import Path

import elb
from peers import DEADLINE, connect, eventually, free_port

ROOT = Path(__file__).resolve().parents[2]
BUILD = ROOT / os.environ.get("SMTPLB_BUILD", "build")
PROGRAM = str(BUILD / "smtplb")
ENGINE = os.environ.get("SMTPLB_ENGINE", "libev")  # by which every balancer is run

HELD_BACK = 0.03  # seconds, longer than GATHER_MS in lb/log_queue.c

PAIR = re.compile(r'([a-z_]+)=("(?:[^"\\]|\\.)*"|[^ ]*)')


def text_of(value):
    """A JSON value as logfmt would have it."""
    return "-" if value is None else str(value)


def parse_line(line):
    """A line of any format as a dict of strings; values unquoted, - for none."""
    columns = elb.parse(line)
    if columns:
        return {"event": "denied" if columns["result"] == "denied" else "session", **columns}
    if line.startswith("{"):
        return {key: text_of(value) for key, value in json.loads(line).items()}
    event = {}
    for key, value in PAIR.findall(line):
        event[key] = value[1:-1].replace('\\"', '"') if value.startswith('"') else value
    return event


def open_if_read(fifo):
    """A descriptor to write to the FIFO, None as long as nobody reads it."""
    try:
        return os.open(fifo, os.O_WRONLY | os.O_NONBLOCK)
    except OSError as error:
        assert error.errno == errno.ENXIO, error
        return None


def with_engine(text):
    """The configuration with the engine that is tested, behind all else so that no line moves."""
    return text if re.search(r"^\s*engine\b", text, re.M) else f"{text}\nengine = {ENGINE}\n"


class Balancer:
    """One running balancer. Its log is read as it comes; `wait` waits for an event in it."""

    def __init__(self, folder, text, prefix=(), program=PROGRAM, **popen):
        self.conf = Path(folder) / "smtplb.conf"
        self.write(text)
        self.events = []
        self.lines = []
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            [*prefix, program, "run", "-c", str(self.conf)], stderr=subprocess.PIPE, **popen
        )
        self.pid = self.process.pid
        self.closed = False
        self.reading = threading.Event()  # cleared: nobody reads its stderr
        self.reading.set()
        threading.Thread(target=self._read, daemon=True).start()

    def write(self, text):
        """In one step, so that a load under way never sees half of it."""
        self.text = text = with_engine(text)
        fresh = self.conf.with_suffix(".new")
        fresh.write_text(text)
        os.replace(fresh, self.conf)

    def _read(self):
        for raw in self.process.stderr:
            self.reading.wait()
            line = raw.decode(errors="replace").rstrip("\n")
            with self.changed:
                self.lines.append(line)
                self.events.append(parse_line(line))
                self.changed.notify_all()
        with self.changed:
            self.closed = True
            self.changed.notify_all()

    def log(self):
        return "\n".join(self.lines)

    def _seen(self, event, keys):
        wanted = {"event": event, **{key: str(value) for key, value in keys.items()}}
        with self.changed:
            return [e for e in self.events if wanted.items() <= e.items()]

    def find(self, event, **keys):
        """All events so far of that name and with these values. A line may be held back for a
        moment, to be written with others: what is still to come is awaited for longer than that."""
        with self.changed:
            self.changed.wait_for(lambda: self.closed, HELD_BACK)
        return self._seen(event, keys)

    def wait(self, event, count=1, **keys):
        """Waits until `count` such events were logged, and returns the last of them."""
        with self.changed:
            self.changed.wait_for(
                lambda: self.closed or len(self._seen(event, keys)) >= count, DEADLINE
            )
            found = self._seen(event, keys)
        assert len(found) >= count, f"no {count} x {event} {keys} in the log:\n{self.log()}"
        return found[count - 1]

    def ready(self):
        return self.wait("ready")

    def reload(self, text=None):
        """Sends HUP, after writing a new configuration, and returns the first event of the outcome:
        of a refusal there is one for each error."""
        if text is not None:
            self.write(text)
        done = len(self._seen("config", {}))
        self.process.send_signal(signal.SIGHUP)
        with self.changed:
            assert self.changed.wait_for(lambda: len(self._seen("config", {})) > done, DEADLINE)
            return self._seen("config", {})[done]

    @contextlib.contextmanager
    def loading(self, text):
        """Sends HUP, and lets the load that it begins wait for its first byte while the block runs.
        Then it gets the text; the outcome is not awaited."""
        fifo = self.conf.with_suffix(".fifo")
        os.mkfifo(fifo)
        os.replace(fifo, self.conf)
        self.signal(signal.SIGHUP)
        pipe = eventually(lambda: open_if_read(self.conf))
        self.write(text)
        with os.fdopen(pipe, "w") as file:
            yield
            file.write(with_engine(text))

    def signal(self, number):
        self.process.send_signal(number)

    def exit_code(self):
        try:
            return self.process.wait(DEADLINE)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise

    def stop(self):
        """Stops it at once, and checks that it ended as it should."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
        code = self.exit_code()
        assert code == 0, f"exit code {code}:\n{self.log()}"


def run(*arguments, prefix=(), **options):
    """A command of smtplb that ends by itself."""
    return subprocess.run(
        [*prefix, PROGRAM, *map(str, arguments)],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
        **options,
    )


@contextlib.contextmanager
def stopped(balancer):
    """While the block runs the balancer sees nothing: what is sent is with its kernel, and what
    comes behind it (a RST!) is there too when it wakes up."""
    balancer.signal(signal.SIGSTOP)
    try:
        status = Path(f"/proc/{balancer.pid}/status")
        eventually(lambda: "\nState:\tT" in status.read_text())
        yield
    finally:
        balancer.signal(signal.SIGCONT)


class Setup:
    """A configuration in the making: one pool, one listener, what a test needs changed. Options of
    `pool`, `health` and `listener` are given as they stand in the file."""

    def __init__(self, relays, **options):
        self.relays = relays
        self.port = free_port()
        self.address = ("127.0.0.1", self.port)
        self.bind = options.pop("bind", f"127.0.0.1:{self.port}")
        self.allow = options.pop("allow", "127.0.0.0/8, ::1")
        self.deny = options.pop("deny", "")
        self.top = options.pop("top", "")
        self.admin = options.pop("admin", 'socket = "" listen = ""')
        self.workers = options.pop("workers", 2)
        self.health = options.pop("health", "type = none")
        self.proxy = options.pop("proxy", "v2")
        self.pool = options.pop("pool", "")
        self.listener = options.pop("listener", "")
        assert not options, options

    def backends(self):
        lines = []
        for i, relay in enumerate(self.relays, 1):
            extra = getattr(relay, "options", "")
            lines.append(
                f"    backend relay{i} {{ address = {relay.host} port = {relay.port} {extra} }}"
            )
        return "\n".join(lines)

    def text(self):
        deny = f"deny = {{ {self.deny} }}" if self.deny else ""
        return f"""
hostname = lb.test
user = ""
workers = {self.workers}
admin {{ {self.admin} }}
{self.top}
acl senders {{ allow = {{ {self.allow} }} {deny} }}
pool relays {{
    proxy_protocol = {self.proxy}
    {self.pool}
    health {{ {self.health} }}
{self.backends()}
}}
listener smtp {{
    bind = {{ {self.bind} }}
    acl = senders
    pool = relays
    {self.listener}
}}
"""

    def connect(self, source=None):
        return connect(self.address, source)

    def greeting(self, source=None):
        """A whole session, from greeting to goodbye; returns its first line."""
        with self.connect(source) as client:
            line = client.line()
            if line.startswith(b"220 "):
                assert client.quit() == b"221 bye"
            else:
                assert client.rest() == b""
            return line


class Crowd:
    """Clients that come again and again, side by side, until the block ends; `lines` is what they
    were greeted with. Whatever went wrong with one of them fails the test."""

    def __init__(self, setup, count=4, source=None):
        self.setup = setup
        self.source = source
        self.lines = []
        self.failures = []
        self.done = threading.Event()
        self.threads = [threading.Thread(target=self._run, daemon=True) for _ in range(count)]

    def _run(self):
        while not self.done.is_set():
            try:
                self.lines.append(self.setup.greeting(self.source))
            except (OSError, AssertionError) as error:
                self.failures.append(error)
                return

    def await_more(self):
        """Waits until every client may have come once more."""
        goal = len(self.lines) + len(self.threads)
        eventually(lambda: len(self.lines) >= goal or self.failures)
        if self.failures:
            raise self.failures[0]

    def __enter__(self):
        for thread in self.threads:
            thread.start()
        return self

    def __exit__(self, *_):
        self.done.set()
        for thread in self.threads:
            thread.join(DEADLINE)
        if self.failures:
            raise self.failures[0]
