"""Completion in real shells: commands, options, and the backends of the daemon that runs."""

import subprocess

import pytest
from admin import Admin
from balancer import ROOT, Setup, run
from peers import DEADLINE, smtp
from shell import Shell


@pytest.fixture(name="shell", params=["bash", "zsh"])
def fixture_shell(request, tmp_path):
    shell = Shell(request.param, tmp_path)
    yield shell
    shell.stop()


@pytest.mark.parametrize("line, words", [
    ("smtplb stat", ["smtplb", "status"]),
    ("smtplb den", ["smtplb", "denied"]),
    ("smtplb status --js", ["smtplb", "status", "--json"]),
    ("smtplb reload --so", ["smtplb", "reload", "--socket"]),
    ("smtplb explain --li", ["smtplb", "explain", "--listener"]),
    ("smtplb check -c some", ["smtplb", "check", "-c", "some.conf"]),
    ("smtplb nonsen", ["smtplb", "nonsen"]),
])
def test_commands_and_options(shell, tmp_path, line, words):
    (tmp_path / "some.conf").touch()
    assert shell.complete(line) == words


def test_every_command_is_known(shell):
    commands = [line.split()[0] for line in run("help").stdout.splitlines()
                if line.startswith("  ") and line[2].isalpha()]
    assert {"run", "status", "drain", "version"} <= set(commands)
    for command in commands:
        assert shell.complete(f"smtplb {command[:-1]}")[1].startswith(command[:-1])
        assert shell.complete(f"smtplb {command}") == ["smtplb", command]


def test_backends_of_the_daemon(shell, start, relay, tmp_path):
    admin = Admin(tmp_path)
    setup = Setup([relay(smtp(b"relay%d" % number)) for number in (1, 2)], admin=admin.text())
    balancer = start(setup)
    for where in (["--socket", str(admin.path)], ["-c", str(balancer.conf)]):
        for command in ("drain", "maint", "ready"):
            before = ["smtplb", command, *where]
            assert shell.complete(" ".join([*before, "re"])) == [*before, "relays/relay"]
            assert shell.complete(" ".join([*before, "relays/relay2"])) == [
                *before, "relays/relay2"]


def test_no_daemon_has_no_backends(shell, tmp_path):
    words = ["smtplb", "drain", "--socket", f"{tmp_path}/none.sock", "re"]
    assert shell.complete(" ".join(words)) == words


def test_install_puts_them_where_shells_look(tmp_path):
    subprocess.run(["make", "-s", "install", f"DESTDIR={tmp_path}", "PREFIX=/usr"], cwd=ROOT,
                   check=True, timeout=10 * DEADLINE, stdout=subprocess.DEVNULL)
    for installed, source in (("bash-completion/completions/smtplb", "smtplb.bash"),
                              ("zsh/site-functions/_smtplb", "_smtplb")):
        there = tmp_path / "usr/share" / installed
        assert there.read_text() == (ROOT / "conf/completion" / source).read_text()
