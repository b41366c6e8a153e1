"""Fixtures: balancers and peers that end with their test, and the log shown when it failed."""

import contextlib
import sys
import zlib
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

# pylint: disable=wrong-import-position
import clock as clocks  # noqa: E402
from balancer import BUILD, ENGINE, Balancer, Setup  # noqa: E402
from faults import Faults, build  # noqa: E402
from peers import Probed, Relay, free_port  # noqa: E402
from scene import Scene  # noqa: E402
from tls import Certificate  # noqa: E402


def pytest_configure(config):
    config.addinivalue_line(
        "markers", "own_memory: limits the memory that the balancer, and nobody else, may have"
    )
    config.addinivalue_line("markers", "engine(name): says something of that engine only")


def beyond(item):
    """Tests of another engine; and those that say nothing of a build with a sanitizer: it maps
    terabytes, and TSan's own allocator can't stand beside one that fails to order."""
    engine = item.get_closest_marker("engine")
    if engine and engine.args[0] != ENGINE:
        return True
    if item.get_closest_marker("own_memory"):
        return BUILD.name in ("asan", "tsan")
    return BUILD.name == "tsan" and "faults" in item.fixturenames


def pytest_collection_modifyitems(config, items):
    """In an order of no meaning, but always the same: each worker is given many tests in a row,
    and one shall not get all the long ones."""
    config.hook.pytest_deselected(items=[item for item in items if beyond(item)])
    items[:] = [item for item in items if not beyond(item)]
    items.sort(key=lambda item: zlib.crc32(item.nodeid.encode()))


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    outcome = yield
    report = outcome.get_result()
    for balancer in getattr(item, "balancers", []):
        if report.failed:
            report.sections.append(("balancer's configuration", balancer.text))
            report.sections.append(("balancer's log", balancer.log()))


@pytest.fixture
def relay():
    """Makes relays: relay(serve, host=..., port=...)."""
    made = []

    def make(serve=None, **where):
        made.append(Relay(serve, **where))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def probed():
    """Makes HTTP servers for probes."""
    made = []

    def make(**options):
        made.append(Probed(**options))
        return made[-1]

    yield make
    for one in made:
        one.close()


@pytest.fixture
def hosts(relay, probed):
    """Makes relays with an address each, and beside each what answers its probes, on one port for
    all: hosts(serve, ...) gives a list; its members have a `probe`."""

    def make(*serves):
        port = free_port()
        made = [relay(serve, host=f"127.0.1.{i}") for i, serve in enumerate(serves, 1)]
        for one in made:
            one.probe = probed(host=one.host, port=port)
        return made

    return make


@pytest.fixture(scope="session")
def certificate(tmp_path_factory):
    """One for lb.test."""
    return Certificate(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
def start(request, tmp_path):
    """Starts a balancer: start(setup) or start(text); ready when it returns. Stopped, with its exit
    code checked, at the test's end. folder: for its configuration, instead of one of its own."""
    request.node.balancers = []

    def make(setup, prefix=(), ready=True, folder=None, **options):
        if folder is None:
            folder = tmp_path / str(len(request.node.balancers))
            folder.mkdir()
        text = setup.text() if isinstance(setup, Setup) else setup
        balancer = Balancer(folder, text, prefix, **options)
        request.node.balancers.append(balancer)
        if ready:
            balancer.ready()
        return balancer

    yield make
    with contextlib.ExitStack() as stack:
        for balancer in request.node.balancers:
            stack.callback(balancer.stop)


@pytest.fixture(scope="session")
def fault_library(tmp_path_factory):
    return build(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def faults(fault_library, tmp_path):
    """Faults to order: start(setup, prefix=faults.prefix), then faults.arm(...)."""
    return Faults(fault_library, tmp_path)


@pytest.fixture(scope="session")
def clock_library(tmp_path_factory):
    return clocks.build(tmp_path_factory.mktemp("shim"))


@pytest.fixture
def clock(clock_library, tmp_path):
    """A balancer's clocks: start(setup, prefix=clock.prefix)."""
    return clocks.Clock(clock_library, tmp_path)


@pytest.fixture
def scene(start, relay, clock, tmp_path):
    """Makes the one scene of a test: scene(pool=..., ...), with Setup's options."""
    made = []

    def make(relays=1, **options):
        setup = Setup([relay() for _ in range(relays)], **options)
        made.append(Scene(start, setup, clock, tmp_path))
        return made[-1]

    yield make
    for one in made:
        one.close()
