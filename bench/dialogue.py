"""One session with one small message, timed: what the benchmarks of latency send."""

import socket
import statistics
import time

COMMANDS = [b"EHLO bench.test\r\n", b"MAIL FROM:<sender@bench.test>\r\n",
            b"RCPT TO:<recipient@bench.test>\r\n", b"DATA\r\n",
            b"Subject: bench\r\n\r\n" + b"x" * 70 + b"\r\n.\r\n", b"QUIT\r\n"]


class Refused(Exception):
    """A session that was not served, or a measurement that does not count."""


def reply(sock, wanted):
    data = b""
    while not data.endswith(b"\n") or data.splitlines()[-1][3:4] == b"-":
        piece = sock.recv(4096)
        if not piece:
            raise Refused(f"closed after {data!r}")
        data += piece
    if data[:1] not in wanted:
        raise Refused(repr(data))


def session(address):
    """One message; returns the milliseconds to the greeting and of the whole."""
    began = time.perf_counter()
    with socket.create_connection(address, timeout=60) as sock:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        reply(sock, b"2")
        greeted = time.perf_counter()
        for command in COMMANDS:
            sock.sendall(command)
            reply(sock, b"23")
    return (greeted - began) * 1000, (time.perf_counter() - began) * 1000


def p99(values):
    return statistics.quantiles(values, n=100)[98]
