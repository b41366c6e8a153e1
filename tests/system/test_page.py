"""The status page in Debian's Chromium: what it says against what the API says, what it does when
something goes wrong, and for whom it is fit."""

import base64
import hashlib
import html.parser
import re

import pytest
from admin import Admin
from balancer import BUILD, Crowd, Setup
from browser import Browser
from peers import eventually, smtp

STRANGER = "127.0.0.66"
HOSTILE = b"<img src=x onerror=document.title='owned'><script>document.title='owned'</script>"
SHOTS = BUILD / "page"


class Document(html.parser.HTMLParser):
    """What a page loads from elsewhere, what is in its style and its script, and inline handlers."""

    def __init__(self, text):
        super().__init__()
        self.loads, self.handlers, self.inline = [], [], {}
        self.within = None
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        for name, value in attrs:
            if name in ("src", "href", "action", "srcset", "poster", "data"):
                self.loads.append(value)
            if name.startswith("on") or name == "style":
                self.handlers.append((tag, name))
        self.within = tag if tag in ("style", "script") else None

    def handle_endtag(self, tag):
        self.within = None

    def handle_data(self, data):
        if self.within:
            self.inline[self.within] = self.inline.get(self.within, "") + data


@pytest.fixture(scope="session")
def browser(tmp_path_factory):
    with Browser(tmp_path_factory.mktemp("browser")) as one:
        yield one


class Stage:
    """Relays with their probes, a balancer in front of them, and the page of it."""

    def __init__(self, start, hosts, folder, browser, relays=2, options=(), serve=None, **more):
        self.admin = Admin(folder)
        self.browser = browser
        self.relays = hosts(*(serve or smtp(b"relay%d" % i) for i in range(1, relays + 1)))
        for relay, option in zip(self.relays, options):
            relay.options = option
        port = self.relays[0].probe.port
        health = f"type = http port = {port} interval = 100ms timeout = 100ms fall = 2 rise = 2"
        self.setup = Setup(self.relays, **{"admin": self.admin.text(), "health": health,
                                           "deny": STRANGER, **more})
        self.start = start
        self.balancer = start(self.setup)

    def open(self, **options):
        page = self.browser.open(f"http://127.0.0.1:{self.admin.port}/", **options)
        page.until("document.body.dataset.refreshes >= 1")
        return page


@pytest.fixture
def stage(start, hosts, tmp_path, browser):
    """Makes one, with options of Setup; how its page fared with the browser is seen at the end."""
    made, opened = [], browser.pages

    def make(**options):
        made.append(Stage(start, hosts, tmp_path, browser, **options))
        return made[-1]

    yield make
    for page in list(opened.values()):
        page.close()
    for one in made:
        origin = f"http://127.0.0.1:{one.admin.port}/"
    for page in opened.values():
        asked = [told["request"]["url"] for told in page.told("Network.requestWillBeSent")]
        assert asked and all(url.startswith((origin, "data:")) for url in asked), asked
        assert not page.told("Runtime.exceptionThrown")
        entries = [told["entry"] for told in page.told("Log.entryAdded")]
        assert [one for one in entries if "ERR_CONNECTION" not in one["text"]] == []
        assert not page.told("Runtime.consoleAPICalled")
    opened.clear()


def rows(page, selector):
    """The text of each row's cells, of a table."""
    return page.evaluate(
        f"[...document.querySelectorAll('{selector} tbody tr')].map("
        "row => [...row.cells].map(cell => cell.innerText))")


def backend_rows(page):
    return {cells[0].split("\n")[0]: cells for cells in rows(page, ".pool")}


def problems(page):
    return page.evaluate("[...document.querySelectorAll('#problems li')].map(one => one.innerText)")


def text_of(page, selector):
    return page.evaluate(f"document.querySelector('{selector}').innerText")


# How it is sent.


@pytest.mark.parametrize("tcp", [False, True], ids=["unix", "tcp"])
def test_one_document(stage, tcp):
    one = stage()
    answer = one.admin.ask("GET", "/", tcp)
    assert answer.status == 200
    assert answer.headers["Content-Type"] == "text/html; charset=utf-8"
    assert answer.headers["Cache-Control"] == "no-store"
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Referrer-Policy"] == "no-referrer"
    document = Document(answer.body.decode())
    assert all(url.startswith(("data:", "#")) for url in document.loads), document.loads
    assert document.handlers == []
    assert not re.search(r"@import|url\(|innerHTML|insertAdjacentHTML|document\.write|eval\(",
                         answer.body.decode())
    policy = dict(part.strip().split(" ", 1)
                  for part in answer.headers["Content-Security-Policy"].split(";"))
    assert policy == {
        "default-src": "'none'", "connect-src": "'self'", "img-src": "data:", "base-uri": "'none'",
        "form-action": "'none'", "frame-ancestors": "'none'",
        **{f"{kind}-src": "'sha256-{}'".format(base64.b64encode(
            hashlib.sha256(text.encode()).digest()).decode())
            for kind, text in document.inline.items()},
    }
    assert set(document.inline) == {"style", "script"}
    assert one.admin.ask("HEAD", "/", tcp).status == 200
    assert one.admin.ask("POST", "/", tcp).status == 405


def test_other_answers_may_load_nothing(stage):
    one = stage()
    for path in ("/v1/status", "/metrics", "/none"):
        headers = one.admin.ask("GET", path).headers
        assert headers["Content-Security-Policy"] == "default-src 'none'; frame-ancestors 'none'"
        assert headers["X-Content-Type-Options"] == "nosniff"


# What it says.


def test_says_what_the_status_says(stage):
    one = stage(relays=3, options=("max_sessions = 90 weight = 2", "", "backup = yes"))
    clients = [one.setup.connect() for _ in range(3)]
    for client in clients:
        assert client.line().startswith(b"220 ")
    assert one.admin.order("relay2", "drain") == 200
    page = one.open()
    status = one.admin.get("/v1/status")
    (pool,) = status["pools"]
    told = backend_rows(page)
    assert list(told) == [backend["name"] for backend in pool["backends"]]
    for backend in pool["backends"]:
        name, state, sessions, messages, replies, greeting, probe = told[backend["name"]]
        limit = f" of {backend['max_sessions']}" if backend["max_sessions"] else ""
        assert name.endswith(backend["address"])
        assert f"up {backend['state']}" in state.replace("\n", " ")
        assert sessions.startswith(f"{backend['sessions']}{limit}\n")
        assert f"weight {backend['weight']}" in sessions
        assert ("backup" in sessions) == backend["backup"]
        assert messages.split("\n")[0] == str(backend["messages"]["accepted"])
        assert "good" in replies and greeting
        assert probe.startswith("ok ") and probe.endswith(" ago\n200")
    assert [backend["state"] for backend in pool["backends"]] == ["ready", "drain", "ready"]
    assert "Pool relays" in (caption := text_of(page, ".pool caption"))
    assert "roundrobin · 0 waiting" in caption
    ((name, bind, pool_name, sessions, _, tls),) = rows(page, "#listeners")
    assert (name, bind, pool_name, sessions, tls) == (
        "smtp", status["listeners"][0]["bind"][0], "relays", "3", "off")
    assert text_of(page, "#hostname") == "lb.test"
    assert f"smtplb {status['version']}" in text_of(page, "#process")
    footer = text_of(page, "#footer")
    assert status["file"] in footer and status["engine"] in footer and str(status["pid"]) in footer
    assert [text.split()[0] for text in problems(page)] == ["Drain"]
    for client in clients:
        client.quit()


def test_relay_that_goes_down_and_comes_back(stage):
    """Within two refreshes, of which one may be under way: counted, not timed."""
    one = stage()
    page = one.open()
    assert text_of(page, "#verdict-text") == "All 2 relays are up"
    for status, to, words in ((503, "down", "1 of 2 relays is down"), (200, "up", "All 2 relays are up")):
        one.relays[0].probe.status = status
        one.balancer.wait("health", backend="relay1", to=to)
        before = page.evaluate("Number(document.body.dataset.refreshes)")
        page.until(f"document.body.dataset.refreshes >= {before + 2}")
        assert text_of(page, "#verdict-text") == words
        assert f" {to} " in f" {backend_rows(page)['relay1'][1]} ".replace("\n", " ")
        assert words in page.evaluate("document.title")
        page.until(f"document.getElementById('live').textContent.includes('{words}')")
        when, kind, said = rows(page, "#events")[0]
        assert kind == "health" and f"relays/relay1 went {to}, by its probe" in said and when
        if to == "down":
            (problem,) = problems(page)
            assert problem.startswith("Down") and "relays/relay1" in problem
            assert "status 503" in problem
            assert "status 503" in backend_rows(page)["relay1"][6]
            page.screenshot(SHOTS / "down.png")


def test_load_is_there_at_once(stage):
    """Who opens the page sees what was before he came."""
    one = stage()
    with Crowd(one.setup):
        eventually(lambda: sum(one.admin.get("/v1/history")["samples"]["sessions"]) > 0)
    page = one.open()
    label = page.evaluate("document.querySelector('#charts svg[role=img]').getAttribute('aria-label')")
    assert label.startswith("Sessions over the last 15 minutes. Now ")
    mean, highest = map(float, re.search(r"begun: mean ([\d.]+), highest ([\d.]+)",
                                         label.replace(",", "").replace(" highest", ", highest")).groups())
    assert 0 < mean <= highest
    assert page.evaluate("document.querySelector('#charts .series.s1').getAttribute('d')")
    history = one.admin.get("/v1/history")
    classes = text_of(page, ".classes")
    assert f"{history['replies']['2']:,}" in classes
    assert "ms" in backend_rows(page)["relay1"][5]


def test_source_that_was_turned_away(stage):
    one = stage()
    for _ in range(3):
        assert one.setup.greeting(STRANGER).startswith(b"421 ")
    page = one.open()
    (source,) = one.admin.get("/v1/denied")["denied"]
    ((name, count, last, fix),) = rows(page, "#denied")
    assert (name.strip(), count) == (STRANGER, "3")
    assert "ago\nsmtp" in last
    assert source["fix"] in fix and source["rule"] in fix
    page.evaluate("document.querySelector('#denied .fix button').focus()")
    page.press("Enter", 13, "\r")
    assert page.until("getSelection().toString()") == source["fix"]
    page.until("/^Copied|^Selected/.test(document.querySelector('#denied .fix button').textContent)")


def test_many_sources(stage):
    one = stage(allow="127.0.0.1")
    for i in range(20):
        assert one.setup.greeting(f"127.0.2.{i + 1}").startswith(b"421 ")
    page = one.open()
    assert len(rows(page, "#denied")) == 6
    page.evaluate("document.querySelector('#denied .more button').click()")
    assert len(rows(page, "#denied")) == 20
    page.evaluate("document.querySelector('#denied .more button').click()")
    assert len(rows(page, "#denied")) == 6


def test_what_a_relay_says_is_text(stage):
    """A probe is answered with HTML: the page shows it as it was said."""
    def serve(conn):
        conn.send(b"421 " + HOSTILE + b"\r\n")
        conn.rest()

    one = stage(relays=1, serve=serve, health="type = smtp interval = 100ms timeout = 100ms fall = 1")
    one.balancer.wait("health", to="down", cause="probe")
    page = one.open()
    said = f"reply: 421 {HOSTILE.decode()}"[:60]
    assert said in rows(page, "#events")[0][2]
    assert any(said in problem for problem in problems(page))
    assert said in backend_rows(page)["relay1"][6]
    assert page.evaluate("document.querySelectorAll('img').length") == 0
    assert page.evaluate("document.querySelectorAll('script').length") == 1
    assert page.evaluate("document.title").startswith("! No relay is up")


def test_reload_that_was_refused(stage):
    one = stage()
    page = one.open()
    one.balancer.write(one.balancer.text + "nonsense = 1\n")
    assert one.admin.ask("POST", "/v1/reload").status == 409
    page.until("document.querySelector('#problems') && document.querySelectorAll('#problems li').length")
    (problem,) = problems(page)
    assert problem.startswith("Reload refused") and "nonsense" in problem


PROBLEMS = [
    ("", "All 2 relays are up", []),
    ("status.state = 'stopping'", "All 2 relays are up, but there is something to see to",
     ["Stopping 0 sessions may finish, none begins"]),
    ("status.sessions = status.max_sessions", "All 2 relays are up, but there is something to see to",
     ["Nearly full"]),
    ("pool.waiting = 1", "All 2 relays are up, but there is something to see to",
     ["Queue relays: 1 session waits for a relay"]),
    ("pool.fail_open = true; for (const one of pool.backends) Object.assign(one, "
     "{ up: false, cause: 'greetings', detail: 'silence' })", "No relay is up",
     ["Fail open relays: no relay is up", "Down relays/relay1", "Down relays/relay2"]),
    ("backend.troubles = [{ verb: 'RCPT', reply: '452 4.3.1' }, { verb: 'DOT', reply: '451' }]",
     "All 2 relays are up, but there is something to see to",
     ["Trouble relays/relay1 answers 452 4.3.1 to RCPT far more often than its peers",
      "Trouble relays/relay1 answers 451 to DOT far more often than its peers"]),
    ("backend.max_sessions = backend.sessions = 90",
     "All 2 relays are up, but there is something to see to",
     ["Full relays/relay1 has all its 90 sessions"]),
    ("backend.state = 'maint'", "All 2 relays are up",
     ["Maintenance relays/relay1 gets no new sessions, as ordered; 0 sessions open"]),
    ("for (const one of pool.backends) one.state = 'drain'",
     "All 2 relays are up, but there is something to see to",
     ["No relay relays: none may take a session", "Drain relays/relay1", "Drain relays/relay2"]),
    ("listener.certificate_expires = days(15)", "All 2 relays are up", []),
    ("listener.certificate_expires = days(3)",
     "All 2 relays are up, but there is something to see to",
     ["Certificate of listener smtp expires in 3 days"]),
    ("listener.certificate_expires = days(-1)",
     "All 2 relays are up, but there is something to see to",
     ["Certificate of listener smtp has expired"]),
]


def test_what_is_wrong_comes_first(stage):
    """A table of what the status may say, put to the page in place of what it has asked for."""
    page = stage().open()
    page.evaluate("document.getElementById('pause').click()")
    page.until("timer === null")  # nothing is under way
    for change, verdict, expected in PROBLEMS:
        page.evaluate(f"""(() => {{
            const status = structuredClone(latest.status);
            const [pool, listener] = [status.pools[0], status.listeners[0]];
            const backend = pool.backends[0];
            const days = count => new Date(Date.parse(status.now) + count * 86400e3 + 1000).toISOString();
            {change};
            show({{ ...latest, status }});
        }})()""")
        assert text_of(page, "#verdict-text") == verdict, change
        told = [problem.replace("\n", " ") for problem in problems(page)]
        assert len(told) == len(expected), (change, told)
        assert all(map(str.startswith, told, expected)), (change, told)


def test_daemon_that_is_gone(stage):
    one = stage()
    page = one.open()
    assert text_of(page, "#freshness").startswith("As of ")
    one.balancer.stop()
    page.until("!document.getElementById('unreachable').hidden")
    assert re.match(r"smtplb can't be reached \(no connection\): what follows is as it was at "
                    r"\d\d:\d\d:\d\d", text_of(page, "#unreachable"))
    assert list(backend_rows(page)) == ["relay1", "relay2"]
    balancer = one.start(one.setup)
    page.until("document.getElementById('unreachable').hidden")
    assert str(balancer.pid) in text_of(page, "#footer")
    assert text_of(page, "#verdict-text") == "All 2 relays are up"


# For whom it is fit.


def refreshes(page):
    return page.evaluate("Number(document.body.dataset.refreshes)")


def test_paused(stage):
    page = stage().open()
    page.evaluate("document.getElementById('pause').click()")
    page.until("timer === null")  # no refresh is under way, and none is due
    assert text_of(page, "#freshness").startswith("Paused at ")
    before = refreshes(page)
    page.evaluate("document.getElementById('pause').click()")
    page.until(f"document.body.dataset.refreshes > {before}")
    assert text_of(page, "#freshness").startswith("As of ")


def test_by_keyboard_alone(stage):
    """Whatever can be acted upon is reached by Tab, in the page's order, and shows that it is."""
    one = stage()
    assert one.setup.greeting(STRANGER).startswith(b"421 ")
    page = one.open()
    wanted = page.evaluate(
        "[...document.querySelectorAll('a[href], button, [tabindex=\"0\"]')]"
        ".filter(node => node.offsetParent || node.matches('.skip'))"
        ".map((node, i) => node.dataset.number = String(i))")
    reached, shown = [], []
    for _ in wanted:
        page.press("Tab", 9)
        reached.append(page.evaluate("document.activeElement.dataset.number"))
        shown.append(page.evaluate("getComputedStyle(document.activeElement).outlineStyle"))
    assert len(wanted) >= 4 and reached == wanted
    assert set(shown) == {"solid"}
    before = refreshes(page)
    focused = page.evaluate("document.activeElement.dataset.number")
    page.until(f"document.body.dataset.refreshes > {before}")
    assert page.evaluate("document.activeElement.dataset.number") == focused


def test_tables_have_names_and_heads(stage):
    page = stage().open()
    assert page.evaluate(
        "[...document.querySelectorAll('table')].every(table => table.caption.textContent.trim()"
        " && [...table.tHead.rows[0].cells].every(cell => cell.scope === 'col')"
        " && [...table.tBodies[0].rows].every(row => row.cells[0].scope === 'row'))")
    assert page.evaluate("document.querySelectorAll('main, header, footer, h1').length") == 4
    assert page.evaluate("document.documentElement.lang") == "en"
    assert page.evaluate("[...document.querySelectorAll('svg[role=img]')].every("
                         "svg => svg.getAttribute('aria-label'))")


# The contrast of every text that is shown with what is behind it, by WCAG 2.
CONTRAST = """(() => {
    const channels = color => color.match(/[\\d.]+/g).map(Number);
    const opaque = node => {
        for (; node; node = node.parentElement) {
            const color = channels(getComputedStyle(node).backgroundColor);
            if (color.length < 4 || color[3] === 1) return color;
        }
        return [255, 255, 255];
    };
    const light = color => {
        const [r, g, b] = color.slice(0, 3).map(value => value / 255).map(
            value => value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4);
        return 0.2126 * r + 0.7152 * g + 0.0722 * b;
    };
    const found = [];
    const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
    while (walker.nextNode()) {
        const node = walker.currentNode.parentElement;
        if (!walker.currentNode.textContent.trim() || !node.getClientRects().length
                || node.matches('script, style')) continue;
        const a = light(channels(getComputedStyle(node).color)), b = light(opaque(node));
        found.push([(Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05),
            walker.currentNode.textContent.trim()]);
    }
    return found.sort((a, b) => a[0] - b[0]);
})()"""


def test_light_and_dark(stage):
    """With something of every colour on it."""
    one = stage(relays=3)
    assert one.setup.greeting(STRANGER).startswith(b"421 ")
    one.relays[0].probe.status = 503
    one.balancer.wait("health", backend="relay1", to="down")
    assert one.admin.order("relay2", "maint") == 200
    page = one.open()
    behind = {}
    for scheme in ("light", "dark"):
        page.look(scheme)
        behind[scheme] = page.evaluate("getComputedStyle(document.body).backgroundColor")
        contrasts = page.evaluate(CONTRAST)
        assert len(contrasts) > 50
        assert contrasts[0][0] >= 4.5, contrasts[:5]
        page.screenshot(SHOTS / f"{scheme}.png")
    assert behind["light"] != behind["dark"]


@pytest.mark.parametrize("width, height", [(360, 740), (700, 900), (1280, 900)])
def test_fits(stage, width, height):
    one = stage(relays=3)
    assert one.setup.greeting(STRANGER).startswith(b"421 ")
    one.balancer.write(one.balancer.text + f"{'x' * 300} = 1\n")
    assert one.admin.ask("POST", "/v1/reload").status == 409
    page = one.open(width=width, height=height)
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), width
    assert page.evaluate("innerWidth") == width
    page.screenshot(SHOTS / f"{width}.png")
