"""An ordinary OpenSMTPD on a host of the lab, that sends everything on."""

import subprocess

from topology import PATIENCE, wait_until

PORT = 2526  # where it takes mail

CONF = """\
listen on 127.0.0.1 port {port}
action "onward" relay host "{onward}" {options}
match from any for any action "onward"
"""


class OpenSmtpd:
    def __init__(self, host, onward, options=""):
        """onward: as in smtp+tls://balancer:25; options: of the relay action"""
        self.host = host
        host.path("etc/smtpd.conf").write_text(
            CONF.format(port=PORT, onward=onward, options=options), encoding="ascii")
        host.run("install", "-d", "-m", "711", "/var/spool/smtpd")
        for folder, owner, mode in (
                ("corrupt", "opensmtpq", "700"), ("incoming", "opensmtpq", "700"),
                ("purge", "opensmtpq", "700"), ("queue", "opensmtpq", "700"),
                ("temporary", "opensmtpq", "700")):
            host.run("install", "-d", "-o", owner, "-m", mode, f"/var/spool/smtpd/{folder}")
        host.run("install", "-d", "-g", "opensmtpq", "-m", "770", "/var/spool/smtpd/offline")
        host.run("install", "-d", "-m", "711", "/var/lib/opensmtpd/empty")
        self.log = host.path("var/log/opensmtpd.log")
        with self.log.open("wb") as log:
            self.process = host.spawn("smtpd", "-d", stdout=log, stderr=subprocess.STDOUT)
        wait_until(self._listens, f"{host.name}: OpenSMTPD")

    def _listens(self):
        assert self.process.poll() is None, self.log.read_text(encoding="utf-8")
        return self.host.run("ss", "-Hltn", f"sport = :{PORT}").stdout.strip()

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.host.run("rm", "-r", "/var/spool/smtpd")
