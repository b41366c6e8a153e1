"""Started as root: binds low ports, becomes the user, and can still bind low ports at a reload.
Each test process has a loopback address of its own, so that low ports never meet."""

import errno
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
from pathlib import Path

import pytest
from balancer import PROGRAM, Setup, run
from generations import Generations
from peers import DEADLINE, connect, smtp

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can drop root's powers")

USER = "nobody"
HOST = f"127.77.{os.getpid() >> 8 & 255}.{os.getpid() & 255}"
NET_BIND_SERVICE = 1 << 10  # capabilities(7)


@pytest.fixture(name="folder")
def fixture_folder():
    """One that the user can read: pytest's own folders are closed to others."""
    folder = tempfile.mkdtemp(prefix="smtplb-privileges-")
    os.chmod(folder, 0o755)
    yield Path(folder)
    shutil.rmtree(folder)


def status(balancer):
    text = Path(f"/proc/{balancer.pid}/status").read_text(encoding="ascii")
    return dict(line.split(":\t", 1) for line in text.splitlines() if ":\t" in line)


def low_port_setup(relays, ports, user=USER):
    setup = Setup(relays)
    setup.bind = ", ".join(f"{HOST}:{port}" for port in ports)
    setup.address = (HOST, ports[0])
    setup.user = user
    return setup


def text_of(setup):
    return setup.text().replace('user = ""', f"user = {setup.user}")


def test_root_is_dropped_after_binding(start, relay, folder):
    setup = low_port_setup([relay(smtp(b"one"))], [25, 587])
    balancer = start(text_of(setup), folder=folder)
    account = pwd.getpwnam(USER)
    seen = status(balancer)
    assert seen["Uid"].split() == [str(account.pw_uid)] * 4
    assert seen["Gid"].split() == [str(account.pw_gid)] * 4
    groups = {int(group) for group in seen["Groups"].split()}
    assert groups == set(os.getgrouplist(USER, account.pw_gid))
    assert int(seen["CapEff"], 16) == int(seen["CapPrm"], 16) == NET_BIND_SERVICE
    assert int(seen["CapInh"], 16) == int(seen["CapAmb"], 16) == 0
    assert seen["NoNewPrivs"] == "1"
    threads = [p for p in Path(f"/proc/{balancer.pid}/task").iterdir()]
    assert len(threads) >= 4  # main, log, two workers
    for thread in threads:
        text = (thread / "status").read_text(encoding="ascii")
        assert f"Uid:\t{account.pw_uid}\t" in text
        assert f"CapEff:\t{NET_BIND_SERVICE:016x}" in text
    assert setup.greeting() == b"220 one ESMTP"


def test_reload_binds_another_low_port_as_the_user(start, relay, folder):
    table = folder / "table"
    table.write_text("127.0.0.0/8\n")
    setup = low_port_setup([relay(smtp(b"one"))], [25])
    setup.allow = f"file:{table}"
    balancer = start(text_of(setup), folder=folder)
    setup.bind = f"{HOST}:25, {HOST}:465"
    assert balancer.reload(text_of(setup))["action"] == "reloaded"
    for port in (25, 465):
        with connect((HOST, port)) as client:
            assert client.line() == b"220 one ESMTP"
            assert client.quit() == b"221 bye"
    assert not balancer.find("config", action="warning")


def test_an_upgrade_keeps_the_one_power(start, relay, folder):
    """The new process is the user from its first moment, and can still bind low ports."""
    setup = low_port_setup([relay(smtp(b"one"))], [25])
    mine = Generations(start(text_of(setup), folder=folder))
    account = pwd.getpwnam(USER)
    try:
        for ports in ((25, 465), (25, 465, 587)):
            mine.balancer.write(text_of(low_port_setup(setup.relays, ports)))
            before = mine.pid
            mine.upgrade()
            mine.await_end(before)
            seen = status(mine)
            assert seen["Uid"].split() == [str(account.pw_uid)] * 4
            assert int(seen["CapEff"], 16) == int(seen["CapPrm"], 16) == NET_BIND_SERVICE
            assert seen["NoNewPrivs"] == "1"
            for port in ports:
                with connect((HOST, port)) as client:
                    assert client.line() == b"220 one ESMTP"
        assert mine.reload(text_of(low_port_setup(setup.relays, [25, 2525, 993]))) == "reloaded"
        with connect((HOST, 993)) as client:
            assert client.line() == b"220 one ESMTP"
    finally:
        mine.stop()


def test_file_that_the_user_can_not_read_refuses_the_reload(start, relay, folder):
    """What root could read at the start: the reload reads it as the user, and says so."""
    table = folder / "table"
    table.write_text("127.0.0.0/8\n")
    table.chmod(0o600)
    setup = low_port_setup([relay(smtp(b"one"))], [25])
    setup.allow = f"file:{table}"
    balancer = start(text_of(setup), folder=folder)
    event = balancer.reload()
    assert event["action"] == "refused"
    assert f"{table}: Permission denied" in event["detail"]
    assert setup.greeting() == b"220 one ESMTP"
    table.chmod(0o644)
    assert balancer.reload()["action"] == "reloaded"


def test_admin_socket_belongs_to_the_user(start, relay, folder):
    """So does its folder, which is made where there is none: thus it can be moved and removed."""
    account = pwd.getpwnam(USER)
    place = folder / "run"
    setup = low_port_setup([relay(smtp(b"one"))], [25])
    setup.admin = f'socket = {place}/admin.sock listen = ""'
    balancer = start(text_of(setup), folder=folder)
    for path, mode in ((place, 0o755), (place / "admin.sock", 0o660)):
        seen = path.stat()
        assert (seen.st_uid, seen.st_gid) == (account.pw_uid, account.pw_gid)
        assert seen.st_mode & 0o777 == mode
    setup.admin = f'socket = {place}/other.sock listen = ""'
    assert balancer.reload(text_of(setup))["action"] == "reloaded"
    assert [path.name for path in place.iterdir()] == ["other.sock"]
    assert run("status", "--socket", place / "other.sock").returncode == 0
    balancer.stop()
    assert not list(place.iterdir())


CALLS = [
    ("getpwnam", "EIO", 2, "look up the user"),  # the first looks whether there is one
    ("getpwnam", None, 2, "look up the user"),
    ("prctl", "EINVAL", 1, "keep CAP_NET_BIND_SERVICE"),
    ("initgroups", "EPERM", 1, "become the user"),
    ("setresgid", "EAGAIN", 1, "become the user"),
    ("setresuid", "EAGAIN", 1, "become the user"),
    ("capset", "EPERM", 1, "give up root's other powers"),
    ("prctl", "EINVAL", 2, "give up root's other powers"),
]


@pytest.mark.parametrize(
    "call, error, number, what", CALLS, ids=[f"{c[0]}-{c[1]}-{c[2]}" for c in CALLS]
)
def test_who_can_not_drop_root_does_not_run(relay, folder, faults, call, error, number, what):
    setup = low_port_setup([relay(smtp(b"one"))], [25])
    conf = folder / "smtplb.conf"
    conf.write_text(text_of(setup))
    faults.arm(call, error, number)
    result = subprocess.run(
        [*faults.prefix, PROGRAM, "run", "-c", conf],
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert result.returncode == 1
    why = os.strerror(getattr(errno, error or "ENOENT"))
    assert result.stderr == f"smtplb: can't drop root for user `{USER}` ({what}): {why}\n"
    assert faults.failed() == 1
    with pytest.raises(ConnectionRefusedError):
        setup.connect()


def test_user_is_no_matter_without_root(start, relay, folder):
    """Whoever is not root stays who they are."""
    account = pwd.getpwnam(USER)
    setup = Setup([relay(smtp(b"one"))])
    setup.user = "daemon"
    ids = [str(account.pw_uid), str(account.pw_gid)]
    prefix = ["setpriv", "--reuid", ids[0], "--regid", ids[1], "--clear-groups"]
    balancer = start(text_of(setup), folder=folder, prefix=prefix)
    assert status(balancer)["Uid"].split() == [ids[0]] * 4
    assert setup.greeting() == b"220 one ESMTP"


def test_graceful_stop_as_the_user(start, relay, folder):
    setup = low_port_setup([relay(smtp(b"one"))], [25])
    balancer = start(text_of(setup), folder=folder)
    assert setup.greeting() == b"220 one ESMTP"
    balancer.signal(signal.SIGTERM)
    assert balancer.exit_code() == 0


def test_empty_user_keeps_root(start, relay, folder):
    setup = low_port_setup([relay(smtp(b"one"))], [25], user='""')
    balancer = start(text_of(setup), folder=folder)
    before = Path("/proc/self/status").read_text(encoding="ascii")
    seen = status(balancer)
    assert seen["Uid"].split() == ["0"] * 4
    assert f"CapEff:\t{seen['CapEff']}" in before
    assert seen["NoNewPrivs"] == "0"


def test_unknown_user(relay, folder):
    setup = low_port_setup([relay()], [25], user="no-such-user")
    conf = folder / "smtplb.conf"
    conf.write_text(text_of(setup))
    line = text_of(setup).splitlines().index("user = no-such-user") + 1
    result = run("run", "-c", conf)
    assert result.returncode == 1
    assert result.stderr.startswith(f"{conf}:{line}: ")
    assert "no-such-user" in result.stderr and "useradd" in result.stderr
    assert result.stderr.count("\n") == 1


def test_low_port_without_root(relay, folder):
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text("ascii")) <= 25:
        pytest.skip("here everybody may bind port 25")
    setup = low_port_setup([relay()], [25])
    conf = folder / "smtplb.conf"
    conf.write_text(text_of(setup))
    account = pwd.getpwnam(USER)
    result = run("run", "-c", conf, user=account.pw_uid, group=account.pw_gid, extra_groups=[])
    assert result.returncode == 1
    assert f": can't listen on {HOST}:25: Permission denied; start as root" in result.stderr
