"""The admin interface: what it shows and which orders it takes, over HTTP and by command."""

import datetime
import json
import os
import re
import signal
import socket
import stat
import subprocess
import threading
import time
from pathlib import Path

import jsonschema
import pytest
from admin import Admin, timeless
from balancer import ENGINE, PROGRAM, ROOT, Setup, run
from peers import DEADLINE, connect, eventually, listen, smtp


STRANGER = "127.0.0.66"
NO_MESSAGES = {"accepted": 0, "deferred": 0, "rejected": 0}
NO_REPLIES = {"2": 0, "3": 0, "4": 0, "5": 0}
NO_GREETING = {"count": 0, "p50_ms": None, "p99_ms": None}


@pytest.fixture(name="admin")
def fixture_admin(tmp_path):
    return Admin(tmp_path)


def held(setup):
    """A session that has been greeted; and who greeted it."""
    client = setup.connect()
    return client, client.line().split()[1].decode()


def unwrapped(text):
    return "".join(text.split())


def relays_of(relay, count=2):
    return [relay(smtp(b"relay%d" % i)) for i in range(1, count + 1)]


# What the description promises.

SPEC = json.loads((ROOT / "lb/admin/openapi.json").read_text())
ROUTE = re.compile(r'\{"(GET|POST)", "([^"]*)",')


def described(path, method, status):
    """The schema of an answer; None for plain text."""
    answer = SPEC["paths"][path][method.lower()]["responses"][str(status)]
    schema = answer["content"].get("application/json", {}).get("schema")
    return schema and {**schema, "components": SPEC["components"]}


def test_every_route_is_described():
    routes = set(ROUTE.findall((ROOT / "lb/admin/routes.c").read_text()))
    told = {
        (method.upper(), re.sub(r"\{\w+\}", "*", path[1:]))
        for path, methods in SPEC["paths"].items() for method in methods
    }
    assert told == routes


def test_answers_are_as_described(start, relay, admin):
    setup = Setup(relays_of(relay), admin=admin.text())
    setup.relays[0].options = "max_sessions = 7"
    setup.deny = STRANGER
    balancer = start(setup)
    client, _ = held(setup)
    client.send(b"MAIL FROM:<a@example.com>\r\n")
    assert client.line().startswith(b"250 ")
    for _ in range(3):
        assert setup.greeting(STRANGER).startswith(b"421 4.7.1 ")
    good = balancer.text
    order = "/v1/pools/{pool}/backends/{backend}/{state}"
    for path, method, asked, status in (
        ("/", "GET", "/", 200),
        ("/healthz", "GET", "/healthz", 200),
        ("/metrics", "GET", "/metrics", 200),
        ("/v1/status", "GET", "/v1/status", 200),
        ("/v1/sessions", "GET", "/v1/sessions", 200),
        ("/v1/denied", "GET", "/v1/denied", 200),
        ("/v1/history", "GET", "/v1/history", 200),
        ("/v1/events", "GET", "/v1/events", 200),
        (order, "POST", "/v1/pools/relays/backends/relay1/maint", 200),
        (order, "POST", "/v1/pools/relays/backends/relay2/drain", 200),
        (order, "POST", "/v1/pools/relays/backends/relay3/drain", 404),
        ("/healthz", "GET", "/healthz", 503),
        ("/v1/reload", "POST", "/v1/reload", 200),
        ("/v1/reload", "POST", "/v1/reload", 409),
        ("/v1/status", "GET", "/v1/status", 200),
        ("/v1/sessions", "GET", "/v1/sessions", 200),
        ("/v1/reload", "POST", "/v1/reload", 503),
    ):
        balancer.write(good if status == 200 else "nonsense = 1\n")
        if status == 503 and method == "POST":
            balancer.signal(signal.SIGTERM)
            balancer.wait("stopping")
        answer = admin.ask(method, asked)
        assert answer.status == status, (path, answer)
        schema = described(path, method, status)
        if schema:
            jsonschema.validate(json.loads(answer.body), schema)
        else:
            kind = "text/html" if path == "/" else "text/plain"
            assert answer.headers["Content-Type"].startswith(kind)
    client.quit()


# What is looked at.


def test_status(start, relay, admin):
    setup = Setup(relays_of(relay), admin=admin.text(), pool="balance = leastconn")
    setup.relays[1].options = "max_sessions = 7 weight = 2 backup = yes"
    balancer = start(setup)
    status = admin.get("/v1/status")
    (pool,) = status.pop("pools")
    one, two = pool.pop("backends")
    since = datetime.datetime.fromisoformat(one.pop("since").replace("Z", "+00:00"))
    assert 0 <= time.time() - since.timestamp() < DEADLINE
    assert pool == {"name": "relays", "balance": "leastconn", "tls": "off", "waiting": 0,
                    "fail_open": False}
    assert one == {
        "name": "relay1", "address": f"127.0.0.1:{setup.relays[0].port}", "up": True,
        "cause": None, "detail": None, "probe_up": True, "greetings_up": True,
        "troubles": [], "state": "ready", "weight": 1, "backup": False, "sessions": 0,
        "max_sessions": None, "messages": NO_MESSAGES, "recipients": NO_MESSAGES, "probe": None,
        "replies": NO_REPLIES, "recent": {"replies": NO_REPLIES, "greeting": NO_GREETING},
    }
    assert (two["weight"], two["backup"], two["max_sessions"]) == (2, True, 7)
    assert status.pop("listeners") == [
        {"name": "smtp", "bind": [f"127.0.0.1:{setup.port}"], "pool": "relays",
         "tls": "off", "certificate_expires": None, "sessions": 0, "messages": NO_MESSAGES}
    ]
    assert status.pop("max_sessions") > 0
    now, in_force = (datetime.datetime.fromisoformat(text.replace("Z", "+00:00"))
                     for text in (status.pop("now"), status["config"].pop("since")))
    assert since <= in_force <= now
    assert 0 <= status.pop("uptime_s") < DEADLINE
    assert status == {
        "version": "0.1.0", "engine": ENGINE, "state": "running", "pid": balancer.pid,
        "workers": 2, "file": str(balancer.conf), "sessions": 0, "hostname": "lb.test",
        "config": {"refused": False},
    }
    assert admin.get("/v1/status", tcp=True)["pid"] == balancer.pid


def test_sessions(start, relay, admin):
    setup = Setup(relays_of(relay), admin=admin.text(), workers=3)
    start(setup)
    assert admin.get("/v1/sessions") == {"sessions": []}
    clients = [held(setup) for _ in range(8)]
    sessions = admin.get("/v1/sessions", tcp=True)["sessions"]
    by_client = {one["client"]: one for one in sessions}
    assert len(by_client) == 8
    for client, name in clients:
        one = by_client["%s:%d" % client.sock.getsockname()]
        port = setup.relays[int(name[-1]) - 1].port
        assert re.fullmatch(r"[0-9a-f]{16}", one.pop("id"))
        assert one.pop("age_ms") >= 0
        assert one == {
            "listener": "smtp", "client": one["client"], "pool": "relays", "backend": name,
            "backend_addr": f"127.0.0.1:{port}", "phase": "pump", "attempts": 1,
            "place": "between", "tls": None, "messages": 0,
            "bytes_in": 0, "bytes_out": len(f"220 {name} ESMTP\r\n"),
        }
    for client, _ in clients:
        client.quit()
    eventually(lambda: not admin.get("/v1/sessions")["sessions"])


def test_session_that_waits(start, relay, admin):
    one, two = relays_of(relay)
    setup = Setup([one, two], admin=admin.text())
    start(setup)
    for backend in ("relay1", "relay2"):
        assert admin.order(backend, "drain") == 200
    client = setup.connect()
    (session,) = eventually(lambda: admin.get("/v1/sessions")["sessions"])
    assert (session["phase"], session["backend_addr"]) == ("queue", None)
    assert session["backend"] is None and session["place"] is None
    assert admin.get("/v1/status")["pools"][0]["waiting"] == 1
    assert admin.ask("GET", "/healthz").status == 503
    assert admin.order("relay2", "ready") == 200
    assert client.line() == b"220 relay2 ESMTP"
    client.quit()


def test_healthz(start, hosts, admin):
    relays = hosts(smtp(b"one"), smtp(b"two"))
    health = f"type = http port = {relays[0].probe.port} interval = 50ms fall = 1 rise = 1"
    balancer = start(Setup(relays, admin=admin.text(), health=health))
    assert admin.ask("GET", "/healthz", tcp=True).body == b"ok\n"
    for number, one in enumerate(relays, 1):
        assert admin.ask("GET", "/healthz", tcp=True).status == 200
        one.probe.status = 503
        balancer.wait("health", backend=f"relay{number}", to="down")
    answer = admin.ask("GET", "/healthz", tcp=True)
    assert (answer.status, answer.body) == (503, b"no backend is usable\n")
    one = admin.backends()["relay1"]
    assert (one["up"], one["probe_up"], one["greetings_up"]) == (False, False, True)
    assert (one["cause"], one["detail"]) == ("probe", "status 503")
    (event,) = balancer.find("health", backend="relay1")
    assert one["since"][:19] <= event["ts"][:19]
    assert f"probe  status 503, since {one['since'][:19]}Z\n" in admin.run("status").stdout
    relays[1].probe.status = 200
    balancer.wait("health", backend="relay2", to="up")
    assert admin.ask("HEAD", "/healthz", tcp=True).status == 200


def test_healthz_while_it_stops(start, relay, admin):
    setup = Setup(relays_of(relay), admin=admin.text())
    balancer = start(setup)
    client, _ = held(setup)
    client.send(b"MAIL FROM:<a@example.com>\r\n")
    assert client.line().startswith(b"250 ")
    balancer.signal(signal.SIGTERM)
    balancer.wait("stopping")
    answer = admin.ask("GET", "/healthz")
    assert (answer.status, answer.body) == (503, b"stopping\n")
    assert admin.get("/v1/status")["state"] == "stopping"
    assert len(admin.get("/v1/sessions")["sessions"]) == 1
    assert admin.ask("POST", "/v1/reload").status == 503
    client.quit()
    assert balancer.exit_code() == 0
    assert not admin.path.exists()


# Orders.


def test_drained_backend_gets_no_new_sessions(start, relay, admin):
    setup = Setup(relays_of(relay), admin=admin.text())
    balancer = start(setup)
    inside = [held(setup) for _ in range(2)]
    for client, _ in inside:
        client.send(b"MAIL FROM:<a@example.com>\r\n")
        assert client.line().startswith(b"250 ")
    result = admin.run("drain", "relays/relay1")
    assert (result.returncode, result.stdout, result.stderr) == (0, "relays/relay1: drain\n", "")
    assert balancer.wait("admin", pool="relays", backend="relay1", state="drain")
    assert {setup.greeting() for _ in range(4)} == {b"220 relay2 ESMTP"}
    assert admin.backends()["relay1"]["state"] == "drain"
    for client, _ in inside:
        client.send(b"NOOP\r\n")
        assert client.line().startswith(b"250 ")
        client.quit()
    balancer.reload()
    assert {setup.greeting() for _ in range(4)} == {b"220 relay2 ESMTP"}
    assert admin.run("ready", "relays/relay1").returncode == 0
    assert {setup.greeting() for _ in range(4)} == {b"220 relay1 ESMTP", b"220 relay2 ESMTP"}
    balancer.wait("admin", state="ready")
    assert [event["state"] for event in balancer.find("admin")] == ["drain", "ready"]


@pytest.mark.parametrize("state", ["drain", "maint"])
def test_drain_ends_with_its_time(start, relay, admin, state):
    """Only what is open with that backend, and was when its time was over."""
    setup = Setup(relays_of(relay), admin=admin.text(), top="drain_timeout = 200ms")
    balancer = start(setup)
    inside = [held(setup) for _ in range(4)]
    for client, _ in inside:  # or they would be left between messages
        client.send(b"MAIL FROM:<a@example.com>\r\n")
        assert client.line().startswith(b"250 ")
    assert admin.order("relay2", state) == 200
    for client, name in inside:
        if name == "relay2":
            assert client.rest() == b""
    balancer.wait("session", 2, backend="relay2", result="drained", end="balancer")
    for client, name in inside:
        if name == "relay1":
            assert client.quit() == b"221 bye"
    assert not balancer.find("session", backend="relay1", result="drained")
    assert admin.order("relay2", "ready") == 200
    again = [held(setup) for _ in range(2)]
    assert {name for _, name in again} == {"relay1", "relay2"}
    for client, _ in again:
        client.quit()


def test_maintenance_sends_no_probes(start, hosts, admin):
    relays = hosts(smtp(b"relay1"), smtp(b"relay2"))
    health = f"type = http port = {relays[0].probe.port} interval = 20ms fall = 2 rise = 1"
    setup = Setup(relays, admin=admin.text(), health=health)
    balancer = start(setup)
    assert admin.run("maint", "relays/relay1").returncode == 0
    seen = relays[0].probe.answered
    relays[1].probe.await_probes(10)
    assert relays[0].probe.answered <= seen + 1  # one may have been under way
    balancer.reload()
    seen = relays[0].probe.answered
    relays[1].probe.await_probes(10)
    assert relays[0].probe.answered == seen
    relays[0].probe.status = 503
    assert admin.run("ready", "relays/relay1").returncode == 0
    balancer.wait("health", backend="relay1", to="down", cause="probe")


@pytest.mark.parametrize("path", [
    "/v1/pools/none/backends/relay1/drain",
    "/v1/pools/relays/backends/none/drain",
    "/v1/pools/relays/backends/relay1/none",
    "/v1/pools/relays/backends/relay1/",
    "/v1/pools/relays/backends//drain",
    "/v1/pools/relays/backends/relay1",
    "/v1/pools/relays/backends/relay1/drain/more",
    "/v1/reload/",
    "/v1/none",
    "/v1",
    "//",
    "/" + "v1/" * 400,
])
def test_unknown_orders(start, relay, admin, path):
    balancer = start(Setup(relays_of(relay), admin=admin.text()))
    answer = admin.ask("POST", path)
    assert answer.status == 404
    assert json.loads(answer.body)["error"]
    assert not balancer.find("admin")


@pytest.mark.parametrize("method, path", [
    ("POST", "/v1/status"), ("DELETE", "/v1/sessions"), ("PUT", "/healthz"),
    ("GET", "/v1/reload"), ("GET", "/v1/pools/relays/backends/relay1/drain"),
])
def test_wrong_methods(start, relay, admin, method, path):
    balancer = start(Setup(relays_of(relay), admin=admin.text()))
    for tcp in (False, True):
        answer = admin.ask(method, path, tcp)
        assert answer.status == 405
        assert answer.headers["Allow"]
    assert not balancer.find("admin") and len(balancer.find("config")) == 1


def test_no_orders_over_tcp(start, relay, admin):
    balancer = start(Setup(relays_of(relay), admin=admin.text()))
    for path in ("/v1/reload", "/v1/pools/relays/backends/relay1/drain"):
        answer = admin.ask("POST", path, tcp=True)
        assert (answer.status, answer.headers["Allow"]) == (405, "GET, HEAD")
    assert not balancer.find("admin") and len(balancer.find("config")) == 1


# Reload.


def test_reload(start, relay, admin):
    setup = Setup(relays_of(relay), admin=admin.text())
    balancer = start(setup)
    text = balancer.text
    result = admin.run("reload")
    assert (result.returncode, result.stdout, result.stderr) == (0, "reloaded\n", "")
    balancer.wait("config", action="reloaded")
    assert len(balancer.find("config", action="reloaded")) == 1
    balancer.write(text.replace("workers = 2", "workers = 3"))
    result = admin.run("reload")
    assert result.returncode == 0
    assert "warning: " in result.stderr and "workers keeps its value" in result.stderr
    balancer.write(text.replace("pool = relays", "pool = none") + "nonsense = 1\n")
    result = admin.run("reload")
    assert (result.returncode, result.stdout) == (1, "")
    assert f"{balancer.conf}:" in result.stderr and "nonsense" in result.stderr
    assert result.stderr.endswith("smtplb: not reloaded, the old configuration is in force\n")
    answer = admin.ask("POST", "/v1/reload")
    assert answer.status == 409
    assert len(json.loads(answer.body)["errors"]) == 2
    assert setup.greeting().startswith(b"220 ")


def test_errors_of_any_bytes(start, relay, admin):
    """Told in JSON too, where they are no UTF-8."""
    balancer = start(Setup(relays_of(relay), admin=admin.text()))
    balancer.conf.write_bytes(balancer.text.encode() + b"acl caf\xe9 { allow = { file:/nowhere/\xe9 } }\n")
    answer = admin.ask("POST", "/v1/reload")
    assert answer.status == 409
    assert "\u00e9" in "".join(json.loads(answer.body)["errors"])


def test_file_whose_name_is_no_utf8(start, relay, admin, tmp_path):
    """Its bytes stand for themselves, as in the log."""
    folder = tmp_path / "caf\udce9"
    folder.mkdir()
    balancer = start(Setup(relays_of(relay), admin=admin.text()), folder=folder)
    told = f"{tmp_path}/caf\u00e9/smtplb.conf"
    assert admin.get("/v1/status")["file"] == told
    balancer.write("nonsense = 1\n")
    errors = json.loads(admin.ask("POST", "/v1/reload").body)["errors"]
    assert errors and all(error.startswith(f"{told}:") for error in errors)


def test_reload_during_another(start, relay, admin):
    """Each is told of a load that began when it had asked."""
    setup = Setup(relays_of(relay), admin=admin.text())
    balancer = start(setup)
    good = balancer.text
    with balancer.loading("nonsense = 1\n"):
        waiting = [admin.dial() for _ in range(3)]
        for one in waiting:
            one.request("POST", "/v1/reload")
        assert admin.get("/v1/status")["state"] == "running"
        balancer.write(good)
    for one in waiting:
        assert one.getresponse().status == 200
        one.close()
    balancer.wait("config", action="refused")
    balancer.wait("config", action="reloaded")
    assert len(balancer.find("config", action="reloaded")) == 1


def test_admin_moves_with_a_reload(start, relay, admin, tmp_path):
    setup = Setup(relays_of(relay), admin=admin.text())
    balancer = start(setup)
    kept = admin.dial()
    kept.request("GET", "/v1/status")
    kept.getresponse().read()
    other = Admin(tmp_path)
    other.path = tmp_path / "other.sock"
    setup.admin = other.text()
    balancer.write(setup.text())
    assert admin.run("reload").returncode == 0  # told by the socket that goes
    assert not admin.path.exists()
    assert other.get("/v1/status")["pid"] == balancer.pid
    assert other.get("/v1/status", tcp=True)["pid"] == balancer.pid
    with pytest.raises(ConnectionRefusedError):
        connect(("127.0.0.1", admin.port))
    setup.admin = 'socket = "" listen = ""'
    balancer.write(setup.text())
    assert other.run("reload").returncode == 0
    assert not other.path.exists()
    assert other.run("status").returncode == 1


# Where it listens.


def test_socket_is_for_its_group_only(start, relay, admin):
    start(Setup(relays_of(relay), admin=admin.text()))
    mode = admin.path.stat().st_mode
    assert stat.S_ISSOCK(mode) and stat.S_IMODE(mode) == 0o660


def test_socket_left_by_one_that_was_killed(start, relay, admin):
    left = socket.socket(socket.AF_UNIX)
    left.bind(str(admin.path))
    left.close()
    balancer = start(Setup(relays_of(relay), admin=admin.text()))
    assert admin.get("/v1/status")["pid"] == balancer.pid


@pytest.mark.parametrize("make, why", [
    (lambda path: listen_at(path), "somebody listens there already"),
    (lambda path: path.write_text("mine"), "something that is no socket"),
    (lambda path: path.mkdir(), "something that is no socket"),
], ids=["socket", "file", "folder"])
def test_socket_of_another(relay, tmp_path, admin, make, why):
    kept = make(admin.path)
    conf = tmp_path / "smtplb.conf"
    text = Setup(relays_of(relay), admin=admin.text()).text()
    conf.write_text(text)
    result = run("run", "-c", conf)
    line = text[: text.index("admin {")].count("\n") + 1
    assert result.returncode == 1
    assert f"{conf}:{line}: can't listen on {admin.path}: " in result.stderr
    assert why in result.stderr
    assert admin.path.exists()
    del kept


# Who was turned away.


def test_denied(start, relay, admin):
    setup = Setup(relays_of(relay), admin=admin.text(), allow="127.0.0.1", deny=STRANGER)
    balancer = start(setup)
    assert admin.run("denied").stdout == "nobody was turned away\n"
    for source, count in ((STRANGER, 3), ("127.0.0.7", 2), ("127.0.0.8", 1)):
        for _ in range(count):
            assert setup.greeting(source).startswith(b"421 4.7.1 ")
    rows = admin.get("/v1/denied", tcp=True)["denied"]
    assert [(row["network"], row["count"], row["at_least"]) for row in rows] == [
        (STRANGER, 3, 3), ("127.0.0.7", 2, 2), ("127.0.0.8", 1, 1)]
    assert {row["listener"] for row in rows} == {"smtp"}
    line = balancer.text[: balancer.text.index("acl senders")].count("\n") + 1
    assert rows[0]["rule"] == f"{balancer.conf}:{line} deny {STRANGER}/32"
    assert rows[1]["rule"] == "default"
    assert "add 127.0.0.7 to allow" in rows[1]["fix"] and f":{line}" in rows[1]["fix"]
    text = admin.run("denied").stdout
    assert unwrapped(rows[1]["fix"]) in unwrapped(text) and f"deny {STRANGER}/32" in text
    # What it says to write does let the source in.
    setup.allow += ", 127.0.0.7"
    balancer.reload(setup.text())
    assert setup.greeting("127.0.0.7").startswith(b"220 ")
    fixes = {row["network"]: row["fix"] for row in admin.get("/v1/denied")["denied"]}
    assert fixes["127.0.0.7"] is None and fixes["127.0.0.8"]
    assert json.loads(admin.run("denied", "--json").stdout) == admin.get("/v1/denied")


def listen_at(path):
    sock = socket.socket(socket.AF_UNIX)
    sock.bind(str(path))
    sock.listen()
    return sock


def test_port_of_another(relay, tmp_path, admin):
    with listen(port=admin.port):
        conf = tmp_path / "smtplb.conf"
        conf.write_text(Setup(relays_of(relay), admin=admin.text()).text())
        result = run("run", "-c", conf)
    assert result.returncode == 1
    assert f"can't listen on 127.0.0.1:{admin.port}: somebody listens" in result.stderr
    assert not admin.path.exists()


def test_long_path(relay, tmp_path):
    conf = tmp_path / "smtplb.conf"
    conf.write_text(Setup(relays_of(relay), admin=f"socket = /{'x' * 107}").text())
    result = run("check", "-c", conf)
    assert result.returncode == 1
    assert "longer than the 107 bytes that a socket's path may have" in result.stderr


# Hard clients.


SLOW = 200
PLACES = 32  # that a socket of the admin interface has
HUGE = (
    b"GET /" + b"x" * (10 << 20),
    b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 200000,
    b"POST /v1/reload HTTP/1.1\r\nHost: x\r\nContent-Length: 10485760\r\n\r\n" + b"x" * (10 << 20),
    b"\xff\r\n" * (1 << 20),
)


def flow(setup, count):
    """Sessions of one message each."""
    for _ in range(count):
        client, _ = held(setup)
        client.send(b"NOOP\r\n")
        assert client.line().startswith(b"250 ")
        client.quit()


def slow_clients(admin):
    """More than there are places for, at different points of a request."""
    clients = []
    for number in range(SLOW):
        client = connect(("127.0.0.1", admin.port))
        client.send(b"GET /v1/status HTTP/1.1\r\nHost: x"[:number % 30])
        clients.append(client)
    return clients


def test_slow_clients_cost_the_sessions_nothing(start, relay, admin):
    """They have their socket's places, and nothing else: not the other socket, not the sessions."""
    setup = Setup(relays_of(relay), admin=admin.text())
    balancer = start(setup)
    slow = slow_clients(admin)
    flow(setup, 20)
    assert admin.get("/v1/status")["state"] == "running"
    assert len(admin.get("/v1/sessions")["sessions"]) == 0
    assert admin.run("drain", "relays/relay1").returncode == 0
    assert admin.run("ready", "relays/relay1").returncode == 0
    # So many are let in, whoever else knocks.
    connections = [line.split() for line in Path(f"/proc/{balancer.pid}/net/tcp").open()][1:]
    inodes = {row[9] for row in connections
              if row[1].endswith(f":{admin.port:04X}") and row[3] == "01"}
    own = {os.readlink(f"/proc/{balancer.pid}/fd/{fd}")
           for fd in os.listdir(f"/proc/{balancer.pid}/fd")}
    assert sum(f"socket:[{inode}]" in own for inode in inodes) == PLACES
    for client in slow:
        client.close()
    assert admin.ask("GET", "/healthz", tcp=True).status == 200
    balancer.reload()
    flow(setup, 4)


def test_huge_requests_cost_the_sessions_nothing(start, relay, admin):
    """Each is cut short, with an answer that says so where it could be read."""
    setup = Setup(relays_of(relay), admin=admin.text())
    balancer = start(setup)
    threads = []
    for request in HUGE:
        for address in (("127.0.0.1", admin.port), str(admin.path)):
            threads.append(threading.Thread(target=shout, args=(address, request)))
    for thread in threads:
        thread.start()
    flow(setup, 20)
    for thread in threads:
        thread.join(DEADLINE)
        assert not thread.is_alive()
    assert len(balancer.find("config")) == 1
    assert admin.ask("POST", "/v1/reload", body=b"x" * 10000).status == 200
    assert admin.ask("GET", "/healthz", tcp=True).status == 200
    flow(setup, 4)


def shout(address, request):
    family = socket.AF_INET if isinstance(address, tuple) else socket.AF_UNIX
    with socket.socket(family) as sock:
        sock.settimeout(DEADLINE)
        sock.connect(address)
        try:
            sock.sendall(request)
        except ConnectionError:
            pass
        try:
            assert not sock.recv(1024).startswith(b"HTTP/1.1 2")
        except ConnectionError:
            pass


def test_one_after_another_is_answered_at_once(scene):
    """Nobody waits for a timer: time stands still."""
    stage = scene()
    for _ in range(1000):
        with socket.socket(socket.AF_UNIX) as sock:
            sock.settimeout(DEADLINE)
            sock.connect(str(stage.admin.path))
            sock.sendall(b"GET /v1/sessions HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            with sock.makefile("rb") as answer:
                assert answer.read().startswith(b"HTTP/1.1 200 ")


@pytest.mark.parametrize("bytes_", [b"", b"\0" * 100, b"\r\n\r\n", b"HELO there\r\n" * 10])
def test_what_is_no_http(start, relay, admin, bytes_):
    start(Setup(relays_of(relay), admin=admin.text()))
    with connect(("127.0.0.1", admin.port)) as client:
        client.send(bytes_)
        client.finish()
        assert not client.rest().startswith(b"HTTP/1.1 2")
    assert admin.ask("GET", "/healthz", tcp=True).status == 200


# Commands.


def test_status_command(start, relay, admin):
    setup = Setup(relays_of(relay), admin=admin.text())
    setup.relays[1].options = "backup = yes max_sessions = 200"
    balancer = start(setup)
    assert admin.run("drain", "relays/relay1").returncode == 0
    result = admin.run("status")
    assert (result.returncode, result.stderr) == (0, "")
    lines = result.stdout.splitlines()
    assert lines[0] == f"smtplb 0.1.0, running, pid {balancer.pid}, 2 workers ({ENGINE})"
    assert unwrapped(result.stdout).startswith(unwrapped(f"{lines[0]}{balancer.conf}"))
    assert ["smtp", f"127.0.0.1:{setup.port}", "relays"] in [line.split() for line in lines]
    table = [line.split() for line in lines if line.startswith("  ")]
    assert table[1][0] == "relay1" and table[1][2:] == ["up", table[1][3], "drain", "0", "-", "1"]
    assert table[2][0] == "relay2" and table[2][2] == "up" and table[2][4:] == [
        "ready", "0", "200", "1", "backup"]
    assert all(len(line) <= 80 and line == line.rstrip() for line in lines)
    assert "\033" not in result.stdout
    told = json.loads(admin.run("status", "--json").stdout)
    assert timeless(told) == timeless(admin.get("/v1/status"))


def test_the_file_says_where_the_daemon_is(start, relay, admin):
    balancer = start(Setup(relays_of(relay), admin=admin.text()))
    assert run("status", "-c", balancer.conf).returncode == 0
    balancer.write(balancer.text.replace("pool = relays", "pool = none"))
    assert run("drain", "-c", balancer.conf, "relays/relay1").returncode == 0
    balancer.write(balancer.text + "broken {\n")
    assert run("status", "-c", balancer.conf).returncode == 0
    assert run("status", "-c", balancer.conf, "--socket", "/nowhere").returncode == 1


def test_output_that_can_not_be_written(start, relay, admin):
    start(Setup(relays_of(relay), admin=admin.text()))
    for options in ([], ["--json"]):
        with open("/dev/full", "w", encoding="ascii") as full:
            result = subprocess.run([PROGRAM, "status", "--socket", admin.path, *options],
                                    stdout=full, stderr=subprocess.PIPE, text=True, check=False,
                                    timeout=DEADLINE)
        assert (result.returncode, result.stderr) == (
            1, "smtplb: can't write: No space left on device\n")


def test_no_daemon(tmp_path):
    for command in (["status"], ["reload"], ["drain", "relays/relay1"]):
        result = run(*command, "--socket", tmp_path / "none.sock")
        assert (result.returncode, result.stdout) == (1, "")
        assert f"can't reach the daemon at {tmp_path}/none.sock: it does not run" in result.stderr


@pytest.mark.parametrize("said", [
    b"", b"SSH-2.0-x\r\n", b"HTTP/1.1 200 OK\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{}",
    b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\n{no", b"\0" * 5000,
], ids=["nothing", "ssh", "endless", "cut", "no-json", "zeros"])
def test_somebody_else_at_the_socket(tmp_path, said):
    path = tmp_path / "admin.sock"
    sock = listen_at(path)

    def serve():
        conn, _ = sock.accept()
        conn.recv(65536)
        conn.sendall(said)
        conn.close()

    thread = threading.Thread(target=serve)
    thread.start()
    result = run("status", "--socket", path)
    thread.join(DEADLINE)
    assert (result.returncode, result.stdout) == (1, "")
    assert "what it says is no answer of smtplb's" in result.stderr


@pytest.mark.parametrize("arguments, what", [
    (["drain"], "needs POOL/BACKEND"),
    (["drain", "relays/relay1", "more"], "unexpected argument: more"),
    (["status", "--listener", "smtp"], "status has no such option"),
    (["reload", "--json"], "reload has no such option"),
])
def test_wrong_usage(arguments, what):
    result = run(*arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert what in result.stderr


@pytest.mark.parametrize("target", ["relays", "relays/", "/relay1", "a/b/c", "a/b c", "a b/c", "/"])
def test_no_target(target, tmp_path):
    result = run("drain", target, "--socket", tmp_path / "none.sock")
    assert result.returncode == 1
    assert f"not POOL/BACKEND: {target}" in result.stderr
