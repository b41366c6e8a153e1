"""Probes of port 25 against a real Postfix: it is seen up and down, and what its maillog says of
them is that of ordinary clients: never a `haproxy read:` line, never a warning."""

import re

import pytest

from topology import wait_until

PROBES = 6


@pytest.fixture
def without_proxy(lab):
    """Relays that expect no PROXY header."""
    lab.restart_relays(smtpd_upstream_proxy_protocol="")
    yield
    assert lab.balancer.stop() == 0  # before the relays expect headers that it does not send
    lab.restart_relays(smtpd_upstream_proxy_protocol="haproxy")


@pytest.fixture
def relays(lab, request, proxy):
    if proxy == "off":
        request.getfixturevalue("without_proxy")
    return lab.relays


def connections_made(lab):
    """How many connections the balancer's host has begun since it exists."""
    rows = lab.hosts["balancer"].run("cat", "/proc/net/snmp").stdout.splitlines()
    names, values = (row.split() for row in rows if row.startswith("Tcp:"))
    return int(values[names.index("ActiveOpens")])


def said(relay, text):
    return [line for line in relay.lines() if text in line]


@pytest.mark.parametrize("proxy", ["v1", "v2", "off"])
@pytest.mark.parametrize("kind", ["smtp", "tcp"])
def test_postfix_probed_at_its_mail_port(lab, relays, kind, proxy):
    one, other = relays["relay1"], relays["relay2"]
    for relay in relays.values():
        relay.mark()
    before = connections_made(lab)
    lab.balancer.start(proxy=proxy, health=f"type = {kind} interval = 300ms timeout = 5s")

    def all_told():
        """Every probe so far has its connect and its disconnect."""
        counts = {sum(len(said(relay, text)) for relay in relays.values())
                  for text in (": connect from ", ": disconnect from ")}
        probes = connections_made(lab) - before
        return probes >= PROBES and counts == {probes}

    wait_until(all_told, "a connect and a disconnect for every probe")
    assert not lab.balancer.events("health")
    for relay in relays.values():
        assert set(relay.connects()) == {"unknown[10.0.1.25]"}
        lost = said(relay, "lost connection after CONNECT")
        if kind == "smtp":
            ends = said(relay, ": disconnect from ")
            assert all(re.search(r"\] quit=1 commands=1$", line) for line in ends), ends
            assert not lost
        else:
            assert lost

    one.stop()
    down = lab.balancer.wait_for("health", backend="relay1", to="down", cause="probe")
    assert down["detail"].split(":")[0] in ("refused", "reset", "closed")
    one.start()
    lab.balancer.wait_for("health", backend="relay1", to="up", cause="probe")
    assert not lab.balancer.events("health", backend="relay2")
    for line in one.lines() + other.lines():
        assert not re.search(r"haproxy|warning:|error:|fatal:", line), line


@pytest.mark.parametrize("proxy", ["v2"])
def test_a_relay_that_never_greets_is_down(lab, relays):
    """The kernel accepts, Postfix is silent: only an smtp probe sees it without any session."""
    lab.balancer.start(health="type = smtp interval = 300ms timeout = 1s")
    relays["relay1"].freeze()
    down = lab.balancer.wait_for("health", backend="relay1", to="down", cause="probe")
    assert down["detail"] == "timeout: no greeting within 1s"
    relays["relay1"].thaw()
    up = lab.balancer.wait_for("health", backend="relay1", to="up", cause="probe")
    assert up["detail"] == "220"
    assert not [line for line in lab.relay_lines() if "haproxy" in line or "warning:" in line]
