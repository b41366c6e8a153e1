"""Scripted peers on loopback: relays that behave as a test says, and SMTP clients that say what
they mean. All sockets have a deadline, so that a broken balancer fails a test and never hangs it.
"""

import os
import queue
import random
import socket
import struct
import threading
import time

DEADLINE = 60  # seconds for anything that should happen; reached only by failures

GIVEN = set()  # ports, by free_port()
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))  # that run tests side by side
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))  # this one

V2_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"


def eventually(condition):
    """Waits for what tells nobody when it happens; returns the condition's first true value."""
    give_up = time.monotonic() + DEADLINE
    while not (value := condition()):
        assert time.monotonic() < give_up, "it never happened"
        time.sleep(0.005)
    return value


def listen(host="127.0.0.1", port=0, backlog=512):
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    sock = socket.socket(family, socket.SOCK_STREAM)
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    sock.bind((host, port))
    sock.listen(backlog)
    return sock


def full_relay():
    """A socket with room for one connection that it has not accepted."""
    sock = listen(backlog=0)
    sock.settimeout(DEADLINE)
    return sock


def unless_refused(connect_somehow):
    """What it returns, or None as long as nobody listens there."""
    try:
        return connect_somehow()
    except ConnectionRefusedError:
        return None


def free_port(host="127.0.0.1"):
    """A port that nobody listens on, drawn from below those that the kernel gives out by itself, and
    from a share of its own for each worker: neither an outgoing connection nor a test that runs
    beside takes it before it is used. None is given twice."""
    while True:
        port = random.randrange(10000 + WORKER, 32768, WORKERS)
        if port in GIVEN:
            continue
        try:
            listen("::" if ":" in host else "0.0.0.0", port).close()
        except OSError:
            continue
        GIVEN.add(port)
        return port


def ipv4_sockets():
    """(local address, remote address, state) of each, as the kernel writes them."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        return [line.split()[1:4] for line in table]


def is_listening(address):
    """Whether a socket listens at the IPv4 address, without connecting to it."""
    host, port = address
    key = f"{socket.inet_aton(host)[::-1].hex().upper()}:{port:04X}"
    return any(local == key and state == "0A" for local, _, state in ipv4_sockets())


def is_connecting(port):
    """Whether somebody's connection to the port of an IPv4 address is still to stand."""
    end = f":{port:04X}"
    return any(remote.endswith(end) and state == "02" for _, remote, state in ipv4_sockets())


def parse_proxy(data):
    """The PROXY header at the start of data: (source, destination, rest), each (ip, port)."""
    if data.startswith(b"PROXY "):
        line, rest = data.split(b"\r\n", 1)
        _, _, source, destination, sport, dport = line.decode().split(" ")
        return (source, int(sport)), (destination, int(dport)), rest
    assert data.startswith(V2_SIGNATURE), data
    command, family, length = struct.unpack("!BBH", data[12:16])
    assert command == 0x21, hex(command)
    size, kind = (4, socket.AF_INET) if family == 0x11 else (16, socket.AF_INET6)
    body, rest = data[16 : 16 + length], data[16 + length :]
    source, destination = body[:size], body[size : 2 * size]
    sport, dport = struct.unpack("!HH", body[2 * size : 2 * size + 4])
    return (
        (socket.inet_ntop(kind, source), sport),
        (socket.inet_ntop(kind, destination), dport),
        rest,
    )


def reset(sock):
    """Closes with a RST."""
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    sock.close()


class Conn:
    """One connection, of a client to the balancer or of the balancer to a relay."""

    def __init__(self, sock):
        self.sock = sock
        self.buffer = b""
        sock.settimeout(DEADLINE)

    def send(self, data):
        self.sock.sendall(data)

    def line(self):
        """The next line without its CRLF; what came before the end if the peer closes in it."""
        while b"\n" not in self.buffer:
            data = self.sock.recv(65536)
            if not data:
                rest, self.buffer = self.buffer, b""
                return rest
            self.buffer += data
        line, self.buffer = self.buffer.split(b"\n", 1)
        return line.rstrip(b"\r")

    def recv(self):
        """Whatever came in one read; b"" at the end."""
        if self.buffer:
            data, self.buffer = self.buffer, b""
            return data
        return self.sock.recv(65536)

    def exactly(self, count):
        while len(self.buffer) < count:
            data = self.sock.recv(65536)
            assert data, f"closed after {len(self.buffer)} of {count} bytes"
            self.buffer += data
        data, self.buffer = self.buffer[:count], self.buffer[count:]
        return data

    def rest(self):
        """All until the peer's FIN."""
        parts = [self.buffer]
        self.buffer = b""
        while data := self.sock.recv(65536):
            parts.append(data)
        return b"".join(parts)

    def is_reset(self):
        """Waits for the end: True for a RST, False for a FIN."""
        try:
            while self.sock.recv(65536):
                pass
            return False
        except ConnectionResetError:
            return True

    def segments(self):
        """In how many segments the data came so far: on loopback, each of them was one write."""
        info = self.sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 156)
        return struct.unpack_from("I", info, 152)[0]  # tcpi_data_segs_in

    def quit(self):
        """Says QUIT and takes leave; returns the reply."""
        self.send(b"QUIT\r\n")
        reply = self.line()
        assert self.rest() == b""
        self.close()
        return reply

    def finish(self):
        """Half-closes: no more from this side."""
        self.sock.shutdown(socket.SHUT_WR)

    def reset(self):
        reset(self.sock)

    def close(self):
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def connect(address, source=None):
    host, port = address
    sock = socket.create_connection(
        (host, port), timeout=DEADLINE, source_address=(source, 0) if source else None
    )
    return Conn(sock)


class Relay:
    """Listens as a relay would. Each connection is handed to `serve`, in a thread of its own, and
    afterwards closed; or, where `serve` is None, put into `conns` for the test to play with.

    first: the very first read of each connection, before anything was sent to it.
    """

    def __init__(self, serve=None, host="127.0.0.1", port=0):
        self.serve = serve
        self.host = host
        self.sock = listen(host, port)
        self.port = self.sock.getsockname()[1]
        self.conns = queue.Queue()
        self.accepted = 0
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, _ = self.sock.accept()
            except OSError:
                return
            self.accepted += 1
            conn = Conn(sock)
            if self.serve is None:
                self.conns.put(conn)
            else:
                threading.Thread(target=self._run, args=(conn,), daemon=True).start()

    def _run(self, conn):
        try:
            self.serve(conn)
        except (OSError, AssertionError):
            pass
        finally:
            conn.close()

    def next(self):
        """The next connection that the balancer made."""
        return self.conns.get(timeout=DEADLINE)

    def none_waiting(self):
        return self.conns.empty()

    def close(self):
        """Stops listening, as a relay that is shut down."""
        try:
            self.sock.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self.sock.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def smtp(name=b"relay", proxy=True, log=None, secure=None):
    """A serve function: a small, well-behaved SMTP server. log: a list that gets
    (source, destination) of every session's PROXY header; secure: called with the connection behind
    that, for TLS, and returns whether the greeting has been said."""

    def serve(conn):
        if proxy:
            data = conn.sock.recv(536)
            source, destination, conn.buffer = parse_proxy(data)
            if log is not None:
                log.append((source, destination))
        if not (secure and secure(conn)):
            conn.send(b"220 " + name + b" ESMTP\r\n")
        in_data = False
        while line := conn.line():
            verb = line[:4].upper()
            if in_data:
                if line == b".":
                    in_data = False
                    conn.send(b"250 taken by " + name + b"\r\n")
            elif verb == b"DATA":
                in_data = True
                conn.send(b"354 go on\r\n")
            elif verb == b"QUIT":
                conn.send(b"221 bye\r\n")
                return
            else:
                conn.send(b"250 " + name + b"\r\n")

    return serve


class Probed:
    """Answers HTTP probes; `status` may be changed at any time. `answered` counts."""

    def __init__(self, host="127.0.0.1", status=200, port=0):
        self.status = status
        self.answered = 0
        self.changed = threading.Condition()
        self.relay = Relay(self._serve, host, port)
        self.port = self.relay.port

    def _serve(self, conn):
        while conn.line():
            pass
        conn.send(
            b"HTTP/1.1 %d Status\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % self.status
        )
        with self.changed:
            self.answered += 1
            self.changed.notify_all()

    def await_probes(self, count):
        """Waits for `count` more probes."""
        with self.changed:
            goal = self.answered + count
            assert self.changed.wait_for(lambda: self.answered >= goal, DEADLINE)

    def close(self):
        self.relay.close()
