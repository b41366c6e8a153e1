"""TLS for scripted peers: certificates that a test makes, and a socket that speaks TLS like a plain
one, so that the two directions end one by one and at once if need be."""

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

    def __init__(self, folder, name="lb.test", days=DAYS, kind=("ec", "ec_paramgen_curve:P-256")):
        self.name = name
        self.pem, self.key = folder / f"{name}.pem", folder / f"{name}.key"
        request = folder / f"{name}.csr"
        openssl("req", "-new", "-newkey", kind[0], "-pkeyopt", kind[1], "-nodes", "-subj",
                f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}", "-keyout", self.key,
                "-out", request)
        openssl("x509", "-req", "-in", request, "-signkey", self.key, "-days", str(days),
                "-copy_extensions", "copy", "-out", self.pem)

    def context(self):
        """A client's, that trusts nobody else."""
        return ssl.create_default_context(cafile=self.pem)


def pairs(*certificates):
    """They, as a listener's configuration has them."""
    return (f"certificate = {{ {', '.join(str(one.pem) for one in certificates)} }} "
            f"key = {{ {', '.join(str(one.key) for one in certificates)} }}")


class Secured:
    """A client's socket behind its handshake. One thread may send while another receives. ahead:
    goes in one piece with the first words; session: to be resumed."""

    def __init__(self, sock, context, name, ahead=b"", session=None):
        self.raw, self.context = sock, context
        self.into, self.out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.object = context.wrap_bio(
            self.into, self.out, server_hostname=name, session=session)
        self.ahead = ahead
        self.using, self.sending = threading.Lock(), threading.Lock()
        self.early = b""  # read by shutdown, in which OpenSSL takes any data for an error
        self._get(self.object.do_handshake)

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
            if value is not None or call == self.object.do_handshake and self.object.cipher():
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
        """close_notify, and the FIN behind it."""
        assert how == socket.SHUT_WR
        self._flush(self._unwrap)
        self.raw.shutdown(how)

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
