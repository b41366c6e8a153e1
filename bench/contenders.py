"""What is compared: the balancer with each of its engines, its peers, the kernel's own NAT, and no
balancer at all, each in front of two sinks. Each peer is set up as its manual would have it for
plain TCP; the balancer with all that people have on."""

import dataclasses
import functools
import gzip
import os
import pathlib
import socket
import subprocess
import time

from bench import child

PEERS = child.ROOT / "build/peers/root"
LIBRARIES = ("usr/lib/x86_64-linux-gnu", "usr/lib/aarch64-linux-gnu", "usr/lib/postfix")
PACKAGES = ("haproxy", "nginx", "libnginx-mod-stream", "libnginx-mod-mail", "pen", "nftables", "postfix",
            "gnuplot-nox")

# Of TLS 1.3, in the order in which smtplb chooses.
SUITES = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:TLS_CHACHA20_POLY1305_SHA256"

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
listener smtp {{
    bind = {{ 127.0.0.1:{port} }}  acl = senders  pool = relays
{tls}
}}
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
    bind 127.0.0.1:{port}{tls}{suites}
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


NGINX_MAIL = """\
load_module {root}/usr/lib/nginx/modules/ngx_mail_module.so;
daemon off;
user {user};
worker_processes {threads};
pid {folder}/nginx-mail.pid;
error_log stderr warn;
events {{ worker_connections 20000; }}
mail {{
    server_name lb.test;
    auth_http 127.0.0.1:{auth}/;
    smtp_auth none;
    xclient off;
    ssl_certificate {tls}.pem;
    ssl_certificate_key {tls}.key;
    ssl_protocols TLSv1.2 TLSv1.3;
    ssl_prefer_server_ciphers on;
    ssl_conf_command Ciphersuites {suites};
    ssl_session_cache shared:tls:10m;
    server {{
        listen 127.0.0.1:{port};
        protocol smtp;
        starttls on;
        timeout 11m;
    }}
}}
"""

# Whom nginx's mail proxy asks which relay to take, for each session.
NGINX_AUTH = """\
daemon off;
user {user};
worker_processes 1;
pid {folder}/nginx-auth.pid;
error_log stderr warn;
events {{ worker_connections 20000; }}
http {{
    access_log off;
    client_body_temp_path {folder}/body;
    proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi;
    uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    split_clients $connection$msec $relay {{
        50% {first};
        * {second};
    }}
    map $relay $relay_port {{
        {first} {first_port};
        {second} {second_port};
    }}
    server {{
        listen 127.0.0.1:{auth};
        location / {{
            add_header Auth-Status OK;
            add_header Auth-Server $relay;
            add_header Auth-Port $relay_port;
            return 204;
        }}
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

    @functools.cached_property
    def tls(self):
        """A certificate for clients: the path of its file, and of the key's, without their ends.
        all.pem has both."""
        path = self.folder / "tls"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt",
                        "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=lb.test",
                        "-keyout", f"{path}.key", "-out", f"{path}.pem"],
                       check=True, stderr=subprocess.DEVNULL)
        pathlib.Path(f"{path}.key").chmod(0o644)
        pathlib.Path(f"{path}.all.pem").write_text(
            pathlib.Path(f"{path}.pem").read_text() + pathlib.Path(f"{path}.key").read_text())
        return path

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


def start_smtplb(stand, engine="auto", listen=None, allow="", name="smtplb", tls="off"):
    """listen: for the admin interface, IP:PORT. allow: more entries for the acl, each with a comma
    in front. tls: the listener's."""
    binary = child.build_folder() / "smtplb"
    port = child.free_port("127.0.0.1")
    header = "v2" if stand.header else "off"
    conf = stand.write(
        "smtplb.conf", SMTPLB, engine=engine, header=header, port=port, allow=allow,
        tls="" if tls == "off" else
        f"    tls = {tls}  certificate = {stand.tls}.pem  key = {stand.tls}.key",
        listen=listen or f"127.0.0.1:{child.free_port('127.0.0.1')}",
        backends=stand.each_relay(
            "    backend relay{number} {{ address = {host}  port = {port} }}"))
    process = stand.start(name, [binary, "run", "-c", conf], port)
    return Contender(name, header, first_line([binary, "version"]), stand.relays,
                     ("127.0.0.1", port), process, is_ours=True)


def start_haproxy(stand, name="HAProxy", buffer=0, splice=False, tls=False, suites=None):
    """buffer: bytes of each, 0 for what it has by itself. splice: always. tls: from the first
    byte, with suites in their order, or else in the client's."""
    binary = PEERS / "usr/sbin/haproxy"
    port = child.free_port("127.0.0.1")
    header = " send-proxy-v2" if stand.header else ""
    conf = stand.write(
        "haproxy.cfg", HAPROXY, port=port,
        tls=f" ssl crt {stand.tls}.all.pem ssl-min-ver TLSv1.2" if tls else "",
        suites=f" ciphersuites {suites}" if suites else "",
        tuned=f"    tune.bufsize {buffer}" if buffer else "",
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


def start_nginx_mail(stand):
    """STARTTLS, which of the peers it alone has. It knows no PROXY protocol towards relays, and takes
    part in the dialogue: EHLO, MAIL and RCPT it answers itself at first. What it asks for the relay is
    answered by another nginx, which does not count."""
    binary = PEERS / "usr/sbin/nginx"
    user = "root" if os.geteuid() == 0 else "nobody"
    port, auth = child.free_port("127.0.0.1"), child.free_port("127.0.0.1")
    (first, first_port), (second, second_port) = [relay.smtp for relay in stand.relays]
    asked = stand.write("nginx-auth.conf", NGINX_AUTH, user=user, auth=auth, first=first,
                        first_port=first_port, second=second, second_port=second_port)
    stand.start("nginx-auth", [binary, "-p", stand.folder, "-e", "stderr", "-c", asked], auth)
    conf = stand.write("nginx-mail.conf", NGINX_MAIL, port=port, root=PEERS, user=user, auth=auth,
                       tls=stand.tls, suites=SUITES)
    process = stand.start("nginx-mail",
                          [binary, "-p", stand.folder, "-e", "stderr", "-c", conf], port)
    return Contender("nginx mail", "off", first_line([binary, "-v"]), stand.relays,
                     ("127.0.0.1", port), process)


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
