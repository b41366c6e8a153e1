"""PROXY headers as a balancer in front of ours would send them, right ones and wrong ones."""

import ipaddress
import struct

from peers import V2_SIGNATURE

LOCAL, PROXY = 0x20, 0x21
UNSPEC, TCP4, UDP4, TCP6, UNIX = 0x00, 0x11, 0x12, 0x21, 0x31
NOOP, CRC32C, SSL = 0x04, 0x03, 0x20


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ 0x82F63B78 if crc & 1 else crc >> 1
    return crc ^ 0xFFFFFFFF


def tlv(kind, value):
    return struct.pack("!BH", kind, len(value)) + value


def v1(source, destination):
    """source and destination: (ip, port)."""
    family = 6 if ":" in source[0] else 4
    line = f"PROXY TCP{family} {source[0]} {destination[0]} {source[1]} {destination[1]}\r\n"
    return line.encode()


def block(command, family, body):
    return V2_SIGNATURE + struct.pack("!BBH", command, family, len(body)) + body


def pair(source, destination):
    """The addresses and ports of a v2 header."""
    packed = [ipaddress.ip_address(end[0]).packed for end in (source, destination)]
    return b"".join(packed) + struct.pack("!HH", source[1], destination[1])


def v2(source, destination, tlvs=b"", checksum=False):
    family = TCP6 if ":" in source[0] else TCP4
    body = pair(source, destination) + tlvs
    if not checksum:
        return block(PROXY, family, body)
    zeroed = block(PROXY, family, body + tlv(CRC32C, bytes(4)))
    return zeroed[:-4] + struct.pack("!I", crc32c(zeroed))
