"""An SMTP client that a test leads by the hand, where a real one would not wait for it."""

import re

from topology import PATIENCE


class Client:
    def __init__(self, host, address, port=25):
        self.socket = host.connect(address, port, timeout=PATIENCE)
        self.file = self.socket.makefile("rb")
        self.greeting = self.read()

    def read(self):
        """A whole reply; what there was of it if the connection ended."""
        reply = ""
        while not re.search(r"^\d{3} .*\n\Z", reply, re.MULTILINE):
            line = self.file.readline().decode("utf-8", "replace")
            if not line:
                break
            reply += line
        return reply

    def send(self, line):
        self.socket.sendall(line.encode("ascii") + b"\r\n")

    def ask(self, line):
        self.send(line)
        return self.read()

    def close(self):
        self.file.close()
        self.socket.close()
