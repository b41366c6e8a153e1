"""Debian's Chromium without a window, unpacked and driven by hand: the DevTools protocol over a pair of
pipes, a JSON object and a NUL a message."""

import base64
import json
import os
import queue
import subprocess
import threading

from metrics import peers
from peers import DEADLINE, eventually

PACKAGE = "chromium-headless-shell"
FONTS = """<?xml version="1.0"?>
<!DOCTYPE fontconfig SYSTEM "fonts.dtd">
<fontconfig>
  <dir>/usr/share/fonts</dir>
  <dir>{root}/usr/share/fonts</dir>
  <cachedir>{folder}/fonts</cachedir>
</fontconfig>
"""
FLAGS = (
    "--remote-debugging-pipe",
    "--no-sandbox",  # root has none
    "--disable-dev-shm-usage",  # it may be small
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--no-first-run",
    "--hide-scrollbars",
    "--force-color-profile=srgb",
)


class Browser:
    """One browser, with a profile of its own. A context: it ends with the block."""

    def __init__(self, folder):
        root = peers(PACKAGE)
        libraries = f"{root}/usr/lib/x86_64-linux-gnu"
        fonts = folder / "fonts.conf"
        fonts.write_text(FONTS.format(root=root, folder=folder))
        ask, self.asked = os.pipe()
        self.told, tell = os.pipe()
        self.log = (folder / "chromium.log").open("w")
        self.process = subprocess.Popen(
            [f"{root}/usr/lib/chromium/{PACKAGE}", f"--user-data-dir={folder / 'profile'}", *FLAGS],
            stdout=self.log, stderr=self.log, pass_fds=(3, 4),
            preexec_fn=lambda: give_pipes(ask, tell),
            env={
                "HOME": str(folder), "PATH": "/usr/bin:/bin", "TZ": "UTC",
                "FONTCONFIG_FILE": str(fonts),
                "LD_LIBRARY_PATH": f"{libraries}:{libraries}/pulseaudio:{libraries}/nss",
            },
        )
        os.close(ask)
        os.close(tell)
        self.number = 0
        self.lock = threading.Lock()
        self.answers = {}  # by the number of what was asked
        self.pages = {}  # by session
        threading.Thread(target=self._read, daemon=True).start()

    def _read(self):
        with os.fdopen(self.told, "rb") as pipe:
            rest = b""
            while data := pipe.read1(1 << 16):
                *messages, rest = (rest + data).split(b"\0")
                for message in map(json.loads, messages):
                    self._take(message)

    def _take(self, message):
        if "id" in message:
            self.answers.pop(message["id"]).put(message)
        elif page := self.pages.get(message.get("sessionId")):
            page.events.append(message)

    def call(self, method, session=None, **parameters):
        """What the browser answers, which must be no error."""
        answer = queue.Queue()
        with self.lock:
            self.number += 1
            self.answers[self.number] = answer
            message = {"id": self.number, "method": method, "params": parameters}
            if session:
                message["sessionId"] = session
            os.write(self.asked, json.dumps(message).encode() + b"\0")
        told = answer.get(timeout=DEADLINE)
        assert "result" in told, told
        return told["result"]

    def open(self, url, **options):
        """A page in a tab of its own: options as of Page."""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]
        page = self.pages[session] = Page(self, session)
        page.begin(url, **options)
        return page

    def __enter__(self):
        return self

    def __exit__(self, *_):
        os.close(self.asked)  # upon which it ends
        try:
            self.process.wait(DEADLINE)
        finally:
            self.process.kill()
            self.log.close()


def give_pipes(ask, tell):
    """In the child: where the browser looks for them. Neither is on the other's place."""
    ask, tell = (os.dup(fd) for fd in (ask, tell))
    while min(ask, tell) < 5:
        ask, tell = (os.dup(fd) for fd in (ask, tell))
    os.dup2(ask, 3)
    os.dup2(tell, 4)


class Page:
    """A tab. `events` is all that the browser has told of it."""

    def __init__(self, browser, session):
        self.browser = browser
        self.session = session
        self.events = []

    def call(self, method, **parameters):
        return self.browser.call(method, self.session, **parameters)

    def begin(self, url, scheme="light", width=1280, height=900):
        for domain in ("Page", "Runtime", "Network", "Log"):
            self.call(f"{domain}.enable")
        self.call("Emulation.setDeviceMetricsOverride", width=width, height=height,
                  deviceScaleFactor=1, mobile=width < 600)
        self.look(scheme)
        self.call("Page.navigate", url=url)
        eventually(lambda: self.told("Page.loadEventFired"))

    def look(self, scheme):
        """Has it light or dark, at rest."""
        self.call("Emulation.setEmulatedMedia", features=[
            {"name": "prefers-color-scheme", "value": scheme},
            {"name": "prefers-reduced-motion", "value": "reduce"}])

    def evaluate(self, expression):
        """The value of an expression of JavaScript, or of what it promises."""
        told = self.call("Runtime.evaluate", expression=expression, returnByValue=True,
                         awaitPromise=True)
        assert "exceptionDetails" not in told, told
        return told["result"].get("value")

    def until(self, expression):
        """Waits until it is true, and returns it."""
        return eventually(lambda: self.evaluate(expression))

    def press(self, key, code, text=""):
        for kind in ("keyDown", "keyUp"):
            self.call("Input.dispatchKeyEvent", type=kind, key=key, code=key, text=text,
                      windowsVirtualKeyCode=code)

    def close(self):
        """Asks and tells no more; what was told stays."""
        self.call("Page.close")

    def told(self, method):
        return [event["params"] for event in list(self.events) if event["method"] == method]

    def screenshot(self, path):
        """The whole page, whatever its height."""
        shot = self.call("Page.captureScreenshot", captureBeyondViewport=True)
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(base64.b64decode(shot["data"]))
