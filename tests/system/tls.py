"""TLS for scripted peers: certificates that a test makes, and a socket that speaks TLS like a plain
one, so that the two directions end one by one and at once if need be."""

import errno
import functools
import socket
import ssl
import subprocess
import threading

from balancer import Setup

RECORD = 16384  # bytes, at most
DAYS = 60  # that a certificate of a test is valid


def openssl(*arguments):
    subprocess.run(["openssl", *arguments], check=True, capture_output=True)


class Certificate:
    """Self-signed, with its key: `pem` and `key` are their files."""

    def __init__(self, folder, name="lb.test", days=DAYS, kind=("ec", "ec_paramgen_curve:P-256"),
                 san="DNS"):
        self.name = name
        self.pem, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        request = folder / f"{name}.csr"
        openssl("req", "-new", "-newkey", kind[0], "-pkeyopt", kind[1], "-nodes", "-subj",
                f"/CN={name}", "-addext", f"subjectAltName={san}:{name}", "-keyout", self.key,
                "-out", request)
        openssl("x509", "-req", "-in", request, "-signkey", self.key, "-days", str(days),
                "-copy_extensions", "copy", "-out", self.pem)

    def context(self):
        """A client's, that trusts nobody else."""
        return ssl.create_default_context(cafile=self.pem)

    @functools.cached_property
    def server(self):
        """A server's context, that has this one."""
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.pem, self.key)
        return context


def pairs(*certificates):
    """They, as a listener's configuration has them."""
    return (f"certificate = {{ {', '.join(str(one.pem) for one in certificates)} }} "
            f"key = {{ {', '.join(str(one.key) for one in certificates)} }}")


class Secured:
    """A socket behind its handshake. One thread may send while another receives. name: of the
    server, for a client; ahead: goes in one piece with its first words; session: to be resumed;
    early: what a server has received already."""

    def __init__(self, sock, context, name=None, ahead=b"", session=None, is_server=False,
                 early=b""):
        self.raw, self.context = sock, context
        self.into, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.into.write(early)
        self.object = context.wrap_bio(
            self.into, self.out, server_side=is_server, server_hostname=name, session=session)
        self.ahead = ahead
        self.using, self.sending = threading.Lock(), threading.Lock()
        self.early = b""  # read by shutdown, in which OpenSSL takes any data for an error
        self._get(self._shake_hands)

    def _shake_hands(self):
        self.object.do_handshake()
        return True

    def _flush(self, call=lambda: None):
        """Sends what there is to be sent after the call."""
        with self.sending:
            with self.using:
                try:
                    call()
                except ssl.SSLWantReadError:
                    pass
                data, self.ahead = self.ahead + self.out.read(), b""
            self.raw.sendall(data)

    def _get(self, call):
        """What the call returns, once enough has come for it."""
        while True:
            try:
                with self.using:
                    value = call()
            except ssl.SSLWantReadError:
                value = None
            if self.out.pending:
                self._flush()
            if value is not None:
                return value
            data = self.raw.recv(65536)
            with self.using:
                if data:
                    self.into.write(data)
                else:
                    self.into.write_eof()

    def recv(self, size):
        """b"" after close_notify; ssl.SSLEOFError after a FIN without."""
        return self._get(lambda: self._read(size))

    def _read(self, size):
        data, self.early = self.early[:size], self.early[size:]
        try:
            return data or self.object.read(size)
        except ssl.SSLZeroReturnError:
            return b""

    def sendall(self, data):
        self._flush(lambda: self.object.write(data))

    def send(self, data):
        self.sendall(data[:RECORD])
        return min(len(data), RECORD)

    def shutdown(self, how):
        """close_notify, and the FIN behind it. By the first the other end may have known enough."""
        assert how == socket.SHUT_WR
        self.end()
        try:
            self.raw.shutdown(how)
        except OSError as error:
            assert error.errno == errno.ENOTCONN

    def end(self):
        """close_notify alone."""
        self._flush(self._unwrap)

    def _unwrap(self):
        while self.into.pending:
            self.early += self.object.read(65536)
        self.object.unwrap()

    def close(self):
        self.raw.close()

    def __getattr__(self, name):
        return getattr(self.raw, name)


class SecureSetup(Setup):
    """Its clients speak TLS."""

    mode = "implicit"

    def __init__(self, relays, certificate, *more, listener="", **options):
        self.certificate = certificate
        super().__init__(
            relays, listener=f"tls = {self.mode} {pairs(certificate, *more)} {listener}", **options)

    def connect(self, source=None):
        return secure(super().connect(source), self.certificate)

    def connect_plainly(self, source=None):
        return super().connect(source)


class StarttlsSetup(SecureSetup):
    """Likewise, from behind STARTTLS on. The greeting is as yet to be heard then."""

    mode = "starttls_required"

    def connect(self, source=None):
        client = self.connect_plainly(source)
        greeting = client.line()
        if greeting.startswith(b"220"):
            client.send(b"STARTTLS\r\n")
            if not client.line().startswith(b"220"):
                raise ConnectionRefusedError("no TLS")
            secure(client, self.certificate)
        client.buffer = greeting + b"\r\n" if greeting else b""
        return client


def secure(client, certificate, context=None, name=None):
    client.sock = Secured(client.sock, context or certificate.context(), name or certificate.name)
    return client


def receive_tls(conn, certificate):
    """From here on a relay's connection speaks TLS."""
    early, conn.buffer = conn.buffer, b""
    conn.sock = Secured(conn.sock, certificate.server, is_server=True, early=early)


def receive_starttls(conn, certificate, greeting):
    """The same by STARTTLS, behind the greeting. Returns the name in EHLO."""
    conn.send(greeting + b"\r\n")
    word, _, name = conn.line().partition(b" ")
    assert word == b"EHLO"
    conn.send(b"250-relay\r\n250-STARTTLS\r\n250 SIZE\r\n")
    assert conn.line() == b"STARTTLS"
    conn.send(b"220 2.0.0 go ahead\r\n")
    receive_tls(conn, certificate)
    return name


def relay_tls(mode, certificate, more=""):
    """For a pool whose relays have this certificate."""
    return f'tls = {mode} tls_ca = {certificate.pem} tls_name = "{certificate.name}" {more}'


def secure_by(mode, certificate, log=None, greeting=b"220 relay ESMTP"):
    """For peers.smtp. log: gets each session's socket; greeting: with STARTTLS."""

    def secure(conn):
        if mode == "starttls":
            assert receive_starttls(conn, certificate, greeting) == b"lb.test"
        else:
            receive_tls(conn, certificate)
        if log is not None:
            log.append(conn.sock.object)
        return mode == "starttls"

    return secure
