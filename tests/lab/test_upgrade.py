"""USR2 while mail flows: no sender notices, and a relay that was taken out stays out."""


PATIENCE = "drain_timeout = 2s"  # Postfix keeps a connection for minutes while it has mail


def test_mail_flows_through_upgrades(lab, load):
    """The old process's sessions run on, and past drain_timeout end where that costs no mail."""
    lab.balancer.start(daemon=PATIENCE)
    mail = load()
    for _ in range(3):
        mail.wait_for_more(30)
        before = len(lab.balancer.events("upgrade", action="alone"))
        lab.balancer.upgrade()
        mail.wait_for_more(30)
        lab.balancer.wait_for("upgrade", more_than=before, action="alone")
    lab.balancer.reload(daemon=PATIENCE)
    mail.wait_for_more(30)
    mail.stop()
    mail.assert_exactly_once()
    lab.balancer.wait_for_no_session()
    assert {one["result"] for one in lab.balancer.events("session")} <= {"ok", "drained"}
    assert not lab.balancer.events("cut") and not lab.balancer.events("attempt")
    assert not [line for line in lab.relay_lines() if "haproxy read:" in line]


def test_a_drained_relay_stays_out(lab, load):
    lab.balancer.start()
    mail = load()
    mail.wait_for_more(20)
    lab.balancer.order("drain", "relay1")
    lab.balancer.wait_for_no_session("relay1")
    connects = len(lab.relays["relay1"].connects())
    lab.balancer.upgrade()
    assert lab.balancer.status()["relay1"]["state"] == "drain"
    mail.wait_for_more(50)
    assert len(lab.relays["relay1"].connects()) == connects
    lab.balancer.order("ready", "relay1")
    lab.balancer.wait_for("session", backend="relay1")
    mail.stop()
    mail.assert_exactly_once()
