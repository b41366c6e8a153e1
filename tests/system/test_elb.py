"""log { format = elb }: a line a client as Classic ELB's access log has it, which Amazon's own
expression reads, and every other event as before."""

import re
import ssl
from datetime import datetime, timedelta
from types import SimpleNamespace

import pytest
from balancer import Setup, stopped
from elb import COLUMNS, ELB_COLUMNS, athena, parse
from peers import connect, eventually, full_relay, is_connecting, smtp, unless_refused
from scene import HEADER, Scene
from tls import Secured, SecureSetup

TOP = "log { format = elb }"
STRANGER = "127.0.0.9"
NONE = ("-1", "-1", "-1", "-", "-")
SECONDS = r"\d+\.\d{6}"


def line_of(balancer, event, **keys):
    """The line of this event as it stands."""
    found = balancer.wait(event, **keys)
    return balancer.lines[balancer.events.index(found)]


def one_message(client):
    for word in (b"EHLO me", b"MAIL FROM:<a@b>", b"RCPT TO:<c@d>"):
        client.send(word + b"\r\n")
        assert client.line().startswith(b"250 ")
    client.send(b"DATA\r\n")
    client.line()
    client.send(b"Subject: test\r\n.\r\n")
    assert client.line().startswith(b"250 ")
    client.quit()


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_a_session(start, relay, host):
    """It has all that logfmt tells, and Athena reads it."""
    one = relay(smtp(b"one"), host=host)
    setup = Setup([one], top=TOP)
    setup.bind = f"0.0.0.0:{setup.port}, [::]:{setup.port}"
    balancer = start(setup)
    with connect((host, setup.port)) as client:
        source = client.sock.getsockname()
        assert client.line() == b"220 one ESMTP"
        one_message(client)
    line = line_of(balancer, "session", result="ok")
    shown = f"[{host}]" if ":" in host else host
    columns = parse(line)
    assert athena(line) == (
        columns["timestamp"], "lb.test", shown, str(source[1]), shown, str(one.port),
        *(columns[name] for name in ELB_COLUMNS[4:7]), "-", "-",
        columns["bytes_in"], columns["bytes_out"], "-", "-", "- ", '"-"', "-", "-",
    )
    for name in ELB_COLUMNS[4:7] + ["queue_time", "duration"]:
        assert re.fullmatch(SECONDS, columns[name]), name
    assert 0 < float(columns["backend_processing_time"]) <= float(columns["request_processing_time"])
    began = datetime.strptime(columns["timestamp"], "%Y-%m-%dT%H:%M:%S.%fZ")
    ready = datetime.strptime(balancer.ready()["ts"], "%Y-%m-%dT%H:%M:%S.%fZ")
    assert began > ready - timedelta(milliseconds=1)
    assert re.fullmatch(r"[0-9a-f]{16}", columns["id"])
    assert {name: columns[name] for name in COLUMNS[16:] if name not in ("end", "duration")} == {
        "listener": "smtp", "pool": "relays", "backend": "relay1", "result": "ok",
        "attempts": "1", "queue_time": "0.000000", "messages": "1",
        "accepted": "1", "deferred": "0", "rejected": "0", "last_reply": "221",
        "backend_tls": "-", "sni": "-", "resumed": "-", "opaque": "-", "action": "-", "rule": "-",
    }


def test_its_times(start, clock, tmp_path):
    """What was before the relay's connection stood, how long that took, and the wait for its 220."""
    with full_relay() as full:
        host, port = full.getsockname()
        setup = Setup([SimpleNamespace(host=host, port=port)], top=TOP,
                      pool="connect_timeout = 1m greeting_timeout = 30m greeting_budget = 1h "
                           "greeting_retry = 1s")
        stage = Scene(start, setup, clock, tmp_path)
        with connect((host, port)), setup.connect() as client:
            eventually(lambda: is_connecting(port))
            stage.pass_time(60.5)
            stage.balancer.wait("attempt", cause="connect_timeout")
            stage.pass_time(1.5)
            eventually(lambda: is_connecting(port))
            stage.pass_time(2.000001)
            full.accept()[0].close()
            with full.accept()[0] as late:
                late.recv(HEADER)
                stage.pass_time(7.25)
                late.sendall(b"220 ESMTP\r\n")
                assert client.line() == b"220 ESMTP"
                stage.pass_time(0.5)
            assert client.rest() == b""
    columns = stage.balancer.wait("session")
    assert [columns[name] for name in (*ELB_COLUMNS[4:7], "duration", "attempts")] == [
        "64.000001", "2.000001", "7.250000", "71.750001", "2"]


@pytest.mark.parametrize("action, refuses", [
    ("421", True), ("554", True), ("reset", False), ("drop", False)])
def test_a_denied_client(start, relay, tmp_path, action, refuses):
    """Its line is the only one of it, with the rule, whatever the file is called."""
    rules = tmp_path / 'my "own" list'
    rules.write_text("127.0.0.9\n")
    quoted = str(rules).replace('"', '\\"')
    setup = Setup([relay(smtp())], top=TOP, deny=f'"file:{quoted}"', listener=f"on_deny = {action}")
    balancer = start(setup)
    with stopped(balancer):  # a reset must not come before the connection stands
        client = setup.connect(STRANGER)
    with client:
        source = client.sock.getsockname()
        if action == "reset":
            client.is_reset()
        else:
            assert client.rest().startswith(action.encode() if refuses else b"")
    line = line_of(balancer, "denied")
    columns = parse(line)
    assert athena(line)[1:] == ("lb.test", STRANGER, str(source[1]), "", "", *NONE, "0", "0",
                                "-", "-", "- ", '"-"', "-", "-")
    rule = str(rules).replace('"', r"\x22")
    assert {name: columns[name] for name in COLUMNS[16:]} == {
        **dict.fromkeys(COLUMNS[16:], "-"), "listener": "smtp", "result": "denied",
        "end": "balancer", "attempts": "0", "queue_time": "-1", "duration": "-1",
        "action": action, "rule": f"{rule}:1 deny 127.0.0.9/32",
    }
    assert setup.greeting() == b"220 relay ESMTP"
    balancer.wait("session")
    assert len([line for line in balancer.lines if parse(line)]) == 2


def test_a_flood_of_denied_clients(start, relay):
    """Summed up they are no client, and no line of ELB's: nobody is lost count of."""
    setup = Setup([relay(smtp())], top=TOP, deny=STRANGER)
    balancer = start(setup)
    for _ in range(50):
        setup.greeting(STRANGER)
    balancer.stop()
    summed = [line for line in balancer.lines if " event=denied " in line]
    assert summed and all(line.startswith("ts=") for line in summed)
    counts = sum(int(re.search(r" count=(\d+)$", line)[1]) for line in summed)
    assert counts + len([line for line in balancer.lines if parse(line)]) == 50


def test_clients_who_get_no_relay(start, relay):
    """Refused by all, and over the limit: no backend, and no times."""
    setup = Setup([relay(lambda conn: conn.send(b"421 no\r\n"))], top=f"{TOP} max_sessions = 1",
                  pool="greeting_retry = 0s", workers=1)
    balancer = start(setup)
    assert setup.greeting().startswith(b"421 4.3.2 ")
    line = line_of(balancer, "session", result="no_backend")
    assert athena(line)[4:11] == ("", "", *NONE)
    assert parse(line)["attempts"] == "1"
    assert (parse(line)["pool"], parse(line)["backend"]) == ("relays", "-")
    assert balancer.find("attempt", cause="greeting_reply", reply="421 no")
    setup.relays[0].serve = smtp(b"one")
    with setup.connect() as inside:
        eventually(lambda: inside.line() == b"220 one ESMTP")
        assert b"too many connections" in setup.greeting()
        line = line_of(balancer, "session", result="limited")
        assert athena(line)[4:11] == ("", "", *NONE)
        assert balancer.wait("limited")["limit"] == "max_sessions"


@pytest.mark.parametrize("version, cipher", [
    ("TLSv1_2", r"ECDHE-ECDSA-[A-Z0-9-]+"), ("TLSv1_3", r"TLS-[A-Z0-9-]+")])
def test_a_session_in_tls(start, relay, certificate, version, cipher):
    setup = SecureSetup([relay(smtp(b"one"))], certificate, top=TOP)
    balancer = start(setup)
    context = certificate.context()
    context.maximum_version = context.minimum_version = ssl.TLSVersion[version]
    with setup.connect_plainly() as client:
        client.sock = Secured(client.sock, context, certificate.name)
        assert client.line() == b"220 one ESMTP"
        one_message(client)
    line = line_of(balancer, "session", result="ok")
    assert re.fullmatch(cipher, athena(line)[-2])
    assert athena(line)[-1] == version.replace("_", ".")
    assert (parse(line)["sni"], parse(line)["resumed"]) == (certificate.name, "no")


def test_every_other_event_is_logfmt(start, relay):
    """What a relay says can't make an access line either."""
    forged = b"421 x\n2026-01-01T00:00:00.000000Z lb.test 127.0.0.1:1 - -1 -1 -1 - - 0 0\r\n"
    setup = Setup([relay(lambda conn: conn.send(forged)), relay(smtp(b"two"))], top=TOP)
    balancer = start(setup)
    assert setup.greeting() == b"220 two ESMTP"
    balancer.wait("session")
    assert balancer.wait("attempt")["level"] == "warning"
    others = [line for line in balancer.lines if not parse(line)]
    assert len(others) == len(balancer.lines) - 1
    assert all(re.match(r"ts=\S+ level=\w+ event=\w+ ", line) for line in others)
    assert {event["event"] for event in balancer.events} == {
        "config", "ready", "attempt", "session"}


def test_the_level_holds(start, relay):
    setup = Setup([relay(smtp(b"one"))], top="log { format = elb level = warning }", deny=STRANGER)
    balancer = start(setup, ready=False)
    assert eventually(lambda: unless_refused(setup.greeting)) == b"220 one ESMTP"
    setup.greeting(STRANGER)
    balancer.stop()
    assert balancer.log() == ""


def test_reload_changes_the_format(start, relay):
    setup = Setup([relay(smtp(b"one"))])
    balancer = start(setup)
    begins = {"elb": r"20\d\d-", "json": r"\{", "logfmt": "ts="}
    for count, form in enumerate(("elb", "json", "elb", "logfmt", "elb"), 1):
        setup.top = f"log {{ format = {form} }}"
        assert balancer.reload(setup.text())["action"] == "reloaded"
        setup.greeting()
        balancer.wait("session", count)
        assert re.match(begins[form], balancer.lines[-1])
