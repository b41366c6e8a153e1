"""The page for Prometheus, as a test reads it: heads and samples; and what the source, the README and
the files for Grafana and Prometheus say of the metrics."""

import ast
import re
import subprocess
from collections import Counter

from balancer import ROOT

HEAD = re.compile(r"# (HELP|TYPE) (\w+) (.*)")
SAMPLE = re.compile(r"(\w+)(?:\{(.*)\})? (\S+)")
LABEL = re.compile(r'(\w+)="((?:[^"\\]|\\.)*)"(?:,|$)')
ENTRY = re.compile(
    r'\{"((?:smtplb|process)_\w+)", (COUNTER|GAUGE|HISTOGRAM),\s*((?:"[^"]*"\s*)+),'
)
SUFFIXES = ("_bucket", "_sum", "_count")
# What has samples at times only, and their labels then.
AT_TIMES = {
    "smtplb_backend_trouble": {"pool", "backend", "verb", "reply"},
    "smtplb_certificate_expiry_timestamp_seconds": {"listener"},
}


def peers(package):
    """Where the package is unpacked, which it is first, if need be."""
    result = subprocess.run(
        [ROOT / "tests/peers", package], stdout=subprocess.PIPE, text=True, check=True
    )
    return result.stdout.strip()


def promtool(*arguments, **options):
    return subprocess.run(
        [f"{peers('prometheus')}/usr/bin/promtool", *map(str, arguments)],
        capture_output=True, text=True, check=False, cwd=ROOT, **options,
    )


def labels_of(text):
    labels = LABEL.findall(text or "")
    assert ",".join(f'{name}="{value}"' for name, value in labels) == (text or ""), text
    return frozenset(labels)


class Page:
    """One scrape. page(name, label=value, ...) is a sample; `heads` are name: (type, help)."""

    def __init__(self, text):
        self.text = text
        self.heads = {}
        self.samples = {}
        current = None
        assert text.endswith("\n")
        for line in text.splitlines():
            head = HEAD.fullmatch(line)
            if head:
                kind, current, rest = head.groups()
                self.heads.setdefault(current, {})[kind] = rest
                continue
            name, labels, value = SAMPLE.fullmatch(line).groups()
            key = name, labels_of(labels)
            assert self.metric_of(name) == current and key not in self.samples, line
            self.samples[key] = float(value)

    def metric_of(self, name):
        """A histogram's samples have names of their own."""
        for suffix in SUFFIXES:
            base = name.removesuffix(suffix)
            if base != name and self.heads.get(base, {}).get("TYPE") == "histogram":
                return base
        return name

    def __call__(self, name, **labels):
        return self.samples[name, frozenset(labels.items())]

    def all(self, name, **labels):
        """Of each series with these labels, its others: value; those of 0 left out."""
        wanted = set(labels.items())
        return {
            tuple(value for _, value in sorted(have - wanted)): sample
            for (metric, have), sample in self.samples.items()
            if metric == name and wanted <= have and sample
        }

    def labels(self):
        """Of each metric, the names of its labels."""
        names = {name: set(labels) for name, labels in AT_TIMES.items()}
        for name, labels in self.samples:
            names.setdefault(self.metric_of(name), set()).update(label for label, _ in labels)
        return {name: labels - {"le"} for name, labels in names.items()}


def scrape(admin, tcp=True):
    answer = admin.ask("GET", "/metrics", tcp)
    assert answer.status == 200, answer
    assert answer.headers["Content-Type"] == "text/plain; version=0.0.4"
    return Page(answer.body.decode())


def table():
    """The table in the source: name: (type, help), in its order."""
    source = (ROOT / "lb/admin/metrics_page.c").read_text()
    return {
        name: (kind.lower(), "".join(ast.literal_eval(part) for part in re.findall(r'"[^"]*"', text)))
        for name, kind, text in ENTRY.findall(source)
    }


def count(events, *keys):
    """How many events there are of each combination of values."""
    counted = Counter(tuple(event[key] for key in keys) for event in events)
    return {values: float(times) for values, times in counted.items()}


def await_log(balancer, page):
    """What the page counts has been logged, or is about to be."""
    for event, name, labels in (
        ("session", "smtplb_sessions_total", {}),
        ("attempt", "smtplb_backend_failures_total", {}),
        ("denied", "smtplb_denied_total", {"reason": "acl"}),
    ):
        times = int(sum(page.all(name, **labels).values()))
        if times:
            balancer.wait(event, times)


def agree(balancer, page):
    """The page says what the log says, now that every session is over."""
    sessions = balancer.find("session")
    limited = [event for event in sessions if event["result"] == "limited"]
    greeted = [event for event in sessions if event["greeting_ms"] != "-"]
    for name, labels, told in (
        ("sessions_total", {}, count(sessions, "listener", "result")),
        ("denied_total", {"reason": "acl"}, count(balancer.find("denied"), "listener")),
        ("denied_total", {"reason": "sessions"}, count(limited, "listener")),
        ("backend_sessions_total", {}, count(greeted, "backend", "pool")),
        ("greeting_seconds_count", {}, count(greeted, "backend", "pool")),
        ("backend_failures_total", {},
         count(balancer.find("attempt"), "backend", "cause", "pool")),
    ):
        assert page.all(f"smtplb_{name}", **labels) == told, name
    for direction in ("in", "out"):
        told = sum(int(event[f"bytes_{direction}"]) for event in sessions)
        assert sum(page.all("smtplb_bytes_total", direction=direction).values()) == told
