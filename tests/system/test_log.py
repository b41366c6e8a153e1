"""The log as a reader of it sees it: its keys, its levels, its escapes; and what happens when it
can't be written."""

import fcntl
import json
import os
import re
import select
import signal

import pytest
from balancer import ENGINE, Setup
from peers import DEADLINE, eventually, smtp, unless_refused

PIPE_BYTES = 4096
F_SETPIPE_SZ = 1031

SESSION_KEYS = """ts level event id listener client pool backend backend_addr attempts result end
queue_ms connect_ms greeting_ms duration_ms bytes_in bytes_out messages accepted deferred rejected
last_reply tls backend_tls sni resumed opaque wait_ms""".split()

ATTEMPT_KEYS = "ts level event id pool backend cause reply detail".split()

ENDPOINT = r"(127\.0\.0\.\d+|\[::1\]):\d+"
NUMBER = r"\d+"
SESSION_VALUES = {
    "ts": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "id": r"[0-9a-f]{16}",
    "client": ENDPOINT,
    "backend_addr": ENDPOINT + "|-",
    **dict.fromkeys(["attempts", "queue_ms"], NUMBER),
    **dict.fromkeys(["connect_ms", "greeting_ms", "wait_ms"], NUMBER + "|-"),
    **dict.fromkeys(["duration_ms", "bytes_in", "bytes_out"], NUMBER),
}


FORMATS = ["logfmt", "json"]

each_format = pytest.mark.parametrize("form", FORMATS)


@each_format
def test_session_lines(start, relay, form):
    """One a session, however it ended, with the same keys in the same order."""

    def lose(conn):
        conn.exactly(28)
        conn.send(b"220 soon gone\r\n")
        conn.line()
        conn.reset()

    good = relay(smtp(b"good"))
    top = f"max_sessions = 1 log {{ format = {form} }}"
    setup = Setup([good], pool="greeting_retry = 0s", top=top, workers=1)
    balancer = start(setup)
    with setup.connect() as client:
        assert client.line() == b"220 good ESMTP"
        setup.greeting()
        client.quit()
    event = balancer.wait("session", result="ok")
    assert event["bytes_in"] == str(len("QUIT\r\n"))
    assert event["bytes_out"] == str(len("220 good ESMTP\r\n221 bye\r\n"))
    assert event["backend_addr"] == f"127.0.0.1:{good.port}"
    balancer.wait("session", result="limited")
    setup.relays[0].serve = lose
    with setup.connect() as client:
        client.line()
        client.send(b"NOOP\r\n")
        client.is_reset()
    balancer.wait("session", result="backend_lost", end="backend")
    setup.relays[0].serve = lambda conn: conn.send(b"421 no\r\n")
    assert setup.greeting().startswith(b"421 4.3.2 ")
    event = balancer.wait("session", result="no_backend", end="balancer")
    assert (event["backend"], event["backend_addr"], event["attempts"]) == ("-", "-", "1")
    sessions = balancer.find("session")
    assert len(sessions) == len({event["id"] for event in sessions}) == 4
    for event in sessions:
        assert list(event) == SESSION_KEYS
        for key, pattern in SESSION_VALUES.items():
            assert re.fullmatch(pattern, event[key]), (key, event)


def test_session_id_is_the_one_of_the_reply(start, relay):
    setup = Setup([relay(smtp(b"one"))], deny="127.0.0.9", workers=1, top="max_sessions = 1")
    balancer = start(setup)
    client = setup.connect()
    assert client.line() == b"220 one ESMTP"
    for event, source in (("session", None), ("denied", "127.0.0.9")):
        shown = re.search(rb"\(([0-9a-f]{16})\)$", setup.greeting(source=source))[1].decode()
        assert balancer.wait(event)["id"] == shown
    client.quit()


def test_ready_and_config_lines(start, relay):
    balancer = start(Setup([relay()], workers=3))
    event = balancer.ready()
    assert list(event) == ["ts", "level", "event", "listeners", "pools", "workers", "engine", "pid"]
    values = (event[key] for key in ("listeners", "pools", "workers", "engine", "pid"))
    assert tuple(values) == ("1", "1", "3", ENGINE, str(balancer.pid))
    event = balancer.find("config")[0]
    assert list(event) == ["ts", "level", "event", "action", "detail"]
    assert (event["action"], event["detail"]) == ("loaded", str(balancer.conf))


def test_denied_and_attempt_lines(start, relay):
    setup = Setup([relay(lambda conn: conn.send(b"421 no\r\n")), relay(smtp())], deny="127.0.0.9")
    balancer = start(setup)
    setup.greeting()
    setup.greeting(source="127.0.0.9")
    event = balancer.wait("denied")
    assert list(event) == "ts level event id listener client rule action".split()
    event = balancer.wait("attempt")
    assert list(event) == ATTEMPT_KEYS


PAIR = r"""[a-z_]+=(?:[!#-<>-\[\]-~]+|"(?:[ !#-\[\]-~]|\\["\\nrt]|\\x[0-9a-f]{2})*")"""
FORGERIES = {
    "line end": b"421 x\nts=2026-01-01T00:00:00.000Z level=info event=ready pid=1\r\n",
    "lone CR": b"421 a\rts=2026 event=ready\r\n",
    "quotes": b'421 say "hi" \\ event=ready\r\n',
    "controls": b"421 \x1b[2J\x00\x07\x7f event=ready\r\n",
    "high bytes": b"421 caf\xc3\xa9 \xff\x9b31m\xe2\x80\xa8 event=ready\r\n",
    "no value": b"421 -\r\n",
    "long": b"421 " + b"A" * 3000 + b'"\r\n',
    "empty": b"\r\n",
}


@each_format
@pytest.mark.parametrize("greeting", FORGERIES.values(), ids=FORGERIES)
def test_greeting_can_not_forge_a_line(start, relay, greeting, form):
    """Whatever a relay says lands escaped in one value of one line."""

    def serve(conn):
        conn.exactly(28)
        conn.send(greeting)
        conn.rest()

    setup = Setup([relay(serve), relay(smtp(b"good"))], top=f"log {{ format = {form} }}")
    balancer = start(setup)
    assert setup.greeting() == b"220 good ESMTP"
    event = balancer.wait("attempt")
    balancer.wait("session")
    assert len(balancer.find("ready")) == 1
    assert list(event) == ATTEMPT_KEYS
    for raw, event in zip(balancer.lines, balancer.events, strict=True):
        assert re.fullmatch(r"[ -~]+", raw)
        if form == "logfmt":
            assert re.fullmatch(rf"{PAIR}(?: {PAIR})*", raw), raw
        assert list(event)[:3] == ["ts", "level", "event"]


def show(greeting):
    """What the log shows of it: the start of its first line, a NUL as a question mark."""
    return greeting.split(b"\n")[0].rstrip(b"\r").replace(b"\0", b"?")


@pytest.mark.parametrize("greeting", FORGERIES.values(), ids=FORGERIES)
def test_json_gives_the_bytes_back(start, relay, greeting):
    """Byte for byte, where the text is encoded as Latin-1."""

    def serve(conn):
        conn.exactly(28)
        conn.send(greeting)
        conn.rest()

    setup = Setup([relay(serve), relay(smtp(b"good"))], top="log { format = json }")
    balancer = start(setup)
    assert setup.greeting() == b"220 good ESMTP"
    balancer.wait("attempt")
    line = next(line for line in balancer.lines if '"event":"attempt"' in line)
    reply = json.loads(line)["reply"]
    if reply is None:
        assert show(greeting) == b""
    else:
        shown = reply.encode("latin-1")
        assert show(greeting).startswith(shown) and len(shown) >= min(len(show(greeting)), 100)


def test_json_types(start, relay):
    """Numbers are numbers, no value is null, all else is a string."""
    setup = Setup([relay(smtp(b"one"))], top="log { format = json }", deny="127.0.0.9")
    balancer = start(setup)
    setup.greeting()
    setup.greeting(source="127.0.0.9")
    balancer.wait("session")
    balancer.wait("denied")
    numbers = {"listeners", "pools", "workers", "pid", "attempts", "bytes_in", "bytes_out"}
    numbers |= {"messages", "accepted", "deferred", "rejected"}
    numbers |= {"queue_ms", "connect_ms", "greeting_ms", "duration_ms", "wait_ms", "count"}
    for line in balancer.lines:
        for key, value in json.loads(line).items():
            assert type(value) in ((int,) if key in numbers else (str, type(None))), (key, value)
    session = json.loads(next(line for line in balancer.lines if '"event":"session"' in line))
    assert session["tls"] is None and session["attempts"] == 1 and session["last_reply"] == "221"


def test_reload_changes_the_format(start, relay):
    """From the line on that tells of it."""
    setup = Setup([relay(smtp(b"one"))])
    balancer = start(setup)
    for count, form in enumerate(("json", "logfmt", "json"), 1):
        before = len(balancer.lines)
        setup.top = f"log {{ format = {form} }}"
        assert balancer.reload(setup.text())["action"] == "reloaded"
        setup.greeting()
        balancer.wait("session", count)
        for line in balancer.lines[before:]:
            assert line.startswith("ts=" if form == "logfmt" else '{"ts":"'), line


def test_debug_shows_the_phases(start, relay):
    setup = Setup([relay(smtp(b"one"))], top="log { level = debug }")
    balancer = start(setup)
    assert setup.greeting() == b"220 one ESMTP"
    event = balancer.wait("phase", phase="closed")
    phases = [e["phase"] for e in balancer.find("phase", id=event["id"], level="debug")]
    assert phases[:3] == ["connect", "greeting", "pump"]
    assert phases[-1] == "closed"


def test_level_error_hides_the_rest(start, relay):
    """Nothing but errors; and a reload changes it, both ways."""
    setup = Setup([relay(lambda conn: None), relay(smtp(b"good"))])
    balancer = start(setup)
    text = setup.text()
    with balancer.loading(text + "log { level = error }\n"):
        pass
    balancer.write(text + "log { level = none }\n")
    balancer.signal(signal.SIGHUP)
    balancer.wait("config", action="refused", level="error")
    before = len(balancer.lines)
    for _ in range(2):
        assert setup.greeting() == b"220 good ESMTP"
    assert balancer.reload(text + "log { level = info }\n")["action"] == "reloaded"
    quiet = [event["event"] for event in balancer.events[before:]]
    assert "session" not in quiet and "attempt" not in quiet
    assert setup.greeting() == b"220 good ESMTP"
    balancer.wait("session")


def test_blocked_log_blocks_no_session(start, relay):
    """Its pipe is full and nobody reads: sessions flow, lines are dropped, counted, and told of."""
    attempts = 0

    def refuse(conn):
        nonlocal attempts
        attempts += 1
        conn.send(b"421 " + b"\x01" * 400 + b"\r\n")

    good = relay(smtp(b"good"))
    setup = Setup([relay(refuse)], pool="greeting_retry = 1ms")
    balancer = start(setup)
    fcntl.fcntl(balancer.process.stderr, F_SETPIPE_SZ, PIPE_BYTES)
    balancer.reading.clear()
    with setup.connect(), setup.connect():  # each line of theirs is longer than 500 bytes
        eventually(lambda: attempts > 1500)
    setup.relays = [good]
    balancer.write(setup.text())
    balancer.signal(signal.SIGHUP)  # carried out too, though nobody hears of it
    eventually(lambda: setup.greeting() == b"220 good ESMTP")
    balancer.reading.set()
    event = balancer.wait("log")
    assert event["level"] == "warning"
    assert 0 < int(event["dropped"]) <= attempts
    assert setup.greeting(source="127.0.0.9") == b"220 good ESMTP"
    eventually(lambda: any(" client=127.0.0.9:" in line for line in list(balancer.lines)))
    told = sum(int(event["dropped"]) for event in balancer.find("log"))
    assert told + len(balancer.find("attempt")) >= attempts - 2
    for line in balancer.lines:
        assert line.startswith("ts=") and " event=" in line


def test_stop_with_a_blocked_log(start, relay):
    setup = Setup([relay(smtp(b"one"))], top="log { level = debug }")
    balancer = start(setup)
    fcntl.fcntl(balancer.process.stderr, F_SETPIPE_SZ, PIPE_BYTES)
    balancer.reading.clear()
    for _ in range(40):
        assert setup.greeting() == b"220 one ESMTP"
    balancer.signal(signal.SIGTERM)
    assert balancer.exit_code() == 0
    balancer.reading.set()


def test_log_whose_reader_has_gone(start, relay, tmp_path):
    """A pipe without a reader: no SIGPIPE, and sessions flow."""
    setup = Setup([relay(smtp(b"one"))])
    fifo = tmp_path / "log"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    balancer = start(setup, prefix=["sh", "-c", f'exec "$@" 2>{fifo}', "sh"], ready=False)
    assert eventually(lambda: unless_refused(setup.greeting)) == b"220 one ESMTP"
    lines = b""
    while b" event=ready " not in lines:
        assert select.select([reader], [], [], DEADLINE)[0]
        lines += os.read(reader, 65536)
    os.close(reader)
    for _ in range(20):
        assert setup.greeting() == b"220 one ESMTP"
    assert balancer.process.poll() is None


@pytest.mark.parametrize("where", ["2>&-", "0<&- 1>&- 2>&-", "2>/dev/full"])
def test_without_a_log(start, relay, where):
    """Closed at the start, its number must not become another file's, to which the lines would then
    be written."""
    setup = Setup([relay(smtp(b"one"))])
    balancer = start(setup, prefix=["sh", "-c", f'exec "$@" {where}', "sh"], ready=False)
    assert eventually(lambda: unless_refused(setup.greeting)) == b"220 one ESMTP"
    assert os.readlink(f"/proc/{balancer.pid}/fd/2") in ("/dev/null", "/dev/full")
    balancer.signal(signal.SIGHUP)
    for _ in range(20):
        assert setup.greeting() == b"220 one ESMTP"
    balancer.signal(signal.SIGTERM)
    assert balancer.exit_code() == 0
