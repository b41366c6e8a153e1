"""A root whose process 1 is its own systemd, up to basic.target: no more than a unit needs.

It has namespaces of processes, mounts and control groups of its own; the network is that of the
test. The control group is made below the one that we are in, and removed with the boot.
"""

import os
import subprocess
from pathlib import Path

from root import ENVIRONMENT, PATIENCE, mount, wait_until

# $1 the group, $2 the root. systemd wants the top of its groups to itself: a namespace has it so.
BOOT = """
echo $$ >"$1/cgroup.procs"
exec unshare --mount --pid --fork --kill-child --uts --ipc --cgroup sh -c '
    mount -t proc proc "$1/proc"
    mount --bind "$1/proc/sys" "$1/proc/sys"
    mount -o remount,bind,ro "$1/proc/sys"
    mount -t cgroup2 cgroup "$1/sys/fs/cgroup"
    exec chroot "$1" /lib/systemd/systemd --system --unit=basic.target' sh "$2"
"""


class Boot:
    def __init__(self, root, place):
        self.root = root
        root.path("dev/console").unlink()  # it is this machine's
        groups = place / "groups"
        groups.mkdir()
        mount("-t", "cgroup2", "package", groups)
        self.group = groups / f"smtplb-package-{os.getpid()}"
        self.group.mkdir()
        self.process = subprocess.Popen(
            ["sh", "-ec", BOOT, "sh", self.group, root.top],
            env={**ENVIRONMENT, "container": "smtplb"}, stdin=subprocess.DEVNULL)
        try:
            self.pid = wait_until(self.first_process, "systemd")
            wait_until(lambda: "running" in self.try_run("systemctl", "is-system-running").stdout,
                       "a booted systemd")
        except BaseException:
            self.stop()
            raise

    def first_process(self):
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children").read_text()
        return self.root.path("run/systemd/private").exists() and children.strip()

    def try_run(self, *command):
        enter = ["nsenter", "--target", self.pid, "--all", "--root", "--wd"]
        environment = ["env", "-i", *(f"{key}={value}" for key, value in ENVIRONMENT.items())]
        return subprocess.run([*enter, *environment, *command], capture_output=True, text=True,
                              timeout=PATIENCE, check=False)

    def run(self, *command, status=0):
        result = self.try_run(*command)
        assert result.returncode == status, (command, result.stdout, result.stderr)
        return result.stdout

    def journal(self):
        """What the unit has said, and what systemd said of it."""
        return self.try_run("journalctl", "--no-pager", "--output=cat",
                            "--unit=smtplb").stdout.splitlines()

    def stop(self):
        self.process.kill()
        self.process.wait()
        folders = sorted((Path(folder) for folder, _, _ in os.walk(self.group)), reverse=True)
        for folder in folders:
            wait_until(lambda: "populated 0" in (folder / "cgroup.events").read_text(), "its end")
            folder.rmdir()
