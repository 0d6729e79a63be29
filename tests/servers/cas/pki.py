# SPDX-License-Identifier: ISC
"""A throw-away CA: root, intermediate, leaves for requests; and the certificate of the stand-in's own TLS port."""
import datetime
import hashlib
import ipaddress
import os

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from .errors import Refusal

DAY = datetime.timedelta(days=1)


def named(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def pem(cert):
    return cert.public_bytes(serialization.Encoding.PEM).decode()


def key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.TraditionalOpenSSL, serialization.NoEncryption()).decode()


def build(subject, issuer, public_key, begin, end, ca):
    made = x509.CertificateBuilder(named(issuer), named(subject), public_key, x509.random_serial_number(), begin, end)
    made = made.add_extension(x509.BasicConstraints(ca, None), True)
    return made.add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), False)


def make_ca(name, issuer=None, issuer_name=None):
    """(key, certificate)"""
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.utcnow().replace(microsecond=0)
    made = build(name, issuer_name or name, key.public_key(), now - DAY, now + 3650 * DAY, True)
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    return key, made.add_extension(usage, True).sign(issuer or key, hashes.SHA256())


def key_for(algorithm):
    if algorithm == "ECC_256":
        return ec.generate_private_key(ec.SECP256R1())
    if not algorithm.startswith("RSA_"):
        raise Refusal("OperationDenied.ProductNotSupport", "This stand-in makes no keys of " + algorithm)
    return rsa.generate_private_key(65537, int(algorithm[4:]))


def make_request(name, key):
    return x509.CertificateSigningRequestBuilder(named(name)).sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()


def checked_request(text):
    """A request that the service takes: its text is PEM, signed by its key, RSA from 2048 bits or an elliptic curve, and has a CN."""
    try:
        csr = x509.load_pem_x509_csr(text.encode())
        good, key = csr.is_signature_valid, csr.public_key()
    except (ValueError, UnsupportedAlgorithm):
        raise Refusal("CertificateFormatException", "The CSR cannot be parsed.") from None
    small = key.key_size < 2048 if isinstance(key, rsa.RSAPublicKey) else not isinstance(key, ec.EllipticCurvePublicKey)
    if not good or small:
        raise Refusal("CertificateFormatException", "The CSR's signature or key is not good.")
    if len(csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)) != 1:
        raise Refusal("InvalidParameter", "The CSR has no CN.")
    return csr


def common_name_of(csr):
    return csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value


def digest_of(csr):
    """Of the request's key: that is what one order spends."""
    return hashlib.sha256(csr.public_key().public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)).hexdigest()


class Authority:
    """Its certificates live in memory; `root` is what who checks chains has to trust."""

    def __init__(self):
        self.root = make_ca("stand-in root")
        self.middle = make_ca("stand-in intermediate", self.root[0], "stand-in root")

    def issue(self, names, public_key, days):
        """(PEM chain, leaf)"""
        key, cert = self.middle
        now = datetime.datetime.utcnow().replace(microsecond=0)
        made = build(names[0], "stand-in intermediate", public_key, now - datetime.timedelta(minutes=5), now + days * DAY, False)
        made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), False)
        made = made.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH]), False)
        made = made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False)
        leaf = made.sign(key, hashes.SHA256())
        return pem(leaf) + pem(cert), leaf


def write(path, text):
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as f:
        f.write(text)


def tls_files(base, hosts):
    """(certificate file, key file) of a server for hosts, by the test CA in base.pem and base.key; that is made when it is not there."""
    if not os.path.exists(base + ".key"):
        key, cert = make_ca("stand-in TLS CA")
        write(base + ".key", key_pem(key))
        write(base + ".pem", pem(cert))
    with open(base + ".key", "rb") as f:
        signer = serialization.load_pem_private_key(f.read(), None)
    with open(base + ".pem", "rb") as f:
        cert = x509.load_pem_x509_certificate(f.read())
    key, now = ec.generate_private_key(ec.SECP256R1()), datetime.datetime.utcnow().replace(microsecond=0)
    made = x509.CertificateBuilder(cert.subject, named(hosts[0]), key.public_key(), x509.random_serial_number(), now - DAY, now + 30 * DAY)
    names = [x509.IPAddress(ipaddress.ip_address(h)) if h[0].isdigit() or ":" in h else x509.DNSName(h) for h in hosts]
    made = made.add_extension(x509.SubjectAlternativeName(names), False)
    made = made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(signer.public_key()), False)
    write(base + ".server.pem", pem(made.sign(signer, hashes.SHA256())) + key_pem(key))
    return base + ".server.pem"
