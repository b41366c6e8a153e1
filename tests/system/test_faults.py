"""Invariant 6: whatever call fails, the balancer neither dies nor hangs, nobody hears a wrong byte,
nobody who is denied gets in, and afterwards all is well. Every call that a scenario makes fails
once, with each errno that is plausible for it."""

import functools
import re
import signal
import ssl
import subprocess

import pytest
from admin import Admin
from balancer import PROGRAM, Setup
from faults import FUNCTIONS
from peers import DEADLINE, connect, eventually, smtp
from tls import SecureSetup, StarttlsSetup, relay_tls, secure_by

STRANGER = "127.0.0.66"
GREETING = b"220 two ESMTP\r\n"
DIALOG = b"EHLO me\r\nDATA\r\nbody\r\n.\r\nQUIT\r\n"
ANSWERS = GREETING + b"250 two\r\n354 go on\r\n250 taken by two\r\n221 bye\r\n"
DENIED = re.compile(rb"421 4\.7\.1 lb\.test access denied \([0-9a-f]{16}\)\r\n")
REFUSED = re.compile(
    rb"421 4\.3\.2 lb\.test (no relay available|too many connections) \([0-9a-f]{16}\)\r\n"
)

CASES = [(name, error) for name, errors in FUNCTIONS.items() for error in errors]
SECURE = [case for case in CASES if case[0] in ("memory", "recv", "send")]


def close_behind_the_header(conn):
    conn.exactly(28)


LOST = (ConnectionError, ssl.SSLError)


def read_all(client):
    """All that comes, whichever way it ends."""
    parts = [client.buffer]
    try:
        while data := client.sock.recv(65536):
            parts.append(data)
    except LOST:
        pass
    return b"".join(parts)


def talk(setup, source=None, dialog=b""):
    """What a client hears that speaks once it was greeted."""
    try:
        client = setup.connect(source)
    except LOST:  # within the handshake
        return b""
    with client:
        try:
            first = client.recv()
            client.buffer = first
            if first.startswith(b"220") and dialog:
                client.send(dialog)
        except LOST:
            pass
        return read_all(client)


class Scenario:
    """Two relays, of which the first never greets, a list of addresses, and a probe now and then.
    A turn has sessions of every kind, and a reload."""

    def __init__(self, start, relay, probed, tmp_path, faults, make=Setup, denied=DENIED.fullmatch,
                 pool="", secure=None):
        """denied: whether a stranger has heard what it should; pool: further settings; secure: as
        of peers.smtp, of the relay that greets."""
        self.headers = []
        self.denied = denied
        site = probed()
        table = tmp_path / "list"
        table.write_text("127.0.0.0/24\n!127.0.0.66\n[2001:db8::]/32\n")
        one, two = relay(close_behind_the_header), relay(smtp(b"two", log=self.headers, secure=secure))
        self.setup = make(
            [one, two],
            workers=1,
            allow=f'127.0.0.0/8, "file:{table}"',
            deny=STRANGER,
            pool=f"greeting_retry = 20ms greeting_budget = 10s {pool}",
            health=f"type = http port = {site.port} interval = 50ms timeout = 50ms fall = 1000 greeting_fall = 0",
        )
        self.setup.bind = f"0.0.0.0:{self.setup.port}"  # has to ask each client's socket for its own
        self.balancer = start(self.setup, prefix=faults.prefix)

    def turn(self):
        for _ in range(2):
            heard = talk(self.setup, dialog=DIALOG)
            assert ANSWERS.startswith(heard) or REFUSED.fullmatch(heard), heard
        self.assert_denied(b"")
        client = connect(self.setup.address)
        client.send(b"early")
        client.reset()
        self.reload()

    def assert_denied(self, *or_so):
        """A stranger has heard that, or what happened instead."""
        heard = talk(self.setup, STRANGER)
        assert self.denied(heard) or heard in or_so, heard

    def reload(self):
        """Whatever comes of it: where the log can't be written, it says so with the next line."""
        told = self.outcomes()

        def is_told():
            if self.outcomes() > told or self.balancer.closed:
                return True
            talk(self.setup, STRANGER)
            return False

        self.balancer.signal(signal.SIGHUP)
        eventually(is_told)

    def outcomes(self):
        return len(self.balancer.find("config") + self.balancer.find("log"))

    def check(self):
        """All is well again."""
        assert talk(self.setup, dialog=DIALOG) == ANSWERS
        self.assert_denied()
        assert STRANGER not in {source[0] for source, _ in self.headers}
        assert self.balancer.process.poll() is None


@pytest.mark.parametrize("function, error", CASES, ids=[f"{f}-{e}" for f, e in CASES])
def test_each_call_while_it_runs(start, relay, probed, tmp_path, faults, function, error):
    try_each(Scenario(start, relay, probed, tmp_path, faults), faults, function, error)


@pytest.mark.parametrize("function, error", SECURE, ids=[f"{f}-{e}" for f, e in SECURE])
def test_each_call_with_tls(
        start, relay, probed, tmp_path, faults, certificate, function, error):
    """OpenSSL allocates by the thousand: of these every so manyth fails."""
    scenario = Scenario(
        start, relay, probed, tmp_path, faults,
        make=functools.partial(SecureSetup, certificate=certificate), denied=lambda heard: not heard,
        pool=relay_tls("implicit", certificate), secure=secure_by("implicit", certificate))
    try_each(scenario, faults, function, error, 101 if function == "memory" else 1)


@pytest.mark.parametrize("function, error", SECURE, ids=[f"{f}-{e}" for f, e in SECURE])
def test_each_call_with_starttls(
        start, relay, probed, tmp_path, faults, certificate, function, error):
    scenario = Scenario(start, relay, probed, tmp_path, faults,
                        make=functools.partial(StarttlsSetup, certificate=certificate),
                        pool=relay_tls("starttls", certificate),
                        secure=secure_by("starttls", certificate, greeting=GREETING.rstrip()))
    try_each(scenario, faults, function, error, 101 if function == "memory" else 1)


def try_each(scenario, faults, function, error, step=1):
    scenario.turn()
    number, failed = 0, True
    while failed:
        number += step
        faults.arm(function, error, number)
        try:
            scenario.turn()
        except AssertionError as wrong:
            raise AssertionError(f"call {number} of {function}: {error}") from wrong
        failed = faults.failed() > 0
        faults.disarm()
        scenario.check()
    print(f"{number - step} calls of {function}")


# Not those of the loops: epoll_wait is called without end, and libev does not look whether it could
# add the eventfd by which it is woken.
RUNNING = ("accept4", "connect", "recv", "send", "epoll_ctl", "epoll_wait")
STARTING = [name for name in FUNCTIONS if FUNCTIONS[name] and name not in RUNNING]


@pytest.mark.parametrize("function", STARTING)
def test_each_call_of_the_start_and_the_stop(relay, tmp_path, faults, function):
    """It starts all the same, or says why not and exits with 1."""
    setup = Setup(
        [relay(smtp(b"two"))], workers=2, health="type = none", admin=Admin(tmp_path).text()
    )
    conf = tmp_path / "smtplb.conf"
    conf.write_text(setup.text())
    error = FUNCTIONS[function][0]
    number, failed = 0, True
    while failed:
        number += 1
        faults.arm(function, error, number)
        process = subprocess.Popen(
            [*faults.prefix, PROGRAM, "run", "-c", conf], stderr=subprocess.PIPE, text=True
        )
        try:
            end_or_stop(process, setup)
        except (AssertionError, subprocess.TimeoutExpired) as wrong:
            raise AssertionError(f"call {number} of {function}: {error}") from wrong
        finally:
            process.kill()
            process.communicate()
        failed = faults.failed() > 0
    print(f"{number - 1} calls of {function}")


def has_begun(process, setup):
    """It listens, or has ended. (Its `ready` line may be what can't be written.)"""
    if process.poll() is not None:
        return True
    try:
        setup.connect().close()
    except ConnectionError:
        return False
    return True


def end_or_stop(process, setup):
    """TERM may come at any moment of the start too."""
    eventually(lambda: has_begun(process, setup))
    process.send_signal(signal.SIGTERM)
    code = process.wait(DEADLINE)
    said = process.stderr.read()
    assert code == 0 or (code == 1 and said.strip()), f"{code}: {said}"
