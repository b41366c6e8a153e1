"""Orders and state as the API, the commands, the log and the metrics tell them: all the same."""

import json

import pytest
from admin import Admin
from balancer import Setup
from metrics import scrape
from peers import eventually, smtp

STRANGER = "127.0.0.66"
RELAYS = ("relay1", "relay2")
MESSAGE = b"MAIL FROM:<a@example.com>\r\nRCPT TO:<b@example.com>\r\nDATA\r\n"


@pytest.fixture(name="admin")
def fixture_admin(tmp_path):
    return Admin(tmp_path)


class Witnesses:
    """One question, asked of everybody who may know."""

    def __init__(self, admin, balancer):
        self.admin = admin
        self.balancer = balancer

    def command(self, name):
        result = self.admin.run(name, "--json")
        assert result.returncode == 0
        return json.loads(result.stdout)

    def rows(self):
        """A backend's line in the table of `smtplb status`, in words."""
        lines = [line.split() for line in self.admin.run("status").stdout.splitlines()]
        return {words[0]: words for words in lines if words and words[0] in RELAYS}

    def states(self):
        """What was ordered, and whether it is up: (state, up) of each backend."""
        api = {name: (one["state"], one["up"]) for name, one in self.admin.backends().items()}
        (pool,) = self.command("status")["pools"]
        command = {one["name"]: (one["state"], one["up"]) for one in pool["backends"]}
        page = scrape(self.admin)
        metrics = {
            name: (state, page("smtplb_backend_up", pool="relays", backend=name) == 1)
            for (name, _, state) in page.all("smtplb_backend_admin_state")
        }
        table = {name: (next(word for word in words if word in ("ready", "drain", "maint")),
                        "up" in words) for name, words in self.rows().items()}
        assert api == command == metrics == table
        return api

    def logged(self):
        """The same from the log alone."""
        states = {name: ["ready", True] for name in RELAYS}
        for event in list(self.balancer.events):
            if event["event"] == "admin":
                states[event["backend"]][0] = event["state"]
            if event["event"] == "health":
                states[event["backend"]][1] = event["to"] == "up"
        return {name: tuple(state) for name, state in states.items()}

    def agree(self, expected):
        """Once the log's thread has caught up."""
        assert self.states() == expected
        eventually(lambda: self.logged() == expected)


def test_orders_and_health(start, hosts, admin):
    relays = hosts(smtp(b"relay1"), smtp(b"relay2"))
    health = f"type = http port = {relays[0].probe.port} interval = 20ms fall = 2 rise = 1"
    setup = Setup(relays, admin=admin.text(), health=health)
    balancer = start(setup)
    all_of_them = Witnesses(admin, balancer)
    all_of_them.agree({"relay1": ("ready", True), "relay2": ("ready", True)})
    assert admin.run("drain", "relays/relay1").returncode == 0
    all_of_them.agree({"relay1": ("drain", True), "relay2": ("ready", True)})
    assert admin.order("relay1", "maint") == 200
    all_of_them.agree({"relay1": ("maint", True), "relay2": ("ready", True)})
    relays[1].probe.status = 503
    balancer.wait("health", backend="relay2", to="down", cause="probe")
    all_of_them.agree({"relay1": ("maint", True), "relay2": ("ready", False)})
    assert admin.ask("GET", "/healthz").status == 503
    relays[1].probe.status = 200
    balancer.wait("health", backend="relay2", to="up")
    assert admin.run("ready", "relays/relay1").returncode == 0
    all_of_them.agree({"relay1": ("ready", True), "relay2": ("ready", True)})
    assert admin.ask("GET", "/healthz").status == 200
    # A reload leaves all of it as it was, and tells alike how it went.
    assert admin.order("relay2", "drain") == 200
    assert admin.run("reload").returncode == 0
    all_of_them.agree({"relay1": ("ready", True), "relay2": ("drain", True)})
    assert scrape(admin)("smtplb_config_reload_success") == 1
    balancer.write(setup.text() + "nonsense = 1\n")
    assert admin.run("reload").returncode == 1
    assert admin.ask("POST", "/v1/reload").status == 409
    assert scrape(admin)("smtplb_config_reload_success") == 0
    balancer.wait("config", 2, action="refused")
    all_of_them.agree({"relay1": ("ready", True), "relay2": ("drain", True)})


def test_sessions_messages_and_denials(start, relay, admin):
    setup = Setup([relay(smtp(b"relay1")), relay(smtp(b"relay2"))], admin=admin.text(),
                  deny=STRANGER)
    balancer = start(setup)
    all_of_them = Witnesses(admin, balancer)
    clients = [setup.connect() for _ in range(4)]
    for client in clients:
        assert client.line().startswith(b"220 ")
        client.send(MESSAGE)
        assert [client.line()[:3] for _ in range(3)] == [b"250", b"250", b"354"]
        client.send(b"Subject: x\r\n.\r\n")
        assert client.line().startswith(b"250 taken")
    page = scrape(admin)
    api, command = admin.get("/v1/sessions"), all_of_them.command("sessions")
    ids = {one["id"] for one in api["sessions"]}
    assert ids == {one["id"] for one in command["sessions"]} and len(ids) == 4
    assert all(one in admin.run("sessions").stdout for one in ids)
    assert page("smtplb_sessions_active", listener="smtp") == 4
    for name, one in admin.backends().items():
        backend = {"pool": "relays", "backend": name}
        assert one["sessions"] == page("smtplb_backend_sessions_active", **backend) == 2
        assert one["messages"] == {"accepted": 2, "deferred": 0, "rejected": 0}
        assert one["recipients"]["accepted"] == 2
        assert page("smtplb_messages_total", outcome="accepted", **backend) == 2
        assert page("smtplb_recipients_total", outcome="accepted", **backend) == 2
    (listener,) = admin.get("/v1/status")["listeners"]
    assert listener["messages"]["accepted"] == 4
    assert page("smtplb_listener_messages_total", listener="smtp", outcome="accepted") == 4
    for client in clients:
        assert client.quit() == b"221 bye"
    balancer.wait("session", 4, result="ok")
    logged = balancer.find("session")
    assert {event["id"] for event in logged} == ids
    assert sum(int(event["accepted"]) for event in logged) == 4
    assert scrape(admin)("smtplb_sessions_total", listener="smtp", result="ok") == 4
    for _ in range(3):
        assert setup.greeting(STRANGER).startswith(b"421 4.7.1 ")
    (denied,) = admin.get("/v1/denied")["denied"]
    assert all_of_them.command("denied") == {"denied": [denied]}
    assert (denied["network"], denied["count"]) == (STRANGER, 3)
    assert STRANGER in admin.run("denied").stdout
    assert scrape(admin)("smtplb_denied_total", listener="smtp", reason="acl") == 3
    balancer.wait("denied", 3)
    assert {event["client"].split(":")[0] for event in balancer.find("denied")} == {STRANGER}
