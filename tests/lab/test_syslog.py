"""log { target = syslog } and a real rsyslogd on the balancer's host: what stands in its file."""

import json
import shlex
import signal
import subprocess

import pytest

from topology import call, wait_until

RSYSLOG = """\
module(load="imuxsock" SysSock.Use="off")
input(type="imuxsock" Socket="/dev/log" RateLimit.Interval="0")
template(name="parts" type="string"
    string="%syslogfacility-text%.%syslogseverity-text% %programname%[%procid%]%msg%\\n")
if $programname == "smtplb" then action(type="omfile" file="/var/log/syslog" template="parts")
"""

ELB_COLUMNS = 35
RESULT = 19  # its column
SEVERITY = {"error": "err", "warning": "warning", "info": "info", "debug": "debug"}


@pytest.fixture
def rsyslog(lab):
    """The daemon, with a /dev of the host's own for its socket; the lines of its file so far."""
    host = lab.balancer.host
    dev = host.path("dev")
    call("mount", "-t", "tmpfs", "dev", dev)
    for name in ("null", "zero", "random", "urandom"):
        dev.joinpath(name).touch()
        call("mount", "--bind", f"/dev/{name}", dev.joinpath(name))
    host.path("etc/rsyslog-lab.conf").write_text(RSYSLOG, encoding="ascii")
    file = host.path("var/log/syslog")
    file.unlink(missing_ok=True)
    output = host.path("var/log/rsyslogd.out").open("wb")
    daemon = host.spawn("rsyslogd", "-n", "-i", "/run/rsyslogd.pid", "-f", "/etc/rsyslog-lab.conf",
                        stdout=output, stderr=subprocess.STDOUT)
    wait_until(dev.joinpath("log").exists, "rsyslogd's socket")
    yield lambda: file.read_text(encoding="ascii").splitlines() if file.exists() else []
    daemon.send_signal(signal.SIGTERM)
    daemon.wait(20)
    output.close()
    lab.balancer.stop()
    call("umount", "-R", dev)


@pytest.mark.parametrize("form", ["logfmt", "json", "elb"])
def test_what_rsyslog_writes(lab, load, rsyslog, form):
    """Facility, severity and process of each line, and the text as it would be on stderr."""
    balancer = lab.balancer
    balancer.start()
    plain = balancer.config.read_text(encoding="ascii")
    text = plain + f"log {{ target = syslog  format = {form}  level = debug }}\n"
    balancer.config.write_text(text, encoding="ascii")
    balancer.process.send_signal(signal.SIGHUP)
    wait_until(lambda: any("reloaded" in line for line in rsyslog()), "reload in rsyslog's file")
    with lab.stranger.connect("203.0.113.25", 25) as connection:
        assert connection.recv(4096).startswith(b"421 ")
    mail = load()
    mail.wait_for_more(5)
    mail.stop()
    mail.assert_exactly_once()
    balancer.config.write_text("nonsense\n", encoding="ascii")
    balancer.process.send_signal(signal.SIGHUP)
    wait_until(lambda: any("refused" in line for line in rsyslog()), "refusal in rsyslog's file")
    # Back on stderr: all that was for rsyslog stands in its file by then.
    assert not balancer.events("session")
    balancer.reload()
    severities, events = set(), set()
    for line in rsyslog():
        priority, process, message = line.split(" ", 2)
        event = parse(message, form)
        assert priority == f"mail.{SEVERITY[event['level']]}", line
        assert process == f"smtplb[{balancer.process.pid}]", line
        severities.add(priority)
        events.add(event["event"])
    assert severities >= {"mail.info", "mail.debug", "mail.err"}
    assert events >= {"config", "denied", "session", "phase"}


def parse(message, form):
    if form == "json":
        return json.loads(message)
    if form == "elb" and not message.startswith("ts="):
        columns = shlex.split(message)
        assert len(columns) == ELB_COLUMNS, message
        return {"level": "info", "event": "denied" if columns[RESULT] == "denied" else "session"}
    assert message.startswith("ts=")
    return dict(pair.split("=", 1) for pair in message.split(" ")[:3])
