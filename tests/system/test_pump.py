"""The pump: what one side sent, the other gets, in order, to the last byte before its FIN."""

import contextlib
import fcntl
import random
import select
import socket
import struct
import termios
import threading
import time
import zlib
from pathlib import Path

import pytest
from balancer import BUILD, Setup, stopped
from peers import DEADLINE, Conn, connect, eventually, smtp
from tls import Secured, pairs, receive_tls, relay_tls

GREETING = b"220 here\r\n"
HEADER = 28  # bytes of a PROXY v2 header for IPv4
SEED = 20261124


class Joined:
    """A session whose gate is open: its client, and the backend's end of it."""

    def __init__(self, setup, one, receive_buffer=0, certificate=None):
        sock = socket.socket()
        if receive_buffer:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(DEADLINE)
        sock.connect(setup.address)
        if certificate:
            sock = Secured(sock, certificate.context(), certificate.name)
        self.client = Conn(sock)
        self.backend = one.next()
        assert len(self.backend.exactly(HEADER)) == HEADER
        if certificate:
            receive_tls(self.backend, certificate)
        self.backend.send(GREETING)
        assert self.client.line() + b"\r\n" == GREETING
        for conn in (self.client, self.backend):
            conn.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def sides(self, first):
        """(client, backend), the first being the one asked for."""
        pair = self.client, self.backend
        return pair if first == "client" else pair[::-1]

    def close(self):
        self.client.close()
        self.backend.close()


@pytest.fixture(params=["plain", "tls"])
def join(request, start, relay, certificate):
    """Makes sessions of one balancer: join(receive_buffer=...); join.balancer is the balancer. With
    TLS on both sides it is all the same."""
    made = []
    is_secure = request.param == "tls"

    def make(receive_buffer=0, **options):
        if not made:
            make.relay = relay()
            if receive_buffer:
                # Inherited by what it accepts.
                make.relay.sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            if is_secure:
                options["listener"] = (f"{options.get('listener', '')} tls = implicit "
                                       f"{pairs(certificate)}")
                options["pool"] = (f"{options.get('pool', '')} "
                                   f"{relay_tls('implicit', certificate)}")
            make.setup = Setup([make.relay], **options)
            make.balancer = start(make.setup)
        made.append(Joined(make.setup, make.relay, receive_buffer,
                           certificate if is_secure else None))
        return made[-1]

    make.is_secure = is_secure
    yield make
    for one in made:
        one.close()


class Task(threading.Thread):
    """Runs a function beside the test; `result` waits for it and raises what it raised."""

    def __init__(self, function, *arguments):
        super().__init__(daemon=True)
        self.call = function, arguments
        self.value = self.error = None
        self.start()

    def run(self):
        function, arguments = self.call
        try:
            self.value = function(*arguments)
        except Exception as error:  # pylint: disable=broad-except
            self.error = error

    def result(self):
        self.join(3 * DEADLINE)
        assert not self.is_alive(), "not done in time"
        if self.error:
            raise self.error
        return self.value


def send_pieces(conn, data, size):
    for at in range(0, len(data), size):
        conn.send(data[at : at + size])
    conn.finish()


def read_pieces(conn, size):
    """All until the FIN, never more than `size` at a time."""
    parts = [conn.buffer]
    while data := conn.sock.recv(size):
        parts.append(data)
    return b"".join(parts)


def wait_until_taken(conn):
    """Until the other side's kernel has acknowledged all that was sent."""
    eventually(lambda: fcntl.ioctl(conn.sock, termios.TIOCOUTQ, bytes(4)) == bytes(4))


def assert_logged(balancer, result, end, sent, got, **more):
    event = balancer.wait("session", **more)
    assert (event["result"], event["end"]) == (result, end)
    assert (int(event["bytes_in"]), int(event["bytes_out"])) == (sent, len(GREETING) + got)


@pytest.mark.parametrize(
    "total, client_piece, backend_piece",
    [
        (3000, 1, 1),
        (200000, 7, 1460),
        (3 << 20, 16383, 16384),
        (3 << 20, 16385, 65536),
        (5 << 20, 4096, 5 << 20),
        (5 << 20, 5 << 20, 1 << 20),
    ],
)
def test_bytes_both_ways_at_once(join, total, client_piece, backend_piece):
    print("seed", SEED)
    chance = random.Random(SEED)
    up, down = chance.randbytes(total), chance.randbytes(total + 1)
    session = join()
    Task(send_pieces, session.client, up, client_piece)
    Task(send_pieces, session.backend, down, backend_piece)
    at_backend = Task(read_pieces, session.backend, 1 << 18)
    assert read_pieces(session.client, 1 << 18) == down
    assert at_backend.result() == up
    session.close()
    event = join.balancer.wait("session", result="ok")
    assert int(event["bytes_in"]) == len(up)
    assert int(event["bytes_out"]) == len(GREETING) + len(down)


@pytest.mark.parametrize("slow", ["client", "backend"])
def test_a_slow_reader_gets_everything(join, slow):
    """Small windows and small reads, and more than the kernel holds: chunks are sent in parts."""
    chance = random.Random(SEED)
    data, answer = chance.randbytes(12 << 20), chance.randbytes(1 << 20)
    session = join(receive_buffer=4096)
    reader, writer = session.sides(slow)
    Task(send_pieces, writer, data, 100000)
    Task(send_pieces, reader, answer, 100000)
    got = Task(read_pieces, writer, 1 << 16)
    assert read_pieces(reader, 5000) == data
    assert got.result() == answer


def test_parallel_sessions_do_not_mix(join):
    chance = random.Random(SEED)
    sessions = [join(workers=4) for _ in range(40)]
    tasks = []
    for session in sessions:
        for writer, reader in (session.sides("client"), session.sides("backend")):
            data = chance.randbytes(100000)
            Task(send_pieces, writer, data, chance.randrange(1000, 50000))
            tasks.append((Task(read_pieces, reader, 1 << 16), data))
    for task, data in tasks:
        assert task.result() == data
    join.balancer.wait("session", count=40, result="ok", bytes_in=100000)


@pytest.mark.parametrize("first", ["client", "backend"])
def test_half_close(join, first):
    """Who has said all still hears all."""
    session = join()
    done, other = session.sides(first)
    done.send(b"all I say")
    done.finish()
    assert other.rest() == b"all I say"
    other.send(b"one\r\n")
    assert done.line() == b"one"
    answer = random.Random(SEED).randbytes(1 << 20)
    Task(send_pieces, other, answer, 10000)
    assert done.rest() == answer
    sent, got = len(b"all I say"), len(b"one\r\n") + len(answer)
    if first == "client":
        assert_logged(join.balancer, "ok", first, sent, got)
    else:
        assert_logged(join.balancer, "ok", first, got, sent)


@pytest.mark.parametrize("first", ["client", "backend"])
def test_the_last_byte_before_the_fin_arrives(join, first):
    """All of it is there at once, the FIN too."""
    chance = random.Random(SEED)
    for size in (1, 16383, 16384, 16385, 65536, 100001):
        data = chance.randbytes(size)
        session = join()
        writer, reader = session.sides(first)
        with stopped(join.balancer):
            writer.send(data)
            wait_until_taken(writer)
            writer.finish()
        assert reader.rest() == data
        reader.send(b"thanks")
        reader.finish()
        assert writer.rest() == b"thanks"
        session.close()


@pytest.mark.parametrize("early", [b"", b"MAIL FROM:<a@b>\r\n" * 5000], ids=["no", "unread data"])
@pytest.mark.parametrize("size", [0, 100, 16384, 60000])
def test_the_reply_before_a_reset_by_the_backend_arrives(join, early, size):
    """`421 timeout` and a close with unread commands: a RST on the heels of the reply."""
    session = join()
    reply = b"x" * size + b"421 4.4.2 timeout\r\n"
    session.client.send(early)
    if early:
        assert select.select([session.backend.sock], [], [], DEADLINE)[0]
    with stopped(join.balancer):
        session.backend.send(reply)
        wait_until_taken(session.backend)
        session.backend.reset()
    assert session.client.rest() == reply
    session.client.close()
    event = join.balancer.wait("session", result="backend_lost", end="backend")
    assert int(event["bytes_out"]) == len(GREETING) + len(reply)


def test_the_reply_before_a_reset_by_the_backend_reaches_a_slow_reader(join):
    session = join(receive_buffer=4096)
    reply = random.Random(SEED).randbytes(60000)
    session.backend.send(reply)
    wait_until_taken(session.backend)
    session.backend.reset()
    assert read_pieces(session.client, 500) == reply


def test_a_client_in_mid_message_hears_the_last_reply(join):
    """The backend gives up and closes while the client sends on and reads only when it is done."""
    session = join()
    session.client.send(b"DATA\r\n")
    assert session.backend.line() == b"DATA"
    with stopped(join.balancer):
        session.backend.send(b"421 4.3.0 full\r\n")
        session.backend.close()
        session.client.send(b"x" * 60000)
        wait_until_taken(session.client)
    for _ in range(50):
        session.client.send(b"x" * 10000)
    session.client.finish()
    assert session.client.rest() == b"421 4.3.0 full\r\n"
    join.balancer.wait("session", result="backend_lost", end="backend")


@pytest.mark.parametrize("size", [1, 16384, 60000])
def test_what_came_before_a_reset_by_the_client_arrives(join, size):
    session = join()
    data = random.Random(SEED).randbytes(size)
    with stopped(join.balancer):
        session.client.send(data)
        wait_until_taken(session.client)
        session.client.reset()
    assert session.backend.rest() == data
    session.backend.close()
    assert_logged(join.balancer, "client_lost", "client", size, 0)


ENDS = [
    ("client fin, backend fin", "ok", "client"),
    ("backend fin, client fin", "ok", "backend"),
    ("client fin, backend rst", "backend_lost", "backend"),
    ("backend fin, client rst", "ok", "backend"),
    ("client rst, backend fin", "client_lost", "client"),
    ("backend rst, client fin", "backend_lost", "backend"),
    ("client rst, backend rst", "client_lost", "client"),
    ("backend rst, client rst", "backend_lost", "backend"),
]


@pytest.mark.parametrize("order, result, end", ENDS, ids=[e[0] for e in ENDS])
def test_ends_in_every_order(join, order, result, end):
    """Each end is seen by the other side, as a FIN, before that one ends too."""
    session = join()
    session.client.send(b"question")
    session.backend.send(b"answer")
    assert session.backend.exactly(8) == b"question"
    assert session.client.exactly(6) == b"answer"
    for step in order.split(", "):
        who, how = step.split(" ")
        one, other = session.sides(who)
        if how == "rst":
            one.reset()
        else:
            one.finish()
        if step == order.split(", ", maxsplit=1)[0]:
            assert other.rest() == b""
    assert_logged(join.balancer, result, end, 8, 6)


def socket_memory():
    """What the kernel may hold at most on the way: two send and two receive buffers."""
    largest = [
        int(Path(f"/proc/sys/net/ipv4/{name}").read_text().split()[2])
        for name in ("tcp_rmem", "tcp_wmem")
    ]
    return 2 * sum(largest)


def resident_memory(pid):
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) * 1024
    raise AssertionError("no VmRSS")


def assert_bounded(join, before):
    """The balancer's memory has not grown by much. OpenSSL takes and frees a buffer for each record,
    which a sanitizer keeps."""
    if not join.is_secure or BUILD.name not in ("asan", "tsan"):
        assert resident_memory(join.balancer.pid) - before < 4 << 20


class Flood(Task):
    """Sends `blocks` numbered megabytes, whose checksum is its result."""

    def __init__(self, conn, blocks):
        self.sent = 0
        super().__init__(self.flood, conn, blocks)

    def flood(self, conn, blocks):
        checksum = 0
        filling = random.Random(SEED).randbytes((1 << 20) - 8)
        for number in range(blocks):
            block = memoryview(struct.pack("!Q", number) + filling)
            checksum = zlib.crc32(block, checksum)
            while block:
                count = conn.sock.send(block)
                block = block[count:]
                self.sent += count
        conn.finish()
        return checksum

    def await_block(self):
        """Waits until nothing goes any more, or all has gone."""
        before = -1
        while self.is_alive() and before != self.sent:
            before = self.sent
            self.join(0.5)


@pytest.mark.parametrize("sender", ["client", "backend"])
def test_a_reader_that_does_not_read_blocks_the_sender(join, sender):
    """In bounded memory; and then everything arrives."""
    blocks = 200
    session = join()
    writer, reader = session.sides(sender)
    before = resident_memory(join.balancer.pid)
    flood = Flood(writer, blocks)
    flood.await_block()
    assert flood.sent < min(socket_memory() + (1 << 20), blocks << 20)
    assert_bounded(join, before)
    checksum = 0
    while data := reader.sock.recv(1 << 20):
        checksum = zlib.crc32(data, checksum)
    assert checksum == flood.result()
    assert_bounded(join, before)
    session.close()
    sent, got = (blocks << 20, 0) if sender == "client" else (0, blocks << 20)
    assert_logged(join.balancer, "ok", sender, sent, got)


def test_an_idle_session_is_closed(join):
    session = join(listener="idle_timeout = 200ms")
    session.client.send(b"NOOP\r\n")
    assert session.backend.line() == b"NOOP"
    assert session.client.rest() == b""
    assert session.backend.rest() == b""
    assert_logged(join.balancer, "idle", "balancer", 6, 0)


def test_a_session_that_is_stuck_is_idle(join):
    """Bytes that wait for a reader who takes none are no sign of life."""
    session = join(listener="idle_timeout = 500ms")
    flood = Flood(session.backend, 200)
    event = join.balancer.wait("session", result="idle")
    assert event["end"] == "balancer"
    with pytest.raises(OSError):
        flood.result()


@pytest.mark.parametrize("sender", ["client", "backend"])
def test_bytes_in_one_direction_keep_a_session(join, sender):
    session = join(listener="idle_timeout = 800ms")
    writer, reader = session.sides(sender)
    ends = time.monotonic() + 2
    while time.monotonic() < ends:
        writer.send(b"x")
        assert reader.exactly(1) == b"x"
        select.select([], [], [], 0.05)
    assert not join.balancer.find("session")


def test_quit_pipelined_behind_the_dot(start, relay):
    """As Postfix sends it: the reply to the dot, the one to QUIT, then the end."""
    setup = Setup([relay(smtp(b"mx"))])
    balancer = start(setup)
    body = b"".join(b"line %d\r\n" % number for number in range(5000))
    with setup.connect() as client:
        assert client.line() == b"220 mx ESMTP"
        client.send(b"DATA\r\n")
        assert client.line() == b"354 go on"
        client.send(body + b".\r\nQUIT\r\n")
        assert client.rest() == b"250 taken by mx\r\n221 bye\r\n"
    event = balancer.wait("session", result="ok", end="backend")
    assert int(event["bytes_in"]) == len(b"DATA\r\n" + body + b".\r\nQUIT\r\n")


def say_goodbye(session):
    """Both have said all that can be said, and nobody has ended."""
    session.client.send(b"QUIT\r\n")
    assert session.backend.line() == b"QUIT"
    session.backend.send(b"221 bye\r\n")
    assert session.client.line() == b"221 bye"


@pytest.mark.parametrize("first", ["client", "backend"])
def test_after_quit_the_first_end_is_the_end(join, first):
    """Nothing can follow: the other side is not waited for."""
    session = join()
    say_goodbye(session)
    done, other = session.sides(first)
    done.finish()
    assert other.rest() == b""
    join.balancer.wait("session", result="ok", end=first, last_reply="221")


@pytest.mark.parametrize("join", ["tls"], indirect=True)
@pytest.mark.parametrize("size", range(100_000, 500_000, 25_000))
def test_an_end_without_a_fin(join, size):
    """close_notify is one, also where it was read with the last bytes and the relay takes no more."""
    session = join(receive_buffer=4096)
    data = random.Random(SEED).randbytes(size)
    sender = threading.Thread(target=lambda: (
        session.client.send(data), session.client.sock.end()), daemon=True)
    sender.start()
    assert select.select([session.backend.sock], [], [], DEADLINE)[0]
    assert session.backend.rest() == data
    sender.join(DEADLINE)


def test_a_command_behind_quit_is_heard(join):
    """Then it is not over, and ends as any other session does."""
    session = join()
    say_goodbye(session)
    session.client.send(b"NOOP\r\n")
    session.client.finish()
    assert session.backend.rest() == b"NOOP\r\n"
    session.backend.send(b"250 if you like\r\n")
    session.backend.finish()
    assert session.client.rest() == b"250 if you like\r\n"
    join.balancer.wait("session", result="ok", end="client")


def test_any_byte_passes(join):
    """Control bytes, IAC, NUL, lone CR and LF, a PROXY header: the balancer reads none of them."""
    session = join()
    odd = bytes(range(256)) + b"\r\r\n\n.\n.\r.\r\n" + b"PROXY TCP4 1.2.3.4 5.6.7.8 1 2\r\n"
    for writer, reader in (session.sides("client"), session.sides("backend")):
        writer.send(odd)
        assert reader.exactly(len(odd)) == odd


def trickle(conn):
    """A byte now and then, until the other end takes no more."""
    pace = threading.Event()
    with contextlib.suppress(OSError):
        while not pace.wait(0.05):
            conn.send(b"x")


def test_a_client_that_trickles_after_its_relay_was_lost_is_ended(start, relay):
    """It gets a moment to hear that, and what it still says does not prolong it."""
    one = relay()
    setup = Setup([one], listener="idle_timeout = 1h")
    balancer = start(setup)
    session = Joined(setup, one)
    session.backend.reset()
    assert session.client.rest() == b""
    trickle(session.client)
    balancer.wait("session", result="backend_lost", end="backend")
    session.close()
