"""A Postfix that insists on TLS, and on whom it speaks to; a Dovecot that is told of the client's; and
a scanner that looks for what is weak."""

import re
import xml.etree.ElementTree as xml

import pytest

from dovecot import Dovecot
from tls import SecureClient, certify, give


@pytest.fixture
def listener(lab):
    """Makes TLS for the balancer's clients, with a certificate that the sender knows: listener(mode)."""
    certificate = certify(lab.balancer.host, "balancer", "etc/smtplb")
    give(certificate, lab.sender.host, "etc/postfix/lb.pem")
    lab.balancer.host.run("chown", "smtplb", "/etc/smtplb/balancer.key")
    return ("    tls = {}  certificate = /etc/smtplb/balancer.pem  key = /etc/smtplb/balancer.key"
            ).format


@pytest.mark.parametrize("mode", ["implicit", "starttls", "starttls_required"])
def test_postfix_verifies_and_sends(lab, load, sender_with, listener, mode):
    """Through a reload, too."""
    sender_with(smtp_tls_wrappermode="yes" if mode == "implicit" else "no",
                smtp_tls_security_level="verify",
                smtp_tls_CAfile="/etc/postfix/lb.pem", smtp_tls_verify_cert_match="hostname",
                smtp_tls_loglevel="1")
    lab.balancer.start(listener=listener(mode))
    mail = load()
    mail.wait_for_more(30)
    lab.balancer.reload(listener=listener(mode))
    mail.wait_for_more(30)
    mail.stop()
    mail.assert_exactly_once()
    lab.balancer.wait_for_no_session()
    sessions = lab.balancer.events("session")
    assert {one["result"] for one in sessions} == {"ok"}
    assert all(re.fullmatch(r"TLSv1\.3/TLS_[A-Z0-9_]+", one["tls"]) for one in sessions)
    assert sum(int(one["messages"]) for one in sessions) == len(mail.arrived())
    assert not lab.balancer.events("tls")
    verified = [line for line in lab.sender.lines() if "Verified TLS connection" in line]
    assert len(verified) == len(sessions)
    lab.wait_for_connects(len(sessions))
    assert {one for relay in lab.relays.values() for one in relay.connects()} == {
        "sender[203.0.113.10]"}


def test_postfix_without_tls_hears_nothing(lab, load, listener):
    """Its mail waits until the two agree."""
    lab.balancer.start(listener=listener("implicit"))
    mail = load()
    lab.balancer.wait_for("tls")
    mail.stop()
    assert not mail.arrived()
    assert {status for _, status, _ in lab.sender.deliveries()} <= {"deferred"}
    lab.balancer.reload()
    mail.wait_until_all_arrived(retry=True)
    assert not mail.missing() and not mail.duplicates()


def test_postfix_without_tls_is_told(lab, load, sender_with, listener):
    """That TLS must come first: not a byte of its mail reaches a relay."""
    sender_with(smtp_tls_security_level="none")
    lab.balancer.start(listener=listener("starttls_required"))
    mail = load()
    lab.balancer.wait_for("session")
    mail.stop()
    lab.balancer.wait_for_no_session()
    told = [(status, text) for _, status, text in lab.sender.deliveries()]
    assert told and not mail.arrived()
    assert all(status == "bounced" and "530 5.7.0" in text for status, text in told)
    assert not [line for line in lab.relay_lines() if "client=" in line]


@pytest.fixture
def dovecot(lab):
    """A submission service, which sends on to the destination."""
    service = Dovecot(lab.hosts["relay3"], "destination")
    yield service
    service.stop()


@pytest.mark.parametrize("tlv", ["on", "off"])
def test_dovecot_is_told_of_tls(lab, listener, dovecot, tlv):
    """Only who speaks TLS may log in; it knows by the PROXY header."""
    lab.balancer.start(listener=listener("implicit"), relays=["relay3"], health="type = none",
                       pool=f"    proxy_tlv = {tlv}", backend="port = 587")
    client = SecureClient(lab.sender.host, lab.balancer.host.path("etc/smtplb/balancer.pem"))
    assert client.greeting.startswith("220")
    offered = client.ask("EHLO me")
    assert ("AUTH PLAIN" in offered) == (tlv == "on"), offered
    if tlv == "on":
        assert client.ask("AUTH PLAIN AGFwcABzZWNyZXQ=").startswith("235")
        login = dovecot.wait_for("Login: user=<app>")
        assert "rip=203.0.113.10" in login and ", secured," in login
    client.close()


@pytest.mark.parametrize("mode", ["implicit", "starttls"])
def test_nothing_weak_is_found(lab, listener, mode):
    lab.balancer.start(listener=listener(mode))
    host = lab.sender.host
    found = host.run("sslscan", "--xml=/tmp/scan.xml", "--no-colour",
                     *(["--starttls-smtp"] if mode == "starttls" else []), "balancer:25")
    (scan,) = xml.parse(host.path("tmp/scan.xml")).getroot().iter("ssltest")
    enabled = {f"{one.get('type')}{one.get('version')}" for one in scan.iter("protocol")
               if one.get("enabled") == "1"}
    assert enabled == {"tls1.2", "tls1.3"}, found.stdout
    assert "Session renegotiation not supported" in found.stdout
    assert {one.get("vulnerable") for one in scan.iter("heartbleed")} <= {"0"}
    strengths = {one.get("strength") for one in scan.iter("cipher")}
    assert strengths <= {"strong", "acceptable"}, found.stdout
