"""Senders of every kind, each with its own way to speak SMTP: their mail arrives, and smtplb counts
what the relays took."""

import pytest

import counts
from client import Client

USUAL = {}
QUIT_BEHIND_DOT = {"smtp_connection_cache_on_demand": "no"}
ONE_BY_ONE = {"smtp_discard_ehlo_keywords": "pipelining"}

HEAD = ["Subject: lab", ""]


@pytest.mark.parametrize("settings", [USUAL, QUIT_BEHIND_DOT, ONE_BY_ONE],
                         ids=["usual", "quit-behind-dot", "one-by-one"])
def test_all_count_the_same(lab, load, sender_with, settings):
    if settings:
        sender_with(**settings)
    lab.balancer.start()
    mail = load()
    mail.wait_for_more(50)
    mail.stop()
    mail.assert_exactly_once()
    counts.assert_all_agree(lab, mail.arrived())
    assert {one["opaque"] for one in lab.balancer.events("session")} == {"-"}


@pytest.fixture
def client(lab):
    lab.balancer.start()
    return Client(lab.sender.host, "203.0.113.25")


def assert_arrived_and_counted(lab, client, recipients, rejected=0):
    client.close()
    session = lab.balancer.wait_for("session")
    for mailer in lab.mailers:
        mailer.wait_until_empty()
    mine = recipients[0].rsplit("-", 1)[0]
    arrived = [one for one, _ in lab.inbox.arrived() if one.startswith(mine)]
    assert sorted(arrived) == sorted(recipients)
    wanted = {"messages": len(recipients) + rejected, "accepted": len(recipients), "deferred": 0,
              "rejected": rejected}
    assert {key: int(session[key]) for key in wanted} == wanted
    assert (session["result"], session["opaque"]) == ("ok", "-")
    assert session["last_reply"] == "221 2.0.0"


def test_everything_pipelined(lab, client):
    """In groups as large as they may be, with commands that the relay refuses among them, and
    others right behind the final dot."""
    assert "PIPELINING" in client.ask("EHLO app.example")
    client.send("MAIL FROM:<app@sender.example>", "RCPT TO:<a b c>", "DATA")
    assert client.codes(3) == ["250", "501", "554"]
    client.send("RSET", "MAIL FROM:<app@sender.example>", "RCPT TO:<talk-pipe-1@mail.example>",
                "RCPT TO:<a b c>", "DATA")
    assert client.codes(5) == ["250", "250", "250", "501", "354"]
    client.send(*HEAD, "..", ".", "NOOP", "MAIL FROM:<app@sender.example>",
                "RCPT TO:<talk-pipe-2@mail.example>", "DATA")
    assert client.codes(5) == ["250", "250", "250", "250", "354"]
    client.send(*HEAD, ".", "MAIL FROM:<app@sender.example>", "RCPT TO:<talk-pipe-3@mail.example>",
                "DATA")
    assert client.codes(4) == ["250", "250", "250", "354"]
    client.send(*["Received: from here by there"] * 60, *HEAD, ".", "QUIT")  # too many hops
    assert client.codes(2) == ["554", "221"]
    assert_arrived_and_counted(
        lab, client, ["talk-pipe-1@mail.example", "talk-pipe-2@mail.example"], rejected=1)


def chunk(text, last=False):
    return [f"BDAT {len(text) + 2}{' LAST' if last else ''}", text]


def test_chunks(lab, client):
    """What stands in a chunk is no command, and no final dot; the reply to the last one counts."""
    assert "CHUNKING" in client.ask("EHLO app.example")
    client.send("MAIL FROM:<app@sender.example>", "RCPT TO:<talk-bdat-1@mail.example>",
                *chunk("Subject: lab\r\n\r\nQUIT\r\n.\r\nQUIT"), *chunk("RSET\r\n."),
                "BDAT 0 LAST")
    assert client.codes(5) == ["250"] * 5
    client.send("MAIL FROM:<app@sender.example>", "RCPT TO:<talk-bdat-2@mail.example>",
                *chunk("Subject: lab\r\n\r\n.", last=True),
                "MAIL FROM:<app@sender.example>", "RCPT TO:<talk-bdat-3@mail.example>",
                *chunk("Subject: lab\r\n"), "RSET", "QUIT")
    assert client.codes(8) == ["250"] * 7 + ["221"]
    assert_arrived_and_counted(
        lab, client, ["talk-bdat-1@mail.example", "talk-bdat-2@mail.example"])


@pytest.fixture
def encrypted(lab, sender_with):
    """The relays offer STARTTLS, and the sender insists on it."""
    for relay in lab.relays.values():
        relay.host.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                       "ec_paramgen_curve:prime256v1", "-nodes", "-subj", f"/CN={relay.host.name}",
                       "-keyout", "/etc/postfix/key.pem", "-out", "/etc/postfix/cert.pem")
    lab.restart_relays(smtpd_tls_security_level="may", smtpd_tls_loglevel="1",
                       smtpd_tls_cert_file="/etc/postfix/cert.pem",
                       smtpd_tls_key_file="/etc/postfix/key.pem")
    sender_with(smtp_tls_security_level="encrypt")
    yield
    lab.restart_relays(smtpd_tls_security_level="", smtpd_tls_loglevel="0", smtpd_tls_cert_file="",
                       smtpd_tls_key_file="")


@pytest.mark.usefixtures("encrypted")
def test_encrypted_from_end_to_end(lab, load):
    """Nobody can read along, or tell where a message ends: drain lets such sessions run."""
    lab.balancer.start()
    mail = load()
    mail.wait_for_more(30)
    lab.balancer.order("drain", "relay1")
    lab.balancer.wait_for_no_session("relay1")
    lab.balancer.order("ready", "relay1")
    mail.wait_for_more(30)
    mail.stop()
    mail.assert_exactly_once()
    lab.balancer.wait_for_no_session()
    sessions = lab.balancer.events("session")
    assert {(one["opaque"], one["messages"]) for one in sessions} == {("starttls", "0")}
    assert "balancer" not in {one["end"] for one in sessions}
    lab.wait_for_connects(len(sessions))
    encrypted = [line for line in lab.relay_lines()
                 if "TLS connection established from sender[203.0.113.10]" in line]
    assert len(encrypted) == len(sessions)
