"""Which engine is used, and what is said of it."""

import errno
import subprocess
from pathlib import Path

import pytest
from balancer import PROGRAM, Setup
from peers import smtp

TESTS = Path(__file__).resolve().parents[1]
WITHOUT = [TESTS / "system/without_uring.py"]  # and an errno

REASONS = [
    (errno.EPERM, "kernel.io_uring_disabled"),
    (errno.ENOSYS, "built without it"),
    (errno.EINVAL, "Linux 6.1"),
    (errno.ENOMEM, "Cannot allocate memory"),
]


def engines():
    return subprocess.run([TESTS / "engines"], capture_output=True, text=True, check=True).stdout


def test_auto_is_io_uring_where_the_kernel_allows_it(start, relay):
    if "io_uring" not in engines():
        pytest.skip("this kernel does not allow io_uring")
    setup = Setup([relay(smtp(b"one"))], top="engine = auto")
    balancer = start(setup)
    assert balancer.ready()["engine"] == "io_uring"
    assert not balancer.find("config", action="warning")
    assert setup.greeting() == b"220 one ESMTP"


@pytest.mark.parametrize("error, reason", REASONS)
def test_auto_falls_back(start, relay, error, reason):
    setup = Setup([relay(smtp(b"one"))], top="engine = auto")
    balancer = start(setup, prefix=[*WITHOUT, str(error)])
    assert balancer.ready()["engine"] == "libev"
    warning = balancer.wait("config", action="warning")["detail"]
    assert "engine libev is used: no io_uring here" in warning and reason in warning
    assert setup.greeting() == b"220 one ESMTP"


@pytest.mark.parametrize("error, reason", REASONS)
def test_named_it_is_io_uring_or_nothing(tmp_path, relay, error, reason):
    conf = tmp_path / "smtplb.conf"
    conf.write_text(Setup([relay()], top="engine = io_uring").text())
    line = 1 + conf.read_text().splitlines().index("engine = io_uring")
    done = subprocess.run([*WITHOUT, str(error), PROGRAM, "run", "-c", conf],
                          capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{conf}:{line}: engine = io_uring can't be used: ")
    assert reason in done.stderr
    assert "set it to auto or libev" in done.stderr


def test_kept_until_a_restart(start, relay):
    setup = Setup([relay(smtp(b"one"))], top="engine = libev")
    balancer = start(setup)
    setup.top = "engine = auto"
    balancer.reload(setup.text())
    warning = balancer.wait("config", action="warning")["detail"]
    assert "engine keeps its value until a restart" in warning
    assert setup.greeting() == b"220 one ESMTP"
