"""Greylisting on a relay: postgrey, asked by Postfix, with a store of its own."""

import subprocess

from topology import PATIENCE, wait_until

PORT = 10023
DELAY = 1  # seconds; postgrey knows no fractions, and takes 0 for its default
POLICY = f"check_policy_service inet:127.0.0.1:{PORT}, permit"


class Postgrey:
    def __init__(self, host):
        self.host = host
        host.run("install", "-d", "-o", "postgrey", "/var/lib/postgrey")
        self.process = host.spawn(
            "postgrey", f"--inet=127.0.0.1:{PORT}", f"--delay={DELAY}",
            "--auto-whitelist-clients=0", "--dbdir=/var/lib/postgrey", "--user=postgrey",
            "--group=postgrey", "--whitelist-clients=/dev/null",
            "--whitelist-recipients=/dev/null", stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL)
        wait_until(self._listens, f"{host.name}: postgrey")

    def _listens(self):
        assert self.process.poll() is None, "postgrey ended"
        return self.host.run("ss", "-Hltn", f"sport = :{PORT}").stdout.strip()

    def stop(self):
        self.process.terminate()
        self.process.wait(PATIENCE)
        self.host.run("rm", "-r", "/var/lib/postgrey")
