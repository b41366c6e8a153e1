"""Senders that do not retry: what fails once has failed, so that nothing a balancer lets through
to them stays unseen."""

import contextlib
import dataclasses
import smtplib
import threading
import time

BODY = "A line of the message that says nothing much.\r\n..\r\n" * 20


@dataclasses.dataclass
class Message:
    name: str
    client: str = ""  # our side of the session: IP:PORT
    accepted: bool = False
    error: str = ""


class Senders:
    """Threads that send at an even rate, each message or, in every fifth session, three of them in
    a session of their own, until `total` are sent and finish() was called."""

    THREADS = 8

    def __init__(self, address, rate, total):
        self.address = address
        self.rate = rate
        self.total = total
        self.messages = []
        self.greetings = []  # seconds until each session's 220
        self._state = threading.Condition()
        self._active = 0
        self._held = False
        self._finish = False
        self._abort = False
        self._sessions = 0
        self._start = time.monotonic()
        self._threads = [
            threading.Thread(target=self._run, args=(f"127.0.1.{number}",), daemon=True)
            for number in range(1, self.THREADS + 1)]
        for thread in self._threads:
            thread.start()

    @property
    def sessions(self):
        return self._sessions

    def wait_for(self, count):
        """Until so many messages have been taken up."""
        with self._state:
            self._state.wait_for(lambda: len(self.messages) >= count)

    @contextlib.contextmanager
    def between_sessions(self):
        """Holds the senders back for a moment in which none has a session open."""
        with self._state:
            self._held = True
            self._state.wait_for(lambda: self._active == 0)
        try:
            yield
        finally:
            with self._state:
                self._held = False
                self._state.notify_all()

    def finish(self):
        with self._state:
            self._finish = True
        for thread in self._threads:
            thread.join()

    def abort(self):
        """No new sessions; nothing is waited for."""
        with self._state:
            self._abort = True
            self._state.notify_all()

    def _run(self, source):
        while batch := self._take():
            self._session(source, batch)
            with self._state:
                self._active -= 1
                self._state.notify_all()

    def _take(self):
        """The next session's messages once they are due; None at the end."""
        with self._state:
            if self._abort or (self._finish and len(self.messages) >= self.total):
                return None
            first = len(self.messages)
            self._sessions += 1
            count = 3 if self._sessions % 5 == 0 else 1
            batch = [Message(f"demo-{number}") for number in range(first, first + count)]
            self.messages += batch
            self._state.notify_all()
            due = self._start + first / self.rate
            while not self._abort and (self._held or time.monotonic() < due):
                # Held with the time passed: until somebody says otherwise.
                self._state.wait(max(due - time.monotonic(), 0) or None)
            if self._abort:
                return None
            self._active += 1
            return batch

    def _session(self, source, batch):
        started = time.monotonic()
        smtp = smtplib.SMTP(local_hostname="sender.test", timeout=60)
        try:
            code, text = smtp.connect(*self.address, source_address=(source, 0))
            if code != 220:
                raise smtplib.SMTPConnectError(code, text)
            self.greetings.append(time.monotonic() - started)
            client = "%s:%d" % smtp.sock.getsockname()
            for message in batch:
                message.client = client
                smtp.sendmail(
                    "sender@sender.test", ["recipient@demo.test"],
                    f"X-Demo-Id: {message.name}\r\nSubject: {message.name}\r\n\r\n{BODY}")
                message.accepted = True
            smtp.quit()
        except (OSError, smtplib.SMTPException) as error:
            for message in batch:
                if not message.accepted:
                    message.error = f"{type(error).__name__}: {error}"
        finally:
            smtp.close()
