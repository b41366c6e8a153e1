"""USR2: the binary is replaced while mail flows, and nobody notices."""

import contextlib
import errno
import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from admin import Admin
from balancer import Crowd, Setup, open_if_read, with_engine
from generations import Generations, copy_of_program, is_alive, put_there
from peers import eventually, free_port, listen, smtp, unless_refused
from scene import CLOSING, Talk

STRANGER = "127.0.0.66"


@pytest.fixture(name="generations")
def fixture_generations(start):
    """Starts a balancer that will be replaced; those that replace it end with the test."""
    with contextlib.ExitStack() as stack:
        def make(setup, **options):
            made = Generations(start(setup, **options))
            stack.callback(made.stop)
            return made
        yield make


def states(admin):
    """What is ordered and measured of each backend."""
    keys = ("state", "up", "probe_up", "greetings_up", "since", "cause", "detail")
    return {name: {key: backend[key] for key in keys}
            for name, backend in admin.backends().items()}


def test_sessions_run_on_and_new_ones_are_the_new_processs(generations, relay):
    setup = Setup([relay()])
    mine = generations(setup)
    old = Talk(setup)
    mine.upgrade()
    new = Talk(setup)
    old.begin()
    for talk in (new, old):
        talk.message()
        talk.ask(b"QUIT", b"221 bye")
        talk.close()
    mine.await_end(mine.balancer.pid)
    mine.balancer.wait("upgrade", action="alone")
    assert is_alive(mine.pid)
    assert mine.balancer.wait("session", 2, result="ok")
    assert not mine.balancer.find("cut")


def test_under_load(generations, relay):
    """Clients that come again and again, through one generation after the other."""
    setup = Setup([relay(smtp()), relay(smtp())])
    mine = generations(setup)
    with Crowd(setup) as crowd:
        for _ in range(3):
            before = mine.pid
            mine.upgrade()
            crowd.await_more()
            mine.await_end(before)
    assert set(crowd.lines) == {b"220 relay ESMTP"}
    assert not mine.balancer.find("attempt") and not mine.balancer.find("accept")


def test_who_is_denied_stays_denied(generations, relay):
    log = []
    setup = Setup([relay(smtp(log=log))], deny=STRANGER)
    mine = generations(setup)
    with Crowd(setup, source=STRANGER) as crowd:
        for _ in range(2):
            before = mine.pid
            mine.upgrade()
            crowd.await_more()
            mine.await_end(before)
    assert all(line.startswith(b"421 4.7.1 lb.test access denied (") for line in crowd.lines)
    assert not log


def test_what_stays_longer_is_drained(generations, relay):
    """Past drain_timeout, as by TERM: one that rests is told, one in a transaction is cut later."""
    setup = Setup([relay()], top="drain_timeout = 500ms")
    mine = generations(setup)
    rests, sends = Talk(setup), Talk(setup)
    rests.message()
    sends.begin()
    mine.upgrade()
    at_relay, at_client = rests.ended()
    assert at_relay == b"QUIT\r\n" and re.fullmatch(CLOSING, at_client)
    assert sends.ended() == (b"", b"")
    mine.await_end(mine.balancer.pid)
    assert [one["how"] for one in mine.balancer.find("stopping")] == ["upgrade", "gracefully"]


def test_a_final_dot_has_its_reply(generations, relay):
    """However long that takes, and though the time of all others is over."""
    setup = Setup([relay()], top="drain_timeout = 100ms")
    mine = generations(setup)
    waits, sends = Talk(setup), Talk(setup)
    waits.send()
    sends.begin()
    mine.upgrade()
    mine.balancer.wait("cut", place="transaction")
    waits.reply(b"250 2.0.0 taken")
    at_relay, at_client = waits.ended()
    assert at_relay == b"QUIT\r\n" and re.fullmatch(CLOSING, at_client)
    waits.close()
    sends.close()
    mine.await_end(mine.balancer.pid)
    assert mine.balancer.wait("session", accepted=1)["result"] == "drained"


@pytest.mark.parametrize("numbers, how", [
    ((signal.SIGTERM,), ["upgrade", "gracefully"]),
    ((signal.SIGTERM, signal.SIGTERM), ["upgrade", "gracefully", "now"]),
    ((signal.SIGINT,), ["upgrade", "now"]),
])
def test_the_old_one_may_be_stopped(generations, relay, numbers, how):
    setup = Setup([relay()])
    mine = generations(setup)
    talk = Talk(setup)
    talk.begin()
    mine.upgrade()
    for number, event in zip(numbers, how[1:]):
        mine.balancer.signal(number)
        mine.balancer.wait("stopping", how=event)
    if how[-1] == "gracefully":
        talk.ask(b"RSET")
        talk.ask(b"QUIT", b"221 bye")
    talk.close()
    mine.await_end(mine.balancer.pid)
    assert [one["how"] for one in mine.balancer.find("stopping")] == how
    assert is_alive(mine.pid)


def test_the_admin_sockets_go_along(generations, relay, tmp_path):
    admin = Admin(tmp_path)
    setup = Setup([relay()], admin=admin.text())
    mine = generations(setup)
    inode = admin.path.stat().st_ino
    talk = Talk(setup)
    pending = admin.dial()
    pending.request("GET", "/healthz")
    assert pending.getresponse().read() is not None
    mine.upgrade()
    pending.request("GET", "/healthz")  # of the old one, which knows that it accepts no more
    assert pending.getresponse().status == 503
    pending.close()
    for tcp in (False, True):
        assert admin.ask("GET", "/healthz", tcp).status == 200
    talk.close()
    mine.await_end(mine.balancer.pid)
    assert admin.path.stat().st_ino == inode
    assert admin.run("status").returncode == 0
    assert admin.run("reload").returncode == 0
    mine.stop()
    assert not admin.path.exists()


def test_what_is_ordered_and_measured_goes_along(generations, hosts, tmp_path):
    admin = Admin(tmp_path)
    relays = hosts(smtp(), smtp(), smtp(), None, smtp())
    _, paused, sick, _, well = relays
    sick.probe.status = 503
    setup = Setup(relays, admin=admin.text(), pool="greeting_timeout = 100ms",
                  health=f"port = {well.probe.port} interval = 100ms rise = 1000")
    mine = generations(setup)
    mine.balancer.wait("health", backend="relay3", cause="probe")
    assert admin.order("relay1", "drain") == admin.order("relay2", "maint") == 200
    while not mine.balancer.find("health", backend="relay4", cause="greetings"):
        assert setup.greeting() == b"220 relay ESMTP"
    before = states(admin)
    assert [one["up"] for one in before.values()] == [True, True, False, False, True]
    assert not before["relay3"]["probe_up"] and not before["relay4"]["greetings_up"]
    sick.probe.status = 200
    old = mine.pid
    mine.upgrade()
    assert states(admin) == before
    mine.await_end(old)
    asked = paused.probe.answered
    well.probe.await_probes(5)
    assert paused.probe.answered == asked
    assert not admin.backends()["relay3"]["up"]  # which takes more than some probes
    assert admin.order("relay2", "ready") == 200
    paused.probe.await_probes(1)
    assert admin.backends()["relay1"]["state"] == "drain"


@pytest.mark.parametrize("change, relay3", [("type = none", True), ("rise = 1", True)])
def test_a_check_that_has_changed(generations, hosts, tmp_path, change, relay3):
    """Who is not probed any more is not kept out by what his probes said."""
    admin = Admin(tmp_path)
    relays = hosts(smtp(), smtp())
    relays[1].probe.status = 503
    health = f"port = {relays[0].probe.port} interval = 100ms "
    setup = Setup(relays, admin=admin.text(), health=health)
    mine = generations(setup)
    mine.balancer.wait("health", backend="relay2", to="down")
    relays[1].probe.status = 200
    setup.health = health + change
    mine.balancer.write(setup.text())
    mine.upgrade()
    assert eventually(lambda: admin.backends()["relay2"]["up"]) == relay3


BROKEN = [
    ("#!/bin/sh\nexit 3\n", 0o755, "the new process has ended"),
    ("#!/bin/sh\nkill -SEGV $$\n", 0o755, "the new process has ended"),
    ("#!/no/such/shell\n", 0o755, "can't be run: No such file or directory"),
    ("not a program", 0o755, "can't be run: Exec format error"),
    ("#!/bin/sh\nexit 0\n", 0o644, "can't be run: Permission denied"),
    ("#!/bin/sh\neval \"echo hello >&$SMTPLB_UPGRADE\"\nread nothing\n", 0o755,
     "the new process does not know how to take over"),
    ("#!/bin/sh\neval \"printf P >&$SMTPLB_UPGRADE\"\nexit 0\n", 0o755,
     "the new process did not take over"),
]


@pytest.mark.parametrize("program, mode, why", BROKEN, ids=[why for _, _, why in BROKEN])
def test_a_binary_that_fails_changes_nothing(generations, relay, tmp_path, program, mode, why):
    setup = Setup([relay()])
    there = copy_of_program(tmp_path)
    mine = generations(setup, program=there)
    good = there.read_bytes()
    put_there(there, program.encode(), mode)
    talk = Talk(setup)
    assert why in mine.failed()
    talk.message()
    other = Talk(setup)
    put_there(there, good)
    mine.upgrade()
    for one in (talk, other):
        one.message()
        one.close()


def test_signals_in_the_midst_of_it(generations, relay, tmp_path):
    """Whoever sends them, while the new process is about to say that it is ready."""
    setup = Setup([relay()])
    there, flag = copy_of_program(tmp_path), tmp_path / "flag"
    mine = generations(setup, program=there)
    talk = Talk(setup)
    put_there(there, f"""#!/bin/sh
eval "printf P >&$SMTPLB_UPGRADE"
touch {flag}.there
while [ ! -e {flag} ]; do sleep 0.01; done
eval "printf RPX >&$SMTPLB_UPGRADE"
""".encode())
    mine.order()
    eventually(flag.with_suffix(".there").exists)
    for number in (signal.SIGHUP, signal.SIGUSR2):
        mine.balancer.signal(number)
    flag.touch()
    mine.balancer.wait("upgrade", action="done")
    mine.balancer.wait("upgrade", action="lost", detail="the new process has ended")
    assert not mine.balancer.find("upgrade", action="failed")  # whatever it said after that
    talk.message()
    talk.close()
    assert mine.balancer.exit_code() == 0


def test_its_end_is_told_to_who_started_the_first(generations, relay):
    """It is no child of the process that it replaces, which ends before it."""
    setup = Setup([relay()])
    mine = generations(setup)
    talk = Talk(setup)
    mine.upgrade()
    status = Path(f"/proc/{mine.pid}/status").read_text(encoding="ascii")
    assert f"PPid:\t{os.getpid()}\n" in status
    os.kill(mine.pid, signal.SIGKILL)
    mine.balancer.wait("upgrade", action="lost", pid=mine.pid)
    assert os.waitpid(mine.pid, 0)[1] == signal.SIGKILL
    talk.message()
    talk.close()


def test_a_binary_that_is_not_there(generations, relay, tmp_path):
    setup = Setup([relay(smtp())])
    there = copy_of_program(tmp_path)
    mine = generations(setup, program=there)
    there.unlink()
    assert mine.failed() == f"{there} can't be run: No such file or directory"
    assert setup.greeting() == b"220 relay ESMTP"


def test_a_configuration_with_an_error(generations, relay):
    setup = Setup([relay(smtp())])
    mine = generations(setup)
    good = mine.balancer.text
    mine.balancer.write("nonsense")
    assert mine.failed().startswith("the new process has ended")
    assert any("smtplb.conf:1: " in line for line in mine.balancer.lines)
    assert setup.greeting() == b"220 relay ESMTP"
    mine.balancer.write(good)
    mine.upgrade()
    assert setup.greeting() == b"220 relay ESMTP"


def test_a_binary_that_hangs(generations, relay, tmp_path, clock):
    setup = Setup([relay(smtp())])
    there = copy_of_program(tmp_path)
    mine = generations(setup, program=there, prefix=clock.prefix)
    put_there(there, b"#!/bin/sh\nread nothing <&$SMTPLB_UPGRADE\n")
    clock.stop()
    mine.order()
    pid = int(mine.balancer.wait("upgrade", action="started")["pid"])
    assert mine.refused() == "another one is under way"
    clock.advance(61)
    mine.balancer.signal(signal.SIGHUP)  # which wakes it up
    failed = mine.balancer.wait("upgrade", action="failed")
    assert failed["detail"] == "the new process was not ready in time"
    eventually(lambda: not is_alive(pid))
    clock.go()
    assert setup.greeting() == b"220 relay ESMTP"


def test_what_fails_leaves_the_admin_socket(generations, relay, tmp_path):
    admin = Admin(tmp_path)
    setup = Setup([relay(smtp())], admin=admin.text())
    mine = generations(setup)
    with listen() as taken:
        setup.admin = f"socket = {admin.path} listen = 127.0.0.1:{taken.getsockname()[1]}"
        mine.balancer.write(setup.text())
        mine.failed()
    assert admin.run("status").returncode == 0
    setup.admin = admin.text()
    mine.balancer.write(setup.text())
    mine.upgrade()
    assert admin.run("status").returncode == 0


def test_another_admin_socket(generations, relay, tmp_path):
    old, new = Admin(tmp_path), Admin(tmp_path)
    new.path = tmp_path / "other.sock"
    setup = Setup([relay(smtp())], admin=old.text())
    mine = generations(setup)
    setup.admin = new.text()
    mine.balancer.write(setup.text())
    mine.upgrade()
    assert new.run("status").returncode == 0
    mine.await_end(mine.balancer.pid)
    assert not old.path.exists()
    new.path.unlink()  # whoever did that: the next one makes it anew
    mine.upgrade()
    assert new.run("status").returncode == 0


def test_orders_to_who_is_retired(generations, relay, tmp_path):
    admin = Admin(tmp_path)
    setup = Setup([relay()], admin=admin.text())
    mine = generations(setup)
    talk = Talk(setup)
    kept = admin.dial()
    kept.request("GET", "/healthz")
    kept.getresponse().read()
    mine.upgrade()
    kept.request("POST", "/v1/pools/relays/backends/relay1/drain")
    assert kept.getresponse().status == 503
    kept.close()
    assert states(admin)["relay1"]["state"] == "ready"
    talk.close()


def test_two_are_enough(generations, relay):
    setup = Setup([relay()])
    mine = generations(setup)
    talk = Talk(setup)
    mine.upgrade()
    assert mine.refused().startswith("the process before this one still has sessions")
    assert mine.refused(mine.balancer.pid) == "another one is under way"
    talk.close()
    mine.balancer.wait("upgrade", action="alone")
    mine.upgrade()


def test_none_while_it_stops(generations, relay):
    setup = Setup([relay()])
    mine = generations(setup)
    talk = Talk(setup)
    talk.begin()
    mine.balancer.signal(signal.SIGTERM)
    mine.balancer.wait("stopping")
    assert mine.refused() == "this process stops"
    talk.close()


@contextlib.contextmanager
def new_one_loading(mine, setup):
    """While the block runs the new process waits for the configuration's first byte, which it gets
    afterwards. With its number."""
    conf = mine.balancer.conf
    conf.unlink()
    os.mkfifo(conf)
    mine.order()
    pid = int(mine.balancer.wait("upgrade", action="started")["pid"])
    pipe = eventually(lambda: open_if_read(conf))
    with os.fdopen(pipe, "w") as file:
        yield pid
        file.write(with_engine(setup.text()))


def test_stopped_before_the_new_one_is_ready(generations, relay):
    """Then there is none."""
    setup = Setup([relay()])
    mine = generations(setup)
    talk = Talk(setup)
    talk.begin()
    with new_one_loading(mine, setup) as pid:
        mine.balancer.signal(signal.SIGTERM)
        mine.balancer.wait("stopping")
    mine.balancer.wait("upgrade", action="failed", detail="this process stops")
    eventually(lambda: not is_alive(pid))
    talk.close()
    assert mine.balancer.exit_code() == 0
    assert unless_refused(setup.connect) is None


def test_ended_before_the_new_one_is_ready(generations, relay):
    setup = Setup([relay()])
    mine = generations(setup)
    with new_one_loading(mine, setup) as pid:
        mine.balancer.signal(signal.SIGINT)
        assert mine.balancer.exit_code() == 0
    eventually(lambda: not is_alive(pid))
    assert unless_refused(setup.connect) is None


def test_a_drain_goes_along_that_was_ordered_while_it_loads(generations, relay, tmp_path):
    admin = Admin(tmp_path)
    setup = Setup([relay(smtp()), relay(smtp())], admin=admin.text())
    mine = generations(setup)
    with new_one_loading(mine, setup) as pid:
        assert admin.order("relay1", "drain") == 200
    mine.balancer.wait("ready", pid=pid)
    mine.pids.append(pid)
    mine.await_end(mine.balancer.pid)
    assert states(admin)["relay1"]["state"] == "drain"


def test_a_reload_meanwhile(generations, relay):
    """What the new process has loaded is not what is in force: another one is started, which has."""
    setup = Setup([relay(smtp())])
    mine = generations(setup)
    with new_one_loading(mine, setup) as first:
        setup.deny = STRANGER
        denying = setup.text()
        assert mine.reload(denying) == "reloaded"
        setup.deny = ""
    mine.balancer.wait("upgrade", action="failed", pid=first)
    second = int(mine.balancer.wait("upgrade", action="done")["pid"])
    assert second != first
    mine.pids.append(second)
    mine.await_end(mine.balancer.pid)
    assert setup.greeting(STRANGER).startswith(b"421 4.7.1 ")
    assert setup.greeting() == b"220 relay ESMTP"


def test_a_reload_that_comes_too_late(generations, relay, tmp_path):
    """Whoever has asked for it is told that it did not happen."""
    admin = Admin(tmp_path)
    setup = Setup([relay()], admin=admin.text())
    mine = generations(setup)
    talk = Talk(setup)
    talk.begin()
    conf = mine.balancer.conf
    conf.unlink()
    os.mkfifo(conf)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(admin.ask, "POST", "/v1/reload")
        with os.fdopen(eventually(lambda: open_if_read(conf)), "w") as file:
            mine.balancer.signal(signal.SIGTERM)
            mine.balancer.wait("stopping")
            file.write(with_engine(setup.text()))
        assert answer.result().status == 409
    assert b"not put into force: it stops" in answer.result().body
    talk.close()


@pytest.mark.parametrize("counts", [(1, 3), (3, 1, 2)])
def test_the_number_of_workers_may_change(generations, relay, counts):
    """Whose sockets they are is another matter: nobody is left in a queue."""
    setup = Setup([relay(smtp())], workers=counts[0])
    mine = generations(setup)
    for workers in counts[1:]:
        setup.workers = workers
        before = mine.pid
        mine.balancer.write(setup.text())
        mine.upgrade()
        mine.await_end(before)
        assert mine.balancer.wait("ready", pid=mine.pid)["workers"] == str(workers)
        for _ in range(20):
            assert setup.greeting() == b"220 relay ESMTP"
        assert mine.reload() == "reloaded"
        assert setup.greeting() == b"220 relay ESMTP"


def test_addresses_may_come_and_go(generations, relay):
    setup = Setup([relay(smtp())])
    first, second = setup.address, ("127.0.0.1", free_port())
    mine = generations(setup)
    for address, gone in ((second, first), (first, second)):
        setup.address = address
        setup.bind = f"127.0.0.1:{address[1]}"
        mine.balancer.write(setup.text())
        before = mine.pid
        mine.upgrade()
        mine.await_end(before)
        assert setup.greeting() == b"220 relay ESMTP"
        setup.address = gone
        assert unless_refused(setup.connect) is None
    assert len(mine.balancer.find("config", action="warning")) == 2


def test_the_engine_may_change(generations, relay, tmp_path):
    setup = Setup([relay(smtp())], top="engine = libev")
    mine = generations(setup)
    setup.top = "engine = auto"
    mine.balancer.write(setup.text())
    mine.upgrade()
    assert setup.greeting() == b"220 relay ESMTP"


@pytest.mark.parametrize("function, error", [("clone", "EAGAIN"), ("socketpair", "EMFILE")])
def test_no_process_to_be_had(generations, relay, faults, function, error):
    setup = Setup([relay(smtp())])
    mine = generations(setup, prefix=faults.prefix)
    faults.arm(function, error)
    assert mine.failed() == os.strerror(getattr(errno, error))
    assert faults.failed() == 1
    assert setup.greeting() == b"220 relay ESMTP"
    mine.upgrade()
    assert setup.greeting() == b"220 relay ESMTP"
