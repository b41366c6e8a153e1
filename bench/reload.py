"""What a reload takes from the sessions that run beside it: the time to the greeting, before it and
while it goes on."""

import random
import socket
import time

from bench import cost

RATE = 500  # sessions a second


def write_prefixes(path, count):
    """A list for `file:`, each line a prefix of its own outside of 127.0.0.0/8."""
    numbers = random.Random(count).sample(range(128 << 16, 224 << 16), count)
    with open(path, "w", encoding="ascii") as file:
        for number in numbers:
            file.write(f"{number >> 16}.{number >> 8 & 255}.{number & 255}.0/24\n")
    return path


def order_reload(path):
    """As `smtplb reload` does it, without a process that is started for each."""
    with socket.socket(socket.AF_UNIX) as conn:
        conn.connect(str(path))
        conn.sendall(b"POST /v1/reload HTTP/1.1\r\nHost: smtplb\r\nContent-Length: 0\r\n"
                     b"Connection: close\r\n\r\n")
        answer = b"".join(iter(lambda: conn.recv(4096), b""))
    if not answer.startswith(b"HTTP/1.1 200"):
        raise RuntimeError(answer)


def measure(field, contender, size):
    """size: the seconds of either, with one reload after the other. As people run it: pinned to no
    CPU."""
    options = {"sessions": 0, "parallel": 100, "rate": RATE}
    with cost.Load(contender, **options) as load:
        time.sleep(size)
        before = load.result()
    with cost.Load(contender, **options) as load:
        began, reloads = time.monotonic(), 0
        while time.monotonic() - began < size:
            order_reload(field.folder_of(contender.name) / "admin.sock")
            reloads += 1
        seconds = time.monotonic() - began
        during = load.result()
    return {"before_us": before["greeting_p99_us"], "during_us": during["greeting_p99_us"],
            "during_to_before": during["greeting_p99_us"] / before["greeting_p99_us"],
            "reload_s": seconds / reloads, "sessions": during["sessions"]}
