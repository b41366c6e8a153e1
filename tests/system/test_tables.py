"""Postfix's cidr tables as allowlists: what check says, who gets in, and whether Postfix agrees."""

import os
import random
import subprocess
from pathlib import Path

import pytest
from balancer import ROOT, Setup, run
from peers import connect, free_port, smtp

STRANGER = "127.0.0.66"
FRIEND = "127.0.0.10"

# Eight addresses, and all prefixes of them.
NETWORK = (127, 9, 1, 8)
NETWORK_LEN = 29
SOURCES = [f"127.9.1.{last}" for last in range(8, 16)]
TABLES = 48

MAIN = """\
compatibility_level = 3.6
myhostname = relay.test
inet_protocols = ipv4
inet_interfaces = loopback-only
mail_owner = daemon
setgid_group = mail
"""


def test_the_log_names_the_table_and_its_line(start, relay, tmp_path):
    table = tmp_path / "senders"
    table.write_text(f"# who may send\n{STRANGER}\n\tREJECT we know you\n127.0.0.0/24 OK\n")
    setup = Setup([relay(smtp())], allow=f'"cidr:{table}"')
    balancer = start(setup)
    assert setup.greeting(FRIEND) == b"220 relay ESMTP"
    assert setup.greeting(STRANGER).startswith(b"421 4.7.1 ")
    assert balancer.wait("denied")["rule"] == f"{table}:2 deny {STRANGER}/32"


def test_a_bad_line_refuses_the_reload_and_nothing_changes(start, relay, tmp_path):
    table = tmp_path / "senders"
    table.write_text(f"{STRANGER} REJECT\n127.0.0.0/24 OK\n")
    setup = Setup([relay(smtp())], allow=f'"cidr:{table}"')
    balancer = start(setup)
    table.write_text(f"127.0.0.0/24 OK\n{STRANGER} FILTER smtp:[127.0.0.1]\n")
    refusal = balancer.reload()
    assert refusal["action"] == "refused"
    assert refusal["detail"].startswith(f"{table}:2: FILTER: no action that is taken here")
    assert setup.greeting(FRIEND) == b"220 relay ESMTP"
    assert setup.greeting(STRANGER).startswith(b"421 4.7.1 ")


def test_check_warns_of_the_order_and_of_a_table_in_a_list(tmp_path):
    table, nets, conf = (tmp_path / name for name in ("senders", "nets", "smtplb.conf"))
    table.write_text("10.0.0.0/8 OK\n10.1.0.0/16 REJECT\n10.2.0.0/16 REJECT\n")
    nets.write_text(f"192.0.2.25\ncidr:{table}\n")
    for item, warnings in (
        (f"cidr:{table}", 1),
        (f"file:{nets}", 2),
    ):
        conf.write_text(Setup([], allow=f'"{item}"').text().replace(
            "health {", "backend relay1 { address = 10.0.1.11 } health {"))
        done = run("check", "-c", conf)
        assert done.returncode == 0
        lines = done.stderr.splitlines()
        assert len(lines) == warnings
        assert f"warning: {table}:2: deny 10.1.0.0/16 decides here, but in Postfix the first " \
            f"match, allow 10.0.0.0/8 at {table}:1; put the longer prefix first (and 1 more in " \
            "this list)" in lines


@pytest.fixture(name="postmap")
def _postmap(tmp_path):
    """Asks Postfix itself: postmap(table) gives what it finds for each source, None for nothing."""
    unpacked = subprocess.run([ROOT / "tests/peers", "postfix"], check=True, text=True,
                              stdout=subprocess.PIPE).stdout.strip()
    folder = tmp_path / "postfix"
    folder.mkdir()
    (folder / "main.cf").write_text(MAIN)
    libraries = [f"{unpacked}/usr/lib/postfix",
                 *map(str, Path(unpacked, "usr/lib").glob("*-linux-gnu"))]
    environment = {**os.environ, "MAIL_CONFIG": str(folder),
                   "LD_LIBRARY_PATH": ":".join(libraries)}

    def ask(table):
        done = subprocess.run(
            [f"{unpacked}/usr/sbin/postmap", "-q", "-", f"cidr:{table}"], env=environment,
            input="".join(f"{source}\n" for source in SOURCES).encode(), capture_output=True,
            check=False)
        assert not done.stderr, done.stderr
        # What it finds may have a \r in it, where a CRLF line was continued.
        found = dict(line.split("\t", 1) for line in done.stdout.decode().split("\n") if line)
        return [found.get(source) for source in SOURCES]

    return ask


def random_pattern(rng):
    length = rng.randint(NETWORK_LEN, 32)
    host = rng.randrange(8) >> (32 - length) << (32 - length)
    address = ".".join(map(str, (*NETWORK[:3], NETWORK[3] + host)))
    if length == 32 and rng.random() < 0.5:
        return rng.choice((address, f"[{address}]"))
    return rng.choice((f"{address}/{length}", f"[{address}]/{length}", f"[{address}/{length}]"))


def random_table(rng):
    lines = []
    for _ in range(rng.randint(1, 5)):
        action = rng.choice(("OK", "permit", "REJECT", "Discard", "REJECT go away", "DUNNO", "ok 1"))
        gap = rng.choice((" ", "\t", "  \t ", "\n ", "\n# OK\n\n\t", " \r\n "))
        lines.append(f"{random_pattern(rng)}{gap}{action}")
        if rng.random() < 0.3:
            lines.append(rng.choice(("# comment", "", "  # comment", " \t", " REJECT in vain")))
    return rng.choice(("\n", "\r\n")).join(lines) + "\n"


def postfix_says(result):
    """What a table's result means to Postfix, by its first word."""
    word = result.split()[0].upper() if result else "DUNNO"
    return {"DUNNO": "nothing", "OK": "allow", "PERMIT": "allow"}.get(word, "deny")


# What a source is told where the default is to deny, and where it is to allow.
SAYINGS = {
    (b"220", b"220"): "allow",
    (b"421", b"421"): "deny",
    (b"421", b"220"): "nothing",
}


def code_for(port, source):
    with connect(("127.0.0.1", port), source) as client:
        code = client.line()[:3]
        if code == b"220":
            client.quit()
        return code


def test_postfix_agrees_wherever_check_does_not_warn(start, relay, postmap, tmp_path):
    """Random tables, of which each source is asked live and in Postfix: without a warning both say
    the same about all of them, with one they don't."""
    rng = random.Random(20261124)
    setup = Setup([relay(smtp())])
    text = setup.text()
    tables = []
    for number in range(TABLES):
        table = tmp_path / f"table{number}"
        table.write_bytes(random_table(rng).encode())
        ports = (free_port(), free_port())
        tables.append((table, ports))
        for name, port in zip(("no", "yes"), ports):
            text += f"""
acl table{number}{name} {{ allow = {{ 192.0.2.1, "cidr:{table}" }}  open = {name} }}
listener table{number}{name} {{ bind = 127.0.0.1:{port}  acl = table{number}{name}  pool = relays }}
"""
    balancer = start(text)
    check = run("check", "-c", balancer.conf)
    assert check.returncode == 0
    differing = 0
    for table, ports in tables:
        here = [SAYINGS[tuple(code_for(port, source) for port in ports)] for source in SOURCES]
        there = [postfix_says(result) for result in postmap(table)]
        warned = f"warning: {table}:" in check.stderr
        assert warned == (here != there), f"{table.read_text()}\n{here}\n{there}\n{check.stderr}"
        differing += warned
    assert TABLES / 4 < differing < TABLES * 3 / 4
