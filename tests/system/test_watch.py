"""Files that lists are in: watched, and read again once they have been quiet for a second."""

import contextlib
import os
import signal
import subprocess
import time
from pathlib import Path

import pytest
from balancer import Setup, open_if_read
from peers import DEADLINE, eventually, smtp
from test_clock import HOUR

QUIET_S = 1
TICKS = 60  # probes in three seconds: more than two looks and a quiet second
STRANGER = "127.0.0.7"


@pytest.fixture(name="world")
def fixture_world(start, relay, probed, tmp_path):
    """world(): a balancer whose acl is a list, `table`; its probes tell how time passes."""

    class World:
        def __init__(self, text, prefix=(), folder=tmp_path):
            self.table = folder / "network_table"
            self.table.write_text(text)
            self.site = probed()
            self.relay = relay(smtp(b"one"))
            self.setup = Setup(
                [self.relay],
                allow=f"file:{self.table}",
                health=f"type = http port = {self.site.port} "
                "interval = 50ms timeout = 50ms fall = 1000",
            )
            self.balancer = start(self.setup, prefix=prefix)

        def allows(self, source):
            line = self.setup.greeting(source=source)
            assert line.startswith((b"220 one", b"421 4.7.1 ")), line
            return line.startswith(b"220")

        def reloaded(self, path=None, count=1):
            return self.balancer.wait(
                "config", count, action="reloaded", detail=path or self.table
            )

        def refused(self, count=1):
            return self.balancer.wait("config", count, action="refused")

        def outcomes(self):
            return [
                (event["action"], event["detail"])
                for event in self.balancer.find("config")
                if event["action"] in ("reloaded", "refused")
            ]

    return World


def replace(path, text):
    fresh = path.with_suffix(".new")
    fresh.write_text(text)
    os.replace(fresh, path)


def swap_link(link, target):
    fresh = link.with_suffix(".new")
    fresh.symlink_to(target)
    os.replace(fresh, link)


def in_place(table):
    table.write_text("127.0.0.1\n127.0.0.9\n127.0.0.10\n")


def of_same_size(table):
    before = table.stat().st_size
    table.write_text(table.read_text().replace(STRANGER, "127.0.0.9"))
    assert table.stat().st_size == before


def with_its_times_kept(table):
    """As rsync -t and cp -p do; only the inode's change time tells."""
    before = table.stat()
    of_same_size(table)
    os.utime(table, ns=(before.st_atime_ns, before.st_mtime_ns))


def by_rename(table):
    replace(table, "127.0.0.1\n127.0.0.9\n")


def by_link(table):
    other = table.with_name("other")
    other.write_text("127.0.0.1\n127.0.0.9\n")
    swap_link(table, other)


CHANGES = [in_place, of_same_size, with_its_times_kept, by_rename, by_link]


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
def test_changed_list_is_read_again(world, change):
    """Whatever way it changes. It holds for who comes from then on; no session ends."""
    one = world(f"127.0.0.1\n{STRANGER}\n")
    assert one.allows(STRANGER) and not one.allows("127.0.0.9")
    with one.setup.connect(STRANGER) as client:
        assert client.line() == b"220 one ESMTP"
        change(one.table)
        event = one.reloaded()
        assert event["level"] == "info"
        assert not one.allows(STRANGER) and one.allows("127.0.0.9")
        assert client.quit() == b"221 bye"
    one.site.await_probes(TICKS)
    assert one.outcomes() == [("reloaded", str(one.table))]


def test_what_a_list_includes_is_watched_too(world, tmp_path):
    """A file that another file includes, and what a link points to."""
    deep, target = tmp_path / "deep", tmp_path / "target"
    deep.write_text("127.0.0.5\n")
    target.write_text("127.0.0.6\n")
    link = tmp_path / "link"
    link.symlink_to(target)
    middle = tmp_path / "middle"
    middle.write_text(f"{deep}\n{link}\n")
    one = world(f"127.0.0.1\n{middle}\n")
    deep.write_text("127.0.0.55\n")
    one.reloaded(deep)
    assert one.allows("127.0.0.55") and not one.allows("127.0.0.5")
    target.write_text("127.0.0.66\n")
    one.reloaded(link)
    assert one.allows("127.0.0.66") and not one.allows("127.0.0.6")
    # No longer included: it is nobody's any more, and what took its place is watched.
    new = tmp_path / "new"
    new.write_text("127.0.0.8\n")
    middle.write_text(f"{new}\n")
    one.reloaded(middle)
    deep.write_text("127.0.0.x\n")
    new.write_text("127.0.0.88\n")
    one.reloaded(new)
    assert one.allows("127.0.0.88") and not one.allows("127.0.0.55")
    assert not one.balancer.find("config", action="refused")


def test_deleted_and_back(world):
    one = world("127.0.0.1\n127.0.0.5\n")
    one.table.unlink()
    event = one.refused()
    assert event["level"] == "error"
    assert f"can't read the list {one.table}: No such file" in event["detail"]
    assert one.allows("127.0.0.5") and not one.allows(STRANGER)
    one.table.write_text(f"127.0.0.1\n{STRANGER}\n")
    one.reloaded()
    assert one.allows(STRANGER) and not one.allows("127.0.0.5")
    # And the very same file back.
    aside = one.table.with_name("aside")
    os.rename(one.table, aside)
    one.refused(2)
    os.rename(aside, one.table)
    one.reloaded(count=2)
    assert one.allows(STRANGER)


def test_bad_version_leaves_the_old_one_in_force(world):
    """It is refused once, however long it stays."""
    one = world("127.0.0.1\n127.0.0.5\n")
    one.table.write_text("127.0.0.1\n127.0.0.300\n")
    assert one.refused()["detail"].startswith(f"{one.table}:2: ")
    one.site.await_probes(TICKS)
    assert one.allows("127.0.0.5") and not one.allows(STRANGER)
    one.table.write_text("127.0.0.1\n127.0.0.400\n")
    one.refused(2)
    one.table.write_text(f"127.0.0.1\n{STRANGER}\n")
    one.reloaded()
    assert one.allows(STRANGER) and not one.allows("127.0.0.5")
    assert [action for action, _ in one.outcomes()] == ["refused", "refused", "reloaded"]


@pytest.mark.parametrize("first", [None, "127.0.0.300\n"], ids=["missing", "bad"])
def test_fault_in_a_file_that_is_included_anew(world, tmp_path, first):
    """It is not part of what is in force, and yet its correction is noticed."""
    one = world("127.0.0.1\n")
    new = tmp_path / "new"
    if first:
        new.write_text(first)
    one.table.write_text(f"127.0.0.1\n{new}\n")
    one.refused()
    new.write_text(f"{STRANGER}\n")
    one.reloaded(new)
    assert one.allows(STRANGER)
    assert [action for action, _ in one.outcomes()] == ["refused", "reloaded"]


@pytest.mark.parametrize("jump", [0, HOUR, -HOUR])
def test_never_half_a_list(world, clock, tmp_path, jump):
    """Somebody writes at it for a while: each state is a good list, and none of them but the last
    is ever read. Jumps of the clock do not make the second shorter, or longer."""
    one = world("127.0.0.1\n", prefix=clock.prefix)
    give_up = time.monotonic() + 2 * DEADLINE
    rounds = 0
    while True:
        assert time.monotonic() < give_up, "this machine is too busy to write without a pause"
        before = len(one.outcomes())
        longest, last = 0, time.monotonic()
        with one.table.open("w") as file:
            for i in range(TICKS):
                file.write("127.0.0.1\n" if i < TICKS - 1 else f"{STRANGER}\n")
                file.flush()
                one.site.await_probes(1)
                if i == TICKS // 2:
                    clock.jump(jump * (rounds % 2 + 1))
                now = time.monotonic()
                longest, last = max(longest, now - last), now
        rounds += 1
        if longest < QUIET_S:
            assert len(one.outcomes()) == before
            break
    eventually(lambda: one.allows(STRANGER))


def test_list_and_configuration_change_at_once(world):
    """HUP reads both; the list has not changed since, and is not read again."""
    one = world("127.0.0.1\n")
    one.table.write_text(f"127.0.0.1\n{STRANGER}\n")
    one.setup.deny = "127.0.0.1"
    assert one.balancer.reload(one.setup.text())["action"] == "reloaded"
    assert one.allows(STRANGER) and not one.allows("127.0.0.1")
    one.site.await_probes(TICKS)
    assert one.outcomes() == [("reloaded", str(one.balancer.conf))]


def test_change_while_a_configuration_is_loaded(world):
    """The load waits for its first byte; what changed meanwhile comes with it, or after it."""
    one = world("127.0.0.1\n")
    with one.balancer.loading(one.setup.text()):
        one.table.write_text(f"127.0.0.1\n{STRANGER}\n")
        one.site.await_probes(TICKS)
        assert one.outcomes() == []
        assert not one.allows(STRANGER)
    one.balancer.wait("config", action="reloaded", detail=one.balancer.conf)
    assert one.allows(STRANGER)


def test_change_while_a_load_is_to_be_refused(world):
    """The list's change was put off for a load that brought nothing: it is not forgotten."""
    one = world("127.0.0.1\n")
    good = one.setup.text()
    with one.balancer.loading("nonsense\n"):
        one.table.write_text(f"127.0.0.1\n{STRANGER}\n")
        one.site.await_probes(TICKS)
    one.refused()
    one.reloaded()
    assert one.allows(STRANGER)
    assert one.balancer.reload(good)["action"] == "reloaded"


def test_half_edited_configuration_is_not_applied(world):
    """A list changes while somebody edits smtplb.conf: it is read under the old configuration."""
    one = world("127.0.0.1\n")
    one.balancer.write(one.setup.text().replace("file:", "127.0.0.6, file:") + "listener {\n")
    one.table.write_text(f"127.0.0.1\n{STRANGER}\n")
    one.reloaded()
    assert one.allows(STRANGER) and not one.allows("127.0.0.6")
    assert one.outcomes() == [("reloaded", str(one.table))]


def test_new_configuration_has_its_own_files(world, tmp_path):
    other = tmp_path / "other"
    other.write_text("127.0.0.1\n")
    one = world("127.0.0.1\n")
    one.setup.allow = f"file:{other}"
    assert one.balancer.reload(one.setup.text())["action"] == "reloaded"
    one.table.unlink()
    other.write_text(f"127.0.0.1\n{STRANGER}\n")
    one.reloaded(other)
    assert one.allows(STRANGER)
    assert not one.balancer.find("config", action="refused")


def test_values_kept_until_a_restart_are_told_once(world):
    """... and not again for each change of a list."""
    one = world("127.0.0.1\n")
    one.balancer.reload(one.setup.text().replace("workers = 2", "workers = 3"))
    one.balancer.wait("config", action="warning")
    one.table.write_text(f"127.0.0.1\n{STRANGER}\n")
    one.reloaded()
    assert one.allows(STRANGER)
    assert len(one.balancer.find("config", action="warning")) == 1


def test_a_long_list_holds_up_nothing(world):
    """Probes and sessions go on while it is read."""
    one = world("127.0.0.1\n")
    rows = [f"192.{i >> 16}.{i >> 8 & 255}.{i & 255}" for i in range(1 << 18)]
    one.table.write_text("\n".join(rows) + f"\n127.0.0.1\n{STRANGER}\n")
    while not one.balancer.find("config", action="reloaded"):
        one.site.await_probes(1)
        assert one.allows("127.0.0.1")
        assert not one.balancer.find("config", action="refused")
    assert one.allows(STRANGER)


class Disk:
    """Where a list is, and which answers no longer while the block of `dead` runs."""

    def __init__(self, folder):
        source = Path(__file__).with_name("stat_shim.c")
        library = folder / "stat_shim.so"
        flags = ["-shared", "-fPIC", "-O1", "-Wall", "-Werror"]
        subprocess.run(["gcc", *flags, "-o", library, source], check=True)
        self.fifo = folder / "fifo"
        file = folder / "network_table"
        self.prefix = [
            "env",
            f"LD_PRELOAD={library}",
            f"STAT_SHIM_FILE={file}",
            f"STAT_SHIM_FIFO={self.fifo}",
        ]

    @contextlib.contextmanager
    def dead(self):
        os.mkfifo(self.fifo)
        pipe = eventually(lambda: open_if_read(self.fifo))
        try:
            yield
        finally:
            self.fifo.unlink()
            os.close(pipe)


def test_disk_that_does_not_answer(world, tmp_path):
    """No watching then; but HUP works, a configuration without it too, and watching resumes."""
    disk = Disk(tmp_path)
    one = world("127.0.0.1\n", prefix=disk.prefix)
    with disk.dead():
        one.table.write_text(f"127.0.0.1\n{STRANGER}\n")
        assert one.balancer.reload()["action"] == "reloaded"
        assert one.allows(STRANGER)
        without = one.setup.text().replace(f"file:{one.table}", "127.0.0.6")
        assert one.balancer.reload(without)["action"] == "reloaded"
        assert one.allows("127.0.0.6") and not one.allows(STRANGER)
        assert one.balancer.reload(one.setup.text())["action"] == "reloaded"
        one.table.write_text("127.0.0.1\n127.0.0.9\n")
    one.reloaded()
    assert one.allows("127.0.0.9") and not one.allows(STRANGER)


def test_stop_while_a_disk_does_not_answer(world, tmp_path):
    disk = Disk(tmp_path)
    one = world("127.0.0.1\n", prefix=disk.prefix)
    with disk.dead():
        one.balancer.signal(signal.SIGTERM)
        assert one.balancer.exit_code() == 0


def test_changes_leak_no_descriptor(world):
    one = world("127.0.0.1\n")

    def count_after_change(i):
        one.table.write_text("127.0.0.1\n" + f"{STRANGER}\n" * (i % 2))
        one.reloaded(count=i + 1)
        return len(list(Path(f"/proc/{one.balancer.pid}/fd").iterdir()))

    # The log's line may come before the last descriptor of its load is closed.
    counts = [count_after_change(i) for i in range(6)]
    assert min(counts[3:]) <= min(counts[:3]), counts
