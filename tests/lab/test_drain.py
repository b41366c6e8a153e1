"""A relay is taken out by command, worked on, and taken back, while mail flows."""

import signal

import pytest

from client import Client
from topology import wait_until


@pytest.mark.parametrize("state", ["drain", "maint"])
def test_relay_is_taken_out_and_back(lab, load, state):
    """What is open with it ends between two messages, though the sender would use its connections
    for minutes; meanwhile it gets nothing, in maintenance no probes either, and can be stopped. The
    sender sees none of it."""
    lab.balancer.start()
    mail = load()
    mail.wait_for_more(20)
    lab.balancer.order(state, "relay1")
    lab.balancer.wait_for_no_session("relay1")
    lab.relays["relay1"].stop()
    before = len(lab.relays["relay1"].connects())
    lab.nginx["relay1"].stop()
    mail.wait_for_more(40)
    lab.nginx["relay1"].start()
    lab.relays["relay1"].start()
    assert len(lab.relays["relay1"].connects()) == before
    downs = lab.balancer.events("health", backend="relay1", to="down")
    assert state == "drain" or not downs
    lab.balancer.order("ready", "relay1")
    lab.balancer.wait_until_all_up()
    wait_until(lambda: len(lab.relays["relay1"].connects()) > before, "relay1: sessions again")
    mail.wait_for_more(20)
    mail.stop()
    mail.assert_exactly_once()
    assert [one["state"] for one in lab.balancer.events("admin")] == [state, "ready"]
    assert not lab.balancer.events("cut")
    assert not lab.balancer.events("attempt")


@pytest.fixture
def keeping(sender_with):
    """The sender keeps every connection for five minutes, in case that there is more mail."""
    sender_with(smtp_connection_cache_destinations="static:all", connection_cache_ttl_limit="300s",
                smtp_connection_cache_time_limit="300s")


def send(lab, recipient):
    """One message; returns the relay that took it."""
    lab.sender.host.run("smtp-source", "-f", "app@sender.example", "-t", recipient, "127.0.0.1:25")
    taken = wait_until(lambda: [relay for one, relay in lab.inbox.arrived() if one == recipient],
                       f"{recipient}: arrived")
    return taken[0][0]


@pytest.mark.usefixtures("keeping")
def test_kept_connection_ends_at_once(lab):
    lab.balancer.start()
    first = send(lab, "kept-1@mail.example")
    assert send(lab, "kept-2@mail.example") == first
    assert lab.balancer.sessions() == 1
    lab.balancer.order("drain", first)
    lab.balancer.wait_for_no_session()
    ended = lab.balancer.wait_for("session")
    assert (ended["result"], ended["end"], ended["backend"]) == ("drained", "balancer", first)
    assert (ended["messages"], ended["accepted"]) == ("2", "2")
    # It finds the connection closed when it wants to use it, and just makes another.
    assert send(lab, "kept-3@mail.example") != first
    wait_until(lambda: len(lab.sender.deliveries()) >= 3, "sender: all in its log")
    assert [status for _, status, _ in lab.sender.deliveries()] == ["sent"] * 3


@pytest.fixture
def cleanup(lab):
    """relay1's processes that answer a final dot. Returns how to signal them."""
    def send_signal(number):
        lab.relays["relay1"].host.signal(number, "cleanup")
    yield send_signal
    send_signal(signal.SIGCONT)


def test_final_dot_outlasts_the_drain(lab, cleanup):
    """One client has sent its final dot, and the relay takes its time to answer; another has not.
    Past drain_timeout the second one is cut, and the first one still gets its answer."""
    lab.balancer.start(relays=("relay1",), daemon="drain_timeout = 100ms")
    clients = [Client(lab.sender.host, "203.0.113.25") for _ in range(2)]
    for number, client in enumerate(clients):
        client.ask("EHLO app.example")
        client.send("MAIL FROM:<app@sender.example>", f"RCPT TO:<dot-{number}@mail.example>",
                    "DATA")
        assert client.codes(3) == ["250", "250", "354"]
    waits, talks = clients
    cleanup(signal.SIGSTOP)
    waits.send("Subject: lab", "", ".")
    talks.send("Subject: lab", "")
    wait_until(lambda: lab.balancer.bytes_in() == waits.sent + talks.sent, "balancer: all read")
    lab.balancer.order("drain", "relay1")
    lab.balancer.wait_for("cut", place="transaction")
    assert talks.read() == ""
    wait_until(lambda: lab.balancer.sessions() == 1, "balancer: one session left")
    cleanup(signal.SIGCONT)
    assert waits.read().startswith("250 2.0.0 Ok: queued as ")
    assert waits.read().startswith("421 4.3.2 ")
    waits.close()
    session = lab.balancer.wait_for("session", messages="1")
    assert (session["result"], session["accepted"]) == ("drained", "1")
    for mailer in lab.mailers:
        mailer.wait_until_empty()
    arrived = [one for one, _ in lab.inbox.arrived() if one.startswith("dot-")]
    assert arrived == ["dot-0@mail.example"]
    assert len(lab.balancer.events("cut")) == 1
