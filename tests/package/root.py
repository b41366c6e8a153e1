"""A clean Debian with the package in it, to run things in.

tests/package/run makes it once, in build/package/root. Each test has a layer of its own above that,
in a tmpfs that goes with the namespaces (tests/lab/contain), and nobody sees what another did.
"""

import os
import subprocess
import time
from pathlib import Path

CHECKOUT = Path(__file__).resolve().parents[2]
CLEAN = CHECKOUT / "build/package/root"
PACKAGE = "/" + str(next(CLEAN.glob("root/smtplb_*.deb")).relative_to(CLEAN))
MAIL = ("app@lb.test", ["user@mail.test"], "Subject: one\r\n\r\nmail\r\n")
PATIENCE = 120  # seconds; reached only by failures
ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8",
               "DEBIAN_FRONTEND": "noninteractive"}
MOUNTS = [
    ("-t", "proc", "proc", "proc"),
    ("--bind", "proc/sys", "proc/sys"),  # it is this machine's: not to be written
    ("-o", "remount,bind,ro", "proc/sys"),
    ("-t", "sysfs", "-o", "ro", "sysfs", "sys"),
    ("-t", "tmpfs", "tmpfs", "run"),
    ("-t", "tmpfs", "tmpfs", "tmp"),
]


def wait_until(condition, what):
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        assert time.monotonic() < deadline, f"{what}: not within {PATIENCE} s"
        time.sleep(0.02)
    return value


def mount(*args, cwd="/"):
    subprocess.run(["mount", *args], cwd=cwd, check=True)


class Root:
    def __init__(self, place):
        self.top = place / "root"
        mount("-t", "tmpfs", "package", place)
        for name in ("root", "upper", "work"):
            (place / name).mkdir()
        mount("-t", "overlay", "-o",
              f"lowerdir={CLEAN},upperdir={place}/upper,workdir={place}/work", "root", self.top)
        for args in MOUNTS:
            mount(*args, cwd=self.top)

    def path(self, name):
        return self.top / name.lstrip("/")

    def inside(self, *command):
        return ["env", "-i", *(f"{key}={value}" for key, value in ENVIRONMENT.items()),
                "chroot", self.top, *command]

    def run(self, *command, status=0):
        result = subprocess.run(self.inside(*command), capture_output=True, text=True,
                                timeout=PATIENCE, check=False)
        assert result.returncode == status, (command, result.stdout, result.stderr)
        return result

    def named(self, name):
        """All that has this in its path, but for what apt and dpkg keep for themselves."""
        found = []
        for top in ("etc", "lib/systemd", "run", "usr", "var/lib/systemd"):
            for folder, folders, files in os.walk(self.path(top)):
                paths = (str(Path(folder, one).relative_to(self.top)) for one in folders + files)
                found += [path for path in paths if name in path]
        return sorted(set(found))
