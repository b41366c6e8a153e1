"""What is compared: the balancer, its peers, each in front of the same two sinks, and no balancer
at all. Each is set up as its manual would have it for plain TCP, without logs and probes."""

import os
import pathlib
import socket
import subprocess
import time

from bench import child

PEERS = child.ROOT / "build/peers/root"
LIBRARIES = ("usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib/postfix")

SMTPLB = """\
workers = {threads}
user = ""
log {{ level = error }}
admin {{ socket = ""  listen = "{listen}" }}
acl senders {{ allow = {{ 127.0.0.0/8 }} }}
pool relays {{
    proxy_protocol = v2
    health {{ type = none }}
    backend relay1 {{ address = {relay1.smtp[0]}  port = {relay1.smtp[1]} }}
    backend relay2 {{ address = {relay2.smtp[0]}  port = {relay2.smtp[1]} }}
}}
listener smtp {{ bind = {{ 127.0.0.1:{port} }}  acl = senders  pool = relays }}
"""

HAPROXY = """\
global
    nbthread {threads}
defaults
    mode tcp
    timeout connect 5s
    timeout client 11m
    timeout server 11m
listen smtp
    bind 127.0.0.1:{port}
    balance roundrobin
    server relay1 {relay1.smtp[0]}:{relay1.smtp[1]} send-proxy-v2
    server relay2 {relay2.smtp[0]}:{relay2.smtp[1]} send-proxy-v2
"""

NGINX = """\
load_module {root}/usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
user {user};
worker_processes {threads};
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 16384; }}
stream {{
    upstream relays {{
        server {relay1.smtp[0]}:{relay1.smtp[1]};
        server {relay2.smtp[0]}:{relay2.smtp[1]};
    }}
    server {{
        listen 127.0.0.1:{port};
        proxy_pass relays;
        proxy_protocol on;
        proxy_timeout 11m;
    }}
}}
"""


def unpack_peers():
    subprocess.run([child.ROOT / "tests/peers", "haproxy", "nginx", "libnginx-mod-stream",
                    "postfix"], check=True, stdout=subprocess.DEVNULL)


def peer_environment():
    """For what was unpacked, not installed."""
    folders = [str(PEERS / folder) for folder in LIBRARIES]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(folders)}


def first_line(argv):
    done = subprocess.run([str(arg) for arg in argv], env=peer_environment(), check=True, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.stdout.splitlines()[0]


class Contender:
    """One way from the source to the relays. `process` is None where nothing stands between."""

    def __init__(self, name, header, version, relays, port, process=None):
        self.name = name
        self.header = header
        self.version = version
        self.relays = relays
        self.address = ("127.0.0.1", port)
        self.process = process


def start(stack, argv, port):
    process = stack.enter_context(child.Child(argv, env=peer_environment()))
    wait_for_listener(process, port)
    return process


def wait_for_listener(process, port):
    """The peers do not say when they are ready. The sinks see these connections end unused."""
    deadline = time.monotonic() + 10
    while process.process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
            return
        except ConnectionRefusedError:
            time.sleep(0.02)
    raise OSError(f"{process.process.args[4]} does not listen")


def start_smtplb(stack, folder, relays, threads, listen=""):
    """listen: for the admin interface, IP:PORT."""
    binary = child.build_folder() / "smtplb"
    port = child.free_port("127.0.0.1")
    conf = write(folder / "smtplb.conf", SMTPLB, relays, port=port, threads=threads,
                 listen=listen)
    process = start(stack, [binary, "run", "-c", conf], port)
    return Contender("smtplb", "v2", first_line([binary, "version"]), relays, port, process)


def start_haproxy(stack, folder, relays, threads):
    binary = PEERS / "usr/sbin/haproxy"
    port = child.free_port("127.0.0.1")
    conf = write(folder / "haproxy.cfg", HAPROXY, relays, port=port, threads=threads)
    process = start(stack, [binary, "-q", "-db", "-f", conf], port)
    return Contender("HAProxy", "v2", first_line([binary, "-v"]), relays, port, process)


def start_nginx(stack, folder, relays, threads):
    binary = PEERS / "usr/sbin/nginx"
    port = child.free_port("127.0.0.1")
    conf = write(folder / "nginx.conf", NGINX, relays, port=port, threads=threads, root=PEERS,
                 folder=folder, user="root" if os.geteuid() == 0 else "nobody")
    process = start(stack, [binary, "-p", folder, "-e", "stderr", "-c", conf], port)
    return Contender("nginx", "v1", first_line([binary, "-v"]), relays, port, process)


def write(path, template, relays, **values):
    path = pathlib.Path(path)
    path.write_text(template.format(relay1=relays[0], relay2=relays[1], **values), encoding="utf-8")
    return path
