"""The kernel's own NAT: in a network namespace of its own, nftables sends each connection to one of
the two sinks there, in turn. The load has to run inside as well. Needs root."""

import subprocess

from bench import child, contenders
from bench.contenders import PEERS, Contender
from bench.sink import Sink

PORT = 2525
RULES = """
table ip bench {{
    chain output {{
        type nat hook output priority -100
        ip daddr 127.0.0.1 tcp dport {port} dnat to numgen inc mod 2 map {{
            0: 127.0.0.11, 1: 127.0.0.12
        }}
    }}
}}
"""


class Namespace(child.Child):
    """A network with nothing but a loopback link; it ends with its only process."""

    def __init__(self):
        super().__init__(["unshare", "-n", "sh", "-c", "ip link set lo up && echo up && read end"],
                         stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.inside = ("nsenter", "-t", str(self.pid), "-n", "--")
        if self.process.stdout.readline() != "up\n":
            raise OSError("no network namespace")

    def stop(self, timeout=5):
        self.process.stdin.close()
        self.process.stdout.close()
        return super().stop(timeout)


def start_nat(stack, prefix, discard=False):
    """prefix: of the sinks."""
    namespace = stack.enter_context(Namespace())
    sinks = [stack.enter_context(Sink(host, PORT, name=f"{host}.test", discard=discard,
                                      prefix=(*namespace.inside, *prefix)))
             for host in ("127.0.0.11", "127.0.0.12")]
    nft = PEERS / "usr/sbin/nft"
    subprocess.run([*namespace.inside, nft, "-f", "-"], input=RULES.format(port=PORT), text=True,
                   env=contenders.peer_environment(), check=True)
    return Contender("nftables NAT", "off", contenders.first_line([nft, "--version"]), sinks,
                     ("127.0.0.1", PORT), inside=namespace.inside)
