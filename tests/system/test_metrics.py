"""Metrics: what the page says is what has happened, by the log and by what the test did."""

import fcntl
import json
import os
import re
import signal
import time
from pathlib import Path

import pytest
from admin import Admin, timeless
from balancer import ROOT, Crowd, Setup
from metrics import agree, await_log, promtool, scrape, table
from peers import eventually, reset, smtp
from prometheus import Prometheus

F_SETPIPE_SZ = 1031
PIPE_BYTES = 4096
STRANGER = "127.0.0.66"
BACKEND = {"pool": "relays", "backend": "relay1"}
DASHBOARD = ROOT / "conf/monitoring/dashboard.json"
ALERTS = ROOT / "conf/monitoring/alerts.yml"


@pytest.fixture(name="admin")
def fixture_admin(tmp_path):
    return Admin(tmp_path)


def greet(*lines):
    """A relay that says just this, and closes."""

    def serve(conn):
        conn.sock.recv(536)
        conn.send(b"".join(lines))

    return serve


def reset_at_once(conn):
    conn.sock.recv(536)
    reset(conn.sock)


def hold_silent(conn):
    conn.rest()


def over(page):
    """The page, unless a session is open: with its client, or with its backend still."""
    active = "smtplb_sessions_active", "smtplb_backend_sessions_active"
    return None if any(page.all(name) for name in active) else page


def agreed(balancer, admin):
    """The page, once every session is over, with the log's word for it."""
    page = eventually(lambda: over(scrape(admin)))
    await_log(balancer, page)
    agree(balancer, page)
    return page


# The page.


def test_page_is_the_table(start, relay, admin):
    start(Setup([relay(smtp())], admin=admin.text()))
    page = scrape(admin)
    told = {name: (head["TYPE"], head["HELP"]) for name, head in page.heads.items()}
    assert list(told.items()) == list(table().items())
    assert set(page.labels()) == set(told), "a metric without a sample"
    assert scrape(admin, tcp=False).heads == page.heads
    assert admin.ask("HEAD", "/metrics").status == 200
    assert admin.ask("POST", "/metrics").status == 405


def test_series_are_there_from_the_start(start, relay, admin):
    """And no other comes, whatever happens."""
    setup = Setup([relay(greet(b"421 busy\r\n")), relay(smtp(b"two"))], admin=admin.text(),
                  deny=STRANGER, top="max_sessions = 3")
    balancer = start(setup)
    before = scrape(admin)
    for (name, labels), value in before.samples.items():
        if before.heads[before.metric_of(name)]["TYPE"] != "gauge" and "process" not in name:
            assert value == 0, (name, labels)
    for _ in range(4):
        assert setup.greeting() == b"220 two ESMTP"
    setup.greeting(STRANGER)
    after = agreed(balancer, admin)
    assert after.samples.keys() == before.samples.keys()
    assert after.all("smtplb_messages_total") == {}
    assert len([1 for name, _ in after.samples if name == "smtplb_backend_replies_total"]) == 120


def test_promtool_finds_nothing(start, relay, admin):
    setup = Setup([relay(smtp())], admin=admin.text())
    start(setup)
    setup.greeting()
    page = scrape(admin).text
    result = promtool("check", "metrics", input=page)
    assert (result.returncode, result.stdout, result.stderr) == (0, "", "")
    # It would.
    result = promtool("check", "metrics", input=page.replace("# HELP smtplb_build_info", "# "))
    assert result.returncode != 0


# Sessions.


def test_sessions_and_bytes(start, relay, admin):
    setup = Setup([relay(smtp(b"one"))], admin=admin.text(), workers=3)
    balancer = start(setup)
    clients = [setup.connect() for _ in range(8)]
    for client in clients:
        assert client.line() == b"220 one ESMTP"
        client.send(b"EHLO me\r\n")
        assert client.line() == b"250 one"
    page = scrape(admin)
    assert page("smtplb_sessions_active", listener="smtp") == 8
    assert page("smtplb_backend_sessions_active", **BACKEND) == 8
    assert page("smtplb_backend_sessions_total", **BACKEND) == 8
    assert page("smtplb_bytes_total", listener="smtp", direction="in") == 8 * len("EHLO me\r\n")
    assert page.all("smtplb_sessions_total") == {}
    for client in clients:
        assert client.quit() == b"221 bye"
    page = agreed(balancer, admin)
    assert page("smtplb_sessions_total", listener="smtp", result="ok") == 8
    assert page("smtplb_bytes_total", listener="smtp", direction="out") == 8 * len(
        "220 one ESMTP\r\n250 one\r\n221 bye\r\n")
    assert page("smtplb_backend_sessions_active", **BACKEND) == 0
    assert page.all("smtplb_backend_replies_total") == {
        ("relay1", "2", "relays", verb): 8 for verb in ("GREETING", "EHLO", "QUIT")}
    for name in ("connect", "greeting"):
        assert page(f"smtplb_{name}_seconds_count", **BACKEND) == 8
        assert page(f"smtplb_{name}_seconds_sum", **BACKEND) > 0


def test_histogram_holds_the_wait(start, relay, admin):
    """A greeting that takes its time is not in the buckets below."""

    def late(conn):
        conn.sock.recv(536)
        time.sleep(0.11)
        conn.send(b"220 late\r\n")
        conn.rest()

    setup = Setup([relay(late)], admin=admin.text())
    start(setup)
    with setup.connect() as client:
        assert client.line() == b"220 late"
    page = scrape(admin)
    bucket = "smtplb_greeting_seconds_bucket"
    bounds = sorted(
        (float(dict(labels)["le"]), value)
        for (name, labels), value in page.samples.items() if name == bucket
    )
    assert [value for _, value in bounds] == sorted(value for _, value in bounds)
    assert page(bucket, le="0.1", **BACKEND) == 0
    assert bounds[-1] == (float("inf"), 1)
    assert page("smtplb_greeting_seconds_sum", **BACKEND) >= 0.11


def test_denied_client_counts_as_such_only(start, relay, admin):
    setup = Setup([relay(smtp())], admin=admin.text(), deny=STRANGER)
    balancer = start(setup)
    before = scrape(admin)
    for on_deny in ("421", "554", "drop", "reset"):
        setup.listener = f"on_deny = {on_deny}"
        balancer.reload(setup.text())
        try:
            setup.greeting(STRANGER)
        except ConnectionResetError:
            assert on_deny == "reset"
    balancer.wait("denied", 4)
    after = scrape(admin)
    assert after("smtplb_denied_total", listener="smtp", reason="acl") == 4
    changed = {
        name for (name, labels), value in after.samples.items()
        if value != before.samples[name, labels]
    }
    assert {name for name in changed if name.startswith("smtplb")} == {
        "smtplb_denied_total", "smtplb_config_reload_timestamp_seconds"}


def test_limited_client_counts_in_both(start, relay, admin):
    setup = Setup([relay(smtp(b"one"))], admin=admin.text(), top="max_sessions = 1")
    balancer = start(setup)
    with setup.connect() as inside:
        assert inside.line() == b"220 one ESMTP"
        for _ in range(3):
            assert setup.greeting().startswith(b"421 4.3.2 lb.test too many connections")
        page = eventually(lambda: balancer.find("session", result="limited")[2:] and scrape(admin))
        assert page("smtplb_denied_total", listener="smtp", reason="sessions") == 3
        assert page("smtplb_sessions_total", listener="smtp", result="limited") == 3
        assert page("smtplb_sessions_active", listener="smtp") == 1
        assert page("smtplb_denied_total", listener="smtp", reason="acl") == 0
    agreed(balancer, admin)


def test_results(start, relay, admin):
    """Each way in which a session ends counts where the log says."""
    one = relay()
    setup = Setup([one], admin=admin.text(), listener="idle_timeout = 150ms", workers=1,
                  pool="queue_timeout = 0s")
    balancer = start(setup)

    def open_both():
        client, conn = setup.connect(), one.next()
        conn.send(b"220 one\r\n")
        assert client.line() == b"220 one"
        return client, conn

    client, conn = open_both()
    client.close()
    conn.rest()
    conn.close()
    balancer.wait("session", result="ok")
    client, conn = open_both()
    client.reset()
    assert conn.rest().startswith(b"\r\n")  # the header
    conn.close()
    balancer.wait("session", result="client_lost")
    client, conn = open_both()
    conn.reset()
    client.rest()
    client.close()
    balancer.wait("session", result="backend_lost")
    client, conn = open_both()
    balancer.wait("session", result="idle")
    assert admin.order("relay1", "drain") == 200
    assert setup.greeting().startswith(b"421 4.3.2 lb.test no relay available")
    balancer.wait("session", result="no_backend")
    page = agreed(balancer, admin)
    for result in ("ok", "client_lost", "backend_lost", "idle", "no_backend"):
        assert page("smtplb_sessions_total", listener="smtp", result=result) == 1, result


def test_bad_header_of_a_balancer_in_front(start, relay, admin):
    setup = Setup([relay(smtp())], admin=admin.text(), listener="accept_proxy = { 127.0.0.9 }")
    balancer = start(setup)
    client = setup.connect("127.0.0.9")
    eventually(lambda: scrape(admin)("smtplb_sessions_active", listener="smtp") == 1)
    # It goes on under the configuration that is in force when its header has come.
    balancer.reload()
    assert scrape(admin)("smtplb_sessions_active", listener="smtp") == 1
    client.send(b"PROXY TCP4 127.0.0.7 127.0.0.1 40000 25\r\n")
    assert client.line().startswith(b"220 ")
    assert scrape(admin)("smtplb_sessions_active", listener="smtp") == 1
    client.quit()
    with setup.connect("127.0.0.9") as bad:
        bad.send(b"EHLO me\r\n")
        bad.is_reset()
    balancer.wait("session", result="error")
    page = agreed(balancer, admin)
    assert page("smtplb_sessions_total", listener="smtp", result="error") == 1
    assert page("smtplb_sessions_total", listener="smtp", result="ok") == 1


def test_bad_header_after_its_listener_came_back(start, relay, admin):
    """A session that has begun when its listener was another's is counted where it goes on."""
    setup = Setup([relay(smtp())], admin=admin.text(), listener="accept_proxy = { 127.0.0.9 }")
    balancer = start(setup)
    with setup.connect("127.0.0.9") as client:
        eventually(lambda: scrape(admin)("smtplb_sessions_active", listener="smtp") == 1)
        text = balancer.text
        balancer.reload(text.replace("listener smtp", "listener other"))
        assert scrape(admin)("smtplb_sessions_active", listener="other") == 0
        balancer.reload(text)
        assert scrape(admin)("smtplb_sessions_active", listener="smtp") == 0
        client.send(b"PROXY TCP4 127.0.0.7 127.0.0.1 40000 25\r\n")
        assert client.line().startswith(b"220 ")
        assert scrape(admin)("smtplb_sessions_active", listener="smtp") == 1
        client.quit()
    agreed(balancer, admin)


# Backends.


@pytest.mark.parametrize("serve, cause, reply", [
    (None, "refused", None),
    (reset_at_once, "reset", None),
    (greet(), "closed", None),
    (hold_silent, "greeting_timeout", None),
    (greet(b"421 4.3.2 busy\r\n"), "greeting_reply", "4"),
    (greet(b"554 5.7.1 no\r\n"), "greeting_reply", "5"),
    (greet(b"354 what\r\n"), "greeting_reply", "3"),
    (greet(b"250-one\r\n", b"250 two\r\n"), "greeting_reply", "2"),
    (greet(b"220-hello\r\n421 no\r\n"), "greeting_reply", None),
    (greet(b"SSH-2.0-OpenSSH_9\r\n"), "greeting_reply", None),
], ids=["refused", "reset", "closed", "silent", "421", "554", "354", "250", "mixed", "ssh"])
def test_failed_attempts(start, relay, admin, serve, cause, reply):
    bad = relay(serve)
    if not serve:
        bad.close()
    setup = Setup([bad, relay(smtp(b"good"))], admin=admin.text(), pool="greeting_timeout = 200ms")
    balancer = start(setup)
    assert setup.greeting() == b"220 good ESMTP"
    balancer.wait("attempt", backend="relay1", cause=cause)
    page = agreed(balancer, admin)
    assert page("smtplb_backend_failures_total", cause=cause, **BACKEND) == 1
    assert page("smtplb_backend_sessions_total", pool="relays", backend="relay2") == 1
    assert page("smtplb_connect_seconds_count", **BACKEND) == (0 if cause == "refused" else 1)
    assert page("smtplb_greeting_seconds_count", **BACKEND) == 0
    replies = page.all("smtplb_backend_replies_total", backend="relay1")
    assert replies == ({(reply, "relays", "GREETING"): 1} if reply else {})


def test_probes_and_what_they_say(start, hosts, admin):
    one, two = hosts(smtp(b"one"), smtp(b"two"))
    health = f"type = http port = {one.probe.port} interval = 20ms fall = 2 rise = 1"
    balancer = start(Setup([one, two], admin=admin.text(), health=health))
    eventually(lambda: scrape(admin).all("smtplb_probes_total", backend="relay2"))
    one.probe.status = 503
    balancer.wait("health", backend="relay1", to="down")
    page = scrape(admin)
    assert page("smtplb_backend_up", **BACKEND) == 0
    assert page("smtplb_backend_up", pool="relays", backend="relay2") == 1
    assert page("smtplb_probes_total", outcome="fail", **BACKEND) >= 2
    assert page("smtplb_probes_total", outcome="fail", pool="relays", backend="relay2") == 0
    assert admin.run("maint", "relays/relay1").returncode == 0
    # No more probes: those that were answered have been counted, and nothing is added.
    two.probe.await_probes(3)
    counted = scrape(admin).all("smtplb_probes_total", backend="relay1")
    eventually(lambda: sum(counted.values()) <= one.probe.answered)
    two.probe.await_probes(3)
    assert scrape(admin).all("smtplb_probes_total", backend="relay1") == counted


def test_orders_and_state_agree(start, relay, admin):
    """From interface, command, log and page."""
    setup = Setup([relay(smtp(b"relay1")), relay(smtp(b"relay2"))], admin=admin.text())
    balancer = start(setup)
    inside = [setup.connect() for _ in range(3)]
    for client in inside:
        assert client.line().startswith(b"220 ")
    for number, state in enumerate(("drain", "maint", "ready"), 1):
        assert admin.run(state, "relays/relay1").returncode == 0
        balancer.wait("admin", number, backend="relay1")
        assert balancer.find("admin")[-1]["state"] == state
        page = scrape(admin)
        status = json.loads(admin.run("status", "--json").stdout)
        assert timeless(status) == timeless(admin.get("/v1/status"))
        for backend in status["pools"][0]["backends"]:
            labels = {"pool": "relays", "backend": backend["name"]}
            states = page.all("smtplb_backend_admin_state", **labels)
            assert states == {(backend["state"],): 1}
            assert page("smtplb_backend_up", **labels) == backend["up"]
            assert page("smtplb_backend_sessions_active", **labels) == backend["sessions"]
        assert page("smtplb_sessions_active", listener="smtp") == status["sessions"] == 3
        assert len(page.all("smtplb_backend_admin_state")) == 2
    for client in inside:
        client.quit()
    agreed(balancer, admin)


def test_queue_length(start, relay, admin):
    setup = Setup([relay(smtp(b"one"))], admin=admin.text())
    start(setup)
    assert admin.order("relay1", "drain") == 200
    with setup.connect() as one, setup.connect() as two:
        eventually(lambda: scrape(admin)("smtplb_queue_length", pool="relays") == 2)
        assert scrape(admin)("smtplb_sessions_active", listener="smtp") == 2
        assert admin.order("relay1", "ready") == 200
        assert one.line() == two.line() == b"220 one ESMTP"
        assert scrape(admin)("smtplb_queue_length", pool="relays") == 0


# Reloads.


def test_counts_survive_a_reload(start, relay, admin):
    """With the name: whatever else changes, and with sessions of before."""
    setup = Setup([relay(smtp(b"one"))], admin=admin.text(), listener="idle_timeout = 1m")
    balancer = start(setup)
    setup.greeting()
    inside = setup.connect()
    assert inside.line() == b"220 one ESMTP"
    other = relay(smtp(b"two"), host="127.0.0.2")
    setup.relays = [other]
    setup.listener = "idle_timeout = 2m"
    assert balancer.reload(setup.text())["action"] == "reloaded"
    assert setup.greeting() == b"220 two ESMTP"
    page = eventually(
        lambda: len(balancer.find("session", result="ok")) == 2 and scrape(admin))
    assert page("smtplb_sessions_total", listener="smtp", result="ok") == 2
    assert page("smtplb_sessions_active", listener="smtp") == 1
    assert page("smtplb_backend_sessions_total", **BACKEND) == 3
    assert inside.quit() == b"221 bye"
    page = agreed(balancer, admin)
    assert page("smtplb_sessions_total", listener="smtp", result="ok") == 3


def test_series_go_with_their_names(start, relay, admin):
    setup = Setup([relay(smtp(b"one")), relay(smtp(b"two"))], admin=admin.text())
    balancer = start(setup)
    for _ in range(2):
        setup.greeting()
    before = balancer.text
    inside = setup.connect()
    assert inside.line() == b"220 one ESMTP"
    balancer.reload(before.replace("listener smtp", "listener other").replace(
        "backend relay1", "backend relay9"))
    page = scrape(admin)
    text = page.text
    assert 'listener="other"' in text and 'listener="smtp"' not in text
    assert 'backend="relay9"' in text and 'backend="relay1"' not in text
    assert page("smtplb_sessions_active", listener="other") == 0
    assert page("smtplb_backend_sessions_total", pool="relays", backend="relay2") == 1
    # Whom it concerns goes on, and is counted where nobody looks.
    assert inside.quit() == b"221 bye"
    balancer.wait("session", 3)
    assert not scrape(admin).all("smtplb_sessions_total")
    balancer.reload(before)
    page = scrape(admin)
    assert page("smtplb_sessions_total", listener="smtp", result="ok") == 0
    assert page("smtplb_backend_sessions_total", pool="relays", backend="relay2") == 1


def test_refused_reload(start, relay, admin, tmp_path):
    allowed = tmp_path / "list"
    allowed.write_text("127.0.0.0/8\n")
    setup = Setup([relay(smtp())], admin=admin.text(), allow=f"file:{allowed}")
    balancer = start(setup)
    success, since = "smtplb_config_reload_success", "smtplb_config_reload_timestamp_seconds"
    first = scrape(admin)
    assert first(success) == 1
    started = Path(f"/proc/{balancer.pid}").stat().st_mtime
    assert abs(first(since) - started) < 3600 and first(since) <= time.time()
    assert balancer.reload(setup.text() + "nonsense = 1\n")["action"] == "refused"
    page = scrape(admin)
    assert (page(success), page(since)) == (0, first(since))
    assert balancer.reload(setup.text())["action"] == "reloaded"
    page = scrape(admin)
    assert page(success) == 1 and page(since) > first(since)
    # A list that changes is a load as well.
    fresh = tmp_path / "fresh"
    fresh.write_text("no address\n")
    os.replace(fresh, allowed)
    balancer.wait("config", 2, action="refused")
    assert scrape(admin)(success) == 0
    fresh.write_text("127.0.0.0/9\n")
    os.replace(fresh, allowed)
    balancer.wait("config", 2, action="reloaded")
    page = scrape(admin)
    assert page(success) == 1 and page(since) > first(since)


# The daemon.


def test_log_lines_dropped(start, relay, admin):
    """As many as the log tells of, once it can."""
    setup = Setup([relay(smtp(b"one"))], admin=admin.text(), top="log { level = debug }")
    balancer = start(setup)
    assert scrape(admin)("smtplb_log_dropped_total") == 0
    fcntl.fcntl(balancer.process.stderr, F_SETPIPE_SZ, PIPE_BYTES)
    balancer.reading.clear()
    with Crowd(setup):
        eventually(lambda: scrape(admin)("smtplb_log_dropped_total"))
    balancer.reading.set()

    def all_told():
        setup.greeting()
        told = sum(int(event["dropped"]) for event in balancer.find("log"))
        return told == scrape(admin)("smtplb_log_dropped_total")

    eventually(all_told)


def test_process(start, relay, admin):
    setup = Setup([relay(smtp())], admin=admin.text())
    balancer = start(setup)
    page = scrape(admin)  # with a connection of its own
    descriptors = Path(f"/proc/{balancer.pid}/fd")
    eventually(lambda: scrape(admin)("process_open_fds") == len(list(descriptors.iterdir())) + 1)
    limits = Path(f"/proc/{balancer.pid}/limits").read_text()
    assert page("process_max_fds") == int(re.search(r"Max open files +(\d+)", limits)[1])
    resident, virtual = (page(f"process_{kind}_memory_bytes") for kind in ("resident", "virtual"))
    assert 1 << 20 < resident < virtual
    assert page("process_cpu_seconds_total") > 0
    assert page("process_start_time_seconds") <= page("smtplb_config_reload_timestamp_seconds")
    assert scrape(admin)("process_start_time_seconds") == page("process_start_time_seconds")
    version = admin.get("/v1/status")
    assert page("smtplb_build_info", version=version["version"], engine=version["engine"]) == 1


def test_scrape_while_it_stops(start, relay, admin):
    setup = Setup([relay(smtp(b"one"))], admin=admin.text())
    balancer = start(setup)
    client = setup.connect()
    assert client.line() == b"220 one ESMTP"
    balancer.signal(signal.SIGTERM)
    balancer.wait("stopping")
    assert scrape(admin)("smtplb_sessions_active", listener="smtp") == 1
    client.quit()
    assert balancer.exit_code() == 0


# Prometheus and Grafana.


def expressions():
    """All that the dashboard asks for, with its variables filled in."""
    dashboard = json.loads(DASHBOARD.read_text())
    asked = [target["expr"] for panel in dashboard["panels"] for target in panel.get("targets", [])]
    asked += [one["expr"] for one in dashboard["annotations"]["list"]]
    asked += [one["definition"] for one in dashboard["templating"]["list"] if "definition" in one]
    for variable, value in (("$__rate_interval", "1m"), ("$instance", ".*"), ("$listener", ".*"),
                            ("$pool", ".*")):
        asked = [one.replace(variable, value) for one in asked]
    assert len(asked) > 20 and "$" not in "".join(asked)
    return asked


@pytest.mark.parametrize("file", [DASHBOARD, ALERTS], ids=["dashboard", "alerts"])
def test_what_is_asked_for_is_there(start, relay, admin, file):
    """Names and labels."""
    start(Setup([relay(smtp())], admin=admin.text()))
    page = scrape(admin)
    labels = page.labels()
    text = file.read_text().replace('\\"', '"')
    asked = re.findall(r"\b((?:smtplb|process)_\w+)(?:\{([^}]*)\})?", text)
    names = {page.metric_of(name) for name, _ in asked}
    assert names <= set(table())
    for name, matchers in asked:
        for label in re.findall(r'(\w+)(?:=~|!=|=)"', matchers):
            assert label in labels[page.metric_of(name)] | {"instance", "job"}, (name, label)
    if file == DASHBOARD:
        assert names == set(table())


def test_dashboard_is_in_order():
    dashboard = json.loads(DASHBOARD.read_text())
    panels = dashboard["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {(x, y) for x in range(place["x"], place["x"] + place["w"])
                 for y in range(place["y"], place["y"] + place["h"])}
        assert not cells & taken and place["x"] + place["w"] <= 24, panel["title"]
        taken |= cells


def test_alerts():
    result = promtool("check", "rules", ALERTS)
    assert result.returncode == 0, result.stderr
    cases = ROOT / "tests/system/data/alerts_test.yml"
    result = promtool("test", "rules", cases)
    assert result.returncode == 0, result.stdout + result.stderr
    names = re.findall(r"alert: (\w+)", ALERTS.read_text())
    for name in names:
        quiet = re.findall(rf"alertname: {name}\}}", cases.read_text())
        fires = re.findall(rf"alertname: {name}\n +exp_alerts:", cases.read_text())
        assert fires and (quiet or name == "SmtplbUnreachable"), name


def test_prometheus_scrapes_it(start, relay, admin, tmp_path):
    setup = Setup([relay(smtp(b"one"))], admin=admin.text(), deny=STRANGER)
    start(setup)
    for _ in range(3):
        assert setup.greeting() == b"220 one ESMTP"
    setup.greeting(STRANGER)
    with Prometheus(tmp_path, admin.port, ALERTS) as prometheus:
        eventually(lambda: prometheus.value('up{job="smtplb"}') == 1)
        eventually(lambda: prometheus.value('smtplb_sessions_total{result="ok"}') == 3)
        eventually(lambda: prometheus.value('smtplb_denied_total{reason="acl"}') == 1)
        eventually(lambda: prometheus.value("smtplb_greeting_seconds_count") == 3)
        setup.greeting()
        eventually(lambda: prometheus.value('smtplb_sessions_total{result="ok"}') == 4)
        for expression in expressions():
            if not expression.startswith("label_values("):
                prometheus.query(expression)
        rules = eventually(lambda: all(
            rule["health"] == "ok" for rule in prometheus.rules()) and prometheus.rules())
        assert len(rules) == ALERTS.read_text().count("alert: ")


# What is said of it.


def test_readme_has_the_table(start, relay, admin):
    start(Setup([relay(smtp())], admin=admin.text()))
    labels = scrape(admin).labels()
    section = (ROOT / "README.md").read_text().split("\n### Metrics\n")[1].split("\n### ")[0]
    told = {}
    for names, having in re.findall(r"^\| (`[^|]*) \| ([^|]*) \| ", section, re.M):
        for name in re.findall(r"`(\w+)`", names):
            told[name] = set(re.findall(r"`(\w+)`", having))
    assert told == {name: labels[name] for name in table()}


def test_it_is_installed():
    makefile = (ROOT / "Makefile").read_text()
    installed = re.findall(r"^\tinstall .*?(conf/monitoring/\S+) (conf/monitoring/\S+)$", makefile, re.M)
    assert [{ROOT / path for path in line} for line in installed] == [{DASHBOARD, ALERTS}]
