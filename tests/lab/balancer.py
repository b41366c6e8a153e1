"""smtplb on the balancer host: its configuration, its process, and what it logs."""

import re
import shutil
import signal
import subprocess

from topology import HOSTS, wait_until

CONFIG = """\
hostname = balancer.example
user = smtplb

acl senders {{
    allow = {{ {allow} }}
}}

pool relays {{
    proxy_protocol = {proxy}
    connect_timeout = 1s
    greeting_timeout = 2s
    health {{ {health} }}
{backends}
}}

listener smtp {{
    bind = {{ 0.0.0.0:25, 0.0.0.0:587 }}
    acl = senders
    pool = relays
}}
"""

HEALTH = "type = http interval = 1s timeout = 1s"
PAIR = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')


class Balancer:
    def __init__(self, host, program):
        self.host = host
        host.path("etc/smtplb").mkdir()
        shutil.copy(program, host.path("usr/local/sbin/smtplb"))
        self.config = host.path("etc/smtplb/smtplb.conf")
        self.log = host.path("var/log/smtplb.log")
        self.process = None

    def configure(self, allow="203.0.113.10", proxy="v2", relays=("relay1", "relay2"),
                  health=HEALTH):
        backends = "\n".join(f"    backend {name} {{ address = 10.0.1.{HOSTS[name][0]} }}"
                             for name in relays)
        self.config.write_text(CONFIG.format(allow=allow, proxy=proxy, health=health,
                                             backends=backends),
                               encoding="ascii")

    def start(self, **options):
        self.configure(**options)
        with self.log.open("wb") as log:
            self.process = self.host.spawn("smtplb", "run", stdout=log, stderr=subprocess.STDOUT)
        self.wait_for("ready")

    def _hang_up(self):
        """SIGHUP, and what came of it."""
        before = len(self.events("config"))
        self.process.send_signal(signal.SIGHUP)
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

    def stop(self):
        """Ends it at once and returns its exit status."""
        if self.process is None:
            return 0
        self.process.send_signal(signal.SIGINT)
        try:
            return self.process.wait(10)
        finally:
            self.process.kill()
            self.process = None

    def events(self, event=None, **wanted):
        """Log lines as dictionaries: those of one event, with these values."""
        found = []
        for line in self.log.read_text(encoding="utf-8", errors="replace").splitlines():
            keys = {key: value.strip('"') for key, value in PAIR.findall(line)}
            if (event is None or keys.get("event") == event) and wanted.items() <= keys.items():
                found.append(keys)
        return found

    def wait_for(self, event, **wanted):
        def logged():
            assert self.process.poll() is None, f"balancer ended: {self.process.returncode}"
            return self.events(event, **wanted)
        return wait_until(logged, f"balancer: event={event} {wanted}")[-1]
