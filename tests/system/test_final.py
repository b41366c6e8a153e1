"""Invariant 5: nothing of ours cuts a session between a final dot and its reply, but INT and a
second TERM."""

import signal

import pytest
from scene import said

WAYS = ["drain", "maint", "term"]
LATE_S = 2 * 3600  # past drain_timeout and idle_timeout

each_way = pytest.mark.parametrize("how", WAYS)

LIMITS = {"top": "drain_timeout = 1h", "listener": "idle_timeout = 1h"}


def bdat(talk):
    """A message of one chunk, in place of a dot."""
    talk.begin()
    talk.client.send(b"BDAT 6 LAST\r\ntext\r\n")
    assert talk.relay.line() == b"BDAT 6 LAST" and talk.relay.line() == b"text"


def dot(talk):
    talk.send()


@pytest.mark.parametrize("final", [dot, bdat])
@each_way
def test_a_final_dot_is_not_cut(scene, how, final):
    """While another session, in its transaction, is: both would be by the same clock. Once the
    reply has come the session ends, and with it the daemon that was to stop."""
    stage = scene(**LIMITS)
    talk, other = stage.talk(), stage.talk()
    final(talk)
    other.begin()
    stage.leave(how)
    stage.pass_time(LATE_S)
    assert other.ended() == (b"", b"")
    other.client.close()
    stage.balancer.wait("session", messages=0)
    assert stage.pass_time(LATE_S)[0]["place"] == "after_dot"
    talk.reply(b"250 2.0.0 taken")
    said(stage, talk)
    stage.balancer.wait("session", messages=1, accepted=1, last_reply="250 2.0.0")
    if how == "term":
        assert stage.balancer.exit_code() == 0


def test_no_idle_timeout_behind_the_dot(scene):
    """Nor does it strike with the reply, or at once behind it."""
    stage = scene(listener="idle_timeout = 1h")
    talk, other = stage.talk(), stage.talk()
    talk.send()
    other.begin()
    stage.pass_time(LATE_S)
    assert other.ended() == (b"", b"")
    other.client.close()
    stage.balancer.wait("session", result="idle")
    talk.reply(b"250 2.0.0 taken")
    talk.message()
    talk.ask(b"QUIT", b"221 2.0.0 bye")
    talk.relay.close()
    assert talk.client.rest() == b""
    talk.client.close()
    stage.balancer.wait("session", result="ok", messages=2)


@each_way
def test_what_is_pipelined_behind_the_dot_changes_nothing(scene, how):
    """The late reply is the end, whatever the client began behind it: it gets the reply and a FIN."""
    stage = scene(**LIMITS)
    talk = stage.talk()
    talk.send(b"MAIL FROM:<c@example.com>", b"RCPT TO:<d@example.org>", b"DATA")
    stage.leave(how)
    assert stage.pass_time(LATE_S)[0]["place"] == "after_dot"
    talk.relay.send(b"250 2.0.0 taken\r\n")
    assert talk.client.rest() == b"250 2.0.0 taken\r\n"
    talk.client.close()
    stage.balancer.wait("cut", place="transaction")
    stage.balancer.wait("session", result="drained", messages=1)
    if how == "term":
        assert stage.balancer.exit_code() == 0


@each_way
def test_late_reply_to_a_client_that_does_not_read(scene, how):
    """What the relay said on its way there is not lost by the cut."""
    stage = scene(**LIMITS)
    talk, replies = stage.talk_held_back()
    talk.client.send(
        b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.org>\r\nBDAT 6 LAST\r\ntext\r\n"
    )
    for _ in range(4):
        talk.relay.line()
    stage.leave(how)
    talk.relay.send(b"250 2.1.0 ok\r\n250 2.1.5 ok\r\n250 2.0.0 taken\r\n")
    assert stage.pass_time(LATE_S)[0]["place"] == "after_dot"
    assert talk.client.exactly(len(replies)) == replies
    for line in (b"250 2.1.0 ok", b"250 2.1.5 ok", b"250 2.0.0 taken"):
        assert talk.client.line() == line
    said(stage, talk)


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("late", [False, True])
def test_int_and_a_second_term_cut(scene, number, late):
    stage = scene(**LIMITS)
    talk = stage.talk()
    talk.send()
    stage.term()
    if late:
        assert stage.pass_time(LATE_S)[0]["place"] == "after_dot"
    stage.balancer.signal(number)
    assert talk.ended() == (b"", b"")
    assert stage.balancer.exit_code() == 0
    stage.balancer.wait("cut", place="after_dot", phase="pump")


@pytest.mark.parametrize("lost", ["reset", "closed"])
@pytest.mark.parametrize("how", [None, *WAYS])
def test_client_lost_behind_the_dot(scene, how, lost):
    """Its message is the relay's business still: the reply is awaited, and counted."""
    stage = scene(**LIMITS)
    talk = stage.talk()
    talk.send()
    if lost == "reset":
        talk.client.reset()
    else:
        talk.client.close()
    assert talk.relay.rest() == b""
    if how:
        stage.leave(how)
    assert stage.pass_time(LATE_S)[0]["place"] == "after_dot"
    talk.relay.send(b"451 4.3.0 not now\r\n")
    talk.relay.close()
    stage.balancer.wait("session", messages=1, deferred=1, last_reply="451 4.3.0")
    if how == "term":
        assert stage.balancer.exit_code() == 0


@each_way
def test_client_lost_and_the_relay_stays(scene, how):
    """It is not waited for once it has answered."""
    stage = scene(**LIMITS)
    talk = stage.talk()
    talk.send()
    talk.client.reset()
    assert talk.relay.rest() == b""
    stage.leave(how)
    stage.pass_time(LATE_S)
    talk.relay.send(b"250 2.0.0 taken\r\n")
    stage.pass_time(60)
    stage.balancer.wait("session", messages=1, result="client_lost")


@pytest.mark.parametrize("how", ["idle", *WAYS])
def test_relay_that_leaves_without_its_reply(scene, how):
    """None is to come any more: a client that stays holds nothing up."""
    stage = scene(**LIMITS)
    talk = stage.talk()
    talk.send()
    if how != "idle":
        stage.leave(how)
    talk.relay.close()
    assert talk.client.rest() == b""
    stage.pass_time(LATE_S)
    stage.pass_time(60)
    stage.balancer.wait("session", messages=0)
    if how == "term":
        assert stage.balancer.exit_code() == 0


def test_half_closed_client_behind_the_dot(scene):
    stage = scene(**LIMITS)
    talk = stage.talk()
    talk.send()
    talk.client.finish()
    assert talk.relay.rest() == b""
    stage.order("drain")
    assert stage.pass_time(LATE_S)[0]["place"] == "after_dot"
    talk.relay.send(b"250 2.0.0 taken\r\n")
    assert talk.client.rest() == b"250 2.0.0 taken\r\n"
    stage.balancer.wait("session", messages=1, accepted=1)


def test_reply_in_pieces(scene):
    """It is no reply before it is whole."""
    stage = scene(**LIMITS)
    talk = stage.talk()
    talk.send()
    stage.order("drain")
    for piece in (b"2", b"50", b"-2.0.0 taken\r\n", b"250", b" 2.0.0 as 1", b"2\r"):
        talk.relay.send(piece)
        assert talk.client.exactly(len(piece)) == piece
        assert stage.pass_time(LATE_S)[0]["place"] == "after_dot"
    talk.relay.send(b"\n")
    assert talk.client.line() == b""
    said(stage, talk)
