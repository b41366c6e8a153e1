"""A relay that answers but fails: the log, the metrics and the status name its reply."""

import json

import pytest
from admin import Admin
from balancer import Setup
from metrics import scrape
from peers import parse_proxy

REPLIES = 20  # that are enough to judge by
INTERVAL_S = 10
METRIC = "smtplb_backend_trouble"


@pytest.fixture(name="admin")
def fixture_admin(tmp_path):
    return Admin(tmp_path)


class Moody:
    """Serves as a relay that answers a verb, GREETING or DOT with what `answers` says now."""

    def __init__(self):
        self.answers = {}

    def say(self, conn, verb):
        conn.send(self.answers.get(verb, b"250 2.0.0 so be it") + b"\r\n")

    def __call__(self, conn):
        *_, conn.buffer = parse_proxy(conn.sock.recv(536))
        conn.send(self.answers.get("GREETING", b"220 relay ESMTP") + b"\r\n")
        while line := conn.line():
            verb, *rest = line.decode().split()
            if verb == "QUIT":
                conn.send(b"221 bye\r\n")
                return
            if verb == "DATA":
                conn.send(b"354 go on\r\n")
                while conn.line() != b".":
                    pass
                verb = "DOT"
            if verb == "BDAT":
                conn.exactly(int(rest[0]))
            self.say(conn, verb)


def converse(client, *commands):
    """Each with one reply."""
    for command in commands:
        client.send(command + b"\r\n")
        while client.line()[3:4] == b"-":
            pass


def conversation(stage):
    """What a client says so that the stage has its replies."""
    begin = [b"MAIL FROM:<>", b"RCPT TO:<you@example.jp>"]
    return [b"EHLO me"] + {
        "GREETING": [],
        "MAIL": REPLIES * [b"MAIL FROM:<>", b"RSET"],
        "RCPT": [b"MAIL FROM:<>"] + REPLIES * [b"RCPT TO:<you@example.jp>"],
        "DOT": REPLIES * [*begin, b"DATA", b"text\r\n."],
        "BDAT": REPLIES * [*begin, b"BDAT 3 LAST\r\nx"],
    }[stage]


class Site:
    """A pool of two such relays, and a look at it when a test wants one."""

    def __init__(self, start, relay, admin, clock):
        self.moods = [Moody(), Moody()]
        self.admin = admin
        self.clock = clock
        self.setup = Setup([relay(mood) for mood in self.moods], admin=admin.text(),
                           health="type = none greeting_fall = 0")
        self.balancer = start(self.setup, prefix=clock.prefix)
        clock.stop()
        self.await_look()

    def talk(self, stage):
        """So that each relay has had enough to say."""
        for _ in range(2 * REPLIES if stage == "GREETING" else 2):
            with self.setup.connect() as client:
                client.line()
                converse(client, *conversation(stage))
                client.quit()

    def await_look(self):
        """The first request wakes it up, and it looks; who is answered next comes after that."""
        for _ in range(2):
            self.admin.get("/v1/status")

    def look(self):
        self.clock.advance(INTERVAL_S)
        self.await_look()

    def troubles(self):
        """As status says, which the page and the command agree with."""
        page = scrape(self.admin)
        told = {name: backend["troubles"] for name, backend in self.admin.backends().items()}
        assert page.all(METRIC, pool="relays") == {
            (name, one["reply"], one["verb"]): 1
            for name, troubles in told.items() for one in troubles
        }
        assert page.text.count(METRIC + "{") == sum(map(len, told.values()))
        status = json.loads(self.admin.run("status", "--json").stdout)
        assert {one["name"]: one["troubles"] for one in status["pools"][0]["backends"]} == told
        return told


@pytest.fixture(name="site")
def fixture_site(start, relay, admin, clock):
    return Site(start, relay, admin, clock)


@pytest.mark.parametrize("stage, verb, says, reply", [
    ("GREETING", "GREETING", b"421 4.3.2 busy", "421"),
    ("MAIL", "MAIL", b"452 no room", "452"),
    ("RCPT", "RCPT", b"452 4.3.1 no room", "452 4.3.1"),
    ("DOT", "DOT", b"451-4.3.0 queue\r\n451 4.3.0 file", "451 4.3.0"),
    ("BDAT", "DOT", b"451 4.3.0 queue file", "451 4.3.0"),
], ids=["greeting", "mail", "rcpt", "dot", "bdat"])
def test_one_fails(site, stage, verb, says, reply):
    """And is well again."""
    names = {"pool": "relays", "backend": "relay1", "verb": verb, "reply": reply}
    site.moods[0].answers[stage] = site.moods[0].answers[verb] = says
    for _ in range(2):
        assert site.troubles() == {"relay1": [], "relay2": []}
        site.talk(stage)
        site.look()
    assert site.troubles() == {"relay1": [{"verb": verb, "reply": reply}], "relay2": []}
    shown = " ".join(site.admin.run("status").stdout.split())
    assert f"trouble {verb} answered with {reply} far more often than by its peers" in shown
    event = site.balancer.wait("trouble", state="begins", level="warning", **names)
    assert event["deferred"] == event["replies"] and int(event["replies"]) >= REPLIES
    assert event["peers_deferred"] == "0" and int(event["peers_replies"]) >= REPLIES
    site.moods[0].answers.clear()
    site.talk(stage)
    site.look()
    assert site.troubles() == {"relay1": [], "relay2": []}
    event = site.balancer.wait("trouble", state="ends", level="info", **names)
    assert event["deferred"] == "0"
    assert len(site.balancer.find("trouble")) == 2


def test_all_alike(site):
    """Greylisting is none; what one goes on to say when the others are done with it is."""
    for mood in site.moods:
        mood.answers["RCPT"] = b"450 4.2.0 greylisted"
    for _ in range(3):
        site.talk("RCPT")
        site.look()
        assert site.troubles() == {"relay1": [], "relay2": []}
    assert not site.balancer.find("trouble")
    site.moods[1].answers.clear()
    for _ in range(2):
        site.talk("RCPT")
        site.look()
    assert site.troubles()["relay1"] == [{"verb": "RCPT", "reply": "450 4.2.0"}]


def test_reloads(site):
    """It lasts, and goes with the name."""
    site.moods[0].answers["RCPT"] = b"452 4.3.1 no room"
    for _ in range(2):
        site.talk("RCPT")
        site.look()
    last = {"relay1": [{"verb": "RCPT", "reply": "452 4.3.1"}], "relay2": []}
    assert site.troubles() == last
    text = site.balancer.text
    site.balancer.reload(text.replace("address = 127.0.0.1", "weight = 2 address = 127.0.0.1"))
    site.look()
    assert site.troubles() == last
    site.balancer.reload(text.replace("backend relay1", "backend other"))
    site.look()
    assert site.troubles() == {"other": [], "relay2": []}
    site.balancer.reload(text)
    site.look()
    assert site.troubles() == {"relay1": [], "relay2": []}
    assert len(site.balancer.find("trouble")) == 1
