"""TERM and INT, the second instance, and starts that fail."""

import contextlib
import os
import re
import signal
import socket
import subprocess

import pytest
from balancer import PROGRAM, Crowd, Setup, open_if_read, run
from peers import DEADLINE, connect, eventually, free_port, is_listening, listen, smtp


def run_text(tmp_path, text):
    """A start that fails: smtplb run under that text."""
    conf = tmp_path / "other.conf"
    conf.write_text(text)
    return run("run", "-c", conf), conf


def open_session(setup, relay):
    """A session between two commands of a transaction: the client's side and the relay's."""
    client = setup.connect()
    conn = relay.next()
    conn.exactly(28)
    conn.send(b"220 go on\r\n")
    assert client.line() == b"220 go on"
    client.send(b"MAIL FROM:<a@example.com>\r\n")
    assert conn.line().startswith(b"MAIL")
    conn.send(b"250 ok\r\n")
    assert client.line() == b"250 ok"
    return client, conn


def close_accepting(balancer, setup, number=signal.SIGTERM):
    """Sends the signal and waits until nothing listens any more."""
    balancer.signal(number)
    eventually(lambda: not is_listening(setup.address))


def test_term_lets_sessions_finish(start, relay):
    one = relay()
    setup = Setup([one])
    balancer = start(setup)
    client, conn = open_session(setup, one)
    close_accepting(balancer, setup)
    with pytest.raises(ConnectionRefusedError):
        setup.connect()
    balancer.wait("stopping", how="gracefully")
    for i in range(3):
        client.send(b"NOOP %d\r\n" % i)
        assert conn.line() == b"NOOP %d" % i
        conn.send(b"250 ok\r\n")
        assert client.line() == b"250 ok"
    assert balancer.process.poll() is None
    client.send(b"QUIT\r\n")
    assert conn.line() == b"QUIT"
    conn.send(b"221 bye\r\n")
    conn.close()
    assert client.rest() == b"221 bye\r\n"
    client.close()
    assert balancer.exit_code() == 0
    balancer.wait("session", result="ok")


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_without_sessions_it_ends_at_once(start, relay, number):
    balancer = start(Setup([relay()]))
    balancer.signal(number)
    assert balancer.exit_code() == 0


def test_drain_timeout_cuts_what_is_left(start, relay):
    """In every phase: one between commands, one in the gate."""
    one = relay()
    setup = Setup([one], top="drain_timeout = 300ms")
    balancer = start(setup)
    client, conn = open_session(setup, one)
    with setup.connect() as waiting:
        silent = one.next()
        balancer.signal(signal.SIGTERM)
        assert client.rest() == b""
        assert waiting.rest() == b""
        assert conn.rest() == b""
        silent.exactly(28)
        assert silent.rest() == b""
    assert balancer.exit_code() == 0
    balancer.wait("session", 2, result="drained", end="balancer")


@pytest.mark.parametrize(
    "first, second",
    [
        (signal.SIGTERM, signal.SIGTERM),
        (signal.SIGTERM, signal.SIGINT),
        (None, signal.SIGINT),
    ],
)
def test_stop_now(start, relay, first, second):
    one = relay()
    setup = Setup([one], top="drain_timeout = 1h")
    balancer = start(setup)
    client, conn = open_session(setup, one)
    if first:
        close_accepting(balancer, setup, first)
        balancer.wait("stopping", how="gracefully")
        client.send(b"NOOP\r\n")
        assert conn.line() == b"NOOP"
        assert balancer.process.poll() is None
    balancer.signal(second)
    assert client.rest() == b""
    assert balancer.exit_code() == 0
    balancer.wait("stopping", how="now")
    balancer.wait("session", result="drained", end="balancer")


def test_hup_while_stopping_is_ignored(start, relay):
    one, two = relay(), relay(smtp(b"two"))
    setup = Setup([one])
    balancer = start(setup)
    client, conn = open_session(setup, one)
    close_accepting(balancer, setup)
    setup.relays = [two]
    balancer.write(setup.text())
    balancer.signal(signal.SIGHUP)
    client.send(b"NOOP\r\n")
    assert conn.line() == b"NOOP"
    assert not is_listening(setup.address)
    conn.close()
    client.close()
    assert balancer.exit_code() == 0
    assert not balancer.find("config", action="reloaded")


def test_term_while_loading(start, relay):
    """The load ends after the stop has begun: it must not open what was closed."""
    one = relay()
    setup = Setup([one])
    balancer = start(setup)
    client, conn = open_session(setup, one)
    with balancer.loading(setup.text()):
        close_accepting(balancer, setup)
    client.send(b"NOOP\r\n")
    assert conn.line() == b"NOOP"
    assert not is_listening(setup.address)
    conn.close()
    client.close()
    assert balancer.exit_code() == 0
    assert not balancer.find("config", action="reloaded")


def test_session_in_the_gate_is_still_served(start, relay, clock):
    first, second = relay(), relay(smtp(b"second"))
    setup = Setup([first, second])
    clock.stop()  # a client that is slow to go on would be left
    balancer = start(setup, prefix=clock.prefix)
    with setup.connect() as client:
        conn = first.next()
        close_accepting(balancer, setup)
        conn.send(b"421 busy\r\n")
        assert client.line() == b"220 second ESMTP"
        assert client.quit() == b"221 bye"
    assert balancer.exit_code() == 0
    balancer.wait("session", result="ok", attempts=2)


def test_session_in_the_queue_is_still_served(start, relay, probed):
    """Probes go on while stopping, so that a relay that comes back is seen."""
    site = probed(status=503)
    health = f"type = http port = {site.port} interval = 50ms rise = 1 fall = 1"
    setup = Setup([relay(smtp(b"one"))], health=health)
    balancer = start(setup)
    balancer.wait("health", to="down")
    with setup.connect() as client:
        close_accepting(balancer, setup)
        site.status = 200
        assert client.line() == b"220 one ESMTP"
        assert client.quit() == b"221 bye"
    assert balancer.exit_code() == 0


def test_accept_queue_is_served(start, relay, clock):
    """Whoever is connected when TERM comes, though not accepted yet, is no less a client, and who
    is denied no more of one."""
    one = relay(smtp(b"one"))
    setup = Setup([one], deny="127.0.0.66")
    clock.stop()  # a client that is slow to go on would be left
    balancer = start(setup, prefix=clock.prefix)
    balancer.signal(signal.SIGSTOP)
    clients = [setup.connect() for _ in range(200)]
    strangers = [setup.connect("127.0.0.66") for _ in range(20)]
    balancer.signal(signal.SIGTERM)
    balancer.signal(signal.SIGCONT)
    for client in clients:
        assert client.line() == b"220 one ESMTP"
        assert client.quit() == b"221 bye"
    for stranger in strangers:
        assert stranger.line().startswith(b"421 4.7.1 ")
        stranger.close()
    assert balancer.exit_code() == 0
    balancer.wait("session", 200, result="ok")
    assert one.accepted == len(clients)


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_second_instance_is_refused(start, relay, tmp_path, host):
    """SO_REUSEPORT would let it bind, and take half of the traffic."""
    one, two = relay(smtp(b"one")), relay(smtp(b"two"))
    setup = Setup([one])
    setup.address = (host, setup.port)
    bind = f"[{host}]:{setup.port}" if ":" in host else f"{host}:{setup.port}"
    setup.bind = bind
    start(setup)
    other = Setup([two], bind=bind)
    with Crowd(setup) as crowd:
        for _ in range(3):
            result, conf = run_text(tmp_path, other.text())
            assert result.returncode == 1
            assert result.stdout == ""
            line = other.text().splitlines().index(f"    bind = {{ {bind} }}") + 1
            assert result.stderr.startswith(f"{conf}:{line}: can't listen on {bind}: ")
            assert "perhaps another smtplb" in result.stderr
            assert result.stderr.count("\n") == 1
            crowd.await_more()
    for _ in range(50):
        assert setup.greeting() == b"220 one ESMTP"
    assert set(crowd.lines) == {b"220 one ESMTP"}
    assert two.accepted == 0


def test_second_instance_takes_over_when_the_first_has_stopped_accepting(start, relay):
    """A restart needs not wait for the last session of the one before."""
    one, two = relay(), relay(smtp(b"two"))
    setup = Setup([one])
    first = start(setup)
    client, conn = open_session(setup, one)
    close_accepting(first, setup)
    setup.relays = [two]
    start(setup)
    assert setup.greeting() == b"220 two ESMTP"
    client.send(b"NOOP\r\n")
    assert conn.line() == b"NOOP"
    conn.close()
    client.close()
    assert first.exit_code() == 0


def test_port_taken_by_another_program(tmp_path, relay):
    with listen() as foreign:
        taken = foreign.getsockname()[1]
        setup = Setup([relay()])
        setup.bind = f"127.0.0.1:{setup.port}, 127.0.0.1:{taken}"
        result, conf = run_text(tmp_path, setup.text())
    assert result.returncode == 1
    assert re.fullmatch(
        rf"{re.escape(str(conf))}:\d+: can't listen on 127\.0\.0\.1:{taken}: .*\n", result.stderr
    )


def test_port_taken_in_the_other_family_only(tmp_path, relay):
    """Our own address beside it is not to blame."""
    setup = Setup([relay()])
    with socket.socket(socket.AF_INET6, socket.SOCK_STREAM) as foreign:
        foreign.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        foreign.bind(("::", setup.port))
        foreign.listen()
        setup.bind = f"0.0.0.0:{setup.port}, [::]:{setup.port}"
        result, _ = run_text(tmp_path, setup.text())
    assert result.returncode == 1
    assert f"can't listen on [::]:{setup.port}: Address already in use; another" in result.stderr


@pytest.mark.parametrize("host, wildcard", [("127.0.0.1", "0.0.0.0"), ("[::1]", "[::]")])
def test_addresses_that_overlap(tmp_path, relay, host, wildcard):
    """`check` says what `run` would refuse."""
    setup = Setup([relay()])
    for first, second in ((host, wildcard), (wildcard, host)):
        setup.bind = f"{first}:{setup.port}, {second}:{setup.port}"
        result, conf = run_text(tmp_path, setup.text())
        assert result.returncode == 1
        assert f": {second}:{setup.port} can't be bound beside {first}:" in result.stderr
        checked = run("check", "-c", conf)
        assert (checked.returncode, checked.stderr) == (1, result.stderr)


def test_both_families_on_one_port(start, relay):
    setup = Setup([relay(smtp(b"one"))])
    setup.bind = f"0.0.0.0:{setup.port}, [::]:{setup.port}"
    start(setup)
    for host in ("127.0.0.1", "::1"):
        setup.address = (host, setup.port)
        assert setup.greeting() == b"220 one ESMTP"


def test_broken_configuration(tmp_path, relay):
    setup = Setup([relay()])
    text = setup.text().replace("workers = 2", "workers = none").replace("acl = senders", "")
    result, conf = run_text(tmp_path, text)
    assert result.returncode == 1
    assert result.stdout == ""
    errors = result.stderr.splitlines()
    assert len(errors) == 2
    assert errors[0].startswith(f"{conf}:4: ") and "workers" in errors[0]
    assert re.match(rf"{re.escape(str(conf))}:\d+: .*acl", errors[1])
    assert not is_listening(setup.address)


def test_missing_configuration(tmp_path):
    conf = tmp_path / "none.conf"
    result = run("run", "-c", conf)
    assert result.returncode == 1
    assert result.stderr.startswith(f"{conf}: can't be read: No such file")


def test_connect_is_refused_after_the_end(start, relay):
    setup = Setup([relay(smtp())])
    balancer = start(setup)
    assert setup.greeting() == b"220 relay ESMTP"
    balancer.stop()
    with pytest.raises(ConnectionRefusedError):
        connect(setup.address)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_stopped_before_it_is_ready(tmp_path, number):
    """While it loads its configuration, for ever here."""
    conf = tmp_path / "smtplb.conf"
    os.mkfifo(conf)
    with subprocess.Popen([PROGRAM, "run", "-c", str(conf)]) as process:
        pipe = eventually(lambda: open_if_read(conf))
        process.send_signal(number)
        try:
            assert process.wait(DEADLINE) == 0
        finally:
            process.kill()
            os.close(pipe)


def test_stopped_while_a_load_hangs(start, relay):
    setup = Setup([relay(smtp(b"one"))])
    balancer = start(setup)
    with contextlib.suppress(BrokenPipeError), balancer.loading(setup.text()):
        balancer.signal(signal.SIGINT)
        assert balancer.exit_code() == 0
