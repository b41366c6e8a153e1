"""Sessions that are left without an order: idle ones, and those that had their share."""

import pytest
from peers import eventually
from scene import IDLE, PAUSE_S, said


def test_idle_between_messages(scene):
    stage = scene(listener="idle_timeout = 1h")
    talks = [stage.talk() for _ in range(3)]
    talks[1].message()
    talks[2].begin()
    talks[2].ask(b"RSET")
    assert len(stage.pass_time(3599)) == 3
    stage.pass_time(2)
    for talk in talks:
        said(stage, talk, IDLE, "idle")


@pytest.mark.parametrize("place", ["busy", "transaction", "body", "opaque"])
def test_idle_in_the_middle(scene, place):
    """A plain close, for there is no place for a reply."""
    stage = scene(listener="idle_timeout = 1h")
    talk = stage.talk()
    if place == "busy":
        talk.say(b"NOOP")
    elif place == "opaque":
        talk.ask(b"STARTTLS", b"220 2.0.0 go ahead")
    else:
        talk.begin()
    if place == "body":
        talk.ask(b"DATA", b"354 go on")
    assert len(stage.pass_time(3599)) == 1
    stage.pass_time(2)
    assert talk.ended() == (b"", b"")
    stage.balancer.wait("session", result="idle", end="balancer")
    assert not stage.balancer.find("cut")


def test_whether_the_relay_lives_is_asked_in_sessions_that_last(scene):
    """They are few; the others are spared it."""
    stage = scene(pool="connect_timeout = 5s")
    talk = stage.talk()
    talk.send()
    stage.pass_time(4)
    eventually(lambda: talk.timer() == "")  # once all is acknowledged
    stage.pass_time(2)
    eventually(lambda: talk.timer() == "keepalive")
    talk.reply(b"250 2.0.0 taken")


def test_rebalance_by_messages(scene):
    """Behind the reply to the last of them, whatever it is."""
    stage = scene(pool="rebalance_messages = 3")
    talk, other = stage.talk(), stage.talk()
    talk.message()
    talk.message(b"451 4.3.0 not now")
    stage.pass_time(10)
    other.message()
    talk.message(b"554 5.7.1 no")
    said(stage, talk)
    stage.balancer.wait("session", messages=3, accepted=1, deferred=1, rejected=1)
    assert [one["messages"] for one in stage.settle()] == [1]


def test_rebalance_messages_with_more_behind(scene):
    """It goes on to the next boundary where nothing is outstanding."""
    stage = scene(pool="rebalance_messages = 1")
    talk = stage.talk()
    talk.send(b"MAIL FROM:<c@example.com>")
    talk.reply(b"250 2.0.0 taken", b"250 2.1.0 ok")
    talk.ask(b"RCPT TO:<d@example.org>")
    talk.ask(b"DATA", b"354 go on")
    talk.say(b".")
    talk.reply(b"250 2.0.0 taken")
    said(stage, talk)
    stage.balancer.wait("session", messages=2)


def test_rebalance_by_age(scene):
    """At rest when its time has come; in a transaction behind its end."""
    stage = scene(pool="rebalance_age = 1h", listener="idle_timeout = 10h")
    talks = [stage.talk() for _ in range(2)]
    talks[0].message()
    talks[1].begin()
    assert len(stage.pass_time(3599)) == 2
    stage.pass_time(2)
    said(stage, talks[0])
    talks[1].ask(b"DATA", b"354 go on")
    talks[1].say(b".")
    talks[1].reply(b"250 2.0.0 taken")
    said(stage, talks[1])


def test_rebalance_age_waits_for_a_slow_client(scene):
    """What the relay said is still on its way."""
    stage = scene(pool="rebalance_age = 1h", listener="idle_timeout = 10h")
    talk, replies = stage.talk_held_back()
    assert len(stage.pass_time(7200)) == 1
    assert talk.client.exactly(len(replies)) == replies
    stage.pass_time(PAUSE_S)
    said(stage, talk)
