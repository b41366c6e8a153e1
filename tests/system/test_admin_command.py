"""What the commands that ask the daemon print, of a daemon that says what a test wants."""

import json
import os
import pty
import socket
import subprocess
import threading

import pytest
from balancer import PROGRAM, run
from peers import DEADLINE


@pytest.fixture(name="say")
def fixture_say(tmp_path):
    """say(page, status=200): the answer to the one that asks next at the path which it returns."""
    path = tmp_path / "admin.sock"
    threads = []

    def serve(sock, head, body):
        conn, _ = sock.accept()
        conn.recv(65536)
        conn.sendall(head + body)
        conn.close()
        sock.close()

    def say(page, status=200):
        path.unlink(missing_ok=True)
        sock = socket.socket(socket.AF_UNIX)
        sock.settimeout(DEADLINE)
        sock.bind(str(path))
        sock.listen()
        body = json.dumps(page).encode()
        head = f"HTTP/1.1 {status} X\r\nServer: x\r\nContent-Length: {len(body)}\r\n\r\n".encode()
        threads.append(threading.Thread(target=serve, args=(sock, head, body)))
        threads[-1].start()
        return path

    yield say
    for thread in threads:
        thread.join()


def session(number, **changed):
    return {
        "id": f"{number:016x}", "listener": "smtp", "client": f"203.0.113.7:{number}",
        "pool": "relays", "backend": "relay1", "backend_addr": "10.0.1.11:25", "phase": "pump", "place": "between", "messages": 3,
        "age_ms": 0, "attempts": 1, "bytes_in": 7, "bytes_out": 12345, **changed,
    }


AGES = {0: "0ms", 1999: "1999ms", 2000: "2s", 119999: "119s", 120000: "2m", 7199999: "119m",
        7200000: "2h", 172799999: "47h", 172800000: "2d"}


def test_sessions(say):
    rows = [session(1, backend=None, backend_addr=None, phase="queue", place=None,
                    messages=0)]
    rows += [session(i, age_ms=age) for i, age in enumerate(AGES, 2)]
    result = run("sessions", "--socket", say({"sessions": rows}))
    assert (result.returncode, result.stderr) == (0, "")
    title, first, *others = [line.split() for line in result.stdout.splitlines()]
    assert title == ["ID", "CLIENT", "BACKEND", "STATE", "MAILS", "AGE", "IN", "OUT"]
    assert first == ["0000000000000001", "203.0.113.7:1", "-", "queue", "0", "0ms", "7",
                     "12345"]
    assert [line[2:6] for line in others] == [
        ["relay1", "between", "3", age] for age in AGES.values()]


def test_many_sessions(say):
    page = {"sessions": [session(i) for i in range(1, 2001)]}
    result = run("sessions", "--json", "--socket", say(page))
    assert (result.returncode, json.loads(result.stdout)) == (0, page)
    assert len(run("sessions", "--socket", say(page)).stdout.splitlines()) == 2001


STATUS = {
    "version": "0.1.0", "engine": "libev", "state": "stopping", "pid": 7, "workers": 2,
    "file": "smtplb.conf", "sessions": 3, "max_sessions": 9,
    "listeners": [{"name": "smtp", "bind": ["0.0.0.0:25", "[::]:25"], "pool": "relays"}],
    "pools": [{
        "name": "relays", "balance": "source", "waiting": 4, "fail_open": True,
        "backends": [
            {"name": name * 30, "address": "[2001:db8:1111:2222:3333:4444:5555:6666]:25",
             "up": up, "probe_up": probe, "greetings_up": False, "state": state, "weight": 2,
             "troubles": [{"verb": "RCPT", "reply": "452 4.3.1"}] if up else [],
             "backup": False, "sessions": 1, "max_sessions": None}
            for name, up, probe, state in (
                ("a", False, False, "ready"), ("b", False, True, "drain"), ("c", True, True, "maint"))
        ],
    }],
}  # fmt: skip


def test_status(say):
    result = run("status", "--socket", say(STATUS))
    assert (result.returncode, result.stderr) == (0, "")
    assert all(len(line) <= 80 for line in result.stdout.splitlines())
    for text in (
        "stopping, pid 7, 2 workers (libev)", "smtplb.conf", "3 sessions, of 9 at most",
        "0.0.0.0:25", "[::]:25", "pool relays: source, 4 waiting", "fail open: none is up",
        "down", "ready", "drain", "maint",
    ):  # fmt: skip
        assert text in result.stdout
    note = "trouble  RCPT answered with 452 4.3.1 far more often than by its peers"
    assert " ".join(note.split()) in " ".join(result.stdout.split())
    assert result.stdout.count("trouble ") == 1


def test_denied(say):
    page = {"denied": [
        {"count": 5, "at_least": 5, "last": "2026-11-24T02:06:00.123Z", "listener": "smtp",
         "network": "203.0.113.66", "address": "203.0.113.66", "country": "JP", "asn": 64500,
         "rule": "default", "fix": None},
    ]}  # fmt: skip
    result = run("denied", "--socket", say(page))
    assert result.returncode == 0
    for text in ("5  2026-11-24T02:06:00Z", "203.0.113.66  JP  AS64500", "by   default"):
        assert text in result.stdout
    assert "fix" not in result.stdout


@pytest.mark.parametrize("command", ["status", "sessions", "denied"])
def test_daemon_that_has_no_memory(say, command):
    result = run(command, "--socket", say({"error": "no memory"}, 500))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "smtplb: the daemon says 500: no memory\n"


def test_reload_that_can_not_be(say):
    result = run("reload", "--socket", say({"error": "no"}, 503))
    assert (result.returncode, result.stdout) == (1, "")
    assert result.stderr == "smtplb: not reloaded, the old configuration is in force: no\n"


@pytest.mark.parametrize("target", ["relays/" + "b" * 256, "p" * 256 + "/relay1"])
def test_names_that_are_too_long(tmp_path, target):
    result = run("drain", target, "--socket", tmp_path / "none.sock")
    assert (result.returncode, result.stderr) == (1, f"smtplb: not POOL/BACKEND: {target}\n")


def test_socket_that_is_off_or_too_long(tmp_path):
    conf = tmp_path / "smtplb.conf"
    conf.write_text('admin { socket = "" }\n')
    result = run("status", "-c", conf)
    assert (result.returncode, result.stderr) == (1, f"smtplb: {conf} turns the admin socket off\n")
    result = run("status", "--socket", "/" + "x" * 200)
    assert result.returncode == 1 and "File name too long" in result.stderr


def on_terminal(arguments, env):
    """What a terminal shows."""
    ours, theirs = pty.openpty()
    with subprocess.Popen([PROGRAM, *map(str, arguments)], stdout=theirs, env=env) as process:
        os.close(theirs)
        shown = b""
        try:
            while piece := os.read(ours, 65536):
                shown += piece
        except OSError:  # it has ended
            pass
        os.close(ours)
    assert process.returncode == 0
    return shown.decode()


@pytest.mark.parametrize("changed, coloured", [
    ({}, True), ({"NO_COLOR": None}, True), ({"NO_COLOR": "1"}, False), ({"TERM": "dumb"}, False),
    ({"TERM": None}, False),
])
def test_colours(say, changed, coloured):
    env = {**os.environ, "TERM": "xterm", "NO_COLOR": "", **changed}
    env = {key: value for key, value in env.items() if value is not None}
    shown = on_terminal(["status", "--socket", say(STATUS)], env)
    for text in ("stopping", "drain"):
        assert (f"m{text}\033[0m" in shown) == coloured
    assert ("\033" in shown) == coloured
    plain = run("status", "--socket", say(STATUS), env=env).stdout
    assert "\033" not in plain
