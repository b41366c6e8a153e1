"""Denied means denied: a reply as ordered, a log line, and never a connection to a backend."""

import socket

import pytest
from balancer import Crowd, Setup, stopped
from peers import Conn, connect, eventually, smtp

STRANGER = "127.0.0.66"
FRIEND = "127.0.0.10"

REPLIES = [
    ("421", "421 4.7.1 lb.test access denied (%s)\r\n", False),
    ("554", "554 5.7.1 lb.test access denied (%s)\r\n", False),
    ("reset", "", True),
    ("drop", "", False),
]


def listen_on_both(setup):
    setup.bind = f"0.0.0.0:{setup.port}, [::]:{setup.port}"


def bound(source):
    """A client that has a source address, and is still to connect."""
    sock = socket.socket(socket.AF_INET6 if ":" in source else socket.AF_INET)
    conn = Conn(sock)
    sock.bind((source, 0))
    return conn


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
@pytest.mark.parametrize("action, reply, is_reset", REPLIES, ids=[r[0] for r in REPLIES])
def test_a_denied_client_gets_what_is_ordered(start, relay, host, action, reply, is_reset):
    one = relay(smtp())
    setup = Setup([one], allow=FRIEND, listener=f"on_deny = {action}")
    listen_on_both(setup)
    balancer = start(setup)
    with bound(host) as client:
        source = client.sock.getsockname()
        try:
            client.sock.connect((host, setup.port))
            got, was_reset = client.rest(), False
        except ConnectionResetError:
            got, was_reset = b"", True
        event = balancer.wait("denied")
        assert got.decode() == (reply % event["id"] if reply else "")
        assert was_reset == is_reset
    address = f"[{source[0]}]:{source[1]}" if ":" in host else f"{source[0]}:{source[1]}"
    assert event["client"] == address
    assert event["listener"] == "smtp"
    assert event["rule"] == "default"
    assert event["action"] == action
    # Whatever the denied client might have set off was before this session.
    with connect(("127.0.0.1", setup.port), FRIEND) as client:
        assert client.line() == b"220 relay ESMTP"
        assert client.quit() == b"221 bye"
    balancer.wait("session")
    assert one.accepted == 1
    assert len(balancer.find("session")) == len(balancer.find("denied")) == 1


def test_the_log_names_the_rule_and_its_line(start, relay):
    setup = Setup([relay(smtp())], deny=STRANGER)
    balancer = start(setup)
    with setup.connect(STRANGER) as client:
        assert client.line().startswith(b"421 4.7.1 ")
    lines = setup.text().splitlines()
    number = next(i for i, line in enumerate(lines, 1) if STRANGER in line)
    assert balancer.wait("denied")["rule"] == f"{balancer.conf}:{number} deny {STRANGER}/32"


def test_the_log_names_the_list_and_its_line(start, relay, tmp_path):
    table = tmp_path / "network_table"
    table.write_text(f"# who may send\n127.0.0.0/24\n\n!{STRANGER}\n")
    setup = Setup([relay(smtp())], allow=f'"file:{table}"')
    balancer = start(setup)
    with setup.connect(FRIEND) as client:
        assert client.line() == b"220 relay ESMTP"
    with setup.connect(STRANGER) as client:
        assert client.line().startswith(b"421 4.7.1 ")
    assert balancer.wait("denied")["rule"] == f"{table}:4 deny {STRANGER}/32"


@pytest.mark.parametrize("action", ["421", "554"])
def test_a_client_that_has_talked_gets_the_reply(start, relay, action):
    """A close with unread bytes would reset the connection and take the reply with it."""
    setup = Setup([relay(smtp())], deny=STRANGER, listener=f"on_deny = {action}")
    balancer = start(setup)
    with setup.connect(STRANGER) as client:
        client.send(b"EHLO early\r\nMAIL FROM:<a@b>\r\n" * 1000)
        balancer.wait("denied")
        client.send(b"QUIT\r\n")
        assert client.line().startswith(action.encode())
        assert client.rest() == b""


def test_a_dropped_client_that_has_talked_is_not_reset(start, relay):
    """`drop` is a plain close, whatever the client has sent by then."""
    setup = Setup([relay(smtp())], deny=STRANGER, listener="on_deny = drop")
    balancer = start(setup)
    with stopped(balancer):
        client = setup.connect(STRANGER)
        client.send(b"EHLO early\r\n")
    with client:
        assert not client.is_reset()
    assert balancer.wait("denied")["action"] == "drop"


@pytest.mark.parametrize("how", ["fin", "rst"])
def test_a_denied_client_that_leaves_at_once_is_logged(start, relay, how):
    one = relay(smtp())
    setup = Setup([one], deny=STRANGER)
    balancer = start(setup)
    client = setup.connect(STRANGER)
    if how == "rst":
        client.reset()
    else:
        client.close()
    balancer.wait("denied")
    with setup.connect(FRIEND) as client:
        assert client.line() == b"220 relay ESMTP"
    assert one.accepted == 1


VERDICTS = [
    # allow, deny, source, and the rule that denies it, if it is denied
    ("127.0.0.0/8", "127.0.0.66", STRANGER, "deny 127.0.0.66/32"),
    ("127.0.0.66", "127.0.0.0/8", STRANGER, None),
    ("127.0.0.66", "127.0.0.66", STRANGER, "deny 127.0.0.66/32"),
    ("127.0.0.0/24", "127.0.0.0/24", STRANGER, "deny 127.0.0.0/24"),
    ("127.0.0.0/8, 127.0.0.66", "127.0.0.64/26", STRANGER, None),
    ("127.0.0.0/8, 127.0.0.0/24", "127.0.0.64/26", STRANGER, "deny 127.0.0.64/26"),
    ("127.0.0.0/8, 127.0.0.0/24", "127.0.0.64/26", FRIEND, None),
    ("127.0.0.64/26", "", "127.0.0.128", "default"),
    ("127.0.0.64/26", "", "127.0.0.127", None),
    ("::/1, 8000::/2", "", FRIEND, "default"),
    ("::/2", "", "::ffff:127.0.0.66", "default"),
    ("::/1", "", "::1", None),
    ("::/1", "::/64", "::1", "deny ::/64"),
    ("127.0.0.0/8", "", "::1", "default"),
    ("127.0.0.66", "", "::ffff:127.0.0.66", None),
    ("127.0.0.0/8, ::/1", "127.0.0.66", "::ffff:127.0.0.66", "deny 127.0.0.66/32"),
]


def nearest(source):
    """The loopback address to call from there."""
    if source.startswith("::ffff:"):
        return "::ffff:127.0.0.1"
    return "::1" if ":" in source else "127.0.0.1"


@pytest.mark.parametrize("allow, deny, source, rule", VERDICTS)
def test_the_most_specific_rule_decides(start, relay, allow, deny, source, rule):
    one = relay(smtp())
    setup = Setup([one], allow=allow, deny=deny)
    listen_on_both(setup)
    balancer = start(setup)
    with bound(source) as client:
        client.sock.connect((nearest(source), setup.port))
        if rule is None:
            assert client.line() == b"220 relay ESMTP"
            assert client.quit() == b"221 bye"
            return
        assert client.line().startswith(b"421 4.7.1 ")
        assert client.rest() == b""
    event = balancer.wait("denied")
    assert event["rule"].endswith(rule)
    assert event["client"].strip("[").startswith(source.removeprefix("::ffff:"))
    assert one.accepted == 0


def test_an_ipv6_listener_takes_ipv6_only(start, relay):
    """A mapped address never comes in over it, past the rules for IPv4."""
    setup = Setup([relay(smtp())], allow="127.0.0.0/8, ::1")
    setup.bind = f"[::]:{setup.port}"
    start(setup)
    with connect(("::1", setup.port)) as client:
        assert client.line() == b"220 relay ESMTP"
    with pytest.raises(ConnectionRefusedError):
        connect(("127.0.0.1", setup.port))


def test_a_reload_that_denies_keeps_the_running_session(start, relay):
    one = relay(smtp())
    setup = Setup([one])
    balancer = start(setup)
    with setup.connect(STRANGER) as running:
        assert running.line() == b"220 relay ESMTP"
        setup.deny = STRANGER
        assert balancer.reload(setup.text())["action"] == "reloaded"
        for _ in range(4):
            with setup.connect(STRANGER) as refused:
                assert refused.line().startswith(b"421 4.7.1 ")
        running.send(b"NOOP\r\n")
        assert running.line() == b"250 relay"
        assert running.quit() == b"221 bye"
    balancer.wait("session", result="ok")
    assert one.accepted == 1


def test_a_refused_reload_lets_nobody_in(start, relay):
    one = relay(smtp())
    setup = Setup([one], deny=STRANGER)
    balancer = start(setup)
    setup.deny = ""
    assert balancer.reload(setup.text() + "nonsense = 1\n")["action"] == "refused"
    with setup.connect(STRANGER) as client:
        assert client.line().startswith(b"421 4.7.1 ")
    assert one.accepted == 0


def test_reloads_under_load_let_no_denied_client_through(start, relay):
    """One source is denied all the time; another by every second configuration, and then from the
    moment on that the reload is reported."""
    headers = []
    turncoat = "127.0.0.77"
    relays = [relay(smtp(log=headers)), relay(smtp(log=headers))]
    setup = Setup(relays, deny=STRANGER, workers=4)
    balancer = start(setup)
    with Crowd(setup, source=STRANGER) as strangers, Crowd(setup, source=FRIEND) as friends:
        for turn in range(30):
            denies = turn % 2 == 0
            setup.deny = f"{STRANGER}, {turncoat}" if denies else STRANGER
            assert balancer.reload(setup.text())["action"] == "reloaded"
            for _ in range(8):
                line = setup.greeting(turncoat)
                assert line[:3] == (b"421" if denies else b"220"), f"turn {turn}"
    assert {line[:3] for line in strangers.lines} == {b"421"}
    assert {line[:3] for line in friends.lines} == {b"220"}
    assert STRANGER not in {source[0] for source, _ in headers}


def test_denials_are_summed_up_under_a_scan(start, relay):
    """Ten lines a second; the rest only counts, and nobody is lost count of."""
    setup = Setup([relay()], deny=STRANGER)
    balancer = start(setup)
    for _ in range(300):
        assert setup.greeting(STRANGER).startswith(b"421 4.7.1 ")
    balancer.stop()
    eventually(lambda: balancer.closed)
    lines = balancer.find("denied")
    summed = [event for event in lines if "count" in event]
    assert summed
    assert len(lines) - len(summed) + sum(int(event["count"]) for event in summed) == 300
    assert all(event["client"] == "-" for event in summed)
