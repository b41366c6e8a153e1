"""Real clients of every kind through every combination of TLS: theirs with the balancer (none,
STARTTLS, from the first byte) and the balancer's with the relays. All who have TLS verify with whom."""

import threading

import pytest

from client import Client
from exim import SENDER, Exim
from opensmtpd import PORT as OPENSMTPD_PORT
from opensmtpd import OpenSmtpd
from tls import certify, give
from topology import PATIENCE, wait_until

MODES = ("off", "starttls", "implicit")
TRUSTED = "/etc/ssl/balancer.pem"
APPLICATIONS = "203.0.113.10, 203.0.113.11"

# What each client has to be told, by the mode.
POSTFIX = {
    "off": {"smtp_tls_security_level": "none", "smtp_tls_wrappermode": "no"},
    "starttls": {"smtp_tls_security_level": "verify", "smtp_tls_wrappermode": "no"},
    "implicit": {"smtp_tls_security_level": "verify", "smtp_tls_wrappermode": "yes"},
}
VERIFIED = f"    tls_verify_certificates = {TRUSTED}\n    tls_verify_hosts = *\n"
EXIM = {
    "off": "    hosts_avoid_tls = *\n",
    "starttls": f"    hosts_require_tls = *\n{VERIFIED}",
    "implicit": f"    protocol = smtps\n    port = 25\n{VERIFIED}",
}
OPENSMTPD = {
    "off": ("smtp+notls://balancer:25", ""),
    "starttls": ("smtp+tls://balancer:25", "tls"),
    "implicit": ("smtps://balancer:25", "tls"),
}
SWAKS = {
    "off": [],
    "starttls": ["--tls", "--tls-verify", "--tls-ca-path", TRUSTED],
    "implicit": ["--tls-on-connect", "--tls-verify", "--tls-ca-path", TRUSTED],
}
# s_client says EHLO and STARTTLS itself. -verify_return_error ends it with whom it does not trust.
S_CLIENT = {
    "off": None,
    "starttls": ["-starttls", "smtp"],
    "implicit": [],
}


def dialogue(client, recipient):
    """A message, by hand."""
    for line, code in (("EHLO application", "250"), ("MAIL FROM:<app@sender.example>", "250"),
                       (f"RCPT TO:<{recipient}>", "250"), ("DATA", "354"),
                       ("Subject: by hand\r\n\r\nhello\r\n.", "250")):
        reply = client.ask(line)
        assert reply.startswith(code), (line, reply)
    client.send("QUIT")


def hand_over(host, port, recipient):
    """To the mail server of the host, which sends it on."""
    client = Client(host, "127.0.0.1", port)
    dialogue(client, recipient)
    client.close()


class PipeClient(Client):
    """Talks through a process that passes lines on."""

    def __init__(self, process, is_greeted):  # pylint: disable=super-init-not-called
        self.process = process
        self.file = process.stdout
        self.socket = self
        self.sent = 0
        self.watch = threading.Timer(PATIENCE, process.kill)
        self.watch.start()
        self.greeting = None if is_greeted else self.read()

    def sendall(self, data):
        self.process.stdin.write(data)
        self.process.stdin.flush()

    def close(self):
        self.process.communicate()
        self.watch.cancel()


def by_s_client(host, mode, recipient):
    if S_CLIENT[mode] is None:
        client = Client(host, "203.0.113.25")
    else:
        client = PipeClient(host.converse(
            "openssl", "s_client", "-connect", "balancer:25", "-quiet", "-CAfile", TRUSTED,
            "-verify_return_error", "-verify_hostname", "balancer", *S_CLIENT[mode]),
            is_greeted=mode == "starttls")
    dialogue(client, recipient)
    client.close()


def by_swaks(host, mode, recipient):
    done = host.run("swaks", "--server", "balancer:25", "--from", "app@sender.example", "--to",
                    recipient, "--helo", "application", *SWAKS[mode], check=False)
    assert done.returncode == 0, done.stdout


@pytest.fixture
def clients(lab, sender_with):
    """Starts them all: clients(mode) gives {name: a function that sends to a recipient}."""
    started = []
    host = lab.hosts["exim"]

    def start(mode):
        sender_with(smtp_tls_CAfile=TRUSTED, smtp_tls_verify_cert_match="hostname",
                    **POSTFIX[mode])
        exim = Exim(host, SENDER, "balancer")
        started.append(exim)
        exim.start(transport=EXIM[mode])
        opensmtpd = OpenSmtpd(host, *OPENSMTPD[mode])
        started.append(opensmtpd)
        return {
            "postfix": lambda to: hand_over(lab.sender.host, 25, to),
            "exim": lambda to: hand_over(host, 25, to),
            "opensmtpd": lambda to: hand_over(host, OPENSMTPD_PORT, to),
            "swaks": lambda to: by_swaks(host, mode, to),
            "s_client": lambda to: by_s_client(host, mode, to),
        }

    yield start
    for one in started:
        one.stop()


@pytest.fixture
def trust(lab):
    """Everybody's certificate, where those are who shall trust it."""
    balancer = lab.balancer.host
    ours = certify(balancer, "balancer", "etc/smtplb")
    balancer.run("chown", "smtplb", "/etc/smtplb/balancer.key")
    for host in (lab.sender.host, lab.hosts["exim"]):
        host.path("etc/ssl/certs").mkdir(parents=True, exist_ok=True)
        give(ours, host, TRUSTED)
        give(ours, host, "etc/ssl/certs/ca-certificates.crt")
    theirs = certify(lab.relays["relay1"].host, "relay.example", "etc/postfix")
    for relay in lab.relays.values():
        if relay.host.name != "relay1":
            for name in ("relay.example.pem", "relay.example.key"):
                give(theirs.parent / name, relay.host, "etc/postfix", name)
    give(theirs, balancer, "etc/smtplb/relays.pem")
    settings = {"smtpd_tls_security_level": "may",
                "smtpd_tls_cert_file": "/etc/postfix/relay.example.pem",
                "smtpd_tls_key_file": "/etc/postfix/relay.example.key"}
    usual = lab.relays["relay1"].settings(*settings)
    lab.restart_relays(**settings)
    yield
    lab.restart_relays(**usual)


def configuration(mode, relay_mode):
    tls = (f"    tls = {relay_mode}  tls_ca = /etc/smtplb/relays.pem  tls_name = relay.example"
           if relay_mode != "off" else "")
    return {
        "allow": APPLICATIONS,
        "listener": f"    tls = {'starttls_required' if mode == 'starttls' else mode}"
                    "  certificate = /etc/smtplb/balancer.pem  key = /etc/smtplb/balancer.key",
        "pool": tls,
        "backend": "port = 465" if relay_mode == "implicit" else "",
    }


def with_mail(lab, before, count):
    """The lines of sessions with a message, past so many lines, when there are as many as that."""
    found = [one for one in lab.balancer.events("session")[before:] if one["messages"] == "1"]
    return len(found) == count and found


@pytest.mark.parametrize("mode", MODES)
def test_every_client_with_every_relay(lab, trust, clients, mode):
    lab.balancer.start(**configuration(mode, "off"))
    send = clients(mode)
    for relay_mode in MODES:
        lab.balancer.reload(**configuration(mode, relay_mode))
        before = len(lab.balancer.events("session"))
        recipients = {f"{name}-{mode}-{relay_mode}@mail.example" for name in send}
        for name, deliver in send.items():
            deliver(f"{name}-{mode}-{relay_mode}@mail.example")
        wait_until(lambda recipients=recipients: recipients <= {
            recipient for recipient, _ in lab.inbox.arrived()}, f"{mode}, {relay_mode}: all mail")
        served = wait_until(lambda before=before: with_mail(lab, before, len(send)), "their lines")
        assert {one["tls"] == "-" for one in served} == {mode == "off"}
        assert {one["backend_tls"] == "-" for one in served} == {relay_mode == "off"}
    assert not lab.balancer.events("tls") and not lab.balancer.events("attempt")
