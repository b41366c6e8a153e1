"""Mail from a Postfix whose relayhost is the balancer, with nothing broken."""

import re

import pytest

from topology import wait_until

SENDER = "sender[203.0.113.10]"


def send_and_check(load, domain, count=50):
    mail = load(domain)
    mail.wait_for_more(count)
    mail.stop()
    mail.assert_exactly_once()


@pytest.mark.parametrize("proxy", ["v2", "v1"])
@pytest.mark.parametrize("domain,service", [("mail.example", "smtpd"),
                                            ("submission.example", "submission/smtpd")])
def test_mail_arrives_once_and_relays_name_the_sender(lab, load, proxy, domain, service):
    lab.balancer.start(proxy=proxy)
    send_and_check(load, domain)
    for name, relay in lab.relays.items():
        lines = [line for line in relay.lines() if "smtpd[" in line]
        assert any(f"postfix/{service}[" in line and f"connect from {SENDER}" in line
                   for line in lines), name
        # The balancer's own address, a probe, or a header that Postfix did not like: none of it.
        assert not [line for line in lines if SENDER not in line], name
        assert not [line for line in relay.lines() if "10.0.1.25" in line], name
    assert not [line for line in lab.relay_lines() if "haproxy read:" in line]
    sessions = lab.balancer.events("session")
    assert {one["result"] for one in sessions} == {"ok"}
    assert {one["backend"] for one in sessions} == {"relay1", "relay2"}
    assert all(one["client"].startswith("203.0.113.10:") for one in sessions)


@pytest.mark.parametrize("family,balancer", [("v4", "10.0.1.25"), ("v6", "fd00:1::25")])
def test_idle_relays_log_nothing(lab, family, balancer):
    """Health checks go to nginx; a relay's maillog shows no trace of them."""
    before = {name: len(lab.nginx[name].requests()) for name in lab.relays}
    lab.balancer.start(family=family)
    for name in lab.relays:
        wait_until(lambda w=lab.nginx[name], b=before[name]: len(w.requests()) >= b + 3,
                   f"three probes of {name}")
    for name, relay in lab.relays.items():
        assert not [line for line in relay.lines() if "smtpd[" in line or balancer in line]
        assert lab.nginx[name].requests()[-1].startswith(f"{balancer} ")
    assert not lab.balancer.events("health")


def test_relays_take_turns(lab):
    lab.balancer.start()
    for turn in range(10):
        lab.sender.host.run("smtp-source", "-f", "app@sender.example",
                            "-t", f"turn-{turn}@mail.example", "balancer:25")
    lab.wait_for_connects(10)
    for name, relay in lab.relays.items():
        assert relay.connects() == [SENDER] * 5, name


def test_balancer_gives_up_root(lab):
    lab.balancer.start()
    for pid in lab.balancer.host.processes("smtplb"):
        status = lab.balancer.host.path(f"proc/{pid}/status").read_text(encoding="ascii")
        assert re.search(r"^Uid:\t64003\t64003\t64003\t64003$", status, re.MULTILINE)
        assert re.search(r"^Gid:\t64003\t64003\t64003\t64003$", status, re.MULTILINE)
        assert re.search(r"^CapEff:\t0000000000000400$", status, re.MULTILINE)
