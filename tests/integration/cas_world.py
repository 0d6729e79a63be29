# SPDX-License-Identifier: ISC
"""What applications at the stand-in need around them: a zone that its CA asks, a contact, signing requests. zone and place are fixtures, to be imported."""
import socket

import dns.message
import dns.rdatatype
import dns.rrset
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dns_world import Scripted


class Zone:
    """A name server with what the test puts there: (name, type) -> values."""

    def __init__(self):
        self.records = {}
        self.server = self.started()
        self.at = ("127.0.0.1", self.server.port)

    def started(self):
        """At a port that is free for UDP and TCP."""
        for _ in range(20):
            with socket.socket() as s:
                s.bind(("127.0.0.1", 0))
                port = s.getsockname()[1]
            try:
                return Scripted("127.0.0.1", port, self.rule).start()
            except OSError:
                pass
        raise RuntimeError("no port is free")

    def rule(self, query, tcp):
        answer, q = dns.message.make_response(query), query.question[0]
        kind = dns.rdatatype.to_text(q.rdtype)
        for rdtype in (kind, "CNAME"):
            values = self.records.get((q.name.to_text(True).lower(), rdtype))
            if values:
                answer.answer.append(dns.rrset.from_text(q.name, 60, "IN", rdtype, *values))
                break
        return answer

    def publish(self, proof):
        """As ValidationKey is meant: relative to RootDomain."""
        name = "%s.%s" % (proof["ValidationKey"], proof["RootDomain"])
        self.records.setdefault((name, "TXT"), []).append('"%s"' % proof["ValidationValue"])


@pytest.fixture
def zone():
    one = Zone()
    yield one
    one.server.stop()


@pytest.fixture
def place(make_cas, zone):
    """A server whose CA asks the zone."""
    one = make_cas(dns_server=zone.at, https=None)
    one.contact = one.state.add_contact()["id"]
    return one


def make_csr(name, key=None, cn=True):
    key = key or ec.generate_private_key(ec.SECP256R1())
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)] if cn else [])
    return x509.CertificateSigningRequestBuilder(subject).sign(key, hashes.SHA256()).public_bytes(serialization.Encoding.PEM).decode()
