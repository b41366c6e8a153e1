"""The balancer as a child process, and its log as events."""

import re
import subprocess
import threading
import time

from bench import child

PAIR = re.compile(r'(\w+)=("(?:[^"\\]|\\.)*"|\S*)')


def parse_event(line):
    """A logfmt line as a dict; what is no such line is an empty one."""
    event = {}
    for key, value in PAIR.findall(line):
        if value.startswith('"'):
            value = re.sub(r"\\(.)", r"\1", value[1:-1])
        event[key] = value
    return event if "event" in event else {}


class Log:
    """Follows a log as it is written: keeps the events, and all lines in a file."""

    def __init__(self, stream, path, on_line=None):
        self.path = path
        self.events = []
        self._news = threading.Condition()
        self._ended = False
        self._on_line = on_line
        self._thread = threading.Thread(target=self._follow, args=(stream,), daemon=True)
        self._thread.start()

    def _follow(self, stream):
        with open(self.path, "a", encoding="utf-8") as file:
            for line in stream:
                file.write(line)
                file.flush()
                if self._on_line:
                    self._on_line(line)
                with self._news:
                    self.events.append(parse_event(line))
                    self._news.notify_all()
        with self._news:
            self._ended = True
            self._news.notify_all()

    def wait(self, timeout, since=0, **wanted):
        """The first event from number `since` on that has all these values. TimeoutError when none
        comes in time, EOFError when none can come any more."""
        deadline = time.monotonic() + timeout
        with self._news:
            while True:
                for event in self.events[since:]:
                    if wanted.items() <= event.items():
                        return event
                since = len(self.events)
                if self._ended:
                    raise EOFError("its log has ended")
                if not self._news.wait(deadline - time.monotonic()):
                    raise TimeoutError(f"nothing in its log for {timeout} s")

    def join(self):
        """Waits for the log's end; the process has to end first."""
        self._thread.join()


class Balancer(child.Child):
    """A running `smtplb run` that listens."""

    def __init__(self, conf, log_path, on_line=None):
        super().__init__([child.build_folder() / "smtplb", "run", "-c", conf],
                         stderr=subprocess.PIPE, text=True, errors="replace")
        self.log = Log(self.process.stderr, log_path, on_line)
        try:
            self.log.wait(10, event="ready")
        except (EOFError, TimeoutError) as error:
            self.stop()
            raise OSError(f"the balancer did not start, see {log_path}: {error}") from error

    def stop(self, timeout=15):
        status = super().stop(timeout)
        self.log.join()
        return status
