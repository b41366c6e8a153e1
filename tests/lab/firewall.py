"""Packet filters on hosts of the lab, as an operator writes them: by nft."""

TABLE = """\
table inet lab {{
    chain {hook} {{
        type filter hook {hook} priority 0; policy accept;
        {rules}
    }}
}}
"""


class Firewall:
    def __init__(self):
        self.hosts = []

    def add(self, host, hook, *rules):
        """From one moment to the next these rules hold on the host, in its hook input or output."""
        # A rejected connection is told so each time, not once a second.
        host.run("sh", "-c", "echo 0 >/proc/sys/net/ipv4/icmp_ratelimit")
        table = TABLE.format(hook=hook, rules="\n        ".join(rules))
        host.path("tmp/rules").write_text(table, encoding="ascii")
        host.run("nft", "-f", "/tmp/rules")
        self.hosts.append(host)

    def lift(self):
        """No rule holds anywhere."""
        for host in self.hosts:
            host.run("nft", "flush", "ruleset")
        self.hosts.clear()
