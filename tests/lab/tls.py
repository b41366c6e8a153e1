"""Certificates for the lab's hosts, and clients that a test leads by the hand through TLS."""

import shutil
import ssl

from client import Client


def certify(host, name, folder="etc"):
    """Makes a self-signed certificate for the name on the host: folder/NAME.pem, and its key."""
    at = f"/{folder}/{name}"
    host.run("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1",
             "-nodes", "-subj", f"/CN={name}", "-addext", f"subjectAltName=DNS:{name}",
             "-keyout", f"{at}.key", "-out", f"{at}.pem")
    return host.path(folder, f"{name}.pem")


def give(certificate, host, *path):
    """Copies it there."""
    shutil.copy(certificate, host.path(*path))


class SecureClient(Client):
    """A Client that speaks TLS from the first byte to the balancer, whom it verifies."""

    def __init__(self, host, certificate, port=25):
        self.certificate = certificate
        super().__init__(host, "203.0.113.25", port)

    def wrap(self, sock):
        context = ssl.create_default_context(cafile=self.certificate)
        return context.wrap_socket(sock, server_hostname="balancer")
