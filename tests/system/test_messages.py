"""What is known of a session's messages: in its line, and while it lasts."""

import json

import jsonschema
import pytest
from balancer import ROOT

COUNTS = ["messages", "accepted", "deferred", "rejected", "last_reply", "opaque"]


def counted(stage):
    event = stage.balancer.wait("session")
    return [event[key] for key in COUNTS]


def bye(stage, talk):
    talk.ask(b"QUIT", b"221 2.0.0 bye")
    talk.relay.close()
    assert talk.client.rest() == b""
    talk.client.close()
    return counted(stage)


def test_none(scene):
    """A session that met its relay, and sent nothing."""
    stage = scene()
    talk = stage.talk()
    talk.client.close()
    talk.relay.close()
    assert counted(stage) == ["0", "0", "0", "0", "-", "-"]


def test_several(scene):
    """By the replies to their dots, which is not the last reply."""
    stage = scene()
    talk = stage.talk()
    replies = [b"250 2.0.0 a", b"451 4.3.0 b", b"554 5.7.1 c", b"250 d", b"452 4.2.2 e", b"250 f"]
    for reply in replies:
        talk.message(reply)
    talk.begin()
    talk.ask(b"RSET")
    talk.ask(b"MAIL FROM:<a@example.com>", b"550 5.1.8 no")
    (session,) = stage.settle()
    assert (session["messages"], session["place"]) == (6, "between")
    assert bye(stage, talk) == ["6", "3", "2", "1", "221 2.0.0", "-"]


def test_transaction_without_an_end_is_no_message(scene):
    """Refused at DATA, given up by RSET, or left in the body."""
    stage = scene()
    talk = stage.talk()
    talk.begin()
    talk.ask(b"DATA", b"452 4.3.1 no room")
    talk.ask(b"RSET")
    talk.begin()
    talk.ask(b"DATA", b"354 go on")
    talk.say(b"text", b"..", b". ")
    talk.client.close()
    assert talk.relay.rest() == b""
    talk.relay.close()
    assert counted(stage) == ["0", "0", "0", "0", "354", "-"]


def test_pipelined(scene):
    """Two messages, the second behind the dot of the first, and QUIT behind its own."""
    stage = scene()
    talk = stage.talk()
    group = (b"MAIL FROM:<a@example.com>", b"RCPT TO:<b@example.org>", b"DATA")
    talk.say(*group)
    talk.reply(b"250 2.1.0 ok", b"250 2.1.5 ok", b"354 go on")
    talk.say(b"one", b".", *group)
    talk.reply(b"250 2.0.0 taken", b"250 2.1.0 ok", b"250 2.1.5 ok", b"354 go on")
    talk.say(b"two", b".", b"QUIT")
    talk.reply(b"554 5.6.0 no", b"221 2.0.0 bye")
    talk.relay.close()
    assert talk.client.rest() == b""
    talk.client.close()
    assert counted(stage) == ["2", "1", "0", "1", "221 2.0.0", "-"]


def test_bdat(scene):
    """The last chunk is what counts; what looks like a dot is none."""
    stage = scene()
    talk = stage.talk()
    talk.begin()
    for line, chunk in ((b"BDAT 5", b"\r\n.\r\n"), (b"BDAT 0", b""), (b"BDAT 3 LAST", b"end")):
        talk.client.send(line + b"\r\n" + chunk)
        assert talk.relay.line() == line
        assert talk.relay.exactly(len(chunk)) == chunk
        talk.reply(b"250 2.0.0 chunk")
    talk.begin()
    talk.say(b"BDAT 0 LAST")
    talk.reply(b"452 4.3.1 full")
    assert bye(stage, talk) == ["2", "1", "1", "0", "221 2.0.0", "-"]


def test_opaque(scene):
    """Counted until nothing can be known any more, and what is opaque flows on."""
    stage = scene()
    talk = stage.talk()
    talk.message()
    talk.ask(b"STARTTLS", b"220 2.0.0 go ahead")
    for conn, other in ((talk.client, talk.relay), (talk.relay, talk.client)):
        data = bytes(range(256)) * 10
        conn.send(data)
        assert other.exactly(len(data)) == data
    (session,) = stage.settle()
    assert (session["messages"], session["place"]) == (1, "opaque")
    talk.message(b"250 not counted")
    talk.client.close()
    talk.relay.close()
    assert counted(stage) == ["1", "1", "0", "0", "220 2.0.0", "starttls"]


@pytest.mark.parametrize("line, replies, why", [
    (b"BDAT some", [], "bdat"),
    (b"NOOP", [b"250 ok", b"250 ok"], "surplus"),
    (b"NOOP", [b"what?"], "reply"),
    (b"NOOP", [b"350 more"], "intermediate"),
    (b"DATA\r\nahead", [], "ahead"),
    (b"\r\n".join([b"NOOP"] * 5000), [], "pipeline"),
], ids=lambda value: value if isinstance(value, str) else "")
def test_why_opaque(scene, line, replies, why):
    stage = scene()
    talk = stage.talk()
    talk.message()
    talk.client.send(line + b"\r\n")
    data = line + b"\r\n"
    assert talk.relay.exactly(len(data)) == data
    if replies:
        talk.reply(*replies)
    assert stage.places() == ["opaque"]
    talk.client.close()
    talk.relay.close()
    assert counted(stage)[:2] == ["1", "1"]
    stage.balancer.wait("session", opaque=why)


def test_without_a_relay(scene):
    """There is nothing to count."""
    stage = scene(pool="greeting_retry = 0s")
    with stage.setup.connect() as client:
        stage.setup.relays[0].next().close()
        assert client.rest().startswith(b"421 4.3.2 ")
    assert counted(stage) == ["-"] * 6


def test_json(scene):
    """Numbers are numbers, the rest is text."""
    stage = scene(top="log { format = json }")
    talk = stage.talk()
    talk.message()
    bye(stage, talk)
    line = next(line for line in stage.balancer.lines if '"event":"session"' in line)
    told = json.loads(line)
    assert [told[key] for key in COUNTS] == [1, 1, 0, 0, "221 2.0.0", None]


def test_places_as_described(scene):
    """Each of them, in the page and in the table."""
    stage = scene()
    talks = {name: stage.talk() for name in
             ("between", "busy", "transaction", "after_dot", "opaque", "leaving")}
    talks["between"].message()
    talks["busy"].say(b"NOOP")
    talks["transaction"].begin()
    talks["after_dot"].send()
    talks["opaque"].ask(b"STARTTLS", b"220 2.0.0 go ahead")
    stage.order("drain")
    stage.order("ready")
    talks["between"].client.close()
    page = {"sessions": stage.settle()}
    spec = json.loads((ROOT / "lb/admin/openapi.json").read_text())
    schema = {"$ref": "#/components/schemas/Sessions", "components": spec["components"]}
    jsonschema.validate(page, schema)
    places = sorted(session["place"] for session in page["sessions"])
    assert places == ["after_dot", "between", "busy", "opaque", "transaction"]
    stage.clock.go()  # an HTTP connection is closed by time
    table = stage.admin.run("sessions").stdout.splitlines()
    assert table[0].split() == ["ID", "CLIENT", "BACKEND", "STATE", "MAILS", "AGE", "IN", "OUT"]
    assert all(len(line) <= 80 for line in table)
    assert sorted(line.split()[3] for line in table[1:]) == places
