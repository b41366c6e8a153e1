"""What the admin interface knows of the last minutes: the load in samples, each relay's replies and
greetings, its latest probe, and the latest events. Time passes only when a test says so."""

import json

import pytest
from admin import Admin
from balancer import Setup
from peers import eventually, smtp
from test_admin import NO_GREETING, NO_REPLIES

STRANGER = "127.0.0.66"
STEP_S = 5  # between samples
KEPT = 180
MINUTES = 15


def history(scene):
    return scene.admin.get("/v1/history")


def recent(scene):
    (backend,) = scene.admin.backends().values()
    return backend["recent"]


def begin(scene):
    """The first look, behind which there is nothing yet to tell."""
    scene.pass_time(0.1)


def step(scene, seconds=STEP_S):
    scene.pass_time(seconds)
    return history(scene)["samples"]


def test_samples(scene):
    stage = scene(deny=STRANGER)
    begin(stage)
    assert history(stage) == {
        "interval_s": STEP_S, "most": KEPT, "replies": NO_REPLIES, "greeting": NO_GREETING,
        "samples": dict.fromkeys(
            ("ms", "active", "sessions", "denied", "accepted", "deferred", "rejected",
             "greeting_p50_ms", "greeting_p99_ms"), []),
    }
    talk = stage.talk()
    other = stage.talk()
    talk.message(b"250 2.0.0 taken")
    talk.message(b"451 4.3.0 later")
    talk.message(b"554 5.7.1 never")
    talk.message(b"554 5.7.1 never")
    assert stage.setup.greeting(STRANGER).startswith(b"421 ")
    samples = step(stage)
    p50, p99 = samples.pop("greeting_p50_ms"), samples.pop("greeting_p99_ms")
    assert samples == {
        "ms": [5000], "active": [2], "sessions": [2], "denied": [1],
        "accepted": [1], "deferred": [1], "rejected": [2],
    }
    assert 0 < p50[0] <= p99[0]
    other.close()
    stage.balancer.wait("session")
    samples = step(stage)
    assert (samples["active"], samples["sessions"]) == ([2, 1], [2, 0])
    assert samples["greeting_p50_ms"][1] is None
    # 2 greetings, 4 messages with MAIL, RCPT, DATA and what became of them
    replies = {"2": 2 + 4 * 2 + 1, "3": 4, "4": 1, "5": 2}
    told = history(stage)
    assert told["replies"] == replies
    assert told["greeting"]["count"] == 2
    assert recent(stage)["replies"] == replies
    assert recent(stage)["greeting"] == told["greeting"]


def test_old_samples_go(scene):
    stage = scene()
    begin(stage)
    stage.talk()
    assert step(stage)["sessions"] == [1]
    for _ in range(KEPT - 1):
        step(stage)
    samples = history(stage)["samples"]
    assert {len(values) for values in samples.values()} == {KEPT}
    assert samples["sessions"] == [1] + [0] * (KEPT - 1)
    assert history(stage)["greeting"]["count"] == 1
    assert step(stage)["sessions"] == [0] * KEPT
    assert history(stage)["greeting"] == NO_GREETING
    stage.pass_time(60)  # its minute may have begun with the first sample only
    assert recent(stage) == {"replies": NO_REPLIES, "greeting": NO_GREETING}
    (backend,) = stage.admin.backends().values()
    assert backend["replies"]["2"] == 1  # since the start


def test_reload_takes_a_pool_out(scene):
    """What it had counted is gone with it: no figure is negative, or as large as can be."""
    stage = scene()
    begin(stage)
    stage.talk().message()
    assert step(stage)["accepted"] == [1]
    text = stage.balancer.text
    for old, new in (("pool relays", "pool others"), ("pool = relays", "pool = others"),
                     ("listener smtp", "listener other")):
        text = text.replace(old, new)
    assert stage.balancer.reload(text)["action"] == "reloaded"
    samples = step(stage)
    assert (samples["sessions"], samples["accepted"]) == ([1, 0], [1, 0])
    assert stage.admin.get("/v1/status")["pools"][0]["backends"][0]["recent"]["replies"] == NO_REPLIES
    assert history(stage)["replies"]["2"] > 0


def test_reload_keeps_what_is_known(scene):
    stage = scene()
    begin(stage)
    stage.talk().message()
    step(stage)
    before = recent(stage)
    assert before["greeting"]["count"] == 1
    stage.balancer.reload()
    step(stage)
    assert recent(stage) == before


def test_latest_probe(start, hosts, tmp_path):
    admin = Admin(tmp_path)
    (relay,) = hosts(smtp())
    start(Setup([relay], admin=admin.text(),
                health=f"type = http port = {relay.probe.port} interval = 20ms fall = 1000"))
    probe = eventually(lambda: admin.backends()["relay1"]["probe"])
    assert (probe["ok"], probe["detail"]) == (True, "200")
    relay.probe.status = 503
    eventually(lambda: not admin.backends()["relay1"]["probe"]["ok"])
    told = admin.backends()["relay1"]
    assert told["up"] and told["probe"]["detail"] == "status 503"
    assert told["probe"]["at"] > probe["at"]


@pytest.mark.parametrize("log", ["", "format = json", "level = error"])
def test_events(start, hosts, tmp_path, log):
    """In JSON, whatever the log is like; and none of sessions."""
    admin = Admin(tmp_path)
    relay, other = hosts(smtp(), smtp())
    setup = Setup([relay, other], admin=admin.text(), deny=STRANGER, top=f"log {{ {log} }}",
                  health=f"type = http port = {relay.probe.port} interval = 20ms fall = 1 rise = 1")
    balancer = start(setup, ready=False)
    eventually(admin.serves)
    assert setup.greeting().startswith(b"220 ")
    assert setup.greeting(STRANGER).startswith(b"421 ")
    relay.probe.status = 503
    eventually(lambda: not admin.backends()["relay1"]["up"])
    assert admin.order("relay2", "drain") == 200
    balancer.write(balancer.text + "nonsense = 1\n")
    assert admin.ask("POST", "/v1/reload").status == 409
    events = admin.get("/v1/events", tcp=True)["events"]
    assert all(one.pop("ts") for one in events)
    kinds = [one["event"] for one in events if one.get("action") != "warning"]
    assert kinds == ["config", "admin", "health", "ready", "config"]
    by_kind = {one["event"]: one for one in events}
    assert by_kind["health"] == {
        "level": "warning", "event": "health", "pool": "relays", "backend": "relay1", "from": "up",
        "to": "down", "cause": "probe", "detail": "status 503"}
    assert by_kind["admin"] == {
        "level": "info", "event": "admin", "pool": "relays", "backend": "relay2", "state": "drain"}
    (refused,) = [one for one in events if one.get("action") == "refused"]
    assert refused["level"] == "error" and "nonsense" in refused["detail"]
    assert by_kind["ready"]["pid"] == balancer.pid
    assert admin.get("/v1/status")["config"]["refused"]


def test_only_the_latest_events(scene):
    stage = scene()
    for _ in range(60):
        stage.order("drain")
        stage.order("ready")
    events = stage.admin.get("/v1/events")["events"]
    assert len(events) == 100
    assert [one["state"] for one in events] == ["ready", "drain"] * 50
    assert len(json.dumps(events)) < 100 * 200
