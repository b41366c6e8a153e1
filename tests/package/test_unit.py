"""The unit under systemd itself: started, reloaded, upgraded and stopped, in the sandbox that it
makes."""

import subprocess

import mmdb
import pytest

from root import CHECKOUT, MAIL, PACKAGE, wait_until

ENGINES = subprocess.run([CHECKOUT / "tests/engines"], capture_output=True, text=True,
                         check=True).stdout.split()
NET_BIND_SERVICE = 1 << 10  # capabilities(7)


def drop_in(root, line):
    folder = root.path("etc/systemd/system/smtplb.service.d")
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{line.split('=')[0]}.conf").write_text(f"[Service]\n{line}\n")


def start(boot):
    """Ready when systemctl returns."""
    boot.run("systemctl", "enable", "--now", "smtplb")
    boot.run("smtplb", "status")


def show(boot, name):
    return boot.run("systemctl", "show", "--property", name, "--value", "smtplb").strip()


@pytest.mark.parametrize("engine", ENGINES)
def test_from_start_to_stop(boot, relays, client, engine):
    """With all that the sandbox might forbid: either engine, a database (read in a child), TLS's
    random numbers, the files of the admin socket."""
    conf = boot.root.path("etc/smtplb/smtplb.conf")
    mmdb.countries({"127.0.2.0/24": "JP"}).write(boot.root.path("etc/smtplb/country.mmdb"))
    text = conf.read_text().replace("allow = {", "deny = { country:JP }  allow = {")
    conf.write_text(f"engine = {engine}\n"
                    f"geoip {{ country = /etc/smtplb/country.mmdb }}\n{text}")
    start(boot)
    assert f"({engine})" in boot.run("smtplb", "status")
    client().sendmail(*MAIL)
    boot.run("systemctl", "reload", "smtplb")
    good = conf.read_text()
    conf.write_text("nonsense = 1")
    boot.run("systemctl", "reload", "smtplb", status=1)
    conf.write_text(good)
    boot.run("smtplb", "drain", "relays/relay1")
    client().sendmail(*MAIL)
    assert sum(relay.kept() for relay in relays) == 2
    boot.run("systemctl", "stop", "smtplb")
    assert (show(boot, "Result"), show(boot, "ExecMainStatus")) == ("success", "0")
    assert not boot.root.path("run/smtplb/admin.sock").exists()


def test_stop_lets_sessions_end(boot, relays, client):
    start(boot)
    session = client()
    session.ehlo()
    assert session.mail("app@lb.test")[0] == 250
    boot.run("systemctl", "stop", "--no-block", "smtplb")
    wait_until(lambda: show(boot, "SubState") == "stop-sigterm", "TERM")
    assert session.rcpt("user@mail.test")[0] == 250
    assert session.data("Subject: last\r\n\r\nmail\r\n")[0] == 250
    wait_until(lambda: show(boot, "ActiveState") == "inactive", "the end")
    assert show(boot, "Result") == "success"
    assert sum(relay.kept() for relay in relays) == 1


def test_sandbox(boot):
    drop_in(boot.root, "ExecStartPre=chrt --idle 0 true")  # what the loader does, and lives without
    boot.run("systemctl", "daemon-reload")
    start(boot)
    pid = show(boot, "MainPID")
    text = boot.run("cat", f"/proc/{pid}/status")
    status = dict(line.split(":\t", 1) for line in text.splitlines())
    assert status["Uid"].split() == [boot.run("id", "-u", "smtplb").strip()] * 4
    assert int(status["CapEff"], 16) == int(status["CapBnd"], 16) == NET_BIND_SERVICE
    assert (status["NoNewPrivs"], status["Seccomp"]) == ("1", "2")
    modes = boot.run("stat", "-c", "%U %G %a", "/run/smtplb", "/run/smtplb/admin.sock")
    assert modes.splitlines() == ["smtplb smtplb 755", "smtplb smtplb 660"]


def test_without_a_configuration_it_waits(boot):
    boot.root.path("etc/smtplb/smtplb.conf").unlink()
    boot.run("systemctl", "start", "smtplb")
    assert (show(boot, "ActiveState"), show(boot, "ConditionResult")) == ("inactive", "no")


def test_upgrade_ends_no_session(boot, relays, client):
    """The new process is the service, and the old one lives for its session."""
    start(boot)
    before = show(boot, "MainPID")
    session = client()
    for _ in range(2):
        boot.run("dpkg", "--install", PACKAGE)
        wait_until(lambda: show(boot, "MainPID") != before, "another main process")
        client().sendmail(*MAIL)
        session.sendmail(*MAIL)
        session.quit()
        wait_until(lambda: before not in boot.run("pidof", "smtplb").split(), "the old one's end")
        before, session = show(boot, "MainPID"), client()
    assert sum(relay.kept() for relay in relays) == 4
    assert (show(boot, "ActiveState"), show(boot, "NRestarts")) == ("active", "0")
    boot.run("smtplb", "drain", "relays/relay1")
    boot.run("systemctl", "reload", "smtplb")
    session.close()
    boot.run("systemctl", "stop", "smtplb")
    assert show(boot, "Result") == "success"
    wait_until(lambda: not boot.try_run("pidof", "smtplb").stdout, "the end of all")


def test_upgrade_does_as_policy_rc_d_says(boot):
    start(boot)
    policy = boot.root.path("usr/sbin/policy-rc.d")
    policy.write_text('#!/bin/sh\n[ "$*" != "smtplb.service restart" ] || exit 101\n')
    policy.chmod(0o755)
    boot.run("dpkg", "--install", PACKAGE)
    boot.run("systemctl", "stop", "smtplb")
    assert "event=stopping" in "".join(boot.journal())
    assert "event=upgrade" not in "".join(boot.journal())


def test_upgrade_starts_nothing(boot):
    boot.run("dpkg", "--install", PACKAGE)
    assert show(boot, "ActiveState") == "inactive"


def test_comes_back_after_a_crash(boot):
    start(boot)
    before = show(boot, "MainPID")
    boot.run("systemctl", "kill", "--kill-whom=main", "--signal=KILL", "smtplb")
    wait_until(lambda: show(boot, "MainPID") not in ("0", before), "another process")
    wait_until(lambda: boot.try_run("smtplb", "status").returncode == 0, "a daemon that answers")


def test_comes_back_after_an_upgraded_one_has_crashed(boot, relays, client):
    """While the one before still has a session, which goes on."""
    start(boot)
    before, session = show(boot, "MainPID"), client()
    boot.run("dpkg", "--install", PACKAGE)
    wait_until(lambda: show(boot, "MainPID") != before, "another main process")
    upgraded = show(boot, "MainPID")
    boot.run("systemctl", "kill", "--kill-whom=main", "--signal=SEGV", "smtplb")
    wait_until(lambda: show(boot, "MainPID") not in ("0", upgraded), "a third process")
    wait_until(lambda: boot.try_run("smtplb", "status").returncode == 0, "a daemon that answers")
    client().sendmail(*MAIL)
    session.sendmail(*MAIL)
    assert show(boot, "NRestarts") == "1"
    assert sum(relay.kept() for relay in relays) == 2


def test_syslog_is_within_reach(boot):
    conf = boot.root.path("etc/smtplb/smtplb.conf")
    conf.write_text(conf.read_text() + "log { target = syslog }\n")
    start(boot)
    wait_until(lambda: "event=ready" in boot.run("journalctl", "--identifier=smtplb"), "a line")


def test_removal_stops_it(boot):
    start(boot)
    boot.run("dpkg", "--purge", "smtplb")
    assert show(boot, "LoadState") == "not-found" and show(boot, "ActiveState") == "inactive"
    assert "event=stopping" in "".join(boot.journal())
