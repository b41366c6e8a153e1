"""The admin interface, from outside: HTTP over its Unix socket or TCP, and the commands."""

import http.client
import json
import socket
from collections import namedtuple

from balancer import run
from peers import DEADLINE, free_port

Answer = namedtuple("Answer", "status body headers")


def timeless(status):
    """The status but for what is another a moment later."""
    return {key: value for key, value in status.items() if key not in ("now", "uptime_s")}


class Connection(http.client.HTTPConnection):
    """By a path, where http.client knows hosts only."""

    def __init__(self, path):
        super().__init__("smtplb", timeout=DEADLINE)
        self.path = str(path)

    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(DEADLINE)
        self.sock.connect(self.path)


class Admin:
    """Where a balancer is to be reached, and what it says there."""

    def __init__(self, folder):
        self.path = folder / "admin.sock"
        self.port = free_port()

    def text(self):
        """For Setup's admin."""
        return f"socket = {self.path} listen = 127.0.0.1:{self.port}"

    def dial(self, tcp=False):
        if tcp:
            return http.client.HTTPConnection("127.0.0.1", self.port, timeout=DEADLINE)
        return Connection(self.path)

    def ask(self, method, path, tcp=False, **options):
        connection = self.dial(tcp)
        try:
            connection.request(method, path, **options)
            response = connection.getresponse()
            return Answer(response.status, response.read(), dict(response.getheaders()))
        finally:
            connection.close()

    def serves(self):
        """Whether it answers and is healthy; it need not be there yet."""
        try:
            return self.ask("GET", "/healthz").status == 200
        except (FileNotFoundError, ConnectionRefusedError):
            return False

    def get(self, path, tcp=False):
        """A page of JSON."""
        answer = self.ask("GET", path, tcp)
        assert answer.status == 200, answer
        assert answer.headers["Content-Type"] == "application/json"
        return json.loads(answer.body)

    def order(self, backend, state, pool="relays"):
        return self.ask("POST", f"/v1/pools/{pool}/backends/{backend}/{state}").status

    def backends(self):
        """What status says of the only pool's backends, by name."""
        (pool,) = self.get("/v1/status")["pools"]
        return {backend["name"]: backend for backend in pool["backends"]}

    def run(self, command, *arguments):
        return run(command, *arguments, "--socket", self.path)
