"""What is measured: each workload has its load, its field of contenders, and the figures that come
of one measurement."""

import contextlib
import dataclasses
import pathlib
import time

from bench import cost, machine, reload, syscalls
from bench.contenders import ENGINES
from bench.machine import memory

OURS_IMPLICIT = tuple(f"smtplb {engine} implicit" for engine in ENGINES)
IN_TLS = ("HAProxy implicit", "HAProxy AES-128")
OURS_STARTTLS = tuple(f"smtplb {engine} starttls" for engine in ENGINES)
OURS = tuple(f"smtplb {engine}" for engine in ENGINES)
PEERS = ("HAProxy", "nginx", "pen")
TUNED = ("HAProxy", "HAProxy 64 KB", "HAProxy splice", "nginx 64 KB", "pen")
LIMITS = ("nftables NAT", "direct")
LARGE = 10_000_000


@dataclasses.dataclass(frozen=True)
class Metric:
    key: str
    title: str
    unit: str
    digits: int = 0
    higher: bool = False  # is better
    is_ratio: bool = True  # worth one


OWN = Metric("own_us", "the balancer's CPU", "us a session")
ABOVE = Metric("above_us", "all CPU, above direct", "us a session")
A_MESSAGE = Metric("own_us", "the balancer's CPU", "us a message")
A_CONNECTION = Metric("own_us", "the balancer's CPU", "us a connection")


@dataclasses.dataclass(frozen=True)
class Workload:
    """measure(field, contender, size) returns figures by key; `size` is the workload's own idea of
    how much, for a full and for a quick run."""

    name: str
    title: str
    metrics: tuple
    names: tuple  # of contenders
    measure: object
    sizes: tuple
    relays: str = "sink"
    is_saturating: bool = False  # the balancer must be what is slowest
    is_fresh: bool = False  # each measurement starts its contender anew
    is_pinned: bool = True
    rounds_max: int = 1000


def figures(contender, result, count):
    """Of count sessions or messages: CPU time, and how busy the balancer was."""
    seen = {"all_us": result["all_ns"] / count / 1000, "per_s": count / result["seconds"]}
    if contender.process:
        seen |= {"own_us": result["own_ns"] / count / 1000, "busy": result["busy"]}
    return seen


def message(field, contender, size):
    result = field.load(contender, sessions=size, parallel=100)
    return figures(contender, result, size)


def many(field, contender, size):
    result = field.load(contender, sessions=100, parallel=100, messages=size)
    return figures(contender, result, size * 100)


def connect(field, contender, size):
    result = field.load(contender, sessions=size, parallel=100, messages=0)
    return figures(contender, result, size)


def bulk(field, contender, size, **options):
    result = field.load(contender, sessions=8, parallel=8, messages=size, size=LARGE, **options)
    gigabytes = result["bytes"] / 1e9
    seen = {"all_s": result["all_ns"] / 1e9 / gigabytes, "mb_per_s": gigabytes * 1e3 /
            result["seconds"]}
    if contender.process:
        seen |= {"own_s": result["own_ns"] / 1e9 / gigabytes, "busy": result["busy"]}
    return seen


def stream(field, contender, size):
    result = field.load(contender, messages=size, size=LARGE)
    return {"mb_per_s": result["bytes"] / 1e6 / result["seconds"]}


def greeting(field, contender, size):
    result = field.load(contender, sessions=size, messages=0)
    return {"p50_us": result["greeting_p50_us"], "p99_us": result["greeting_p99_us"]}


def source(field, contender, size):
    result = cost.measure(contender, lambda one: cost.run_source(
        one, field.placement.load, size, 100))
    return figures(contender, result, size)


def handshake(field, contender, size):
    return figures(contender, field.load(
        contender, sessions=size, parallel=20, messages=0, tls="implicit"), size)


def resumption(field, contender, size):
    return figures(contender, field.load(
        contender, sessions=size, parallel=20, messages=0, tls="implicit", resume=True), size)


def message_in_tls(field, contender, size):
    return figures(contender, field.load(
        contender, sessions=size, parallel=20, tls="implicit", resume=True), size)


def message_by_starttls(field, contender, size):
    return figures(contender, field.load(
        contender, sessions=size, parallel=20, tls="starttls", resume=True), size)


def bulk_in_tls(field, contender, size):
    return bulk(field, contender, size, tls="implicit")


def idle_in_tls(field, contender, size):
    return idle(field, contender, size, tls="implicit")


def idle(field, contender, size, **options):
    """Each session has sent a message, and waits. Memory is told against what it was after some
    sessions that have ended. pen takes at its start what it will ever need: not compared."""
    sessions, seconds = size
    field.load(contender, sessions=500, parallel=100, **options)
    before = memory(contender.process.pid)
    with contextlib.ExitStack() as stack:
        load = stack.enter_context(cost.Load(
            contender, field.placement.load, sessions=sessions, parallel=50, stay=True, **options))
        load.wait_until_all_stay()
        time.sleep(cost.SETTLE_S)
        held = memory(contender.process.pid) - before
        began, ran = time.monotonic(), machine.cpu_ns(contender.process.pid)
        time.sleep(seconds)
        ran = machine.cpu_ns(contender.process.pid) - ran
        passed = time.monotonic() - began
        load.result()
    return {"bytes": held / sessions, "idle_ms": ran / 1e6 / passed}


def calls(field, contender, size):
    counts = syscalls.count(contender, lambda: cost.run_load(
        contender, field.placement.load, sessions=size, parallel=100))
    return {"calls": sum(counts.values()) / size,
            **{f"calls_{name}": number / size for name, number in counts.items()}}


WORKLOADS = (
    Workload("message", "one 1 KB message a session, 100 parallel", (OWN, ABOVE),
             OURS + PEERS + LIMITS, message, (5000, 1500), is_saturating=True),
    Workload("many", "100 connections, many messages each", (A_MESSAGE,),
             OURS + PEERS + LIMITS, many, (100, 30), is_saturating=True),
    Workload("connect", "connect, banner, QUIT, 100 parallel", (A_CONNECTION,),
             OURS + PEERS + LIMITS, connect, (8000, 2500), is_saturating=True),
    Workload("bulk", "10 MB messages, 8 parallel",
             (Metric("own_s", "the balancer's CPU", "s a GB", 2),),
             OURS + TUNED + LIMITS, bulk, (10, 3), relays="discard"),
    Workload("stream", "10 MB messages, one stream",
             (Metric("mb_per_s", "throughput", "MB/s", higher=True),),
             OURS + TUNED + LIMITS, stream, (60, 20), relays="discard"),
    Workload("greeting", "time to the 220, one session at a time",
             (Metric("p50_us", "median", "us"), Metric("p99_us", "99th percentile", "us")),
             OURS + PEERS + LIMITS, greeting, (4000, 1500)),
    Workload("idle", "9,000 idle sessions",
             (Metric("bytes", "the process's memory", "bytes a session"),
              Metric("idle_ms", "the balancer's CPU", "ms a second", 2)),
             OURS + ("HAProxy", "nginx"), idle, ((9000, 5), (9000, 1)), is_fresh=True),
    Workload("calls", "one 1 KB message a session, 100 parallel",
             (Metric("calls", "system calls", "a session", 1),),
             OURS + PEERS, calls, (2000, 1000), rounds_max=1),
    Workload("reload", "reload with 1,000,000 prefixes, 500 sessions a second",
             (Metric("before_us", "greeting's 99th percentile before", "us", is_ratio=False),
              Metric("during_us", "and during", "us", is_ratio=False),
              Metric("during_to_before", "their ratio", "", 2, is_ratio=False)),
             tuple(f"{name} prefixes" for name in OURS), reload.measure, (8, 3), is_pinned=False),
    Workload("handshake", "TLS from the first byte, banner, QUIT, 20 parallel",
             (A_CONNECTION,), OURS_IMPLICIT + IN_TLS, handshake, (3000, 800)),
    Workload("resumption", "TLS resumed, banner, QUIT, 20 parallel",
             (A_CONNECTION,), OURS_IMPLICIT + IN_TLS, resumption, (5000, 1500)),
    Workload("tls-message", "one 1 KB message a session, TLS resumed, 20 parallel",
             (OWN,), OURS_IMPLICIT + IN_TLS, message_in_tls, (5000, 1500)),
    Workload("starttls", "one 1 KB message a session, STARTTLS resumed, 20 parallel",
             (OWN,), OURS_STARTTLS + ("nginx mail",), message_by_starttls, (3000, 800)),
    Workload("tls-bulk", "10 MB messages in TLS, 8 parallel",
             (Metric("own_s", "the balancer's CPU", "s a GB", 2),),
             OURS_IMPLICIT + IN_TLS, bulk_in_tls, (5, 2), relays="discard"),
    Workload("tls-idle", "4,000 idle sessions in TLS",
             (Metric("bytes", "the process's memory", "bytes a session"),
              Metric("idle_ms", "the balancer's CPU", "ms a second", 2)),
             OURS_IMPLICIT + IN_TLS, idle_in_tls, ((4000, 5), (4000, 1)),
             is_fresh=True),
    Workload("source", "smtp-source to smtp-sink, one 1 KB message a session", (OWN, ABOVE),
             OURS + PEERS + ("direct",), source, (3000, 1000), relays="smtp-sink"),
)
