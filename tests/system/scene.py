"""Conversations whose client and relay say what the test wants, through a balancer whose time passes
only when the test says so: whatever it does or leaves is no matter of speed."""

import json
import re
import signal
import socket
import subprocess

from admin import Admin
from peers import DEADLINE, Conn, eventually

HEADER = 28  # bytes of a PROXY v2 header for IPv4

PAUSE_S = 3  # more than PAUSE_MS of lb/leave.c
NEARLY_S = 1.9  # and less

CLOSING = rb"421 4\.3\.2 lb\.test closing for maintenance \(([0-9a-f]{16})\)\r\n"
IDLE = rb"421 4\.4\.2 lb\.test idle timeout \(([0-9a-f]{16})\)\r\n"


class Talk:
    """A session that has been greeted: its client, and its relay's end of it."""

    def __init__(self, setup, receive_buffer=0):
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(DEADLINE)
        sock.connect(setup.address)
        self.client = Conn(sock)
        self.relay = eventually(
            lambda: next((one for one in setup.relays if not one.none_waiting()), None)
        ).next()
        self.relay.exactly(HEADER)
        self.heard = 0  # by the client, in bytes
        self.reply(b"220 relay ESMTP")

    def say(self, *lines):
        """The client says them in one go, and the relay hears them."""
        self.client.send(b"".join(line + b"\r\n" for line in lines))
        for line in lines:
            assert self.relay.line() == line

    def reply(self, *lines):
        """The relay says them in one go, and the client hears them."""
        self.relay.send(b"".join(line + b"\r\n" for line in lines))
        for line in lines:
            assert self.client.line() == line
            self.heard += len(line) + 2

    def ask(self, line, reply=b"250 2.0.0 ok"):
        self.say(line)
        self.reply(reply)

    def begin(self):
        """A transaction, up to its recipient."""
        self.ask(b"MAIL FROM:<a@example.com>", b"250 2.1.0 ok")
        self.ask(b"RCPT TO:<b@example.org>", b"250 2.1.5 ok")

    def send(self, *behind):
        """A message up to its final dot; behind: lines that come in one go with the dot."""
        self.begin()
        self.ask(b"DATA", b"354 go on")
        self.say(b"Subject: test", b"", b"text", b".", *behind)

    def message(self, reply=b"250 2.0.0 taken"):
        self.send()
        self.reply(reply)

    def waiting(self):
        """How many bytes are in the kernels on the way from the balancer to the client."""
        ours, theirs = (name[1] for name in (
            self.client.sock.getsockname(), self.client.sock.getpeername()))
        rows = subprocess.run(
            ["ss", "-Htn", "state", "connected",
             f"( sport = :{ours} and dport = :{theirs} ) or ( sport = :{theirs} and dport = :{ours} )"],
            stdout=subprocess.PIPE, text=True, check=True).stdout.splitlines()
        queues = {int(local.rpartition(":")[2]): (int(received), int(sent))
                  for _, received, sent, local, _ in map(str.split, rows)}
        return queues[theirs][1] + queues[ours][0]

    def timer(self):
        """The kernel's, of the balancer's connection to the relay, by its name; "" for none."""
        theirs, ours = (name[1] for name in (
            self.relay.sock.getsockname(), self.relay.sock.getpeername()))
        row = subprocess.run(
            ["ss", "-Htno", f"sport = :{ours} and dport = :{theirs}"],
            stdout=subprocess.PIPE, text=True, check=True).stdout
        found = re.search(r"timer:\((\w+),", row)
        return found[1] if found else ""

    def ended(self):
        """What the relay and the client heard last, before we took leave of them."""
        return self.relay.rest(), self.client.rest()

    def close(self):
        self.client.close()
        self.relay.close()


def said(scene, talk, reply=CLOSING, result="drained"):
    """The session has been left, with a reply of ours and a QUIT for the relay."""
    at_relay, at_client = talk.ended()
    assert at_relay == b"QUIT\r\n"
    match = re.fullmatch(reply, at_client)
    assert match, at_client
    talk.client.close()
    scene.balancer.wait("session", id=match[1].decode(), result=result, end="balancer")


class Scene:
    """A balancer, its relays, and time that stands still. A test leaves nothing to chance by
    `settle`."""

    def __init__(self, start, setup, clock, folder):
        self.clock = clock
        self.admin = Admin(folder)
        self.setup = setup
        self.talks = []
        setup.admin = self.admin.text()
        clock.stop()
        self.balancer = start(setup, prefix=clock.prefix)

    def talk(self, **options):
        self.talks.append(Talk(self.setup, **options))
        return self.talks[-1]

    def talk_held_back(self):
        """A session at rest but for the relay's replies, which wait in the balancer for a client
        that does not read. With it, what the client will hear."""
        talk = self.talk(receive_buffer=1 << 17)  # no less: tiny windows open late
        reply = b"250 " + b"x" * 15000 + b"\r\n"
        total = 0
        while any(talk.waiting() >= total for _ in range(10)):
            talk.say(b"NOOP")
            talk.relay.send(reply)
            total += len(reply)
            eventually(lambda: self.bytes_out() == talk.heard + total)
        return talk, reply * (total // len(reply))

    def bytes_out(self):
        (session,) = self.admin.get("/v1/sessions")["sessions"]
        return session["bytes_out"]

    def settle(self):
        """Returns what sessions there are once all that was ordered, or is due, is done. A loop has
        no order of what it finds at once; so what the first question may meet, the second one finds
        done. None are left with a balancer that has stopped."""
        for _ in range(2):
            try:
                answer = self.admin.ask("GET", "/v1/sessions")
            except (ConnectionError, FileNotFoundError):
                answer = None
            if not answer or answer.status == 503:
                assert self.balancer.exit_code() == 0
                return []
            assert answer.status == 200
        return json.loads(answer.body)["sessions"]

    def places(self):
        return [session["place"] for session in self.settle()]

    def pass_time(self, seconds):
        """From when all is done that was due before."""
        self.settle()
        self.clock.advance(seconds)
        return self.settle()

    def places_after(self, seconds):
        """Where the sessions stand then."""
        return [session["place"] for session in self.pass_time(seconds)]

    def order(self, state):
        assert self.admin.order("relay1", state) == 200
        return self.settle()

    def term(self):
        self.balancer.signal(signal.SIGTERM)
        self.balancer.wait("stopping", how="gracefully")
        return self.settle()

    def leave(self, how):
        """Wants the sessions gone."""
        return self.term() if how == "term" else self.order(how)

    def close(self):
        for talk in self.talks:
            talk.close()
