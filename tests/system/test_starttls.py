"""STARTTLS: what a client is offered, what is answered here and never reaches the relay, and what
nobody may smuggle past it. Time stands still but where a test lets it pass."""

import contextlib
import itertools
import random
import re

import pytest
from balancer import stopped
from peers import connect, eventually
from scene import said
from test_pump import wait_until_taken
from test_tls import SUITE, hello
from tls import RECORD, Secured, pairs

READY = rb"220 2\.0\.0 lb\.test ready to start TLS \([0-9a-f]{16}\)"
ON = rb"503 5\.5\.1 lb\.test TLS is on already \([0-9a-f]{16}\)"
LATE = rb"503 5\.5\.1 lb\.test STARTTLS comes before AUTH and MAIL \([0-9a-f]{16}\)"
ARGUMENTS = rb"501 5\.5\.4 lb\.test STARTTLS has no arguments \([0-9a-f]{16}\)"
FIRST = rb"530 5\.7\.0 lb\.test must issue a STARTTLS command first \([0-9a-f]{16}\)"
EHLO_FIRST = rb"503 5\.5\.1 lb\.test must issue EHLO first \([0-9a-f]{16}\)"

OFFER = [b"250-relay", b"250-SIZE 100", b"250 8BITMIME"]
OFFERED = [b"250-relay", b"250-SIZE 100", b"250-8BITMIME", b"250 STARTTLS"]
HANDSHAKE_S = 10  # HANDSHAKE_MS of lb/handshake.h
SEED = 20261129

MODES = ["starttls", "starttls_required"]


def joined(lines):
    return b"".join(line + b"\r\n" for line in lines)


@pytest.fixture
def session(scene, certificate):
    """Makes a session: session(mode, ...) gives its Talk; session.scene is the scene."""

    def make(mode="starttls", listener="", **options):
        make.scene = scene(listener=f"tls = {mode} {pairs(certificate)} {listener}", **options)
        return make.scene.talk() if mode != "implicit" else None

    return make


def greet(talk, reply=OFFER, heard=OFFERED, word=b"EHLO me"):
    """The client says EHLO, and hears this of the relay's reply."""
    talk.say(word)
    talk.relay.send(joined(reply))
    assert [talk.client.line() for _ in heard] == list(heard)


def become_secure(talk, certificate):
    """STARTTLS has been said."""
    assert re.fullmatch(READY, talk.client.line())
    talk.client.sock = Secured(talk.client.sock, certificate.context(), certificate.name)


def begin_tls(talk, certificate, *behind):
    talk.client.send(joined((b"STARTTLS", *behind)))
    become_secure(talk, certificate)


def answered(talk, line, reply):
    """It is answered here."""
    talk.client.send(line + b"\r\n")
    assert re.fullmatch(reply, talk.client.line())


def relay_heard_nothing(talk):
    """Of what the client said before this."""
    talk.ask(b"NOOP")


@pytest.mark.parametrize("mode", MODES)
def test_a_session(session, certificate, mode):
    talk = session(mode)
    greet(talk)
    begin_tls(talk, certificate)
    greet(talk, heard=OFFER)
    talk.message()
    talk.ask(b"QUIT", b"221 bye")
    talk.relay.finish()
    assert talk.client.rest() == b""
    talk.client.close()
    event = session.scene.balancer.wait("session", result="ok", messages=1, opaque="-")
    assert re.fullmatch(SUITE, event["tls"])


@pytest.mark.parametrize("reply, heard", [
    ([b"250 relay"], [b"250-relay", b"250 STARTTLS"]),
    ([b"250-relay", b"250 STARTTLS"], [b"250-relay", b"250 STARTTLS"]),
    ([b"250-relay", b"250-starttls", b"250 SIZE"], [b"250-relay", b"250-SIZE", b"250 STARTTLS"]),
    ([b"250-STARTTLS", b"250 SIZE"], [b"250-STARTTLS", b"250-SIZE", b"250 STARTTLS"]),
    ([b"502 5.5.1 what?"], [b"502 5.5.1 what?"]),
    ([b"421-4.3.2 not", b"421 4.3.2 now"], [b"421-4.3.2 not", b"421 4.3.2 now"]),
])
def test_what_is_offered(session, reply, heard):
    """Whatever the relay offers, and in whatever pieces."""
    talk = session()
    greet(talk, reply, heard)
    if reply[0].startswith(b"421"):
        return
    talk.say(b"EHLO me", b"NOOP")
    for byte in joined(reply) + b"250 still":
        talk.relay.send(bytes([byte]))
    assert [talk.client.line() for _ in heard] == heard
    talk.relay.send(b" here\r\n")
    assert talk.client.line() == b"250 still here"
    greet(talk, [b"250 relay"], [b"250 relay"], b"HELO me")


def test_what_stands_around_the_offer(session):
    """Replies in one piece with it stay as they are."""
    talk = session()
    talk.say(b"NOOP", b"EHLO me", b"NOOP", b"EHLO you", b"NOOP")
    talk.relay.send(joined([b"250 1", *OFFER, b"250-2", b"250 3", *OFFER, b"250 4"]))
    wanted = [b"250 1", *OFFERED, b"250-2", b"250 3", *OFFERED, b"250 4"]
    assert [talk.client.line() for _ in wanted] == wanted


@pytest.mark.parametrize("said", [b"250-relay\r\nwhat?\r\n", b"250-relay\r\n220 x\r\nmore"])
def test_what_is_no_offer(session, said):
    """Goes on as it is, and so does what comes behind it."""
    talk = session()
    talk.say(b"EHLO me")
    for byte in said:
        talk.relay.send(bytes([byte]))
    assert talk.client.exactly(len(said)) == said
    talk.reply(b"250 and so on")


@pytest.mark.parametrize("how", ["finish", "reset"])
def test_half_an_offer(session, how):
    """The relay has ended in the midst of it: its last words are heard."""
    talk = session()
    talk.say(b"EHLO me")
    with stopped(session.scene.balancer):
        talk.relay.send(b"250-relay\r\n250-ST")
        wait_until_taken(talk.relay)
        getattr(talk.relay, how)()
    assert talk.client.rest() == b"250-relay\r\n250-ST"


def test_an_offer_without_end(session):
    talk = session()
    talk.say(b"EHLO me")
    with contextlib.suppress(ConnectionError):
        for _ in range(RECORD):
            talk.relay.send(b"250-AGAIN AND AGAIN\r\n")
    assert talk.client.rest() == b""
    session.scene.balancer.wait("session", result="error", end="balancer")


def test_tls_first(session, certificate):
    """What is refused before TLS never reaches the relay; what is not does."""
    talk = session("starttls_required")
    for word in (b"MAIL FROM:<a@b>", b"mail from:<a@b>", b"AUTH PLAIN AGEAYg==", b" MAIL FROM:<a@b>"):
        answered(talk, word, FIRST)
    relay_heard_nothing(talk)
    greet(talk)
    talk.client.send(joined([b"MAIL FROM:<a@b>", b"RCPT TO:<c@d>", b"DATA"]))
    assert re.fullmatch(FIRST, talk.client.line())
    for word in (b"RCPT TO:<c@d>", b"DATA"):
        assert talk.relay.line() == word
        talk.reply(b"503 5.5.1 first MAIL")
    begin_tls(talk, certificate)
    greet(talk, heard=OFFER)
    talk.message()


def test_without_tls_where_it_need_not_be(session):
    talk = session()
    greet(talk)
    talk.message()
    talk.message()
    talk.close()
    session.scene.balancer.wait("session", messages=2, tls="-")


def test_a_new_ehlo_is_needed(session, certificate):
    """What was said before TLS is forgotten: RFC 3207 section 4.2."""
    talk = session()
    greet(talk)
    begin_tls(talk, certificate)
    for word in (b"MAIL FROM:<a@b>", b"AUTH PLAIN AGEAYg=="):
        answered(talk, word, EHLO_FIRST)
    relay_heard_nothing(talk)
    greet(talk, [b"502 no"], [b"502 no"])
    answered(talk, b"MAIL FROM:<a@b>", EHLO_FIRST)
    greet(talk, [b"250 relay"], [b"250 relay"], b"HELO me")
    talk.message()


def test_once_is_enough(session, certificate):
    talk = session()
    begin_tls(talk, certificate)
    answered(talk, b"STARTTLS", ON)
    greet(talk, [*OFFER[:2], b"250 STARTTLS"], [b"250-relay", b"250 SIZE 100"])
    answered(talk, b"STARTTLS", ON)
    talk.message()


def test_not_then(session):
    talk = session()
    answered(talk, b"STARTTLS now", ARGUMENTS)
    answered(talk, b"starttls\t x", ARGUMENTS)
    talk.ask(b"MAIL FROM:<a@b>")
    answered(talk, b"STARTTLS", LATE)
    talk.ask(b"RSET")
    talk.ask(b"AUTH PLAIN AGEAYg==", b"235 2.7.0 you are in")
    answered(talk, b"STARTTLS", LATE)


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("line", [b"STARTTLS", b"  starttls  ", b"StartTLS\r", b"STARTTLS\t"])
def test_however_it_is_spelt(session, certificate, mode, line):
    talk = session(mode)
    talk.client.send(line + b"\n")
    become_secure(talk, certificate)
    greet(talk, heard=OFFER)


@pytest.mark.parametrize("mode", MODES)
def test_byte_by_byte(session, certificate, mode):
    """Wherever the pieces end; and words that are no commands of ours."""
    talk = session(mode)
    words = [b"NOOP", b"STARTLED", b"STARTTLSX", b"S", b"", b"MA", b"MAILS", b"M AIL", b"RSET"]
    for byte in joined(words):
        talk.client.send(bytes([byte]))
    for word in words:
        assert talk.relay.line() == word
        talk.reply(b"250 yes")
    for byte in b"StartTLS\r\n":
        talk.client.send(bytes([byte]))
    become_secure(talk, certificate)
    for byte in b"MAIL FROM:<a@b>\r\nEHLO me\r\n":
        talk.client.send(bytes([byte]))
    assert re.fullmatch(EHLO_FIRST, talk.client.line())
    assert talk.relay.line() == b"EHLO me"


def test_it_awaits_its_turn(session, certificate):
    """Replies come in the order of their commands."""
    talk = session()
    talk.client.send(joined([b"NOOP", b"VRFY a", b"STARTTLS"]))
    for word in (b"NOOP", b"VRFY a"):
        assert talk.relay.line() == word
    talk.relay.send(b"250 1\r\n250-2\r\n")
    assert talk.client.line() == b"250 1" and talk.client.line() == b"250-2"
    talk.reply(b"250 3")
    become_secure(talk, certificate)
    greet(talk, heard=OFFER)


@pytest.mark.parametrize("mode", MODES)
def test_nothing_is_smuggled_in(session, certificate, mode):
    """Commands behind STARTTLS were not said under TLS: CVE-2011-0411."""
    talk = session(mode)
    greet(talk)
    begin_tls(talk, certificate, b"RSET", b"EHLO evil", b"MAIL FROM:<evil@example.com>")
    answered(talk, b"MAIL FROM:<a@b>", EHLO_FIRST)
    greet(talk, heard=OFFER)
    talk.message()


def test_nothing_is_smuggled_in_later(session):
    """Nor behind our 220: it is no TLS."""
    talk = session()
    talk.client.send(b"STARTTLS\r\n")
    assert re.fullmatch(READY, talk.client.line())
    talk.client.send(b"MAIL FROM:<evil@example.com>\r\n")
    assert talk.relay.rest() == b""
    session.scene.balancer.wait("tls", detail="wrong version number")
    session.scene.balancer.wait("session", result="error", end="client", tls="-")


def test_the_relay_waits_meanwhile(session, certificate):
    """What it says during the handshake, the client hears inside."""
    talk = session()
    talk.client.send(b"STARTTLS\r\n")
    assert re.fullmatch(READY, talk.client.line())
    talk.relay.send(b"421 4.3.2 going down\r\n")
    talk.client.sock = Secured(talk.client.sock, certificate.context(), certificate.name)
    assert talk.client.line() == b"421 4.3.2 going down"


@pytest.mark.parametrize("mode", MODES)
def test_who_can_not_be_followed(session, mode):
    """Where TLS is required, nobody may go where nothing can be told."""
    talk = session(mode)
    talk.relay.send(b"250 nobody asked\r\n")
    assert talk.client.line() == b"250 nobody asked"
    talk.client.send(b"MAIL FROM:<a@b>\r\n")
    if mode == "starttls":
        assert talk.relay.line() == b"MAIL FROM:<a@b>"
    else:
        assert talk.client.rest() == b"" and talk.relay.rest() == b""
        session.scene.balancer.wait("session", result="error", end="balancer", opaque="surplus")


def test_what_is_kept_is_let_go(session):
    """When nothing can be told any more, to the last byte."""
    talk = session()
    talk.say(b"NOOP")
    talk.client.send(b"STARTTLS\r\nwhatever")
    talk.relay.send(b"hello?\r\n")
    assert talk.client.line() == b"hello?"
    assert talk.relay.line() == b"STARTTLS"
    talk.client.finish()
    assert talk.relay.rest() == b"whatever"


def test_a_line_without_end(session):
    talk = session("starttls_required")
    talk.client.send(b"MAIL FROM:")
    with contextlib.suppress(ConnectionError):
        for _ in range(200):
            talk.client.send(b"x" * 1000)
    assert talk.relay.rest() == b""
    session.scene.balancer.wait("session", result="error", end="balancer")


@pytest.mark.parametrize("size", [500, 15000])
def test_a_long_line(session, size):
    talk = session("starttls_required")
    talk.client.send(b"MAIL FROM:<" + b"x" * size)
    talk.client.send(b">\r\nNOOP\r\n")
    assert re.fullmatch(FIRST, talk.client.line())
    assert talk.relay.line() == b"NOOP"


@pytest.mark.parametrize("last", [b"STAR", b"STARTTLS", b"NO", b"MAIL FROM:<a@b>"])
def test_the_clients_end(session, last):
    """A word that was held back goes with it, a command of ours does not."""
    talk = session("starttls_required")
    talk.client.send(last)
    talk.client.finish()
    is_word = last in (b"STAR", b"STARTTLS", b"NO")
    assert talk.relay.rest() == (last if is_word else b"")
    talk.relay.send(b"421 then\r\n")
    talk.relay.finish()
    assert talk.client.rest() == b"421 then\r\n"
    session.scene.balancer.wait("session", result="ok", end="client")


@pytest.mark.parametrize("first", ["command", "end"])
def test_the_relays_end(session, first):
    """Nobody is left to go on with."""
    talk = session()
    if first == "end":
        talk.relay.send(b"421 gone\r\n")
        talk.relay.finish()
        assert talk.client.rest() == b"421 gone\r\n"
        talk.client.send(b"STARTTLS\r\n")
    else:
        talk.say(b"NOOP")
        talk.client.send(b"STARTTLS\r\n")
        talk.relay.send(b"250")
        talk.relay.finish()
        assert talk.client.rest() == b"250"
        talk.client.close()
    session.scene.balancer.wait("session", end="backend")


def test_the_handshake_has_its_time(session):
    talk = session()
    talk.client.send(b"STARTTLS\r\n")
    assert re.fullmatch(READY, talk.client.line())
    (one,) = session.scene.settle()
    assert one["phase"] == "handshake"
    session.scene.pass_time(HANDSHAKE_S + 1)
    assert talk.client.rest() == b"" and talk.relay.rest() == b""
    session.scene.balancer.wait("tls", detail="no complete handshake in time")
    session.scene.balancer.wait("session", result="error", end="balancer", tls="-")


@pytest.mark.parametrize("how", ["drain", "term"])
def test_a_drain_within_the_handshake(session, certificate, how):
    """Nobody is spoken to in the midst of it; then at once."""
    talk = session()
    greet(talk)
    talk.client.send(b"STARTTLS\r\n")
    assert re.fullmatch(READY, talk.client.line())
    session.scene.leave(how)
    talk.client.sock = Secured(talk.client.sock, certificate.context(), certificate.name)
    session.scene.pass_time(3)
    said(session.scene, talk)


def test_left_within_the_handshake(session, certificate):
    talk = session()
    talk.client.send(b"STARTTLS\r\n")
    assert re.fullmatch(READY, talk.client.line())
    talk.client.send(hello(certificate)[:50])
    talk.client.finish()
    assert talk.relay.rest() == b""
    session.scene.balancer.wait("tls", detail="closed within the handshake")


def test_it_is_idle(session, certificate):
    """A word that was begun is nothing."""
    talk = session(listener="idle_timeout = 60s")
    begin_tls(talk, certificate)
    talk.client.send(b"STA")
    session.scene.pass_time(61)
    assert re.fullmatch(rb"421 4\.4\.2 lb\.test idle timeout \([0-9a-f]{16}\)\r\n",
                        talk.client.rest())


def test_a_refusal_before(start, scene, certificate):
    """On port 25 a reply is as good as ever."""
    one = scene(listener=f"tls = starttls_required {pairs(certificate)}", deny="127.0.0.7")
    with connect(one.setup.address, "127.0.0.7") as client:
        assert re.match(rb"421 4\.7\.1 lb\.test access denied", client.line())


def test_over_the_limit(session, certificate):
    talk = session(listener='limits { messages_per_client = "1/1h" }')
    begin_tls(talk, certificate)
    greet(talk, heard=OFFER)
    talk.message()
    for byte in b"MAIL FROM:<a@b>\r\n":
        talk.client.send(bytes([byte]))
    assert re.match(rb"421 4\.7\.0 lb\.test too many messages", talk.client.line())
    assert talk.relay.rest() == b"QUIT\r\n"


def test_implicit_tls(session, certificate):
    """Is on already: a relay's own STARTTLS is none of the client's business."""
    session("implicit")
    setup = session.scene.setup
    with connect(setup.address) as client:
        client.sock = Secured(client.sock, certificate.context(), certificate.name)
        with setup.relays[0].next() as conn:
            conn.exactly(28)
            conn.send(b"220 relay\r\n")
            assert client.line() == b"220 relay"
            client.send(b"EHLO me\r\n")
            assert conn.line() == b"EHLO me"
            conn.send(joined([b"250-relay", b"250-STARTTLS", b"250 SIZE"]))
            assert [client.line(), client.line()] == [b"250-relay", b"250 SIZE"]
            client.send(b"STARTTLS\r\n")
            assert re.fullmatch(ON, client.line())
            client.send(b"MAIL FROM:<a@b>\r\n")
            assert conn.line() == b"MAIL FROM:<a@b>"


def dialogue(choose):
    """Commands of any kind, with what a relay answers and what a client hears of it."""
    kinds = [
        ([b"NOOP"], [b"250 ok"], None), ([b"RSET"], [b"250-so", b"250 ok"], None),
        ([b"EHLO me"], OFFER, OFFERED), ([b"HELO me"], [b"250 relay"], None),
        ([b"VRFY x"], [b"502 no"], None), ([b"STARTLED"], [b"500 what"], None),
    ]
    return [choose.choice(kinds) for _ in range(20)]


@pytest.mark.parametrize("seed", range(8))
def test_whatever_the_pieces(session, certificate, seed):
    """Dialogues that are pipelined and cut anywhere, both ways, before TLS and after."""
    choose = random.Random(SEED + seed)
    talk = session()
    for secured in (False, True):
        if secured:
            begin_tls(talk, certificate)
        kinds = dialogue(choose)
        commands = joined(itertools.chain.from_iterable(kind[0] for kind in kinds))
        replies = joined(itertools.chain.from_iterable(kind[1] for kind in kinds))
        heard = joined(itertools.chain.from_iterable(
            kind[1] if secured or not kind[2] else kind[2] for kind in kinds))
        for sender, receiver, data, wanted in (
                (talk.client, talk.relay, commands, commands),
                (talk.relay, talk.client, replies, heard)):
            while data:
                size = choose.choice((1, 2, 3, 7, 20, 200))
                sender.send(data[:size])
                data = data[size:]
                if choose.random() < 0.5:
                    session.scene.settle()
            assert receiver.exactly(len(wanted)) == wanted
    eventually(lambda: session.scene.places() == ["between"])
