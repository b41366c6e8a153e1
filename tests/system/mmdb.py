"""Writes MMDB databases (MaxMind DB file format 2.0), whole ones and broken ones, for the tests:
GeoLite2's may not be passed on, and Debian has none."""

import ipaddress
from pathlib import Path

MARKER = b"\xab\xcd\xefMaxMind.com"
SEPARATOR = bytes(16)
LANGUAGES = ["de", "en", "es", "fr", "ja", "pt-BR", "ru", "zh-CN"]
UTF8, BYTES, UINT16, UINT32, MAP, UINT64, ARRAY, BOOLEAN = 2, 4, 5, 6, 7, 9, 11, 14


class Number(int):
    """An unsigned number of one of the format's widths."""

    def __new__(cls, value, kind=UINT32):
        self = super().__new__(cls, value)
        self.kind = kind
        return self


class Raw(bytes):
    """Stands in the data as it is."""


def control(kind, size):
    """What a field begins with."""
    extended = bytes([kind - 7]) if kind > 7 else b""
    first = 0 if kind > 7 else kind << 5
    if size < 29:
        return bytes([first | size]) + extended
    if size < 285:
        return bytes([first | 29]) + extended + bytes([size - 29])
    if size < 65821:
        return bytes([first | 30]) + extended + (size - 285).to_bytes(2, "big")
    return bytes([first | 31]) + extended + (size - 65821).to_bytes(3, "big")


def pointer(offset):
    """To a field by its offset in the data."""
    if offset < 2048:
        return Raw([0x20 | offset >> 8, offset & 0xFF])
    return Raw(b"\x38" + offset.to_bytes(4, "big"))


def encode(value):
    """A field of the data section."""
    if isinstance(value, Raw):
        return bytes(value)
    if isinstance(value, str):
        text = value.encode()
        return control(UTF8, len(text)) + text
    if isinstance(value, bool):
        return control(BOOLEAN, int(value))
    if isinstance(value, int):
        digits = value.to_bytes((value.bit_length() + 7) // 8, "big")
        return control(getattr(value, "kind", UINT32), len(digits)) + digits
    if isinstance(value, list):
        return control(ARRAY, len(value)) + b"".join(map(encode, value))
    assert isinstance(value, dict), value
    fields = (encode(key) + encode(item) for key, item in value.items())
    return control(MAP, len(value)) + b"".join(fields)


def encode_node(left, right, record_size):
    if record_size == 28:
        middle = (left >> 24) << 4 | right >> 24
        low = 0xFFFFFF
        return (left & low).to_bytes(3, "big") + bytes([middle]) + (right & low).to_bytes(3, "big")
    size = record_size // 8
    return left.to_bytes(size, "big") + right.to_bytes(size, "big")


def metadata(node_count, kind, ip_version=6, record_size=28, **changes):
    """As MaxMind writes it; changes of a key to None leave it out."""
    fields = {
        "binary_format_major_version": Number(2, UINT16),
        "binary_format_minor_version": Number(0, UINT16),
        "build_epoch": Number(1_700_000_000, UINT64),
        "database_type": kind,
        "description": {"en": "made for tests"},
        "ip_version": Number(ip_version, UINT16),
        "languages": list(LANGUAGES),
        "node_count": Number(node_count),
        "record_size": Number(record_size, UINT16),
    }
    fields |= changes
    return {key: value for key, value in fields.items() if value is not None}


def assemble(nodes, data, fields, record_size=28):
    """A file of nodes (pairs of numbers), data and metadata, right or wrong."""
    tree = b"".join(encode_node(left, right, record_size) for left, right in nodes)
    return tree + SEPARATOR + data + MARKER + encode(fields)


class Database:
    """Networks, each with a record; of two that overlap the one that is inserted later wins."""

    def __init__(self, kind="GeoLite2-Country", ip_version=6, record_size=28):
        self.kind = kind
        self.ip_version = ip_version
        self.record_size = record_size
        self.root = [None, None]  # a node; a side is a node, a record's number, or None

    def _bits(self, network):
        network = ipaddress.ip_network(network)
        bits = f"{int(network.network_address):0{network.max_prefixlen}b}"[: network.prefixlen]
        if network.version == 4 and self.ip_version == 6:
            bits = "0" * 96 + bits
        return [int(bit) for bit in bits]

    def _set(self, bits, side):
        node = self.root
        for bit in bits[:-1]:
            if not isinstance(node[bit], list):
                node[bit] = [node[bit], node[bit]]
            node = node[bit]
        node[bits[-1]] = side

    def insert(self, network, record):
        self._set(self._bits(network), (encode(record),))

    def alias(self):
        """Lets the ways by which IPv6 carries IPv4 lead there too, as MaxMind does: once all
        networks are in."""
        v4 = self.root
        for _ in range(96):
            v4 = v4[0] if isinstance(v4, list) else v4
        for network in ("::ffff:0:0/96", "2001::/32", "2002::/16"):
            self._set(self._bits(network), v4)

    def _number(self):
        """Every node once, in the order of the first way to it."""
        numbers, order, waiting = {}, [], [self.root]
        while waiting:
            node = waiting.pop()
            if id(node) in numbers:
                continue
            numbers[id(node)] = len(order)
            order.append(node)
            waiting += [side for side in reversed(node) if isinstance(side, list)]
        return numbers, order

    def bytes(self, **changes):
        numbers, order = self._number()
        data, offsets = bytearray(), {}

        def number(side):
            if side is None:
                return len(order)
            if isinstance(side, list):
                return numbers[id(side)]
            if side not in offsets:
                offsets[side] = len(data)
                data.extend(side[0])
            return len(order) + len(SEPARATOR) + offsets[side]

        nodes = [(number(left), number(right)) for left, right in order]
        fields = metadata(len(order), self.kind, self.ip_version, self.record_size, **changes)
        return assemble(nodes, bytes(data), fields, self.record_size)

    def write(self, path, **changes):
        Path(path).write_bytes(self.bytes(**changes))
        return path


def country(code, registered=None):
    """A record as GeoLite2-Country has it."""
    names = {language: f"{code} ({language})" for language in LANGUAGES}
    return {
        "continent": {"code": "XX", "geoname_id": 1, "names": {"en": "somewhere"}},
        "country": {"geoname_id": 1_000_000 + ord(code[0]), "iso_code": code, "names": names},
        "registered_country": {"geoname_id": 2, "iso_code": registered or code, "names": names},
    }


def network_number(number):
    """A record as GeoLite2-ASN has it."""
    return {"autonomous_system_number": number, "autonomous_system_organization": f"AS {number}"}


def countries(networks, **options):
    """A country database of {network: code}."""
    database = Database(**options)
    for network, code in networks.items():
        database.insert(network, country(code))
    return database


def network_numbers(networks, **options):
    """The same for network numbers."""
    database = Database("GeoLite2-ASN", **options)
    for network, number in networks.items():
        database.insert(network, network_number(number))
    return database


def nested(depth):
    """Arrays in arrays, in front of what is looked for: to be skipped."""
    skipped = bytes([1, ARRAY - 7]) * depth + bytes([0, ARRAY - 7])
    return {"a": Raw(skipped), **country("JP")}


def bomb(levels=60):
    """Metadata whose languages are an array of twice the same array, which is one of twice the
    same, and so on: short, and without end."""
    step = 6  # a control with its extension, two pointers
    start = 6  # of the map and its first key, and what says that bytes follow
    offsets = [start + i * step for i in range(levels + 1)]
    chain = b"".join(bytes([2, ARRAY - 7]) + 2 * pointer(to) for to in offsets[1:]) + encode("x")
    fields = {"a": Raw(control(BYTES, len(chain)) + chain)}
    assert len(encode(fields)) == start + len(chain)
    return {**fields, **metadata(1, "GeoLite2-Country", ip_version=4, languages=pointer(start))}


def one_record(record, nodes=None, **changes):
    """Every IPv4 address has the one record."""
    data = encode(record)
    nodes = nodes if nodes is not None else [(17, 17)]
    fields = metadata(len(nodes), "GeoLite2-Country", ip_version=4) | changes
    return assemble(nodes, data, fields)


def broken():
    """Files that are no databases, or not quite, by name; each with a part of what is said."""
    whole = countries({"203.0.113.0/24": "JP", "2001:db8::/32": "DE"}).bytes()
    good = country("JP")
    size = len(encode(good))
    chain = [(i + 1, i + 1) for i in range(40)]
    # A way of 20 nodes to one that is the first of 20, and was met before from the root.
    shared = [(21, 1)] + [(i + 1, i + 1) for i in range(1, 40)] + [(57, 57)]
    return {
        "empty": (b"", "is empty"),
        "text": (b"203.0.113.0/24 JP\n", "is no MMDB database"),
        "marker_only": (MARKER, "broken"),
        "cut_at_the_end": (whole[:-20], "broken"),
        "cut_at_the_front": (whole[40:], "broken"),
        "no_tree": (one_record(good, []), "broken"),
        "tree_loop_to_the_root": (one_record(good, [(0, 17)]), "leads to nowhere"),
        "tree_loop": (one_record(good, [(1, 19), (2, 19), (1, 19)]), "its tree has a loop"),
        "tree_too_deep": (one_record(good, [*chain, (57, 57)]), "deeper"),
        "tree_too_deep_by_another_way": (one_record(good, shared), "deeper"),
        "node_past_the_end": (one_record(good, [(17, 0xFFFFFF)]), "leads to nowhere"),
        "record_in_the_separator": (one_record(good, [(17, 5)]), "outside of the data"),
        "record_in_the_marker": (one_record(good, [(17, 17 + size)]), "broken"),
        "tree_past_the_file": (one_record(good, node_count=Number(5000)), "broken"),
        # Eight bytes a node: the sum is 2^32, and 0 in 32 bits.
        "tree_of_4_gib": (
            one_record(good, [], node_count=Number(1 << 29), record_size=Number(32, UINT16)),
            "larger than the file",
        ),
        "record_size_30": (one_record(good, record_size=Number(30, UINT16)), "broken"),
        "format_3": (one_record(good, binary_format_major_version=Number(3, UINT16)), "broken"),
        "ip_version_5": (one_record(good, ip_version=Number(5, UINT16)), "broken"),
        "pointer_past_the_end": (one_record({"country": pointer(1 << 30)}), "broken"),
        "pointer_to_itself": (one_record({"country": pointer(9)}), "broken"),
        "code_is_a_number": (one_record({"country": {"iso_code": 392}}), "no text"),
        "string_past_the_end": (
            one_record({"country": {"iso_code": Raw(control(UTF8, 1 << 23) + b"JP")}}),
            "broken",
        ),
        "map_of_16_million": (one_record(Raw(control(MAP, (1 << 24) + 65000))), "broken"),
        "nested": (one_record(nested(1_000_000)), "crashes its reader (Segmentation fault)"),
        # What is said depends on malloc: a sanitizer's ends the reader.
        "bomb": (assemble([(17, 17)], encode(good), bomb()), "country:JP needs it"),
        "no_record": (countries({}).bytes(), "has no country.iso_code in any record"),
        "wrong_type": (
            network_numbers({"203.0.113.0/24": 64500}).bytes(),
            "its type is GeoLite2-ASN; name a database such as GeoLite2-Country",
        ),
    }


def broken_numbers():
    """The same for databases of network numbers, which are read as such."""

    def numbered(number):
        return one_record(network_number(number), database_type="GeoLite2-ASN")

    return {
        "number_is_a_text": (numbered("64500"), "an autonomous_system_number that is none"),
        "number_is_boolean": (numbered(True), "an autonomous_system_number that is none"),
        "number_of_33_bits": (
            numbered(Number(1 << 32, UINT64)),
            "an autonomous_system_number that is none",
        ),
        "number_in_a_text": (one_record("64500"), "broken"),
        "no_number": (
            one_record(country("JP")),
            "has no autonomous_system_number in any record, its type is GeoLite2-Country; name a "
            "database such as GeoLite2-ASN",
        ),
    }


def many_numbers():
    """A record for each of 200 networks, with a number of any width."""
    database = Database("GeoLite2-ASN", ip_version=4, record_size=24)
    firsts = [(1000, UINT16), (70_000, UINT32), (4_000_000_000, UINT64)]
    for i in range(200):
        first, kind = firsts[i % 3]
        number = Number(first + i, kind)
        database.insert(f"10.{i}.0.0/16", {"autonomous_system_number": number})
    return database


def odd_codes():
    """Countries of which only one has a code: what else is there names none."""
    codes = ["JP", "-", "JPN", "1A", "A"]
    return countries({f"10.{i}.0.0/16": code for i, code in enumerate(codes)}, ip_version=4)
