"""Reloads and upgrades in a row, under a load that a busy site would have: nothing fails, nothing is
lost, nothing is left behind."""

import json
import pathlib
import subprocess
import sys
from contextlib import ExitStack

import pytest
from balancer import BUILD, Setup
from generations import Generations
from peers import eventually

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
from bench.sink import Sink, read_record  # noqa: E402

UPGRADES, RELOADS = 10, 10  # so many reloads between two upgrades
HELD = 1000  # sessions, all the time
RATE = 1000  # sessions a second, beside them
SIZE = 1000  # bytes a message


class Load:
    """bench/load, until it is told to end."""

    def __init__(self, setup, *options):
        host, port = setup.address
        self.process = subprocess.Popen(
            [BUILD / "load", "--to", f"{host}:{port}", "--size", str(SIZE), *map(str, options)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def await_held(self):
        assert self.process.stdout.readline() == "ready\n"

    def end(self):
        """What it says of itself."""
        self.process.stdin.close()
        result = json.loads(self.process.stdout.read())
        assert self.process.wait() == 0
        return result

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def descriptors(pid):
    return sorted(path.name for path in pathlib.Path(f"/proc/{pid}/fd").iterdir())


def resident_kb(pid):
    text = pathlib.Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    return int(text.partition("VmRSS:")[2].split()[0])


@pytest.mark.own_memory
def test_nothing_fails_nothing_is_lost(start, tmp_path):
    with ExitStack() as stack:
        records = [tmp_path / "one", tmp_path / "two"]
        relays = [stack.enter_context(Sink(proxy="any", record=record)) for record in records]
        for relay in relays:
            relay.host, relay.port = relay.smtp
        setup = Setup(relays)
        mine = Generations(start(setup))
        stack.callback(mine.stop)
        at_rest = len(descriptors(mine.pid))

        def hold():
            load = stack.enter_context(
                Load(setup, "--sessions", HELD, "--parallel", HELD, "--stay"))
            load.await_held()
            return load

        results, resident = [], []
        steady = stack.enter_context(Load(setup, "--sessions", 0, "--rate", RATE))
        held = hold()
        for _ in range(UPGRADES):
            for _ in range(RELOADS):
                assert mine.reload() == "reloaded"
            before, beneath = mine.pid, held
            mine.upgrade()
            held = hold()
            results.append(beneath.end())
            mine.await_end(before)
            resident.append(resident_kb(mine.pid))
        results += [held.end(), steady.end()]
        assert not [one for one in results if one["failed"]], results
        kept = [size for record in records for _, _, size in read_record(record)]
        assert len(kept) == sum(one["messages"] for one in results)
        assert len(set(kept)) == 1  # to the byte
        eventually(lambda: len(descriptors(mine.pid)) == at_rest)
        assert resident[-1] < 1.2 * resident[0], resident
