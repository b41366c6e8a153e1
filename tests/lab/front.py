"""Other balancers on the front host, which send what they get on to smtplb with a PROXY header."""

import subprocess

from topology import PATIENCE, wait_until

HAPROXY = """\
global
    log stdout format raw local0
defaults
    mode tcp
    log global
    timeout connect 5s
    timeout client 1m
    timeout server 1m
    timeout check 10s
listen smtp
    bind 0.0.0.0:25
    bind :::25 v6only
    option log-health-checks
    {more}
    server balancer 203.0.113.25:25 {send} check check-send-proxy inter 300ms
"""

NGINX = """\
load_module /usr/lib/nginx/modules/ngx_stream_module.so;
worker_processes 1;
daemon off;
pid /run/nginx.pid;
error_log /var/log/nginx.log;
events {}
stream {
    server {
        listen 25;
        listen [::]:25;
        proxy_pass 203.0.113.25:25;
        proxy_protocol on;
    }
}
"""


class Front:
    def __init__(self, host):
        self.host = host
        self.process = None
        self.output = host.path("var/log/front.log")

    def _run(self, config, *argv):
        self.host.path("etc/front.conf").write_text(config, encoding="ascii")
        with self.output.open("wb") as output:
            self.process = self.host.spawn(*argv, stdout=output, stderr=subprocess.STDOUT)
        wait_until(self._listens, f"{argv[0]}: listening")

    def _listens(self):
        assert self.process.poll() is None, self.lines()
        return self.host.run("ss", "-Hltn", "sport = :25").stdout.strip()

    def haproxy(self, send, more=""):
        self._run(HAPROXY.format(send=send, more=more), "haproxy", "-db", "-f", "/etc/front.conf")

    def nginx(self):
        self.host.path("var/lib/nginx").mkdir(exist_ok=True)
        self._run(NGINX, "nginx", "-c", "/etc/front.conf", "-e", "/var/log/nginx.log")

    def lines(self):
        return self.output.read_text(encoding="utf-8", errors="replace").splitlines() \
            if self.output.exists() else []

    def stop(self):
        if self.process is not None:
            self.process.terminate()
            self.process.wait(PATIENCE)
            self.process = None
