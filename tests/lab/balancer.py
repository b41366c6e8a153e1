"""smtplb on a host: its configuration, its process, and what it logs."""

import contextlib
import json
import os
import re
import shutil
import signal
import subprocess

from topology import PATIENCE, address_of, wait_until

CONFIG = """\
hostname = {hostname}.example
user = smtplb
engine = {engine}
{daemon}

acl senders {{
    allow = {{ {allow} }}
    deny = {{ {deny} }}
}}

pool relays {{
    proxy_protocol = {proxy}
    connect_timeout = 1s
    greeting_timeout = {greeting_timeout}
{pool}
    health {{
        {health}
    }}
{backends}
}}

listener smtp {{
    bind = {{ 0.0.0.0:25, 0.0.0.0:587, [::]:25 }}
    acl = senders
    pool = relays
{listener}
}}
"""

ENGINE = os.environ.get("SMTPLB_ENGINE", "libev")
HTTP = "type = http interval = 1s timeout = 1s"

PAIR = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')


def is_alive(pid):
    """Also of a process that is no child of ours."""
    try:
        with open(f"/proc/{pid}/stat", encoding="ascii") as stat:
            return stat.read().rpartition(")")[2].split()[0] != "Z"
    except (FileNotFoundError, ProcessLookupError):
        return False


class Balancer:
    def __init__(self, host, program):
        self.host = host
        host.path("etc/smtplb").mkdir()
        shutil.copy(program, host.path("usr/local/sbin/smtplb"))
        self.config = host.path("etc/smtplb/smtplb.conf")
        self.log = host.path("var/log/smtplb.log")
        self.process = None
        self.pid = None  # of the newest generation

    def configure(self, *, allow="203.0.113.10", deny="", proxy="v2", relays=("relay1", "relay2"),
                  family="v4", health=HTTP, greeting_timeout="2s", daemon="", pool="", backend="",
                  listener=""):
        """relays are hosts, reached by the addresses of one family; pool, backend and listener are
        more lines of those sections, daemon of none."""
        backends = "\n".join(
            f"    backend {name} {{ address = {address_of(name, family)} {backend} }}"
            for name in relays)
        self.config.write_text(
            CONFIG.format(hostname=self.host.name, engine=ENGINE, daemon=daemon, allow=allow, deny=deny,
                          proxy=proxy, greeting_timeout=greeting_timeout, pool=pool, health=health,
                          backends=backends, listener=listener), encoding="ascii")

    def start(self, **options):
        self.configure(**options)
        with self.log.open("wb") as log:
            self.process = self.host.spawn("smtplb", "run", stdout=log, stderr=subprocess.STDOUT)
        self.pid = int(self.wait_for("ready")["pid"])

    def upgrade(self):
        """Replaces the binary, by itself. Returns once the new process serves."""
        count = len(self.events("upgrade", action="done"))
        os.kill(self.pid, signal.SIGUSR2)
        self.pid = int(self.wait_for("upgrade", more_than=count, action="done")["pid"])

    def _hang_up(self):
        """SIGHUP, and what came of it."""
        before = len(self.events("config"))
        os.kill(self.pid, signal.SIGHUP)
        wait_until(lambda: len(self.events("config")) > before, "balancer: reload")
        return self.events("config")[-1]["action"]

    def reload(self, **options):
        """Returns once the new configuration is in force."""
        self.configure(**options)
        assert self._hang_up() == "reloaded"

    def refuse_reload(self, text):
        """Offers it a configuration that it must refuse."""
        self.config.write_text(text, encoding="ascii")
        assert self._hang_up() == "refused"

    def order(self, state, backend):
        self.host.run("smtplb", state, f"relays/{backend}")

    def status(self):
        """What `smtplb status` says of each backend, by its name."""
        status = json.loads(self.host.run("smtplb", "status", "--json").stdout)
        return {one["name"]: one for one in status["pools"][0]["backends"]}

    def sessions(self, *backends):
        """How many are open with these backends, or with all."""
        return sum(one["sessions"] for name, one in self.status().items()
                   if not backends or name in backends)

    def bytes_in(self):
        """What has been received from the clients of live sessions, together."""
        sessions = json.loads(self.host.run("smtplb", "sessions", "--json").stdout)["sessions"]
        return sum(one["bytes_in"] for one in sessions)

    def wait_for_no_session(self, *backends):
        wait_until(lambda: self.sessions(*backends) == 0, f"balancer: no session {backends}")

    def stop(self):
        """Ends it at once and returns its exit status."""
        if self.process is None:
            return 0
        for pid in {self.pid, self.process.pid}:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGINT)
        try:
            wait_until(lambda: not is_alive(self.pid), "balancer: the end of the newest process")
            return self.process.wait(PATIENCE)
        finally:
            self.process.kill()
            self.process = None

    def lines(self):
        if not self.log.exists():
            return []
        return self.log.read_text(encoding="utf-8", errors="replace").splitlines()

    def events(self, event=None, **wanted):
        """Log lines as dictionaries: those of one event, with these values."""
        found = []
        for line in self.lines():
            keys = {key: value.strip('"') for key, value in PAIR.findall(line)}
            if (event is None or keys.get("event") == event) and wanted.items() <= keys.items():
                found.append(keys)
        return found

    def wait_until_all_up(self):
        """Until what the log says last of each backend is that it is up."""
        def up():
            last = {one["backend"]: one["to"] for one in self.events("health")}
            return "down" not in last.values()
        wait_until(up, "balancer: all backends up")

    def wait_for(self, event, more_than=0, **wanted):
        """Until there are more than so many such lines; returns the last."""
        def logged():
            assert self.pid != self.process.pid or self.process.poll() is None, \
                f"balancer ended: {self.process.returncode}"
            found = self.events(event, **wanted)
            return len(found) > more_than and found
        return wait_until(logged, f"balancer: event={event} {wanted}")[-1]
