"""An SMTP client that a test leads by the hand, where a real one would not wait for it."""

import re

from topology import PATIENCE


class Client:
    def __init__(self, host, address, port=25, header=b""):
        """header: a PROXY header, for a relay that wants one."""
        self.socket = self.wrap(host.connect(address, port, timeout=PATIENCE))
        self.socket.sendall(header)
        self.file = self.socket.makefile("rb")
        self.sent = 0  # bytes
        self.greeting = self.read()

    def wrap(self, sock):
        """What is said and heard goes through this."""
        return sock

    def read(self):
        """A whole reply; what there was of it if the connection ended."""
        reply = ""
        while not re.search(r"^\d{3} .*\n\Z", reply, re.MULTILINE):
            line = self.file.readline().decode("utf-8", "replace")
            if not line:
                break
            reply += line
        return reply

    def send(self, *lines):
        """All in one write."""
        data = b"".join(line.encode("ascii") + b"\r\n" for line in lines)
        self.socket.sendall(data)
        self.sent += len(data)

    def ask(self, line):
        self.send(line)
        return self.read()

    def codes(self, count):
        """Those of so many replies."""
        return [self.read()[:3] for _ in range(count)]

    def close(self):
        self.file.close()
        self.socket.close()
