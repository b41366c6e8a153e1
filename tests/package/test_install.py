"""What the package brings, what it leaves, and the program as the unit would start it."""

import pwd
import re
import signal
import stat
import subprocess

from root import CHECKOUT, MAIL, PACKAGE, PATIENCE, wait_until

UNIT = "/lib/systemd/system/smtplb.service"
MODES = {
    "usr/sbin/smtplb": 0o755,
    "etc/smtplb": 0o755,
    "lib/systemd/system/smtplb.service": 0o644,
    "usr/lib/sysusers.d/smtplb.conf": 0o644,
    "usr/lib/tmpfiles.d/smtplb.conf": 0o644,
    "usr/share/man/man8/smtplb.8.gz": 0o644,
    "usr/share/man/man5/smtplb.conf.5.gz": 0o644,
    "usr/share/bash-completion/completions/smtplb": 0o644,
    "usr/share/zsh/vendor-completions/_smtplb": 0o644,
    "usr/share/doc/smtplb/minimal.conf": 0o644,
    "usr/share/doc/smtplb/full.conf": 0o644,
    "usr/share/doc/smtplb/README.md.gz": 0o644,
    "usr/share/doc/smtplb/openapi.json": 0o644,
    "usr/share/doc/smtplb/monitoring/alerts.yml": 0o644,
    "usr/share/doc/smtplb/monitoring/dashboard.json": 0o644,
    "usr/share/doc/smtplb/smtplb.socket": 0o644,
    "usr/share/doc/smtplb/copyright": 0o644,
}


def unit_commands(root, key):
    return [line.split() for line in
            re.findall(rf"^{key}=(.+)$", root.path(UNIT).read_text(), re.M)]


def account(root):
    lines = root.path("etc/passwd").read_text().splitlines()
    return pwd.struct_passwd(next(line for line in lines if line.startswith("smtplb:")).split(":"))


def test_what_is_installed(root):
    for name, mode in MODES.items():
        found = root.path(name).stat()
        assert stat.S_IMODE(found.st_mode) == mode, name
        assert (found.st_uid, found.st_gid) == (0, 0), name
    assert not list(root.path("etc/smtplb").iterdir())
    assert root.run("smtplb", "version").stdout.startswith("smtplb ")
    assert root.run("systemctl", "is-enabled", "smtplb.service").stdout == "enabled\n"


def test_the_account(root):
    entry = account(root)
    assert (entry.pw_shell, entry.pw_dir) == ("/usr/sbin/nologin", "/")
    assert 0 < int(entry.pw_uid) < 1000  # a system's
    assert root.path("etc/shadow").read_text().count("\nsmtplb:!*:") == 1


def test_documents_can_be_found(root):
    for command in unit_commands(root, "Documentation")[0]:
        name, section = re.fullmatch(r"man:(.+)\((\d)\)", command).groups()
        assert root.path(f"usr/share/man/man{section}/{name}.{section}.gz").is_file()
    root.run("systemd-analyze", "verify", "--man=no", UNIT)


def test_exposure_is_at_most_one_and_a_half(root):
    root.run("systemd-analyze", "security", "--offline=true", "--threshold=15", UNIT)


def test_start_as_the_unit_would(configured, relays, client):
    """With the unit's commands, user and capability, but for systemd itself."""
    root, entry = configured, account(configured)
    root.run("systemd-tmpfiles", "--create", "smtplb.conf")
    capability = re.search("^AmbientCapabilities=CAP_(.+)$", root.path(UNIT).read_text(), re.M)[1]
    capability = f"+{capability.lower()}"
    as_user = ["setpriv", "--reuid", entry.pw_uid, "--regid", entry.pw_gid, "--init-groups",
               "--inh-caps", capability, "--ambient-caps", capability, "--bounding-set",
               f"-all,{capability}", "--no-new-privs"]
    for command in unit_commands(root, "ExecStartPre"):
        assert ": ok: " in root.run(*as_user, *command).stdout
    log = root.path("var/log/smtplb.log")
    lines = log.read_text
    with open(log, "w", encoding="ascii") as output:
        daemon = subprocess.Popen(root.inside(*as_user, *unit_commands(root, "ExecStart")[0]),
                                  stderr=output)
    try:
        wait_until(lambda: "event=ready" in lines() or daemon.poll() is not None, "ready")
        client().sendmail(*MAIL)
        assert sum(relay.kept() for relay in relays) == 1
        assert "relay1" in root.run("smtplb", "status").stdout
        for command in unit_commands(root, "ExecReload"):
            root.run(*as_user, *command)
        wait_until(lambda: "action=reloaded" in lines(), "word of the reload")
        root.path("etc/smtplb/smtplb.conf").write_text("nonsense = 1")
        for command in unit_commands(root, "ExecReload"):
            root.run(*as_user, *command, status=1)
        client().sendmail(*MAIL)
        daemon.send_signal(signal.SIGTERM)
        assert daemon.wait(PATIENCE) == 0, lines()
    finally:
        daemon.kill()
        daemon.wait()


def test_without_the_package(tmp_path):
    """make install, elsewhere: what is told to run is what was put there."""
    subprocess.run(["make", "install", f"DESTDIR={tmp_path}", "PREFIX=/opt/lb"], cwd=CHECKOUT,
                   check=True, capture_output=True)
    unit = (tmp_path / "opt/lb/lib/systemd/system/smtplb.service").read_text()
    commands = re.findall(r"^Exec\w+=(\S+)", unit, re.M)
    assert len(commands) == 4 and set(commands) == {"/opt/lb/sbin/smtplb"}
    assert (tmp_path / "opt/lb/sbin/smtplb").exists()
    for page in (tmp_path / "opt/lb/share/man").rglob("smtplb*"):
        folders = re.findall(r"/\S+/share/doc/smtplb", page.read_text())
        assert folders and set(folders) == {"/opt/lb/share/doc/smtplb"}


def test_removal_and_purge(configured):
    """The account and the administrator's file stay, as Debian's policy has it."""
    root = configured
    owned = root.run("dpkg", "-L", "smtplb").stdout.splitlines()
    root.run("dpkg", "--remove", "smtplb")
    assert not [name for name in owned if root.path(name).is_file()]
    root.run("dpkg", "--purge", "smtplb")
    assert root.named("smtplb") == ["etc/smtplb", "etc/smtplb/smtplb.conf"]
    assert account(root)


def test_purge_takes_an_empty_folder_along(root):
    root.run("systemd-tmpfiles", "--create", "smtplb.conf")
    assert "run/smtplb" in root.named("smtplb")
    root.run("dpkg", "--purge", "smtplb")
    assert not root.named("smtplb")


def test_upgrade_without_systemd(root):
    root.run("dpkg", "--install", PACKAGE)
    assert root.run("systemctl", "is-enabled", "smtplb.service").stdout == "enabled\n"
