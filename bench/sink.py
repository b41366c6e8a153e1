"""The sink as a child process, and its record."""

import http.client
import signal
import subprocess

from bench import child


class Sink(child.Child):
    """A running sink that listens. Ports left at 0 are chosen by the system; `smtp` and `http` are
    (host, port)."""

    def __init__(self, host="127.0.0.1", port=0, http_port=0, proxy="off", record=None,
                 name="sink.test", discard=False, prefix=(), **popen):
        argv = [*prefix, child.build_folder() / "sink", "--smtp", f"{host}:{port}",
                "--http", f"{host}:{http_port}", "--proxy", proxy, "--name", name]
        if record:
            argv += ["--record", record]
        if discard:
            argv.append("--discard")
        super().__init__(argv, stdout=subprocess.PIPE, text=True, **popen)
        ready = self.process.stdout.readline().split()
        if ready[:1] != ["ready"]:
            raise OSError(f"{name} did not start: exit status {self.stop()}")
        bound = dict(word.split("=", 1) for word in ready[1:])
        self.smtp, self.http = (host_and_port(bound[kind]) for kind in ("smtp", "http"))

    def stop(self, timeout=5):
        status = super().stop(timeout)
        self.process.stdout.close()
        return status

    def probe(self):
        """One HTTP request; returns the status."""
        connection = http.client.HTTPConnection(*self.http, timeout=10)
        try:
            connection.request("GET", "/")
            return connection.getresponse().status
        finally:
            connection.close()

    def kept(self):
        """How many messages it has taken so far."""
        self.signal(signal.SIGHUP)
        return int(self.process.stdout.readline().split()[1])

    def silence(self):
        self._take(signal.SIGUSR1)

    def talk(self):
        self._take(signal.SIGUSR2)

    def _take(self, number):
        # A probe takes two turns of its loop, so the signal has been taken when it is answered.
        self.signal(number)
        self.probe()


def host_and_port(text):
    host, port = text.rsplit(":", 1)
    return host.strip("[]"), int(port)


def read_record(path):
    """The messages that a sink has kept: a list of (client, id, size)."""
    try:
        with open(path, encoding="ascii") as file:
            rows = [line.split() for line in file]
    except FileNotFoundError:
        return []
    return [(client, message_id, int(size)) for client, message_id, size in rows]
