"""Draining, maintenance and the stop: where a session is left, and what its client and its relay
hear of it."""

import pytest
from peers import eventually
from scene import NEARLY_S, PAUSE_S, said

WAYS = ["drain", "maint", "term"]

each_way = pytest.mark.parametrize("how", WAYS)


def finish(scene, how):
    """Nothing more is left; a daemon that was told to stop does."""
    if how == "term":
        assert scene.balancer.exit_code() == 0
    else:
        eventually(lambda: not scene.settle())
    assert not scene.balancer.find("cut")


@each_way
def test_at_rest_behind_a_message(scene, how):
    """At once: no client is hurt by an end there."""
    stage = scene()
    talks = [stage.talk() for _ in range(4)]
    for talk in talks:
        talk.message()
    stage.leave(how)
    for talk in talks:
        said(stage, talk)
    finish(stage, how)


@each_way
def test_in_a_transaction(scene, how):
    """Behind the reply to its dot, and no sooner, whatever stands before it."""
    stage = scene()
    talk = stage.talk()
    talk.begin()
    stage.leave(how)
    stage.pass_time(10 * PAUSE_S)
    talk.ask(b"RCPT TO:<c@example.org>")
    talk.ask(b"NOOP")
    stage.pass_time(10 * PAUSE_S)
    talk.ask(b"DATA", b"354 go on")
    stage.pass_time(10 * PAUSE_S)
    talk.say(b"text", b".")
    assert stage.places_after(10 * PAUSE_S) == ["after_dot"]
    talk.reply(b"250 2.0.0 taken")
    said(stage, talk)
    stage.balancer.wait("session", messages=1, accepted=1, last_reply="250 2.0.0")
    finish(stage, how)


@each_way
@pytest.mark.parametrize("before", ["greeting", "EHLO", "RSET"])
def test_a_pause_is_awaited(scene, how, before):
    """Where the next MAIL may be on its way."""
    stage = scene()
    talk = stage.talk()
    if before == "EHLO":
        talk.ask(b"EHLO there")
    elif before == "RSET":
        talk.message()
        talk.ask(b"RSET")
    stage.leave(how)
    assert stage.places_after(NEARLY_S) == ["between"]
    stage.pass_time(PAUSE_S)
    said(stage, talk)
    finish(stage, how)


@each_way
def test_a_pause_that_has_passed_is_not_awaited_again(scene, how):
    stage = scene()
    talk = stage.talk()
    talk.ask(b"EHLO there")
    stage.pass_time(PAUSE_S)
    stage.leave(how)
    said(stage, talk)
    finish(stage, how)


@each_way
def test_a_client_that_goes_on_is_served(scene, how):
    """Each time within the pause: it is left behind its message."""
    stage = scene()
    talk = stage.talk()
    stage.leave(how)
    for line in (b"EHLO there", b"NOOP", b"RSET", b"VRFY b"):
        stage.pass_time(NEARLY_S)
        talk.ask(line)
    stage.pass_time(NEARLY_S)
    talk.message()
    said(stage, talk)
    finish(stage, how)


@each_way
def test_rset_behind_the_dot(scene, how):
    """Its reply comes through, and so does the message that follows at once."""
    stage = scene()
    talk = stage.talk()
    talk.send(b"RSET")
    stage.leave(how)
    talk.reply(b"250 2.0.0 taken")
    assert stage.places_after(10 * PAUSE_S) == ["busy"]
    talk.reply(b"250 2.0.0 reset")
    stage.pass_time(NEARLY_S)
    talk.message()
    said(stage, talk)
    stage.balancer.wait("session", messages=2)
    finish(stage, how)


@each_way
def test_rset_behind_the_dot_answered_with_it(scene, how):
    stage = scene()
    talk = stage.talk()
    talk.send(b"RSET")
    stage.leave(how)
    talk.reply(b"250 2.0.0 taken", b"250 2.0.0 reset")
    assert stage.places_after(NEARLY_S) == ["between"]
    stage.pass_time(PAUSE_S)
    said(stage, talk)
    finish(stage, how)


@each_way
def test_quit_behind_the_dot(scene, how):
    """It has its own reply, and no second one of ours."""
    stage = scene()
    talk = stage.talk()
    talk.send(b"QUIT")
    stage.leave(how)
    talk.reply(b"250 2.0.0 taken")
    talk.reply(b"221 2.0.0 bye")
    assert stage.places_after(10 * PAUSE_S) == ["busy"]
    talk.relay.close()
    assert talk.client.rest() == b""
    talk.client.close()
    stage.balancer.wait("session", result="ok", messages=1, last_reply="221 2.0.0")
    finish(stage, how)


@each_way
def test_mail_behind_the_dot(scene, how):
    """That is the next transaction already."""
    stage = scene()
    talk = stage.talk()
    talk.send(b"MAIL FROM:<c@example.com>")
    stage.leave(how)
    talk.reply(b"250 2.0.0 taken")
    assert stage.places_after(10 * PAUSE_S) == ["transaction"]
    talk.reply(b"250 2.1.0 ok")
    talk.ask(b"RCPT TO:<d@example.org>")
    talk.ask(b"DATA", b"354 go on")
    talk.say(b".")
    talk.reply(b"451 4.3.0 not now")
    said(stage, talk)
    stage.balancer.wait("session", messages=2, accepted=1, deferred=1)
    finish(stage, how)


@each_way
@pytest.mark.parametrize("begun", ["command", "reply"])
def test_half_a_line_is_not_interrupted(scene, how, begun):
    stage = scene()
    talk = stage.talk()
    talk.message()
    if begun == "command":
        talk.client.send(b"NO")
        assert talk.relay.exactly(2) == b"NO"
    else:
        talk.say(b"NOOP")
        talk.relay.send(b"250-2.0.0 o\r\n25")
        assert talk.client.exactly(15) == b"250-2.0.0 o\r\n25"
    stage.leave(how)
    assert stage.places_after(10 * PAUSE_S) == ["busy"]
    if begun == "command":
        talk.client.send(b"OP\r\n")
        assert talk.relay.line() == b"OP"
        talk.reply(b"250 2.0.0 ok")
    else:
        talk.relay.send(b"0 2.0.0 k\r\n")
        assert talk.client.line() == b"0 2.0.0 k"
    stage.pass_time(PAUSE_S)
    said(stage, talk)
    finish(stage, how)


@pytest.mark.parametrize("how", ["drain", "maint"])
def test_ready_in_the_pause(scene, how):
    """The session goes on as if nothing had been."""
    stage = scene(top="drain_timeout = 10s")
    talk = stage.talk()
    talk.ask(b"EHLO there")
    stage.order(how)
    stage.pass_time(NEARLY_S)
    stage.order("ready")
    assert stage.places_after(30) == ["between"]
    talk.message()
    talk.message()
    talk.ask(b"QUIT", b"221 2.0.0 bye")
    talk.relay.close()
    assert talk.client.rest() == b""
    talk.client.close()
    stage.balancer.wait("session", result="ok", messages=2)


def test_reply_reaches_a_client_that_goes_on_talking(scene):
    """What it says is read, so that it gets the reply and a FIN, and no reset."""
    stage = scene()
    talk = stage.talk()
    talk.message()
    (session,) = stage.order("drain")
    assert (session["phase"], session["place"]) == ("flush", None)
    for _ in range(100):
        talk.client.send(b"MAIL FROM:<a@example.com>\r\n" * 1000)
    said(stage, talk)


@each_way
@pytest.mark.parametrize("place", ["busy", "transaction", "opaque"])
def test_what_does_not_end_is_cut(scene, how, place):
    """Past drain_timeout, with a line that says what was cut; and opaque sessions run on until
    then."""
    stage = scene(top="drain_timeout = 1h", listener="idle_timeout = 10h")
    talk = stage.talk()
    talk.ask(b"EHLO there")
    if place == "busy":
        talk.say(b"NOOP")
    elif place == "transaction":
        talk.begin()
    else:
        talk.ask(b"STARTTLS", b"220 2.0.0 go ahead")
        talk.client.send(b"\x16\x03\x01\r\n")
        assert talk.relay.exactly(5) == b"\x16\x03\x01\r\n"
    stage.leave(how)
    assert stage.places_after(3599) == [place]
    stage.pass_time(2)
    assert talk.ended() == (b"", b"")
    event = stage.balancer.wait("cut", phase="pump", place=place, backend="relay1", pool="relays")
    assert event["level"] == "warning" and event["listener"] == "smtp"
    assert event["client"] == "%s:%d" % talk.client.sock.getsockname()
    talk.client.close()
    opaque = "starttls" if place == "opaque" else "-"
    stage.balancer.wait(
        "session", id=event["id"], result="drained", end="balancer", opaque=opaque
    )
    if how == "term":
        assert stage.balancer.exit_code() == 0


def test_what_had_not_begun_is_cut_too(scene):
    """In the gate."""
    stage = scene(
        top="drain_timeout = 30m", pool="greeting_timeout = 1h greeting_budget = 1h"
    )
    with stage.setup.connect() as client:
        silent = stage.setup.relays[0].next()
        stage.term()
        stage.pass_time(1799)
        assert silent.exactly(28)
        stage.pass_time(2)
        assert client.rest() == b""
    assert stage.balancer.exit_code() == 0
    stage.balancer.wait("cut", phase="greeting", place="-")


def test_cut_tells_nothing_of_who_was_turned_away(scene):
    """A client that was denied has its line, and lingers."""
    stage = scene(deny="127.0.0.66")
    with stage.setup.connect("127.0.0.66") as client:
        assert client.rest().startswith(b"421 4.7.1 ")
        assert len(stage.settle()) == 1
        stage.balancer.stop()
    assert not stage.balancer.find("cut") and not stage.balancer.find("session")


@each_way
def test_behind_what_is_queued(scene, how):
    """A client that does not read: no reply of ours comes before the relay's bytes, and no pause of
    a client is one in which it reads."""
    stage = scene(top="drain_timeout = 1h")
    talk, replies = stage.talk_held_back()
    stage.leave(how)
    assert stage.places_after(10 * PAUSE_S) == ["between"]
    assert talk.client.exactly(len(replies)) == replies
    stage.settle()
    stage.pass_time(PAUSE_S)
    said(stage, talk)
    finish(stage, how)


@each_way
def test_cut_behind_what_is_queued(scene, how):
    """The cut takes from a slow client nothing that the relay had said."""
    stage = scene(top="drain_timeout = 1h", listener="idle_timeout = 10h")
    talk, replies = stage.talk_held_back()
    stage.leave(how)
    stage.pass_time(3601)
    assert talk.client.rest() == replies
    talk.client.close()
    stage.balancer.wait("session", result="drained")
    stage.balancer.wait("cut", place="between")


@each_way
def test_two_workers(scene, how):
    """Each of them leaves its own, wherever they stand."""
    stage = scene(workers=2)
    talks = [stage.talk() for _ in range(16)]
    for talk in talks[::2]:
        talk.message()
    for talk in talks[1::2]:
        talk.send()
    stage.leave(how)
    for talk in talks[::2]:
        said(stage, talk)
    assert stage.places() == ["after_dot"] * 8
    for talk in talks[1::2]:
        talk.reply(b"250 2.0.0 taken")
        said(stage, talk)
    stage.balancer.wait("session", 16, result="drained", messages=1)
    finish(stage, how)


@pytest.mark.parametrize("how", ["drain", "maint"])
def test_only_sessions_of_that_relay(scene, how):
    stage = scene(relays=2)
    talks = [stage.talk() for _ in range(2)]
    for talk in talks:
        talk.message()
    one = stage.setup.relays[0]
    talks.sort(key=lambda talk: talk.relay.sock.getsockname()[1] != one.port)
    stage.order(how)
    said(stage, talks[0])
    stage.pass_time(10 * PAUSE_S)
    talks[1].message()


@pytest.mark.parametrize("sides", ["client", "relay"])
def test_one_side_has_said_its_last(scene, sides):
    """A half-closed session is not spoken to, nor cut before its time."""
    stage = scene(top="drain_timeout = 1h")
    talk = stage.talk()
    talk.message()
    one, other = (talk.client, talk.relay) if sides == "client" else (talk.relay, talk.client)
    one.finish()
    assert other.rest() == b""
    stage.order("drain")
    assert len(stage.pass_time(10 * PAUSE_S)) == 1
    other.close()
    assert one.rest() == b""
    stage.balancer.wait("session", result="ok")
