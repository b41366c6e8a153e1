"""The limit of a client's messages: refused in place of a MAIL, never within a transaction."""

import pytest
from admin import Admin
from balancer import Setup
from metrics import scrape
from peers import eventually, smtp

GOOD = "127.0.0.10"
OTHER = "127.0.0.11"
MAIL = b"MAIL FROM:<a@example.com>\r\n"
REST = b"RCPT TO:<b@example.com>\r\nDATA\r\n"
BODY = b"Subject: x\r\n.\r\n"


def limited(relays, rate="2/1d", **options):
    return Setup(relays, listener=f"limits {{ messages_per_client = {rate} }}", **options)


def enter(setup, source=GOOD):
    client = setup.connect(source)
    assert client.line().startswith(b"220 ")
    return client


def send_message(client):
    client.send(MAIL + REST)
    assert [client.line()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
    client.send(BODY)
    assert client.line().startswith(b"250 taken")


def expect_refusal(client, balancer, number=1):
    event = balancer.wait("limited", number)
    text = f"421 4.7.0 lb.test too many messages from {GOOD} ({event['id']})\r\n"
    assert client.rest().decode() == text
    assert (event["limit"], event["rate"]) == ("messages_per_client", "2/1d")
    assert event["client"].startswith(GOOD + ":")
    session = balancer.wait("session", number, result="limited")
    assert (session["id"], session["end"]) == (event["id"], "balancer")
    client.close()


def scripted(relay, setup_of=limited):
    """A session whose relay the test plays: balancer's set-up, relay."""
    one = relay()
    return setup_of([one]), one


def accept(one):
    conn = one.next()
    conn.exactly(28)
    conn.send(b"220 go on\r\n")
    return conn


@pytest.mark.parametrize("workers", [1, 2])
def test_messages_of_a_client(start, relay, tmp_path, workers):
    """Over all its sessions; who has sent too many may come again, and sends none."""
    admin = Admin(tmp_path)
    setup = limited([relay(smtp())], workers=workers, admin=admin.text())
    balancer = start(setup)
    for _ in range(2):
        with enter(setup) as client:
            send_message(client)
            assert client.quit() == b"221 bye"
    for number in (1, 2):
        client = enter(setup)
        client.send(b"EHLO me\r\n")
        assert client.line() == b"250 relay"
        client.send(MAIL)
        expect_refusal(client, balancer, number)
    with enter(setup, OTHER) as client:
        send_message(client)
        send_message(client)
        client.quit()
    assert scrape(admin)("smtplb_denied_total", listener="smtp", reason="messages") == 2
    assert balancer.wait("session", 3, result="ok")


def test_relay_hears_quit_and_no_mail(start, relay):
    setup, one = scripted(relay, lambda relays: limited(relays, "1/1d"))
    balancer = start(setup)
    with setup.connect(GOOD) as client, accept(one) as conn:
        assert client.line() == b"220 go on"
        for line in (MAIL, b"RSET\r\n"):
            client.send(line)
            assert conn.line() + b"\r\n" == line
            conn.send(b"250 ok\r\n")
            assert client.line() == b"250 ok"
        client.send(MAIL)
        assert client.rest().startswith(b"421 4.7.0 ")
        assert conn.rest() == b"QUIT\r\n"
    balancer.wait("session", result="limited")


@pytest.mark.parametrize("between", [b"", b"RSET\r\n"], ids=["mail", "rset"])
def test_mail_behind_the_dot(start, relay, between):
    """First the relay's answers to what came before."""
    setup, one = scripted(relay, lambda relays: limited(relays, "1/1d"))
    balancer = start(setup)
    with setup.connect(GOOD) as client, accept(one) as conn:
        assert client.line() == b"220 go on"
        client.send(MAIL + REST)
        for _ in range(3):
            conn.line()
        conn.send(b"250 ok\r\n250 ok\r\n354 go on\r\n")
        assert [client.line()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
        client.send(BODY + between + MAIL + REST)
        assert conn.exactly(len(BODY + between)) == BODY + between
        conn.send(b"250 taken\r\n")
        if between:
            conn.send(b"250 reset\r\n")
        assert client.line() == b"250 taken"
        if between:
            assert client.line() == b"250 reset"
        assert client.rest().startswith(b"421 4.7.0 lb.test too many messages from ")
        assert conn.rest() == b"QUIT\r\n"
    session = balancer.wait("session", result="limited")
    assert (session["messages"], session["accepted"]) == ("1", "1")


def test_mail_in_pieces(start, relay):
    setup = limited([relay(smtp())])
    balancer = start(setup)
    client = enter(setup)
    for _ in range(2):
        send_message(client)
    client.send(b"MA")
    with enter(setup, OTHER) as other:  # by now "MA" has passed
        send_message(other)
    client.send(b"il from:<a@example.com>\r\n")
    expect_refusal(client, balancer)


def test_not_within_a_transaction(start, relay):
    """A MAIL that does not belong there is the relay's to refuse."""
    setup = limited([relay(smtp())])
    balancer = start(setup)
    with enter(setup) as client:
        send_message(client)
        client.send(MAIL)
        assert client.line() == b"250 relay"
        for _ in range(3):
            client.send(MAIL)
            assert client.line() == b"250 relay"
        client.send(REST)
        assert [client.line()[:3] for _ in range(2)] == [b"250", b"354"]
        client.send(BODY)
        assert client.line().startswith(b"250 taken")
        client.send(MAIL)
        expect_refusal(client, balancer)


def test_reload_changes_it_for_who_is_there(start, relay):
    setup = limited([relay(smtp())])
    balancer = start(setup)
    with enter(setup) as client:
        for _ in range(2):
            send_message(client)
        setup.listener = "limits { messages_per_client = 4/1d }"
        balancer.reload(setup.text())
        for _ in range(2):
            send_message(client)
        client.send(MAIL)
        assert client.rest().startswith(b"421 4.7.0 ")


def test_tokens_come_back(start, relay):
    """Evenly: one in 100 ms."""
    setup = limited([relay(smtp())], "10/1s")
    start(setup)

    def may_send():
        with enter(setup) as client:
            client.send(MAIL)
            return client.line().startswith(b"250 ")

    assert any(not may_send() for _ in range(1000))
    assert eventually(may_send)
