"""What the benchmark makes of its rounds, and the load generator (bench/load_main.c) against the
sink: a session that fails must not be taken for a cheap one."""

import pathlib
import subprocess
import sys

import pytest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[2]))
# pylint: disable=wrong-import-position
from peers import eventually  # noqa: E402
from tls import SecureSetup, StarttlsSetup  # noqa: E402
from bench import child, cost, machine, plot, result, rounds, syscalls, workloads  # noqa: E402
from bench.contenders import Contender  # noqa: E402
from bench.sink import Sink  # noqa: E402
from bench.workloads import Metric, Workload  # noqa: E402

COST = Metric("own_us", "the CPU", "us")
SPEED = Metric("mb_per_s", "throughput", "MB/s", higher=True)
NAMES = ["smtplb libev", "HAProxy", "pen", "direct"]


def test_orders_rotate_and_a_refused_round_counts_for_nobody():
    seen = []

    def measure(name):
        seen.append(name)
        if len(seen) == 5:
            raise cost.Refused("no")
        return len(seen)

    counted, refused = rounds.run(["a", "b", "c"], measure, 2, tell=lambda _: None)
    assert seen == ["a", "b", "c", "b", "c", "c", "a", "b"]
    assert [list(one) for one in counted] == [["a", "b", "c"]] * 2
    assert refused == ["c: no"]


def test_too_many_refused_rounds_end_it():
    def measure(name):
        raise cost.Refused(name)

    counted, refused = rounds.run(["a"], measure, 2, tell=lambda _: None)
    assert not counted and len(refused) == rounds.REFUSED_MAX + 1


def two_rounds():
    return [
        {"smtplb libev": {"own_us": 60, "all_us": 150, "mb_per_s": 300},
         "HAProxy": {"own_us": 100, "all_us": 180, "mb_per_s": 200},
         "pen": {"own_us": 80, "all_us": 170, "mb_per_s": 100},
         "direct": {"all_us": 50, "mb_per_s": 900}},
        {"smtplb libev": {"own_us": 90, "all_us": 250, "mb_per_s": 300},
         "HAProxy": {"own_us": 90, "all_us": 280, "mb_per_s": 600},
         "pen": {"own_us": 100, "all_us": 270, "mb_per_s": 100},
         "direct": {"all_us": 70, "mb_per_s": 900}},
    ]


def test_ratios_are_taken_within_a_round():
    summary = result.summarise((COST, SPEED), NAMES, two_rounds())
    of_ours = summary["ratios"]["smtplb libev"]
    assert of_ours["own_us"]["HAProxy"] == {
        "median": 0.8, "min": 0.6, "max": 1.0, "of_best": 60 / 90}
    assert of_ours["own_us"]["pen"]["median"] == pytest.approx((0.75 + 0.9) / 2)
    assert of_ours["mb_per_s"]["HAProxy"]["of_best"] == 0.5  # the most that either had
    assert "direct" not in of_ours["own_us"] and "direct" in of_ours["mb_per_s"]
    assert summary["best"] == {"own_us": "pen", "mb_per_s": "HAProxy"}


def test_all_cpu_is_told_above_what_direct_took_in_the_same_round():
    figures = result.summarise((COST,), NAMES, two_rounds())["figures"]
    assert figures["smtplb libev"]["above_us"] == {"median": 140, "min": 100, "max": 180}
    assert "above_us" not in figures["direct"]


def test_nothing_is_divided_by_nothing():
    idle = [{"smtplb libev": {"own_us": 1}, "HAProxy": {"own_us": 0}}]
    summary = result.summarise((COST,), NAMES[:2], idle)
    assert summary["ratios"]["smtplb libev"]["own_us"] == {}
    assert summary["best"] == {"own_us": "HAProxy"}


def test_the_tables_have_as_many_cells_in_each_row():
    workload = Workload("w", "some work", (COST, SPEED), tuple(NAMES), None, ())
    summary = result.summarise(workload.metrics, NAMES, two_rounds())
    for text in (result.details(workload, summary), result.overview((workload,), {"w": summary})):
        for table in text.strip().split("\n\n"):
            assert len({line.count("|") for line in table.splitlines()}) == 1, table
    assert "| some work: the CPU, us | 75 | pen 90 | 0.82 (0.75 to 0.90) |  |" in result.overview(
        (workload,), {"w": summary})


def test_a_plot_has_a_line_for_each_ratio():
    script = plot.ratios_script("out.svg", [
        ("one", {"median": 1, "min": 0.5, "max": 2}), ("two", {"median": 3, "min": 3, "max": 3})])
    assert '"one" 0, "two" -1' in script and "\n1 0 0.5 2\n3 -1 3 3\n" in script


def test_every_engine_is_in_every_workload():
    for workload in workloads.WORKLOADS:
        for name in workloads.OURS:
            assert any(one.startswith(name) for one in workload.names), workload.name


STRACE = """\
% time     seconds  usecs/call     calls    errors syscall
------ ----------- ----------- --------- --------- ----------------
 60.00    0.600000           2       300        12 recvfrom
 40.00    0.400000           4       100           sendto
------ ----------- ----------- --------- --------- ----------------
100.00    1.000000           2       400        12 total
"""


def test_counts_of_strace():
    assert syscalls.parse(STRACE) == {"recvfrom": 300, "sendto": 100}


def test_own_memory():
    assert machine.sum_private("Rss: 90 kB\nPrivate_Clean: 1 kB\nPrivate_Dirty: 2 kB\n") == 3072


@pytest.mark.parametrize("cpus, wanted, balancer, load, is_crowded", [
    ([0, 1], 1, "0", "1", True),
    ([2, 3, 5, 7], 2, "2,3", "5,7", True),
    ([2, 3, 5, 7], 1, "2", "3,5,7", False),
    ([0, 1], 2, None, None, False),
    ([4], 1, None, None, False),
])
def test_placement(cpus, wanted, balancer, load, is_crowded):
    placement = machine.Placement.on(cpus, wanted)
    for prefix, wish in ((placement.balancer, balancer), (placement.load, load)):
        assert prefix == (("taskset", "-c", wish) if wish else ())
    assert placement.is_load_crowded == is_crowded


def test_the_busiest_thread_tells():
    assert cost.busiest({"1": 100}, {"1": 100 + 9 * 10**8, "2": 10**8}, 1.0) == 0.9


@pytest.fixture(name="sink")
def fixture_sink():
    with Sink() as sink:
        yield sink


def target(sink):
    return Contender("direct", "off", "", [sink], sink.smtp)


@pytest.mark.parametrize("options, messages, size", [
    ({"sessions": 40, "parallel": 7}, 40, 1024),
    ({"sessions": 3, "parallel": 2, "messages": 5}, 15, 1024),
    ({"sessions": 9, "messages": 0}, 0, 0),
    ({"sessions": 2, "messages": 2, "size": 3_000_000}, 4, 3_000_000),
    ({"sessions": 3, "rate": 100}, 3, 1024),
    ({"sessions": 2, "size": 1}, 2, len("Subject: load\r\n\r\n\r\n")),
])
def test_load_sends_what_it_is_told(sink, options, messages, size):
    done = cost.run_load(target(sink), **options)
    assert (done["sessions"], done["messages"]) == (options["sessions"], messages)
    assert done["bytes"] == messages * size
    assert sink.kept() == messages
    assert 0 < done["greeting_p50_us"] <= done["greeting_p99_us"]


def test_what_it_sends_is_kept_in_full(tmp_path):
    with Sink(record=tmp_path / "record") as sink:
        cost.run_load(target(sink), size=100_000)
    assert (tmp_path / "record").read_text().split()[2] == "100000"


def test_sessions_stay_until_stdin_ends(sink):
    with cost.Load(target(sink), sessions=30, parallel=4, stay=True) as load:
        load.wait_until_all_stay()
        assert sink.kept() == 30
        assert load.result()["messages"] == 30


def test_a_session_that_is_closed_while_it_stays_has_failed(sink):
    with cost.Load(target(sink), sessions=3, stay=True) as load:
        load.wait_until_all_stay()
        sink.kill()
        with pytest.raises(cost.Refused, match="of 3 sessions failed, the first one awaiting"):
            load.result()


@pytest.mark.parametrize("messages", [0, 3])
@pytest.mark.parametrize("make, mode", [(SecureSetup, "implicit"), (StarttlsSetup, "starttls")])
def test_load_speaks_tls(start, sink, certificate, make, mode, messages):
    """And resumes it only where it is told to."""
    setup = make([type("Relay", (), {"host": "127.0.0.1", "port": sink.smtp[1]})], certificate,
                 proxy="off")
    balancer = start(setup)
    for options in ({}, {"resume": True}):
        result = cost.run_load(Contender("it", "off", "", [], setup.address), sessions=5, parallel=1,
                               messages=messages, tls=mode, **options)
        assert (result["sessions"], result["messages"]) == (5, 5 * messages)
    balancer.wait("session", count=10, result="ok")
    assert len(balancer.find("session", resumed="yes")) == 4
    assert not balancer.find("session", tls="-")


def test_load_goes_on_until_stdin_ends(sink):
    with cost.Load(target(sink), sessions=0, parallel=2) as load:
        eventually(lambda: sink.kept() >= 50)
        assert load.result()["messages"] >= 50


@pytest.mark.parametrize("greeting, why", [
    (b"554 no\r\n", "awaiting the greeting: got 554 no"),
    (b"220-well\r\n421 no\r\n", "awaiting the greeting: got 220-well"),
    (b"", "awaiting the greeting: closed"),
    (b"2" * 2000, "awaiting the greeting: an endless reply"),
], ids=["554", "421", "closed", "endless"])
def test_what_fails_is_told(relay, greeting, why):
    def serve(conn):
        conn.send(greeting)

    where = relay(serve)
    with pytest.raises(cost.Refused, match=why):
        cost.run_load(Contender("relay", "off", "", [], (where.host, where.port)))


def test_nobody_listens():
    port = child.free_port("127.0.0.1")
    with pytest.raises(cost.Refused, match="refused"):
        cost.run_load(Contender("nobody", "off", "", [], ("127.0.0.1", port)))


@pytest.mark.parametrize("argv", [[], ["--to", "nowhere"], ["--to", "127.0.0.1:1", "--rate", "x"],
                                  ["--to", "127.0.0.1:1", "--parallel", "0"],
                                  ["--to", "127.0.0.1:1", "more"], ["--what"]])
def test_usage(argv):
    done = subprocess.run([child.build_folder() / "load", *argv], capture_output=True, text=True,
                          check=False)
    assert done.returncode == 2 and "usage: load" in done.stderr


def test_a_measurement_counts_only_with_every_message_kept(sink):
    done = cost.measure(target(sink), lambda one: cost.run_load(one, sessions=5))
    assert done["own_ns"] == 0 and done["all_ns"] == done["relays_ns"] + done["cpu_ns"] > 0
    with pytest.raises(cost.Refused, match="5 messages were kept of 6"):
        cost.measure(target(sink), lambda one: {
            **cost.run_load(one, sessions=5), "messages": 6})
