"""The embedded relay (bench/sink.c) against raw sockets: what the other tests, the demo and the
benchmark lean on must not have faults of its own."""

import pathlib
import select
import socket
import struct
import sys
import threading

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from bench.sink import Sink, read_record  # noqa: E402

V2_SIGNATURE = b"\r\n\r\n\0\r\nQUIT\n"
TRANSACTION = b"MAIL FROM:<a@a.test>\r\nRCPT TO:<b@b.test>\r\nDATA\r\n"


@pytest.fixture(name="sink")
def fixture_sink(tmp_path):
    with Sink(record=tmp_path / "record") as sink:
        sink.record = tmp_path / "record"
        yield sink


def connect(sink):
    sock = socket.create_connection(sink.smtp, timeout=10)
    sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return sock


def read_all(sock):
    pieces = []
    while piece := sock.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


def read_line(sock):
    line = b""
    while not line.endswith(b"\n"):
        byte = sock.recv(1)
        assert byte, f"closed after {line!r}"
        line += byte
    return line


def codes(replies):
    """The code of each reply, once a multi-line one has ended."""
    assert replies.endswith(b"\r\n")
    return [int(line[:3]) for line in replies[:-2].split(b"\r\n") if line[3:4] != b"-"]


def talk(sink, pieces):
    """Sends each piece after the one before has been read; returns the replies until the end."""
    with connect(sink) as sock:
        for index, piece in enumerate(pieces):
            if index:
                # The sink has one thread: what was there before the probe has been read.
                assert sink.probe() == 200
            sock.sendall(piece)
        return read_all(sock)


def test_a_session_in_one_write(sink):
    mail = b"Message-Id: <one@a.test>\r\nSubject: x\r\n\r\nhello\r\n"
    replies = talk(sink, [
        b"EHLO me\r\n" + TRANSACTION + mail + b".\r\n"
        + TRANSACTION + b"X-Demo-Id: two\r\n\r\n.\r\nRSET\r\nNOOP\r\nVRFY b\r\nQUIT\r\n"])
    assert codes(replies) == [220, 250, 250, 250, 354, 250, 250, 250, 354, 250, 250, 250, 252, 221]
    for word in (b"PIPELINING", b"8BITMIME", b"SIZE"):
        assert word in replies
    kept = read_record(sink.record)
    assert [(name, size) for _, name, size in kept] == [
        ("<one@a.test>", len(mail)), ("two", len(b"X-Demo-Id: two\r\n\r\n"))]


@pytest.mark.parametrize("data, size", [
    (b"", 0),
    (b"a\r\n", 3),
    (b"..\r\n", 3),  # stuffed
    (b"..a\r\n...\r\n", 8),
    (b"a\r\n..\r\nb\r\n", 9),
    (b"\r\n\r\n\r\n", 6),
    (b"\r\r\n", 3),
    (b"a\n.\nb\r\n", 7),  # look-alikes end nothing
    (b"a\r\n.\nb\r\n", 7),
    (b"a\n.\r\nb\r\n", 8),
    (b"a\r.\r\nb\r\n", 8),
    (b"a\r\n.\r.\r\n", 7),
    (b"a\r\n.\r\r\n", 6),
    (b"a\0b\xff\r\n", 6),
])
@pytest.mark.parametrize("header", [b"X-Demo-Id: id\r\n\r\n", b""])
def test_end_of_data_at_every_split(sink, header, data, size):
    whole = b"HELO me\r\n" + TRANSACTION + header + data + b".\r\nQUIT\r\n"
    first = whole.index(b"DATA\r\n")
    splits = range(first, len(whole))
    for split in splits:
        replies = talk(sink, [whole[:split], whole[split:]])
        assert codes(replies) == [220, 250, 250, 250, 354, 250, 221], f"split at {split}"
    kept = read_record(sink.record)
    assert [size for _, _, size in kept] == [len(header) + size] * len(splits)


def test_a_byte_at_a_time(sink):
    whole = b"EHLO me\r\n" + TRANSACTION + b"X-Demo-Id: id\r\n\r\n..\r\n.\r\nQUIT\r\n"
    replies = talk(sink, [whole[i:i + 1] for i in range(len(whole))])
    assert codes(replies) == [220, 250, 250, 250, 354, 250, 221]
    assert [row[1:] for row in read_record(sink.record)] == [("id", 20)]


@pytest.mark.parametrize("header, name", [
    (b"", "-"),
    (b"Subject: x\r\n", "-"),
    (b"message-id:<a>\r\n", "<a>"),
    (b"Message-Id: <a>\r\nX-Demo-Id: b\r\n", "b"),
    (b"X-Demo-Id: b\r\nMessage-Id: <a>\r\n", "b"),
    (b"Message-Id:\r\n", "-"),
    (b"Message-Id: a b\tc\x01\x7f\xe9 \r\n", "a?b?c???"),
    (b"Message-Id: " + b"x" * 5000 + b"\r\n", "x" * 128),
    (b"\r\nMessage-Id: <body>\r\n", "-"),
])
def test_the_id_in_the_record(sink, header, name):
    replies = talk(sink, [b"HELO me\r\n" + TRANSACTION + header + b"\r\nx\r\n.\r\nQUIT\r\n"])
    assert codes(replies)[-2:] == [250, 221]
    assert [row[1] for row in read_record(sink.record)] == [name]


@pytest.mark.parametrize("command, code", [
    (b"", 500),
    (b"HELP", 500),
    (b"EHLOX me", 500),
    (b"MAIL\0FROM:<a>", 500),
    (b"EHLO", 501),
    (b"HELO  ", 501),
    (b"MAIL FROM:<a>", 503),
    (b"RCPT TO:<b>", 503),
    (b"DATA", 503),
    (b"noop", 250),
    (b"EHLO me\r\nMAIL from:<a> SIZE=5", 250),
    (b"EHLO me\r\nMAIL TO:<a>", 501),
    (b"EHLO me\r\nMAIL FROM:", 501),
    (b"EHLO me\r\nMAIL FROM:<a>\r\nMAIL FROM:<a>", 503),
    (b"EHLO me\r\nMAIL FROM:<a>\r\nDATA", 503),
    (b"EHLO me\r\nMAIL FROM:<a>\r\nRCPT FROM:<b>", 501),
    (b"EHLO me\r\nMAIL FROM:<a>\r\nRCPT TO:<b>\r\nDATA now", 501),
    (b"EHLO me\r\nMAIL FROM:<a>\r\nRCPT TO:<b>\r\nRSET\r\nDATA", 503),
    (b"NOOP " + b"x" * 1017, 250),  # 1024 with its end
    (b"NOOP " + b"x" * 1018, 500),
    (b"NOOP " + b"x" * 100000, 500),
    (b"x" * 1024 + b"RSET", 500),
])
def test_one_reply_a_command(sink, command, code):
    replies = codes(talk(sink, [command + b"\r\nQUIT\r\n"]))
    assert replies[-2:] == [code, 221]
    assert len(replies) == 3 + command.count(b"\r\n")


def test_bytes_behind_quit_do_not_cost_the_reply(sink):
    assert codes(talk(sink, [b"QUIT\r\n" + b"NOOP\r\n" * 10000])) == [220, 221]


def test_replies_that_nobody_reads_stop_it_reading(sink):
    count = 3000000  # more than all socket buffers on the way can hold
    with connect(sink) as sock:
        sock.settimeout(60)
        sender = threading.Thread(target=sock.sendall, args=(b"NOOP\r\n" * count + b"QUIT\r\n",))
        sender.start()
        sender.join(0.5)
        assert sender.is_alive(), "the whole was taken without room for the replies"
        replies = read_all(sock)
        sender.join()
    assert replies.count(b"250 2.0.0 ok\r\n") == count
    assert replies.endswith(b"\r\n221 2.0.0 bye\r\n")


def test_a_client_that_has_said_all_gets_its_replies(sink):
    with connect(sink) as sock:
        sock.sendall(b"HELO me\r\n" + TRANSACTION + b".\r\n")
        sock.shutdown(socket.SHUT_WR)
        assert codes(read_all(sock)) == [220, 250, 250, 250, 354, 250]


def v2(command, family, body):
    return V2_SIGNATURE + struct.pack("!BBH", 0x20 | command, family, len(body)) + body


V2_TCP4 = socket.inet_aton("203.0.113.7") + socket.inet_aton("10.0.0.1") + b"\x10\x92\0\x19"
V2_TCP6 = (socket.inet_pton(socket.AF_INET6, "2001:db8::7")
           + socket.inet_pton(socket.AF_INET6, "2001:db8::1") + b"\x10\x92\0\x19")
V2_MAPPED = socket.inet_pton(socket.AF_INET6, "::ffff:203.0.113.7") + V2_TCP6[16:]
OWN = None  # the connection's own address
GOOD = [
    ("v1", b"PROXY TCP4 203.0.113.7 10.0.0.1 4242 25\r\n", "203.0.113.7:4242"),
    ("v1", b"PROXY TCP6 2001:db8::7 2001:db8::1 4242 25\r\n", "[2001:db8::7]:4242"),
    ("v1", b"PROXY UNKNOWN\r\n", OWN),
    ("v1", b"PROXY UNKNOWN whatever it says\r\n", OWN),
    ("v2", v2(1, 0x11, V2_TCP4), "203.0.113.7:4242"),
    ("v2", v2(1, 0x21, V2_TCP6), "[2001:db8::7]:4242"),
    ("v2", v2(1, 0x11, V2_TCP4 + b"\x05\0\x03abc\x04\0\0"), "203.0.113.7:4242"),
    ("v2", v2(0, 0x00, b""), OWN),
    ("v2", v2(1, 0x00, b""), OWN),
    ("v2", v2(1, 0x11, V2_TCP4 + b"\x04\x01\xf9" + bytes(505)), "203.0.113.7:4242"),
]
BAD = [
    ("v1", b"EHLO me\r\n"),
    ("v1", b"PROXY TCP4 203.0.113.7 10.0.0.1 4242\r\n"),
    ("v1", b"PROXY TCP4 203.0.113.7 10.0.0.1 4242 25 1\r\n"),
    ("v1", b"PROXY TCP4  203.0.113.7 10.0.0.1 4242 25\r\n"),
    ("v1", b"PROXY TCP4 203.0.113.7 10.0.0.1 04242 25\r\n"),
    ("v1", b"PROXY TCP4 203.0.113.7 10.0.0.1 65536 25\r\n"),
    ("v1", b"PROXY TCP4 203.0.113.7 10.0.0.1 4242 25\n"),
    ("v1", b"PROXY TCP4 203.0.113.7\0 10.0.0.1 4242 25\r\n"),
    ("v1", b"PROXY TCP4 2001:db8::7 2001:db8::1 4242 25\r\n"),
    ("v1", b"PROXY TCP6 203.0.113.7 10.0.0.1 4242 25\r\n"),
    ("v1", b"PROXY TCP6 ::ffff:203.0.113.7 2001:db8::1 4242 25\r\n"),
    ("v1", b"PROXY UDP4 203.0.113.7 10.0.0.1 4242 25\r\n"),
    ("v1", b"PROXY UNKNOWN " + b"x" * 92 + b"\r\n"),  # 108 bytes
    ("v1", v2(1, 0x11, V2_TCP4)),
    ("v2", b"PROXY TCP4 203.0.113.7 10.0.0.1 4242 25\r\n"),
    ("v2", b"\r\n\r\n\0\r\nQUIT\r\n"),
    ("v2", v2(2, 0x11, V2_TCP4)),
    ("v2", v2(1, 0x11, V2_TCP4[:-1])),
    ("v2", v2(1, 0x21, V2_TCP4)),
    ("v2", v2(1, 0x21, V2_MAPPED)),
    ("v2", v2(1, 0x11, V2_TCP4 + b"\x05\0\x04abc")),
    ("v2", v2(1, 0x11, V2_TCP4 + b"\x05\0")),
    ("v2", v2(1, 0x11, V2_TCP4 + b"\x04\x01\xfa" + bytes(506))),  # 537 bytes
    ("any", b"EHLO me\r\n"),
]


@pytest.mark.parametrize("kind", ["own", "any"])
@pytest.mark.parametrize("proxy, header, client", GOOD)
def test_a_proxy_header_at_every_split(tmp_path, kind, proxy, header, client):
    session = b"HELO me\r\n" + TRANSACTION + b".\r\nQUIT\r\n"
    record = tmp_path / "record"
    with Sink(proxy=proxy if kind == "own" else "any", record=record) as sink:
        for split in range(1, min(len(header), 60) + 1):
            replies = talk(sink, [header[:split], header[split:] + session])
            assert codes(replies) == [220, 250, 250, 250, 354, 250, 221], f"split at {split}"
        for seen, _, _ in read_record(record):
            assert seen == client if client else seen.startswith("127.0.0.1:")


@pytest.mark.parametrize("proxy, header", BAD)
def test_a_bad_proxy_header_is_not_greeted(proxy, header):
    with Sink(proxy=proxy) as sink, connect(sink) as sock:
        sock.sendall(header)
        try:
            assert read_all(sock) == b""
        except ConnectionResetError:
            pass
        assert sink.probe() == 200


def test_silence_and_talk_again(sink):
    with connect(sink) as greeted, connect(sink) as gone:
        assert read_line(greeted).startswith(b"220 ")
        sink.silence()
        waiting = [connect(sink) for _ in range(3)]
        waiting[1].sendall(b"QUIT\r\n")
        gone.close()
        assert sink.probe() == 200
        assert select.select(waiting, [], [], 0.2)[0] == []
        greeted.sendall(b"NOOP\r\n")
        assert read_line(greeted).startswith(b"250 ")
        waiting[0].close()
        sink.talk()
        assert codes(read_all(waiting[1])) == [220, 221]
        assert read_line(waiting[2]).startswith(b"220 ")
        for sock in waiting:
            sock.close()


def test_more_connections_than_descriptors():
    with Sink(prefix=["prlimit", "--nofile=24:24"]) as sink:
        socks = [connect(sink) for _ in range(40)]
        assert read_line(socks[0]).startswith(b"220 ")
        for sock in socks[:-1]:
            sock.close()
        assert read_line(socks[-1]).startswith(b"220 ")
        socks[-1].close()


def test_a_record_that_cannot_be_written_defers():
    with Sink(record="/dev/full") as sink:
        replies = talk(sink, [b"HELO me\r\n" + TRANSACTION + b".\r\nQUIT\r\n"])
        assert codes(replies) == [220, 250, 250, 250, 354, 452, 221]


def test_term_ends_it_with_success(sink):
    with connect(sink) as sock:
        assert read_line(sock).startswith(b"220 ")
        assert sink.stop() == 0


def test_it_says_how_many_messages_it_has_kept(sink):
    assert sink.kept() == 0
    talk(sink, [b"HELO me\r\n" + (TRANSACTION + b"\r\n.\r\n") * 3 + b"QUIT\r\n"])
    assert sink.kept() == 3


@pytest.mark.parametrize("surplus", [0, 1, 5000, -5000])
def test_a_message_is_dropped_unread_but_for_its_end(tmp_path, surplus):
    """Where MAIL says its size; with one that is a little wrong the final dot is still found, or the
    sink waits for more."""
    body = b"Message-Id: <big>\r\n\r\n" + b"x" * 1_000_000 + b"\r\n"
    head = b"HELO me\r\n" + TRANSACTION.replace(
        b"<a@a.test>", b"<a@a.test> SIZE=%d" % (len(body) + surplus))
    with Sink(record=tmp_path / "record", discard=True) as sink:
        with connect(sink) as sock:
            sock.sendall(head)
            for _ in range(5):
                read_line(sock)
            sock.sendall(body + b".\r\n")
            if surplus == 5000:
                sock.sendall(b"x" * 1000 + b"\r\n.\r\n")
            assert read_line(sock).startswith(b"250")
            sock.sendall(b"QUIT\r\n")
            assert read_line(sock).startswith(b"221")
