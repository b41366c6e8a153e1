"""The balancer's clocks, moved as a test wants, by clock_shim.c."""

import os
import struct
import subprocess
import time
from pathlib import Path

PAIR = struct.Struct("=qq")  # as clock_shim.c has them


def build(folder):
    """Compiles the shim into the folder, and returns the library."""
    source = Path(__file__).with_name("clock_shim.c")
    library = folder / "clock_shim.so"
    flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror"]
    subprocess.run(["gcc", *flags, "-o", library, source], check=True)
    return library


class Clock:
    """The clocks as one process sees them: prefix its command with `prefix`. They run until they
    are touched."""

    def __init__(self, library, folder):
        self.file = folder / "clocks"
        self.offset_s = self.stop_ns = 0
        self._write()
        self.prefix = ["env", f"LD_PRELOAD={library}", f"CLOCK_SHIM={self.file}"]

    def _write(self):
        """In place: the file is mapped."""
        fd = os.open(self.file, os.O_WRONLY | os.O_CREAT, 0o644)
        os.pwrite(fd, PAIR.pack(self.offset_s, self.stop_ns), 0)
        os.close(fd)

    def jump(self, seconds):
        """The wall clock's distance from the right time."""
        self.offset_s = seconds
        self._write()

    def stop(self):
        """The monotonic clock stands still from now on: however slow the machine, no time passes."""
        self.stop_ns = time.monotonic_ns()
        self._write()

    def go(self):
        """The monotonic clock runs, from the right time on."""
        self.stop_ns = 0
        self._write()

    def advance(self, seconds):
        """What was stopped is so much later. A loop that sleeps hears of it when it is woken."""
        self.stop_ns += round(seconds * 10**9)
        self._write()
