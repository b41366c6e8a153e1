"""Invariant 6, for the admin interface: whatever call fails, it never spins, never tells half of the
truth and never goes for good; sessions notice nothing."""

import http.client
import json
import time

import pytest
from admin import Admin
from balancer import Setup
from faults import FOREVER, FUNCTIONS
from peers import eventually, smtp

STRANGER = "127.0.0.66"
PAGES = ("/healthz", "/v1/status", "/v1/sessions", "/v1/denied", "/v1/history", "/v1/events", "/")
PAUSE_S = 0.1  # of a server that could not accept
OUR_FAULT = (500, 503)

# Not those with which the kernel promises to tell when it is worth while again: libmicrohttpd waits
# for that, and is told nothing of a fault that was ordered.
PROMISES = {("recv", "EAGAIN"), ("send", "EAGAIN"), ("send", "ENOBUFS")}
CALLS = ["memory", "accept4", "recv", "send", "sendmsg", "epoll_ctl", "epoll_wait", "socket", "bind",
         "listen", "epoll_create1", "eventfd", "lstat", "fchmod", "chmod", "unlink", "fcntl"]
CASES = [(name, error) for name in CALLS for error in FUNCTIONS[name]
         if (name, error) not in PROMISES]


@pytest.fixture(name="admin")
def fixture_admin(tmp_path):
    return Admin(tmp_path)


@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
@pytest.mark.parametrize("error", ["EMFILE", "ENOMEM"])
def test_client_that_can_not_be_accepted(start, relay, faults, admin, error, tcp):
    """It waits, and nothing spins. Calls are counted: a pause is one of accept4."""
    setup = Setup([relay(smtp(b"one"))], workers=1, admin=admin.text())
    start(setup, prefix=faults.prefix)
    faults.arm("accept4", error, last=FOREVER)
    began = time.monotonic()
    before = faults.all_calls()
    waiting = admin.dial(tcp)
    waiting.request("GET", "/healthz")
    eventually(lambda: faults.failed() >= 5)
    pauses = (time.monotonic() - began) / PAUSE_S + 2
    after = faults.all_calls()
    assert after["accept4"] - before["accept4"] <= 2 * pauses
    assert after["epoll_wait"] - before["epoll_wait"] <= 4 * pauses
    faults.disarm()
    assert waiting.getresponse().status == 200
    waiting.close()
    assert admin.ask("GET", "/healthz", tcp).status == 200


class Scenario:
    """A session and a stranger to tell of, and two places where the admin interface may be."""

    def __init__(self, start, relay, tmp_path, faults):
        other = tmp_path / "other"
        other.mkdir()
        self.places = [Admin(tmp_path), Admin(other)]
        self.setup = Setup(
            [relay(smtp(b"one")), relay(smtp(b"two"))],
            workers=1,
            deny=STRANGER,
            admin=self.places[0].text(),
        )
        self.balancer = start(self.setup, prefix=faults.prefix)
        self.events = 2  # it was loaded, and is ready
        self.client = self.setup.connect()
        self.address = "{}:{}".format(*self.client.sock.getsockname())
        self.client.line()
        assert self.setup.greeting(STRANGER).startswith(b"421 ")

    def ask(self, admin, method, path, tcp):
        """The answer, None where there was none; one that has come is whole and true."""
        try:
            answer = admin.ask(method, path, tcp)
        except (ConnectionError, FileNotFoundError, http.client.IncompleteRead):
            return None
        if answer.status == 200 and answer.headers["Content-Type"] == "application/json":
            self.examine(path, json.loads(answer.body))
        if answer.status == 200 and path == "/":
            assert answer.body.endswith(b"</html>\n")
        return answer

    def examine(self, path, told):
        if path == "/v1/status":
            assert [pool["name"] for pool in told["pools"]] == ["relays"]
            assert [one["name"] for one in told["pools"][0]["backends"]] == ["relay1", "relay2"]
            assert [one["name"] for one in told["listeners"]] == ["smtp"]
            assert told["listeners"][0]["bind"] == [f"127.0.0.1:{self.setup.port}"]
        elif path == "/v1/sessions":
            assert self.address in [one["client"] for one in told["sessions"]]
        elif path == "/v1/denied":
            assert [one["address"] for one in told["denied"]] == [STRANGER]
        elif path == "/v1/history":
            assert len({len(figure) for figure in told["samples"].values()}) == 1
        elif path == "/v1/events":
            assert len(told["events"]) >= self.events
            self.events = len(told["events"])

    def turn(self):
        """Everything is asked once, here and there."""
        admin = self.places[0]
        for path in PAGES:
            for tcp in (False, True):
                answer = self.ask(admin, "GET", path, tcp)
                assert answer is None or answer.status in (200, *OUR_FAULT), (path, answer)
        order = "/v1/pools/relays/backends/relay2/"
        for path in (order + "maint", order + "ready", "/v1/reload"):
            answer = self.ask(admin, "POST", path, False)
            assert answer is None or answer.status in (200, 409, *OUR_FAULT), (path, answer)

    def move(self):
        """To the other place; where that is refused, it stays."""
        self.places.reverse()
        self.setup.admin = self.places[0].text()
        if self.balancer.reload(self.setup.text())["action"] != "reloaded":
            self.places.reverse()

    def check(self):
        """All is well again."""
        self.client.send(b"NOOP\r\n")
        assert self.client.line() == b"250 one"
        for path in PAGES:
            for tcp in (False, True):
                assert self.ask(self.places[0], "GET", path, tcp).status == 200
        for state in ("drain", "ready"):
            assert self.places[0].order("relay2", state) == 200
        assert self.balancer.process.poll() is None


@pytest.mark.parametrize("step", ["turn", "move"])
@pytest.mark.parametrize("function, error", CASES, ids=[f"{f}-{e}" for f, e in CASES])
def test_each_call(start, relay, tmp_path, faults, function, error, step):
    scenario = Scenario(start, relay, tmp_path, faults)
    number, failed = 0, True
    while failed:
        number += 1
        faults.arm(function, error, number)
        try:
            getattr(scenario, step)()
        except AssertionError as wrong:
            raise AssertionError(f"call {number} of {function}: {error}") from wrong
        failed = faults.failed() > 0
        faults.disarm()
        scenario.check()
    print(f"{number - 1} calls of {function}")
