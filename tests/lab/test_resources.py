"""A relay runs out of something, and the other one is well."""

import pytest

from client import Client
from disk import QueueDisk
from topology import wait_until

PROCESSES = 4
# As from the balancer, by which the relay knows it: for a session that is none of the balancer's.
HEADER = b"PROXY TCP4 203.0.113.10 203.0.113.25 40000 25\r\n"


@pytest.fixture
def disk(lab):
    """On relay1."""
    disk = QueueDisk(lab.relays["relay1"])
    yield disk
    disk.remove()


@pytest.mark.usefixtures("impatient")
def test_disk_nearly_full(lab, load, disk):
    """The relay puts every message off, and the sender comes to the other one sooner or later."""
    lab.balancer.start()
    mail = load()
    mail.wait_for_more(20)
    disk.fill(disk.NEARLY)
    wait_until(mail.deferrals, "sender: deferrals")
    mail.wait_for_more(50)
    disk.clear()  # the last ones would be long in coming, by chance
    mail.wait_for_more(20)
    mail.stop()
    mail.wait_until_all_arrived(retry=True)
    assert mail.sent() and not mail.missing() and not mail.duplicates()
    assert not [one for one in mail.deferrals()
                if "said: 452 4.3.1 Insufficient system storage" not in one[1]]


def test_disk_full_in_the_middle_of_a_message(lab, disk):
    """The log has the relay's words."""
    lab.balancer.start(relays=("relay1",))
    client = Client(lab.sender.host, "203.0.113.25")
    client.ask("EHLO app.example")
    client.send("MAIL FROM:<app@sender.example>", "RCPT TO:<app@mail.example>", "DATA")
    assert client.codes(3) == ["250", "250", "354"]
    disk.fill()
    client.send("Subject: lab", "", *["x" * 1000] * 100, ".")
    assert client.read().startswith("451 4.3.0 ")
    assert client.ask("MAIL FROM:<app@sender.example>").startswith("452 4.3.1 ")
    client.close()
    session = lab.balancer.wait_for("session")
    assert [session[key] for key in ("messages", "accepted", "deferred", "rejected")] == \
        ["1", "0", "1", "0"]
    assert session["last_reply"] == "452 4.3.1"


@pytest.fixture
def few_processes(lab):
    """relay1 serves no more than so many sessions. smtpd_timeout: not shortened under stress."""
    relay = lab.relays["relay1"]
    usual = relay.settings("default_process_limit", "smtpd_timeout")
    lab.restart([relay], default_process_limit=PROCESSES, smtpd_timeout="300s")
    yield
    lab.restart([relay], **usual)


@pytest.mark.usefixtures("few_processes")
def test_no_process_left(lab, load):
    """The relay's kernel accepts, and nobody greets, until one of those who are served leaves.
    Once as many wait as may be served, the kernel accepts no more either."""
    served = [Client(lab.destination.host, "10.0.1.11", header=HEADER) for _ in range(PROCESSES)]
    assert all(client.greeting.startswith("220 ") for client in served)
    lab.balancer.start()
    mail = load()
    lab.balancer.wait_for("health", backend="relay1", to="down", cause="greetings")
    lab.balancer.wait_for("attempt", backend="relay1", cause="greeting_timeout")
    mail.wait_for_more(50)
    assert not lab.balancer.events("session", backend="relay1")
    for client in served:
        client.close()
    lab.balancer.wait_for("health", backend="relay1", to="up")
    mail.wait_for_more(50)
    mail.stop()
    mail.assert_exactly_once()
    assert not [line for line in lab.relay_lines() if "haproxy read:" in line]
