"""What is compared: the balancer with each of its engines, its peers, the kernel's own NAT, and no
balancer at all, each in front of two sinks. Each peer is set up as its manual would have it for
plain TCP; the balancer with all that people have on."""

import dataclasses
import gzip
import os
import pathlib
import socket
import subprocess
import time

from bench import child

PEERS = child.ROOT / "build/peers/root"
LIBRARIES = ("usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib/postfix")
PACKAGES = ("haproxy", "nginx", "libnginx-mod-stream", "pen", "nftables", "postfix",
            "gnuplot-nox")

# Each is a contender of its own, wherever peers are compared: the values of the key `engine`.
ENGINES = ("libev", "io_uring")

SMTPLB = """\
workers = {threads}
engine = {engine}
user = ""
admin {{ socket = "{folder}/admin.sock"  listen = "{listen}" }}
acl senders {{ allow = {{ 127.0.0.0/8{allow} }} }}
pool relays {{
    proxy_protocol = {header}
    health {{ type = none }}
{backends}
}}
listener smtp {{ bind = {{ 127.0.0.1:{port} }}  acl = senders  pool = relays }}
"""

HAPROXY = """\
global
    nbthread {threads}
{tuned}
defaults
    mode tcp
    timeout connect 5s
    timeout client 11m
    timeout server 11m
{splice}
listen smtp
    bind 127.0.0.1:{port}
    balance roundrobin
{servers}
"""

NGINX = """\
load_module {root}/usr/lib/nginx/modules/ngx_stream_module.so;
daemon off;
user {user};
worker_processes {threads};
pid {folder}/nginx.pid;
error_log stderr warn;
events {{ worker_connections 20000; }}
stream {{
    upstream relays {{
{servers}
    }}
    server {{
        listen 127.0.0.1:{port};
        proxy_pass relays;
        proxy_protocol {header};
        proxy_timeout 11m;
{tuned}
    }}
}}
"""


def unpack_peers():
    subprocess.run([child.ROOT / "tests/peers", *PACKAGES], check=True, stdout=subprocess.DEVNULL)


def peer_environment():
    """For what was unpacked, not installed."""
    folders = [str(PEERS / folder) for folder in LIBRARIES]
    return {**os.environ, "LD_LIBRARY_PATH": ":".join(folders)}


def run_peer(argv):
    """What it says, on either stream."""
    done = subprocess.run([str(arg) for arg in argv], env=peer_environment(), text=True, check=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
    return done.stdout


def first_line(argv):
    return run_peer(argv).splitlines()[0]


@dataclasses.dataclass
class Contender:
    """One way from the load to the relays. `process` is None where nothing stands between."""

    name: str
    header: str  # the PROXY protocol's version that it sends
    version: str
    relays: list
    address: tuple
    process: child.Child = None
    is_ours: bool = False
    inside: tuple = ()  # what the load is started with, to be in the same network

    @property
    def is_peer(self):
        return self.process is not None and not self.is_ours


@dataclasses.dataclass
class Stand:
    """What a balancer is started with. `prefix` puts it onto its CPUs. `places` are the addresses
    of its backends where the relays have more than one each."""

    stack: object
    folder: pathlib.Path
    relays: list
    threads: int
    prefix: tuple = ()
    header: bool = True  # whether the relays want a PROXY header
    places: list = None

    def write(self, name, template, **values):
        path = self.folder / name
        path.write_text(template.format(threads=self.threads, folder=self.folder, **values),
                        encoding="utf-8")
        return path

    def start(self, name, argv, port):
        """Starts it with its errors, or log, in a file, and returns it once it listens."""
        log = self.folder / f"{name}.log"
        with log.open("wb") as file:
            process = self.stack.enter_context(
                child.Child([*self.prefix, *argv], env=peer_environment(), stderr=file))
        if not is_listening(process, port):
            raise OSError(f"{name} does not listen: {log.read_text(errors='replace')[-500:]}")
        return process

    def each_relay(self, template):
        places = self.places or [relay.smtp for relay in self.relays]
        return "\n".join(template.format(number=number, host=host, port=port)
                         for number, (host, port) in enumerate(places, 1))


def is_listening(process, port, host="127.0.0.1"):
    """The peers do not say when they are ready. The sinks see these connections end unused."""
    deadline = time.monotonic() + 30
    while process.process.poll() is None and time.monotonic() < deadline:
        try:
            socket.create_connection((host, port), timeout=1).close()
            return True
        except ConnectionRefusedError:
            time.sleep(0.02)
    return False


def start_smtplb(stand, engine="auto", listen=None, allow="", name="smtplb"):
    """listen: for the admin interface, IP:PORT. allow: more entries for the acl, each with a comma
    in front."""
    binary = child.build_folder() / "smtplb"
    port = child.free_port("127.0.0.1")
    header = "v2" if stand.header else "off"
    conf = stand.write(
        "smtplb.conf", SMTPLB, engine=engine, header=header, port=port, allow=allow,
        listen=listen or f"127.0.0.1:{child.free_port('127.0.0.1')}",
        backends=stand.each_relay(
            "    backend relay{number} {{ address = {host}  port = {port} }}"))
    process = stand.start(name, [binary, "run", "-c", conf], port)
    return Contender(name, header, first_line([binary, "version"]), stand.relays,
                     ("127.0.0.1", port), process, is_ours=True)


def start_haproxy(stand, name="HAProxy", buffer=0, splice=False):
    """buffer: bytes of each, 0 for what it has by itself. splice: always."""
    binary = PEERS / "usr/sbin/haproxy"
    port = child.free_port("127.0.0.1")
    header = " send-proxy-v2" if stand.header else ""
    conf = stand.write(
        "haproxy.cfg", HAPROXY, port=port, tuned=f"    tune.bufsize {buffer}" if buffer else "",
        splice="    option splice-request\n    option splice-response" if splice else "",
        servers=stand.each_relay("    server relay{number} {host}:{port}" + header))
    process = stand.start(name, [binary, "-q", "-db", "-f", conf], port)
    return Contender(name, "v2" if stand.header else "off", first_line([binary, "-v"]),
                     stand.relays, ("127.0.0.1", port), process)


def start_nginx(stand, name="nginx", buffer=0):
    binary = PEERS / "usr/sbin/nginx"
    port = child.free_port("127.0.0.1")
    conf = stand.write(
        "nginx.conf", NGINX, port=port, root=PEERS, header="on" if stand.header else "off",
        user="root" if os.geteuid() == 0 else "nobody",
        tuned=f"        proxy_buffer_size {buffer};" if buffer else "",
        servers=stand.each_relay("        server {host}:{port};"))
    process = stand.start(name, [binary, "-p", stand.folder, "-e", "stderr", "-c", conf], port)
    return Contender(name, "v1" if stand.header else "off", first_line([binary, "-v"]),
                     stand.relays, ("127.0.0.1", port), process)


def start_pen(stand):
    """It knows no PROXY protocol."""
    binary = PEERS / "usr/bin/pen"
    port = child.free_port("127.0.0.1")
    process = stand.start(
        "pen", [binary, "-f", "-r", f"127.0.0.1:{port}",
                *("%s:%d" % relay.smtp for relay in stand.relays)], port)
    with gzip.open(PEERS / "usr/share/doc/pen/changelog.Debian.gz", "rt") as changes:
        version = changes.readline().partition(";")[0]
    return Contender("pen", "off", version, stand.relays, ("127.0.0.1", port), process)


def direct(relays):
    return Contender("direct", "off", "", relays[:1], relays[0].smtp)
