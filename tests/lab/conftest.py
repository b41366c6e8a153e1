"""Fixtures: the lab is built once, the mailers run all the time, each test has its own balancer."""

import os
import shutil
from pathlib import Path

import pytest

import topology
from balancer import Balancer
from firewall import Firewall
from front import Front
from load import Load
from nginx import Nginx
from postfix import DESTINATION, RELAY, SENDER, Inbox, Postfix
from topology import wait_until

FAILED = topology.CHECKOUT / "build" / "lab-failed"  # the logs of failed tests
TAIL = 60


class Lab:
    def __init__(self, hosts, program):
        self.hosts = hosts
        self.sender = Postfix(hosts["sender"], SENDER)
        self.relays = {name: Postfix(hosts[name], RELAY) for name in ("relay1", "relay2")}
        self.nginx = {name: Nginx(hosts[name]) for name in (*self.relays, "relay3")}
        self.inbox = Inbox(hosts["destination"])
        self.destination = Postfix(hosts["destination"], DESTINATION)
        self.stranger = hosts["stranger"]
        self.balancer = Balancer(hosts["balancer"], program)
        self.front_balancer = Balancer(hosts["front"], program)
        self.front = Front(hosts["front"])
        # In the order in which mail goes through them: once those before it are empty, nothing more
        # comes to one.
        self.mailers = [self.sender, *self.relays.values(), self.destination]

    def start(self):
        """Starts what is not running: everything at first, later what a test left broken."""
        starting = []
        for mailer in self.mailers:
            mailer.thaw()
            if not mailer.is_running():
                starting.append(mailer.begin_start())
        for name in self.relays:
            if not self.nginx[name].is_running():
                self.nginx[name].start()
        for process in starting:
            assert process.wait(topology.PATIENCE) == 0, " ".join(process.args)

    def begin(self):
        """Nothing of an earlier test is left in queues and logs, nor in memory: a Postfix that
        could not deliver remembers that for minutes."""
        self.start()
        failed = [mailer for mailer in self.mailers if mailer.queue()]
        for mailer in failed:
            mailer.discard()
        self.restart(failed)
        for mailer in self.mailers:
            mailer.mark()
        for log in (self.front_balancer.log, self.front.output):
            log.unlink(missing_ok=True)

    @staticmethod
    def restart(mailers, **settings):
        """All at the same time, with these changes of main.cf."""
        for process in [mailer.begin_restart(**settings) for mailer in mailers]:
            assert process.wait(topology.PATIENCE) == 0

    def restart_relays(self, **settings):
        self.restart(self.relays.values(), **settings)

    def relay_lines(self):
        return [line for relay in self.relays.values() for line in relay.lines()]

    def wait_for_connects(self, count):
        """Until the relays' maillogs, which come a moment later, tell of so many connections;
        returns their clients."""
        def connects():
            found = [one for relay in self.relays.values() for one in relay.connects()]
            return len(found) >= count and found
        return wait_until(connects, f"{count} connects in the relays' logs")

    def logs(self):
        """(name, lines) of everything that explains a failure."""
        yield "smtplb.conf", self.balancer.config.read_text(encoding="utf-8").splitlines()
        yield "smtplb.log", self.balancer.lines()
        yield "front-smtplb.log", self.front_balancer.lines()
        yield "front.log", self.front.lines()
        for mailer in self.mailers:
            yield f"{mailer.host.name}.mail.log", mailer.lines()
            queue = [str(path) for path in mailer.queue()]
            if queue:
                yield f"{mailer.host.name}.queue", queue


@pytest.fixture(scope="session")
def built():
    program = topology.CHECKOUT / os.environ["SMTPLB_BUILD"] / "smtplb"
    lab = Lab(topology.build(os.environ["SMTPLB_PEERS"]), program)
    lab.start()
    return lab


@pytest.fixture
def lab(built):
    built.begin()
    yield built
    built.front.stop()
    status = (built.front_balancer.stop(), built.balancer.stop())
    assert status == (0, 0), f"smtplb ended with {status}"


@pytest.fixture
def load(lab, request):
    """Starts a load; its messages carry the test's name."""
    started = []

    def start(domain="mail.example", sender=lab.sender):
        tag = f"{request.node.name.split('[')[0]}-{len(started)}-{os.urandom(3).hex()}"
        started.append(Load(lab, tag, domain, sender))
        return started[-1]
    yield start
    for one in started:
        if one.process.poll() is None:
            one.stop()


@pytest.fixture
def sender_with(lab):
    """Restarts the sender with other settings, until the test is over."""
    usual = {}

    def restart(**settings):
        usual.update(lab.sender.settings(*settings))
        lab.restart([lab.sender], **settings)
    yield restart
    if usual:
        lab.restart([lab.sender], **usual)


@pytest.fixture
def impatient(sender_with):
    """The sender tries again after 2 seconds, not 5 minutes."""
    sender_with(minimal_backoff_time="2s", maximal_backoff_time="2s", queue_run_delay="1s")


@pytest.fixture
def firewall(lab):  # pylint: disable=unused-argument
    rules = Firewall()
    yield rules
    rules.lift()


@pytest.hookimpl(hookwrapper=True)
def pytest_runtest_makereport(item):
    report = (yield).get_result()
    lab = item.funcargs.get("lab")
    if not report.failed or lab is None or hasattr(item, "logs_kept"):
        return
    item.logs_kept = True  # of the test itself, not again of a fixture that fails after it
    folder = FAILED / item.name.replace("/", "-")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    for name, lines in lab.logs():
        Path(folder, name).write_text("\n".join(lines) + "\n", encoding="utf-8")
        text = "\n".join(lines[-TAIL:])
        report.sections.append((f"{name} (whole: build/lab-failed/{folder.name})", text))
