"""smtplb explain: what it says, and that the running balancer does just that."""

import ipaddress
import random
from collections import namedtuple

import headers
import mmdb
import pytest
from balancer import BUILD, Setup, run
from peers import Relay, connect, smtp
from tls import DAYS, pairs

SEED = 20261124

CONF = """\
hostname = lb.test
user = ""
acl senders {
    allow = {
        203.0.113.0/24,
        2001:db8::/32,
        "file:%(table)s",
    }
    deny = { 203.0.113.66 }
}
acl all { open = yes }
pool relays {
    proxy_protocol = %(proxy)s
    balance = %(balance)s  %(pool)s
    health { type = none }
    backend relay1 { address = 10.0.1.11 }
    backend relay2 { address = 10.0.2.11 port = 26 weight = 3 }
}
listener smtp {
    bind = { 0.0.0.0:25, [2001:db8::25]:25 }
    acl = senders
    pool = relays
    on_deny = %(on_deny)s
    accept_proxy = { 203.0.113.9 }
    %(limits)s
}
listener submission { bind = { 192.0.2.1:587, 192.0.2.2:588 } acl = all pool = relays }
"""


@pytest.fixture(name="explain")
def fixture_explain(tmp_path):
    """explain(arguments, key = value of the configuration): exit code and output."""
    table = tmp_path / "table"
    table.write_text("# others\n198.51.100.0/24\n!198.51.100.7\n")

    def make(*arguments, **keys):
        conf = tmp_path / "smtplb.conf"
        keys = {"proxy": "v2", "balance": "roundrobin", "on_deny": "421", "limits": "", "pool": "",
                **keys}
        conf.write_text(CONF % {"table": table, **keys})
        result = run("explain", "-c", conf, *arguments)
        assert result.stderr == ""
        return result.returncode, result.stdout.replace(f"{tmp_path}/", "")

    return make


def test_allowed(explain):
    assert explain("--listener", "smtp", "203.0.113.7") == (0, """\
listener smtp: 203.0.113.7 is allowed
  rule      smtplb.conf:5 allow 203.0.113.0/24
  limits    none
  pool      relays, roundrobin; assumes every backend up
  backend   relay1 10.0.1.11:25, weight 1 of 4
  backend   relay2 10.0.2.11:26, weight 3 of 4
  header    0d0a0d0a000d0a515549540a 21 11 000c cb007107 00000000 c350 0019
            v2 PROXY TCP4 from 203.0.113.7:50000 to 0.0.0.0:25
            50000 stands for the client's port, 0.0.0.0 for the address that it calls
""")


def test_allowed_over_ipv6(explain):
    assert explain("--listener", "smtp", "2001:db8::7", proxy="v1", balance="leastconn") == (0, """\
listener smtp: 2001:db8::7 is allowed
  rule      smtplb.conf:6 allow 2001:db8::/32
  limits    none
  pool      relays, leastconn: the fewest sessions for the weight first; assumes every backend up
  backend   relay1 10.0.1.11:25, weight 1
  backend   relay2 10.0.2.11:26, weight 3
  header    PROXY TCP6 2001:db8::7 2001:db8::25 50000 25
            50000 stands for the client's port
""")


def test_header_of_version_2_over_ipv6(explain):
    _, text = explain("--listener", "smtp", "2001:db8::7")
    ends = f"{'20010db8' + '0' * 20 + '0007'} {'20010db8' + '0' * 20 + '0025'}"
    assert text.endswith(f"""\
  header    0d0a0d0a000d0a515549540a 21 21 0024 {ends} c350 0019
            v2 PROXY TCP6 from [2001:db8::7]:50000 to [2001:db8::25]:25
            50000 stands for the client's port
""")


def test_denied(explain):
    assert explain("--listener", "smtp", "::ffff:203.0.113.66") == (1, """\
listener smtp: 203.0.113.66 is denied
  rule      smtplb.conf:9 deny 203.0.113.66/32
  limits    none
  reply     421 4.7.1 lb.test access denied (SESSION-ID)
""")


def test_tls(explain, certificate):
    """Of the client's, of the relays', and what the header says of it."""
    mode = f"tls = implicit {pairs(certificate)}"
    for pool, said in (
            ("tls = starttls", "speak TLS (starttls) and are verified, as their addresses"),
            ("tls = implicit tls_name = relay.test",
             "speak TLS (implicit) and are verified, as relay.test"),
            ("tls = implicit tls_verify = no",
             "speak TLS (implicit) and are whoever answers: not verified")):
        _, text = explain("--listener", "smtp", "203.0.113.7", limits=mode, pool=pool)
        assert f"  tls       implicit, the first certificate expires in {DAYS - 1} days\n" in text
        assert f"  relays    {said}\n" in text
    _, text = explain("--listener", "smtp", "203.0.113.7", limits=mode, pool="proxy_tlv = on")
    assert ("with the session's id, what TLS the client speaks, its SNI and a checksum behind it\n"
            in text)
    _, text = explain("--listener", "smtp", "203.0.113.7", pool="proxy_tlv = on")
    assert "            with the session's id and a checksum behind it\n" in text


@pytest.mark.parametrize("limits, line", [
    ("sessions = 100", "100 sessions of all clients"),
    ("sessions_per_client = 10", "10 sessions of 2001:db8::/64"),
    ("connects_per_client = 60/1m", "60/1m connects of 2001:db8::/64"),
    ("sessions = 100 sessions_per_client = 10 connects_per_client = 90/90s",
     "100 sessions of all clients; 10 sessions, 90/90s connects of 2001:db8::/64"),
])
def test_limits(explain, limits, line):
    _, text = explain("--listener", "smtp", "2001:db8::7", limits=f"limits {{ {limits} }}")
    assert f"\n  limits    {line}\n" in text


@pytest.mark.parametrize("on_deny, reply", [
    ("421", "421 4.7.1 lb.test access denied (SESSION-ID)"),
    ("554", "554 5.7.1 lb.test access denied (SESSION-ID)"),
    ("reset", "none: reset"),
    ("drop", "none: closed"),
])
def test_reply(explain, on_deny, reply):
    code, text = explain("--listener=smtp", "198.51.100.7", on_deny=on_deny)
    assert code == 1
    assert "  rule      table:3 deny 198.51.100.7/32\n" in text
    assert text.endswith(f"\n  reply     {reply}\n")


def test_every_listener(explain):
    """Allowed only if all of them allow it."""
    code, text = explain("198.51.100.8")
    assert code == 0
    is_allowed = "198.51.100.8 is allowed\n  rule      "
    assert f"listener smtp: {is_allowed}table:2 allow 198.51.100.0/24" in text
    assert f"listener submission: {is_allowed}default: none names it" in text
    code, text = explain("192.0.2.77")
    assert code == 1
    assert "listener smtp: 192.0.2.77 is denied\n  rule      default: none names it" in text
    assert "listener submission: 192.0.2.77 is allowed" in text
    assert explain("--listener", "submission", "192.0.2.77")[0] == 0


def test_ports_that_differ(explain):
    """A header for each address that the client can call."""
    _, text = explain("--listener", "submission", "192.0.2.77", proxy="v1", balance="source")
    assert "roundrobin" not in text and "always to the first of these" in text
    assert "  backend   relay1 10.0.1.11, the port that was called, weight 1\n" in text
    assert "  backend   relay2 10.0.2.11:26, weight 3\n" in text
    assert "  header    PROXY TCP4 192.0.2.77 192.0.2.1 50000 587\n" in text
    assert "  header    PROXY TCP4 192.0.2.77 192.0.2.2 50000 588\n" in text


def test_no_proxy(explain):
    _, text = explain("--listener", "smtp", "203.0.113.7", proxy="off")
    assert text.endswith("  header    none: the relay sees the balancer's address\n")


def test_no_bind_of_the_family(explain):
    code, text = explain("--listener", "submission", "2001:db8::7")
    assert code == 0
    assert "  bind      none for IPv6: such a client can't reach this listener\n" in text


def test_source_of_proxy_headers(explain):
    code, text = explain("--listener", "smtp", "203.0.113.9")
    assert code == 0
    assert "  proxy     must send a PROXY header; " in text


@pytest.mark.parametrize("bind, client, family", [
    ("127.0.0.1:25", "2001:db8::7", "6"),
    ("[::1]:25", "203.0.113.7", "4"),
])
def test_only_through_a_balancer_in_front(tmp_path, bind, client, family):
    with Relay() as relay:
        setup = Setup([relay], bind=bind, allow=client, listener="accept_proxy = { 127.0.0.9 }")
    conf = tmp_path / "smtplb.conf"
    conf.write_text(setup.text())
    result = run("explain", "-c", conf, client)
    assert (result.returncode, result.stderr) == (0, "")
    assert f"none for IPv{family}: such a client comes only through a balancer" in result.stdout
    assert result.stdout.endswith(
        f"  header    PROXY TCP{family}, the destination as a balancer in front announces it\n")


def test_backup_and_max_sessions(tmp_path):
    with Relay() as one, Relay() as two:
        one.options, two.options = "backup = yes max_sessions = 7", "weight = 2"
        conf = tmp_path / "smtplb.conf"
        conf.write_text(Setup([one, two]).text())
    text = run("explain", "-c", conf, "127.0.0.1").stdout
    first, second = (line for line in text.splitlines() if line.startswith("  backend"))
    assert first == f"  backend   relay2 127.0.0.1:{two.port}, weight 2 of 2"
    assert second == (f"  backend   relay1 127.0.0.1:{one.port}, weight 1 of 1, "
                      "at most 7 sessions, backup: after all others")


def test_source_lists_the_clients_own_order(start, relay):
    """As the balancer goes through it: the second when the first does not greet."""
    relays = [relay() for _ in range(5)]
    for number, one in enumerate(relays, 1):
        one.options = f"weight = {number}"
    relays[4].options += " backup = yes"
    setup = Setup(relays, pool="balance = source greeting_retry = 0s",
                  health="type = none greeting_fall = 0")
    balancer = start(setup)
    firsts = set()
    for host in range(1, 9):
        source = f"127.0.7.{host}"
        text = run("explain", "-c", balancer.conf, source).stdout
        names = [line.split()[1] for line in text.splitlines() if line.startswith("  backend")]
        assert sorted(names) == [f"relay{i}" for i in range(1, 6)] and names[4] == "relay5"
        firsts.add(names[0])
        with setup.connect(source) as client:
            for name in names:
                with relays[int(name[-1]) - 1].next() as peer:
                    peer.send(b"421 busy\r\n")
            assert client.rest().startswith(b"421 ")
    assert len(firsts) > 1


@pytest.mark.parametrize("arguments, what", [
    ((), "needs an IP address"),
    (("--listener", "smtp"), "needs an IP address"),
    (("--listener",), "usage"),
    (("--nonsense", "192.0.2.1"), "usage"),
    (("192.0.2.1", "192.0.2.2"), "unexpected argument: 192.0.2.2"),
    (("192.0.2",), "not an IPv4 or IPv6 address: 192.0.2"),
    (("192.0.2.0/24",), "not an IPv4 or IPv6 address"),
    (("[2001:db8::1]",), "not an IPv4 or IPv6 address"),
    (("fe80::1%lo",), "not an IPv4 or IPv6 address"),
    (("--listener", "none", "192.0.2.1"), "no listener `none`; there is: smtp"),
])
def test_wrong_usage(tmp_path, arguments, what):
    with Relay() as relay:
        setup = Setup([relay])
    conf = tmp_path / "smtplb.conf"
    conf.write_text(setup.text())
    result = run("explain", "-c", conf, *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert what in result.stderr


def test_wrong_configuration(tmp_path):
    conf = tmp_path / "smtplb.conf"
    conf.write_text("listener smtp { }\n")
    result = run("explain", "-c", conf, "192.0.2.1")
    assert (result.returncode, result.stdout) == (2, "")
    assert f"{conf}:1: listener `smtp` has no `pool`" in result.stderr
    result = run("explain", "-c", tmp_path / "none", "192.0.2.1")
    assert result.returncode == 2 and "can't be read" in result.stderr


# The command and the balancer agree.

FRONT = "127.0.0.9"


def last(network):
    return network.network_address + (network.num_addresses - 1)


def near(rng, network):
    """Addresses where a mistake about the prefix would show."""
    size = 2**network.max_prefixlen
    first, end = int(network.network_address), int(last(network))
    numbers = [first, end, (first - 1) % size, (end + 1) % size, rng.randint(first, end)]
    return [type(network.network_address)(number) for number in numbers]


def random_networks(rng, count):
    """Families of nested and neighbouring networks, of both kinds of addresses."""
    networks = []
    while len(networks) < count:
        bits, make = rng.choice([(32, ipaddress.IPv4Network), (128, ipaddress.IPv6Network)])
        base = rng.getrandbits(bits)
        for _ in range(rng.randint(1, 6)):
            length = rng.choice([rng.randint(2, bits), rng.randint(bits - 8, bits)])
            # The same branch most of the time, and its sibling.
            place = base ^ (rng.randint(0, 1) << (bits - length))
            networks.append(make((place >> (bits - length) << (bits - length), length)))
    return networks


def written(rng, network):
    """As one may write it: a mapped prefix is the IPv4 one."""
    if network.version == 4 and rng.random() < 0.2:
        return f"::ffff:{network.network_address}/{96 + network.prefixlen}"
    return str(network)


# Where a rule stands: one of an earlier layer decides. Of a database's networks each is a rule, one
# whose country or number nobody names without a verdict.
PREFIXES, NUMBERS, COUNTRIES = range(3)
Rule = namedtuple("Rule", "layer network allowed")


def prefix_rules(rng, folder):
    """Rules in the file itself. Returns items of allow and of deny, and what they mean."""
    del folder
    allow, deny, rules = [], [], []
    for network in random_networks(rng, 24):
        allowed = rng.random() < 0.6
        (allow if allowed else deny).append(f'"{written(rng, network)}"')
        rules.append(Rule(PREFIXES, network, allowed))
    return allow, deny, rules


def list_rules(rng, folder):
    """A list file with exceptions, and one that denies."""
    rules, lines, denied = [], [], []
    for network in random_networks(rng, 24):
        if rng.random() < 0.2:
            denied.append(str(network))
            rules.append(Rule(PREFIXES, network, False))
            continue
        allowed = rng.random() < 0.7
        lines.append(f"{'' if allowed else '!'}{written(rng, network)}")
        rules.append(Rule(PREFIXES, network, allowed))
    (folder / "allowed").write_text("\n".join(lines) + "\n")
    (folder / "denied").write_text(" ".join(denied) + "\n")
    return [f'"file:{folder}/allowed"'], [f'"file:{folder}/denied"'] if denied else [], rules


ACTIONS = {"OK": True, "permit": True, "REJECT": False, "discard": False, "DUNNO": None}


def table_rules(rng, folder):
    """Postfix's cidr table."""
    rules, lines = [], []
    for network in random_networks(rng, 24):
        action = rng.choice(list(ACTIONS))
        lines.append(f"{written(rng, network)} {action} and so on")
        if ACTIONS[action] is not None:
            rules.append(Rule(PREFIXES, network, ACTIONS[action]))
    (folder / "table").write_text("\n".join(lines) + "\n")
    return [f'"cidr:{folder}/table"'], [], rules


def wide(value):
    """An address or a network as a database has it: IPv4 at the start of IPv6."""
    if value.version == 6:
        return value
    if isinstance(value, ipaddress.IPv4Address):
        return ipaddress.IPv6Address(int(value))
    return ipaddress.IPv6Network((int(value.network_address), 96 + value.prefixlen))


def geo_rules(rng, folder):
    """Countries and network numbers, some of them named in a rule."""
    allow, deny, rules = [], [], []
    for layer, make, name, values in (
        (NUMBERS, mmdb.network_numbers, "asn", [64500, 64501, 64502, 4200000000]),
        (COUNTRIES, mmdb.countries, "country", ["DE", "JP", "RU", "US"]),
    ):
        named = {value: rng.random() < 0.6 for value in rng.sample(values, 3)}
        for value, allowed in named.items():
            (allow if allowed else deny).append(f"{name}:{value}")
        networks = sorted(set(random_networks(rng, 24)), key=lambda one: wide(one).prefixlen)
        placed = {network: rng.choice(values) for network in networks}
        make(placed).write(folder / f"{name}.mmdb")
        by_place = {wide(network): (network, value) for network, value in placed.items()}
        rules += [Rule(layer, network, named.get(value)) for network, value in by_place.values()]
    return allow, deny, rules


GENERATORS = [prefix_rules, list_rules, table_rules, geo_rules]


def holds(rule, address):
    if rule.layer == PREFIXES:
        return rule.network.version == address.version and address in rule.network
    return wide(address) in wide(rule.network)


def decide(rules, opened, address):
    """Of the first layer that has a say the longest prefix; deny on a tie."""
    for layer in (PREFIXES, NUMBERS, COUNTRIES):
        holding = [rule for rule in rules if rule.layer == layer and holds(rule, address)]
        if holding:
            rule = max(holding, key=lambda one: (wide(one.network).prefixlen, not one.allowed))
            if rule.allowed is not None:
                return rule.allowed
    return opened


def random_acl(rng, folder, setup):
    """Rules that `check` has nothing against (they must not let everybody in)."""
    while True:
        allow, deny, rules = [], [], []
        for generator in rng.choice([GENERATORS, *[[one] for one in GENERATORS]]):
            more_allow, more_deny, more_rules = generator(rng, folder)
            allow, deny, rules = allow + more_allow, deny + more_deny, rules + more_rules
        opened = rng.random() < 0.2
        setup.allow, setup.deny = ", ".join(allow), ", ".join(deny)
        setup.top = f"geoip {{ country = {folder}/country.mmdb  asn = {folder}/asn.mmdb }}"
        text = setup.text()
        if opened:
            text = text.replace("acl senders {", "acl senders { open = yes")
        conf = folder / "smtplb.conf"
        conf.write_text(text)
        if run("check", "-c", conf).returncode == 0:
            return text, rules, opened


def live_verdict(setup, address, port, version):
    """What a client at that address hears, as a balancer in front announces it."""
    called = "192.0.2.25" if address.version == 4 else "2001:db8::25"
    source = str(address)
    if address.version == 4 and port % 3 == 0:
        source, called = f"::ffff:{source}", f"::ffff:{called}"
    with connect(setup.address, FRONT) as client:
        client.send(version((source, port), (called, 25)))
        return client.line()[:4]


@pytest.mark.parametrize("seed", range(24 if BUILD.name == "build" else 4))  # slow under a sanitizer
def test_agrees_with_the_balancer(start, relay, tmp_path, seed):
    rng = random.Random(SEED + seed)
    folder = tmp_path / "acl"
    folder.mkdir()
    setup = Setup([relay(smtp())], listener=f"on_deny = 554 accept_proxy = {{ {FRONT} }}")
    text, rules, opened = random_acl(rng, folder, setup)
    balancer = start(text)
    # Those at edges, and some anywhere.
    edges = [address for rule in rules for address in near(rng, rule.network)]
    addresses = rng.sample(edges, min(130, len(edges)))
    addresses += [ipaddress.IPv4Address(rng.getrandbits(32)) for _ in range(10)]
    addresses += [ipaddress.IPv6Address(rng.getrandbits(128)) for _ in range(10)]
    told = {}
    for port, address in enumerate(addresses, 1):
        if address.version == 6 and address.ipv4_mapped:
            address = address.ipv4_mapped
        version = headers.v1 if port % 2 else headers.v2
        live = live_verdict(setup, address, port, version)
        literal = f"::ffff:{address}" if address.version == 4 and port % 2 else address
        explained = run("explain", "-c", balancer.conf, "--listener", "smtp", literal)
        allowed = decide(rules, opened, address)
        what = f"seed {SEED + seed}: {literal}: live {live}, and:\n{explained.stdout}"
        assert (live, explained.returncode) == ((b"220 ", 0) if allowed else (b"554 ", 1)), what
        rule = next(line for line in explained.stdout.splitlines() if line.startswith("  rule"))
        told[str(address), str(port)] = rule.split(None, 1)[1]
    # A denial that was logged names the same rule.
    for event in balancer.find("denied"):
        if "count" not in event:
            host, port = event["client"].rsplit(":", 1)
            assert told[host.strip("[]"), port].startswith(event["rule"])
