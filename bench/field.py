"""The contenders of a workload with the relays behind them, each on its CPUs."""

import contextlib
import functools

from bench import contenders, cost, nat
from bench.child import Child
from bench.contenders import ENGINES, Stand
from bench.reload import write_prefixes
from bench.sink import Sink

RELAYS = ("127.0.0.11", "127.0.0.12")
PREFIXES = 1_000_000
SPIN = ("sh", "-c", "while :; do :; done")


class Field:
    """relays: sink, discard (sinks that drop large messages unread) or smtp-sink."""

    def __init__(self, stack, folder, placement, relays="sink", threads=1):
        self.stack = stack
        self.folder = folder
        self.placement = placement
        self.threads = threads
        self.is_postfix = relays == "smtp-sink"
        self.is_discarding = relays == "discard"

    @functools.cached_property
    def bare(self):
        """Relays that want no PROXY header."""
        if self.is_postfix:
            return [self.stack.enter_context(cost.SmtpSink(host, self.placement.load))
                    for host in RELAYS]
        return self._sinks("off")

    @functools.cached_property
    def headed(self):
        """Relays that want one; smtp-sink can't."""
        return self.bare if self.is_postfix else self._sinks("any")

    def _sinks(self, proxy):
        return [self.stack.enter_context(Sink(
            host, proxy=proxy, name=f"{host}.test", discard=self.is_discarding,
            prefix=self.placement.load)) for host in RELAYS]

    def start(self, stack, name):
        """The contender of that name; it ends with the stack."""
        if name == "direct":
            return contenders.direct(self.bare)
        if name == "nftables NAT":
            return nat.start_nat(stack, self.placement.load, self.is_discarding)
        folder = self.folder_of(name)
        folder.mkdir(exist_ok=True)
        stand = Stand(stack, folder, self.headed, self.threads, self.placement.balancer,
                      header=not self.is_postfix)
        contender = self._starter(name)(stand)
        contender.name = name
        return contender

    def folder_of(self, name):
        return self.folder / name.replace(" ", "-")

    def _starter(self, name):
        for engine in ENGINES:
            ours = functools.partial(contenders.start_smtplb, engine=engine)
            if name == f"smtplb {engine}":
                return ours
            for tls in ("implicit", "starttls"):
                if name == f"smtplb {engine} {tls}":
                    return functools.partial(ours, tls=tls)
            if name == f"smtplb {engine} prefixes":
                path = write_prefixes(self.folder / "prefixes", PREFIXES)
                return functools.partial(ours, allow=f", file:{path}")
        return {
            "HAProxy": contenders.start_haproxy,
            "HAProxy implicit": functools.partial(contenders.start_haproxy, tls=True),
            "HAProxy AES-128": functools.partial(
                contenders.start_haproxy, tls=True, suites=contenders.SUITES),
            "HAProxy 64 KB": functools.partial(contenders.start_haproxy, buffer=65536),
            "HAProxy splice": functools.partial(contenders.start_haproxy, splice=True),
            "nginx": contenders.start_nginx,
            "nginx 64 KB": functools.partial(contenders.start_nginx, buffer=65536),
            "nginx mail": self._start_nginx_mail,
            "pen": self._start_pen,
        }[name]

    def _start_pen(self, stand):
        stand.relays = self.bare
        return contenders.start_pen(stand)

    def _start_nginx_mail(self, stand):
        stand.relays = self.bare
        return contenders.start_nginx_mail(stand)

    def load(self, contender, **options):
        """Runs the load generator and measures what that costs."""
        return cost.measure(
            contender, lambda one: cost.run_load(one, self.placement.load, **options))

    @contextlib.contextmanager
    def brake(self, is_wanted):
        """Has the balancer's CPU shared with somebody who only wants to run, so that the load is
        faster than any balancer."""
        with contextlib.ExitStack() as stack:
            if is_wanted:
                stack.enter_context(Child([*self.placement.balancer, *SPIN]))
            yield
