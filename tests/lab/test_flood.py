"""One client runs wild beside a well-behaved one: limits turn it away, and the other's mail flows on
as if it were not there."""

import subprocess

GOOD, WILD = "203.0.113.10", "203.0.113.66"

# Twice as many sessions as it may have, again and again; takes every refusal in its stride.
FLOOD = """
while [ ! -e /tmp/flood.stop ]; do
    smtp-source -A -s 60 -m 2000 -f wild@stranger.example -t wild@mail.example balancer:25
done
exit 0
"""


def test_flood(lab, load):
    lab.balancer.start(allow=f"{GOOD}, {WILD}",
                       listener="    limits { sessions_per_client = 30 }")
    stop = lab.stranger.path("tmp", "flood.stop")
    stop.unlink(missing_ok=True)
    flood = lab.stranger.spawn("sh", "-c", FLOOD, stderr=subprocess.DEVNULL)
    try:
        lab.balancer.wait_for("limited", limit="sessions_per_client")
        mail = load()
        mail.wait_for_more(200)
        assert flood.poll() is None
        mail.stop()
        mail.assert_exactly_once()
    finally:
        stop.touch()
        assert flood.wait() == 0
    lab.balancer.wait_for_no_session()
    lab.balancer.wait_for("session", result="limited")
    lab.balancer.wait_for("session", result="ok")
    refused = lab.balancer.events("session", result="limited")
    assert {one["client"].rpartition(":")[0] for one in refused} == {WILD}
