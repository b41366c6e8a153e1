"""Dovecot's submission service on a host of the lab: it takes a PROXY header from the balancer."""

from topology import PATIENCE, wait_until

CONF = """\
base_dir = /run/dovecot
state_dir = /run/dovecot/state
log_path = /var/log/dovecot.log
protocols = submission
ssl = no
disable_plaintext_auth = yes
haproxy_trusted_networks = 10.0.1.25
hostname = {name}.example
submission_relay_host = {onward}
mail_location = mbox:/tmp/mail
service submission-login {{
    chroot =
    inet_listener submission {{
        port = 587
        haproxy = yes
    }}
}}
passdb {{
    driver = static
    args = nopassword=y
}}
userdb {{
    driver = static
    args = uid=mailbox gid=mailbox home=/tmp/mail
}}
"""


class Dovecot:
    def __init__(self, host, onward):
        self.host = host
        host.run("install", "-d", "-o", "mailbox", "/tmp/mail")
        host.path("etc/dovecot").mkdir(exist_ok=True)
        host.path("etc/dovecot/dovecot.conf").write_text(
            CONF.format(name=host.name, onward=onward), encoding="ascii")
        self.log = host.path("var/log/dovecot.log")
        self.process = host.spawn("dovecot", "-F")
        wait_until(self._listens, f"{host.name}: Dovecot")

    def _listens(self):
        assert self.process.poll() is None, "\n".join(self.lines())
        return self.host.run("ss", "-Hltn", "sport = :587").stdout.strip()

    def lines(self):
        return self.log.read_text(encoding="utf-8").splitlines() if self.log.exists() else []

    def wait_for(self, text):
        """Until a line has it, which is returned."""
        return wait_until(lambda: [line for line in self.lines() if text in line],
                          f"Dovecot: {text}")[-1]

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.log.unlink(missing_ok=True)
