"""A Postfix that insists on TLS, and on whom it speaks to."""

import re
import shutil

import pytest


@pytest.fixture
def listener(lab):
    """Makes TLS for the balancer's clients, with a certificate that the sender knows: listener(mode)."""
    host = lab.balancer.host
    host.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes", "-subj", "/CN=balancer", "-addext", "subjectAltName=DNS:balancer",
             "-keyout", "/etc/smtplb/lb.key", "-out", "/etc/smtplb/lb.pem")
    shutil.copy(host.path("etc/smtplb/lb.pem"), lab.sender.host.path("etc/postfix/lb.pem"))
    host.run("chown", "smtplb", "/etc/smtplb/lb.key")
    return "    tls = {}  certificate = /etc/smtplb/lb.pem  key = /etc/smtplb/lb.key".format


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
