"""smtplb(8) held against the program: its commands and what each takes. What smtplb.conf(5) says is
held against the grammar by tests/unit/test_man.c."""

import re

import pytest
from balancer import ROOT, run

PAGE = (ROOT / "conf/man/smtplb.8.scd").read_text()
OPTIONS = {"--listener": ["--listener", "x"], "--socket": ["--socket", "x"], "--json": ["--json"]}


def part(title):
    return re.search(rf"^# {title}\n(.*?)(?=^# |\Z)", PAGE, re.M | re.S)[1]


def plain(line):
    return re.sub(r"[*_]", "", line)


def from_help():
    """The commands as the program tells them, each with its arguments."""
    lines = [line for line in run("help").stdout.splitlines() if re.match("  [a-z]", line)]
    return [line[2:33].split(maxsplit=1) for line in lines]


COMMANDS = [words[0] for words in from_help()]


def synopsis():
    """(commands, what they take) of each line."""
    for line in part("SYNOPSIS").strip().split("\n\n"):
        names, _, takes = plain(line).removeprefix("smtplb ").partition(" ")
        yield names.split("|"), takes


def test_commands_are_those_of_the_program():
    entries = [plain(line) for line in part("COMMANDS").splitlines() if line.startswith("*")]
    assert entries == [" ".join(words).strip() for words in from_help()]
    assert [name for names, _ in synopsis() for name in names] == COMMANDS


@pytest.mark.parametrize("command", COMMANDS)
def test_synopsis_has_the_options_of_each(command):
    """What the program takes and what not; behind --none nothing is ever done."""
    takes = next(takes for names, takes in synopsis() if command in names)
    for option, words in OPTIONS.items():
        result = run(command, *words, "--none")
        assert result.returncode == 2
        assert (option in takes) == ("has no such option" not in result.stderr), option


def test_options_are_all_there():
    entries = {plain(line).split()[0] for line in part("OPTIONS").splitlines() if line.startswith("*")}
    assert entries == {*OPTIONS, "-c", "--help"}
    assert all(option in run("help").stdout for option in (*OPTIONS, "-c"))


def test_defaults_are_those_of_the_program():
    default = re.search(r"-c FILE +the configuration \((.*)\)", run("help").stdout)[1]
    assert f"_{default}_" in part("OPTIONS") and f"_{default}_" in part("FILES")
