"""The command line: what goes to stdout, what to stderr, and the exit codes."""

import subprocess
from pathlib import Path

import pytest
from balancer import PROGRAM, ROOT, Setup, run
from peers import DEADLINE, Relay, listen

USAGE = "usage: smtplb COMMAND"


@pytest.fixture(name="text")
def fixture_text():
    """A good configuration."""
    with Relay() as relay:
        return Setup([relay]).text()


def check(tmp_path, text):
    conf = tmp_path / "smtplb.conf"
    conf.write_text(text)
    return run("check", "-c", conf), conf


def test_check_of_a_good_file(tmp_path, text):
    result, conf = check(tmp_path, text)
    assert result.returncode == 0
    assert result.stderr == ""
    assert result.stdout == f"{conf}: ok: listeners 1, pools 1, backends 1, acls 1, prefixes 2\n"


def test_check_opens_no_socket(tmp_path, text):
    with listen() as taken:
        address = "127.0.0.1:%d" % taken.getsockname()[1]
        bind = next(line for line in text.splitlines() if "bind" in line)
        result, _ = check(tmp_path, text.replace(bind, f"bind = {{ {address}, 192.0.2.1:25 }}"))
    assert (result.returncode, result.stderr) == (0, "")


def test_check_prints_every_error(tmp_path, text):
    """Those of a list that the file names too, each with its own file and line."""
    table = tmp_path / "table"
    table.write_text("10.0.0.0/8\n10.1.2.3/24\nnonsense\n")
    text = text.replace("workers = 2", "workers = 2 workers = 3")
    text = text.replace("127.0.0.0/8", f"file:{table}")
    text = text.replace("pool = relays", "pool = relay").replace("type = none", "type = nun")
    result, conf = check(tmp_path, text)
    assert result.returncode == 1
    assert result.stdout == ""
    lines = text.splitlines()
    errors = result.stderr.splitlines()
    wanted = [f"{table}:2: ", f"{table}:3: "]
    for what in ("workers = 2 workers = 3", "    health { type = nun }", "    pool = relay"):
        wanted.append(f"{conf}:{lines.index(what) + 1}: ")
    for start in wanted:
        assert sum(error.startswith(start) for error in errors) == 1, (start, errors)
    assert len(errors) == len(wanted)


def test_check_shows_the_first_syntax_error(tmp_path, text):
    result, conf = check(tmp_path, text + "listener second {\n  bind\n  acl = }\n")
    assert result.returncode == 1
    assert result.stderr.startswith(f"{conf}:{len(text.splitlines()) + 3}: ")
    assert result.stderr.count("\n") == 1


def test_warnings_do_not_fail(tmp_path, text):
    table = tmp_path / "table"
    table.write_text("10.0.0.0/8\n!10.1.2.3\n")
    result, conf = check(tmp_path, text.replace("127.0.0.0/8", f'"file:{table}"'))
    assert result.returncode == 0
    assert result.stdout.startswith(f"{conf}: ok: ")
    assert result.stderr.startswith(f"warning: {table}:2: ")
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ["check", "run"])
def test_file_that_is_not_there(tmp_path, command):
    for path in (tmp_path / "none.conf", tmp_path):
        result = run(command, "-c", path)
        assert result.returncode == 1
        assert result.stdout == ""
        assert result.stderr.startswith(f"{path}: can't be read: ")


def test_default_file(tmp_path):
    if Path("/etc/smtplb").exists():
        pytest.skip("this machine has an /etc/smtplb")
    result = run("check", cwd=tmp_path)
    assert result.returncode == 1
    assert result.stderr.startswith("/etc/smtplb/smtplb.conf: can't be read: ")


def test_version():
    result = run("version")
    assert result.returncode == 0
    assert result.stderr == ""
    first, *others = result.stdout.splitlines()
    program, number = first.split(" ")
    assert program == "smtplb" and number[0].isdigit()
    assert "engines: libev io_uring" in others
    libraries = dict(line.split(" ") for line in others[1:])
    assert set(libraries) == {"libev", "libconfuse", "libmaxminddb", "libmicrohttpd", "jansson", "liburing", "openssl"}
    assert all(version[0].isdigit() for version in libraries.values())


@pytest.mark.parametrize(
    "arguments",
    [
        (),
        ("",),
        ("runn",),
        ("-c", "x.conf"),
        ("--unknown",),
        ("run", "-x"),
        ("check", "--unknown"),
        ("check", "-c"),
        ("check", "--listener", "smtp"),
        ("check", "extra"),
        ("check", "-c", "x.conf", "extra"),
        ("version", "extra"),
        ("version", "-v"),
    ],
)
def test_usage(arguments):
    result = run(*arguments)
    assert result.returncode == 2
    assert result.stdout == ""
    assert USAGE in result.stderr


@pytest.mark.parametrize("name", ["help", "--help"])
def test_help(name):
    result = run(name)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(USAGE)


def test_minimal_example():
    """Shipped with a user that a fresh machine does not have: named as what it is."""
    text = (ROOT / "conf/minimal.conf").read_text() + "\nuser = nobody\n"
    result = subprocess.run(
        [PROGRAM, "check", "-c", "/dev/stdin"],
        input=text,
        capture_output=True,
        text=True,
        timeout=DEADLINE,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == "/dev/stdin: ok: listeners 1, pools 1, backends 2, acls 1, prefixes 1\n"


def test_full_example(tmp_path):
    text = (ROOT / "conf/full.conf").read_text()
    assert text.count("user          = smtplb ") == 1
    result, conf = check(tmp_path, text.replace("= smtplb ", "= nobody "))
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout == f"{conf}: ok: listeners 1, pools 1, backends 2, acls 1, prefixes 3\n"
