"""SIGHUP while mail flows: nothing is lost, and the new configuration holds for new sessions."""


def test_second_relay_added(lab, load):
    lab.balancer.start(relays=("relay1",))
    mail = load()
    mail.wait_for_more(20)
    assert not lab.relays["relay2"].connects()
    lab.balancer.reload()
    lab.balancer.wait_for("session", backend="relay2")
    lab.balancer.reload(relays=("relay2",))  # sessions with relay1 go on
    mail.wait_for_more(30)
    mail.stop()
    mail.assert_exactly_once()


def test_bad_configuration_changes_nothing(lab, load):
    lab.balancer.start()
    mail = load()
    mail.wait_for_more(10)
    lab.balancer.refuse_reload("listener {")
    mail.wait_for_more(30)
    mail.stop()
    mail.assert_exactly_once()


def test_stranger_let_in_and_out_again(lab):
    lab.balancer.start()

    def greeting():
        with lab.stranger.connect("203.0.113.25", 25) as connection:
            return connection.recv(4096)[:4]
    assert greeting() == b"421 "
    lab.balancer.reload(allow="203.0.113.10, 203.0.113.66")
    assert greeting() == b"220 "
    lab.balancer.reload()
    assert greeting() == b"421 "
