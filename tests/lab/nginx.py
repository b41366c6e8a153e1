"""The nginx of a relay: it answers the health probes on port 80, as it does for the ELB."""

CONFIG = """\
worker_processes 1;
pid /run/nginx.pid;
error_log /var/log/nginx.log;
events {}
http {
    access_log /var/log/nginx-access.log;
    server {
        listen 80;
        listen [::]:80;
        return 200 "relay\\n";
    }
}
"""


class Nginx:
    def __init__(self, host):
        self.host = host
        host.path("var/lib/nginx").mkdir()
        host.path("etc/nginx").mkdir(exist_ok=True)
        host.path("etc/nginx/lab.conf").write_text(CONFIG, encoding="ascii")

    def _command(self, *argv):
        self.host.run("nginx", "-c", "/etc/nginx/lab.conf", "-e", "/var/log/nginx.log", *argv)

    def start(self):
        self._command()

    def stop(self):
        self._command("-s", "stop")

    def is_running(self):
        return bool(self.host.processes("nginx"))

    def requests(self):
        """The probes it has answered: its access log."""
        log = self.host.path("var/log/nginx-access.log")
        return log.read_text(encoding="utf-8").splitlines() if log.exists() else []
