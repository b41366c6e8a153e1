"""country: and asn: rules: who is let in, and that no database, however broken, does harm."""

import filecmp
import os
import re
import signal
import subprocess
from pathlib import Path

import mmdb
import pytest
from balancer import ROOT, Setup, run
from peers import eventually, smtp

DATA = ROOT / "tests/unit/data/mmdb"
CORPUS = ROOT / "tests/fuzz/corpus/mmdb"
BROKEN = mmdb.broken()
DENIED = b"421 4.7.1 "
FRIEND, STRANGER, NOBODY = "127.0.1.1", "127.0.2.1", "127.0.9.9"
COUNTRIES = {"127.0.1.0/24": "JP", "127.0.2.0/24": "RU", "127.0.3.0/24": "JP", "::1/128": "DE"}
NUMBERS = {"127.0.2.128/25": 64500, "127.0.3.0/24": 4200000000}


@pytest.fixture(name="geo")
def fixture_geo(tmp_path):
    """A folder with a database of each kind."""
    mmdb.countries(COUNTRIES).write(tmp_path / "country.mmdb")
    mmdb.network_numbers(NUMBERS).write(tmp_path / "asn.mmdb")
    return tmp_path


def set_up(relays, geo, **options):
    options.setdefault("allow", "country:JP")
    setup = Setup(relays, **options)
    setup.top = f"geoip {{ country = {geo}/country.mmdb  asn = {geo}/asn.mmdb }}"
    return setup


def line_of(text, what):
    return next(i for i, line in enumerate(text.splitlines(), 1) if what in line)


def replace(path, content):
    """In one step, as geoipupdate does."""
    fresh = path.with_suffix(".new")
    fresh.write_bytes(content)
    os.replace(fresh, path)


def look_up(path, address, *keys):
    """What the library's own program finds."""
    command = ["mmdblookup", "--file", str(path), "--ip", address, *keys]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)


def expect(setup, sources):
    for source, allowed in sources.items():
        greeting = setup.greeting(source)
        assert greeting.startswith(b"220 " if allowed else DENIED), (source, greeting)


def test_country_decides(start, relay, geo):
    setup = set_up([relay(smtp())], geo, deny="country:RU")
    balancer = start(setup)
    expect(setup, {FRIEND: True, STRANGER: False, NOBODY: False})
    balancer.wait("denied", 2)
    rule = f"{balancer.conf}:{line_of(setup.text(), 'acl senders')} deny country:RU"
    assert balancer.find("denied")[0]["rule"] == rule
    assert balancer.find("denied")[1]["rule"] == "default"


def test_number_goes_before_country_and_prefix_before_both(start, relay, geo):
    setup = set_up(
        [relay(smtp())],
        geo,
        allow="country:jp, asn:64500, 127.0.2.1",
        deny="country:RU, asn:4200000000, 127.0.2.129",
    )
    balancer = start(setup)
    expect(
        setup,
        {
            FRIEND: True,
            "127.0.2.2": False,
            "127.0.2.200": True,
            "127.0.3.1": False,
            "127.0.2.1": True,
            "127.0.2.129": False,
        },
    )
    balancer.wait("denied", 3)
    rules = [event["rule"].split(" ", 1)[1] for event in balancer.find("denied")]
    assert rules == ["deny country:RU", "deny asn:4200000000", "deny 127.0.2.129/32"]
    warning = balancer.find("config", action="warning")[0]["detail"]
    assert "deny country:RU does not hold for its addresses in 127.0.2.1/32" in warning


def test_ipv6_and_mapped_addresses(start, relay, geo):
    setup = set_up([relay(smtp())], geo, deny="country:DE")
    setup.bind = f"[::]:{setup.port}, 0.0.0.0:{setup.port}"
    start(setup)
    expect(setup, {FRIEND: True, STRANGER: False})
    setup.address = ("::1", setup.port)
    assert setup.greeting().startswith(DENIED)


def test_a_new_database_comes_into_effect(start, relay, geo):
    setup = set_up([relay(smtp())], geo)
    balancer = start(setup)
    expect(setup, {FRIEND: True, STRANGER: False})
    replace(geo / "country.mmdb", mmdb.countries({"127.0.2.0/24": "JP"}).bytes())
    expect(setup, {FRIEND: True, STRANGER: False})
    assert balancer.reload()["action"] == "reloaded"
    expect(setup, {FRIEND: False, STRANGER: True})


def no_children(pid):
    lists = Path(f"/proc/{pid}/task").glob("*/children")
    return not any(children.read_text().split() for children in lists)


def count_descriptors(balancer):
    return len(os.listdir(f"/proc/{balancer.pid}/fd"))


def test_broken_databases_do_no_harm(start, relay, geo):
    """Whatever is in the file: the reload is refused with the reason, and the old one serves on."""
    one = relay()
    setup = set_up([one], geo)
    balancer = start(setup)
    good = (geo / "country.mmdb").read_bytes()

    with setup.connect(FRIEND) as client:
        conn = one.next()
        conn.exactly(28)
        conn.send(b"220 one\r\n")
        assert client.line() == b"220 one"
        before = None
        eventually(lambda: no_children(balancer.pid))
        for name, (content, why) in BROKEN.items():
            replace(geo / "country.mmdb", content)
            event = balancer.reload()
            assert event["action"] == "refused" and event["level"] == "error", name
            assert why in event["detail"], (name, event["detail"])
            place = f"{balancer.conf}:{line_of(setup.text(), 'geoip')}: "
            assert event["detail"].startswith(place)
            assert f"country = {geo}/country.mmdb" in event["detail"]
            # It may be read twice: as it is asked for, and as the file has changed.
            before = before or count_descriptors(balancer)
            eventually(lambda: count_descriptors(balancer) <= before)
        with setup.connect(STRANGER) as stranger:
            assert stranger.line().startswith(DENIED)
        client.send(b"EHLO there\r\n")
        assert conn.line() == b"EHLO there"
        conn.close()
    assert balancer.process.poll() is None
    eventually(lambda: no_children(balancer.pid))
    assert all(line.startswith("ts=") for line in balancer.lines), balancer.log()
    replace(geo / "country.mmdb", good)
    assert balancer.reload()["action"] == "reloaded"


def test_a_database_overwritten_in_place_changes_nothing(start, relay, geo):
    """A process that had it mapped would read what is not whole, or die of SIGBUS."""
    setup = set_up([relay(smtp())], geo)
    balancer = start(setup)
    for content in (b"", BROKEN["nested"][0], b"\0" * 100):
        (geo / "country.mmdb").write_bytes(content)
        expect(setup, {FRIEND: True, STRANGER: False})
    assert balancer.reload()["action"] == "refused"
    expect(setup, {FRIEND: True, STRANGER: False})


def test_sessions_go_on_while_a_database_is_read(start, relay, geo):
    setup = set_up([relay(smtp())], geo)
    balancer = start(setup)
    replace(geo / "country.mmdb", BROKEN["bomb"][0])
    balancer.signal(signal.SIGHUP)
    expect(setup, {FRIEND: True, STRANGER: False})
    balancer.wait("config", action="refused")


def test_start_with_a_broken_database_is_refused(geo, relay):
    setup = set_up([relay()], geo)
    conf = geo / "smtplb.conf"
    conf.write_text(setup.text())
    (geo / "country.mmdb").write_bytes(BROKEN["nested"][0])
    for command in ("check", "run"):
        result = run(command, "-c", conf)
        assert result.returncode == 1
        assert "crashes its reader (Segmentation fault)" in result.stderr
        assert len(result.stderr.splitlines()) == 1


NUMBERS_BROKEN = mmdb.broken_numbers()


@pytest.mark.parametrize("content, why", NUMBERS_BROKEN.values(), ids=NUMBERS_BROKEN)
def test_broken_databases_of_network_numbers(geo, relay, content, why):
    conf = geo / "smtplb.conf"
    conf.write_text(set_up([relay()], geo, allow="asn:64500").text())
    (geo / "asn.mmdb").write_bytes(content)
    result = run("check", "-c", conf)
    assert result.returncode == 1
    assert why in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_databases_that_no_rule_needs_are_not_read(geo):
    conf = geo / "smtplb.conf"
    setup = set_up([], geo, allow="127.0.0.1")
    setup.relays = [type("Relay", (), {"host": "127.0.0.1", "port": 25})]
    (geo / "country.mmdb").unlink()
    (geo / "asn.mmdb").write_bytes(b"broken")
    conf.write_text(setup.text())
    assert run("check", "-c", conf).returncode == 0
    setup.allow = "country:JP"
    conf.write_text(setup.text())
    result = run("check", "-c", conf)
    assert result.returncode == 1
    assert "country.mmdb` can't be read: No such file or directory" in result.stderr


def test_a_broken_database_really_crashes_the_library(tmp_path):
    """Else the tests above would show nothing."""
    version = subprocess.run(["mmdblookup", "--version"], capture_output=True, text=True, check=True)
    number = tuple(map(int, re.search(r"(\d+)\.(\d+)\.(\d+)", version.stdout).groups()))
    path = tmp_path / "nested.mmdb"
    path.write_bytes(BROKEN["nested"][0])
    result = look_up(path, "203.0.113.1", "country", "iso_code")
    assert result.returncode == -signal.SIGSEGV or number >= (1, 13, 0)


@pytest.mark.parametrize("record_size", [24, 28, 32])
def test_the_library_reads_what_the_writer_writes(tmp_path, record_size):
    database = mmdb.countries(
        {"203.0.113.0/24": "JP", "203.0.113.128/25": "DE", "2001:db8::/32": "FR"},
        record_size=record_size,
    )
    database.alias()
    path = database.write(tmp_path / "country.mmdb")
    rows = {
        "203.0.113.1": "JP",
        "203.0.113.200": "DE",
        "2001:db8::1": "FR",
        "::ffff:203.0.113.1": "JP",
        "2002:cb00:71c8::1": "DE",
    }
    for address, code in rows.items():
        result = look_up(path, address, "country", "iso_code")
        assert result.stdout.strip() == f'"{code}" <utf8_string>', (address, result)
    assert look_up(path, "192.0.2.1").returncode != 0


def test_the_checked_in_databases_are_what_the_script_makes(tmp_path):
    subprocess.run([DATA / "make", tmp_path], check=True)
    for made in [*tmp_path.glob("*.mmdb"), *(tmp_path / "corpus").iterdir()]:
        kept = CORPUS if made.parent.name == "corpus" else DATA
        assert filecmp.cmp(made, kept / made.name, shallow=False), made
