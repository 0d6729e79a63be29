# SPDX-License-Identifier: ISC
"""A tiny certification authority that can also issue what no CA should."""
import datetime
import hashlib
import ipaddress
import itertools

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

DAY = datetime.timedelta(days=1)
SECOND = datetime.timedelta(seconds=1)


def now():
    return datetime.datetime.utcnow().replace(microsecond=0)


def new_key():
    return ec.generate_private_key(ec.SECP256R1())


def common_name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)] if text else [])


def pem(cert):
    return cert.public_bytes(serialization.Encoding.PEM)


def key_pem(key):
    return key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())


def fingerprint(cert):
    return hashlib.sha256(cert.public_bytes(serialization.Encoding.DER)).hexdigest()


def leaf_of(chain):
    """The first certificate of a PEM text."""
    return x509.load_pem_x509_certificate(chain)


def builder(subject, issuer, public_key, begin, end, serial):
    made = x509.CertificateBuilder(issuer_name=common_name(issuer), subject_name=common_name(subject), public_key=public_key,
                                   serial_number=serial)
    # The setters refuse an end before the beginning, which is one of the things we are here for.
    made._not_valid_before, made._not_valid_after = begin, end
    return made


def make_ca(name, issuer=None, begin=None, end=None, key=None):
    """(key, certificate) of a CA: self-signed, or signed by another such pair."""
    key = key or new_key()
    signer, parent = issuer or (key, None)
    made = builder(name, parent.subject.rfc4514_string()[3:] if parent else name, key.public_key(), begin or now() - DAY, end or now() + 3650 * DAY,
                   x509.random_serial_number())
    made = made.add_extension(x509.BasicConstraints(True, None), True)
    made = made.add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), False)
    return key, made.sign(signer, hashes.SHA256())


def make_server(hosts, issuer=None, begin=None, end=None):
    """(key, chain as PEM) of a TLS server; self-signed without an issuer."""
    key = new_key()
    signer, parent = issuer or (key, None)
    made = builder(hosts[0], parent.subject.rfc4514_string()[3:] if parent else hosts[0], key.public_key(), begin or now() - DAY,
                   end or now() + 90 * DAY, x509.random_serial_number())
    names = [x509.IPAddress(ipaddress.ip_address(h)) if h[0].isdigit() else x509.DNSName(h) for h in hosts]
    made = made.add_extension(x509.SubjectAlternativeName(names), False)
    return key, pem(made.sign(signer, hashes.SHA256()))


class Pki:
    """Root -> intermediate -> leaf. `issue` makes the right thing; its keywords make every other."""

    def __init__(self):
        self.root = make_ca('fake root')
        self.middle = make_ca('fake intermediate', self.root)
        self.other_root = make_ca('other root')
        key, _ = self.middle
        cross = builder('fake intermediate', 'other root', key.public_key(), now() - DAY, now() + 3650 * DAY, x509.random_serial_number())
        cross = cross.add_extension(x509.BasicConstraints(True, None), True)
        self.cross = cross.sign(self.other_root[0], hashes.SHA256())
        self.expired_middle = make_ca('fake intermediate', self.root, now() - 20 * DAY, now() - 10 * DAY, self.middle[0])
        self.serials = itertools.count(0x10001)

    def leaf(self, names, public_key, subject=None, begin=None, end=None, ca=False, serial=None, signer=None, usage=True, san=True):
        key, cert = signer or self.middle
        made = builder(subject, cert.subject.rfc4514_string()[3:], public_key, begin or now() - datetime.timedelta(hours=1),
                       end or now() + 90 * DAY, serial or next(self.serials))
        if san:
            made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName(n) for n in names]), not subject)
        made = made.add_extension(x509.BasicConstraints(ca, None), True)
        made = made.add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(key.public_key()), False)
        if usage:
            made = made.add_extension(x509.ExtendedKeyUsage([usage if usage is not True else ExtendedKeyUsageOID.SERVER_AUTH]), False)
        return made.sign(key, hashes.SHA256())

    def issue(self, csr, names):
        """The right answer to a signing request: PEM, leaf first."""
        return pem(self.leaf(names, csr.public_key())) + pem(self.middle[1])

    def alternate(self, chain):
        """The same leaf, to the other root."""
        return pem(leaf_of(chain)) + pem(self.cross)


def broken_signature(cert):
    der = bytearray(cert.public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    return pem(x509.load_der_x509_certificate(bytes(der)))


def _leaf(**change):
    return lambda pki, csr, names: pem(pki.leaf(names, csr.public_key(),
                                                **{k: v() if callable(v) else v for k, v in change.items()})) + pem(pki.middle[1])


def _names(change):
    return lambda pki, csr, names: pem(pki.leaf(change(names), csr.public_key())) + pem(pki.middle[1])


def _text(change):
    return lambda pki, csr, names: change(pki.issue(csr, names))


def _chain(change):
    def make(pki, csr, names):
        return b''.join(pem(c) for c in change(pki, pki.leaf(names, csr.public_key())))
    return make


def _long_chain(pki, leaf):
    return [leaf] + [pki.middle[1]] * 49


def _other_key(pki, csr, names):
    return pem(pki.leaf(names, new_key().public_key())) + pem(pki.middle[1])


def _foreign_signer(pki, csr, names):
    """Signed by somebody who merely has the intermediate's name."""
    fake = make_ca('fake intermediate', pki.root)
    return pem(pki.leaf(names, csr.public_key(), signer=fake)) + pem(pki.middle[1])


def _staging(pki, csr, names):
    """As Let's Encrypt names the CAs that nobody trusts."""
    middle = make_ca('(STAGING) Wrong Rhubarb E1', pki.root)
    return pem(pki.leaf(names, csr.public_key(), signer=middle)) + pem(middle[1])


def _hour(n):
    return lambda: now() + datetime.timedelta(hours=n)


# What to send instead of the right chain: name -> function(pki, csr, names) -> bytes.
WRONG = {
    'other key': _other_key,
    'missing name': _names(lambda n: n[1:] or ['else.example.org']),
    'extra name': _names(lambda n: n + ['extra.example.org']),
    'other name': _names(lambda n: ['else.example.org']),
    'wildcard instead': _names(lambda n: ['*.' + x.split('.', 1)[1] for x in n]),
    'common name only': lambda pki, csr, names: pem(pki.leaf(names, csr.public_key(), subject=names[0], san=False)) + pem(pki.middle[1]),
    'expired': _leaf(begin=lambda: now() - 2 * DAY, end=lambda: now() - DAY),
    'valid in an hour': _leaf(begin=_hour(1)),
    'valid tomorrow': _leaf(begin=_hour(24)),
    'valid for a second': _leaf(begin=lambda: now() - 5 * SECOND, end=lambda: now() - 4 * SECOND),
    'ends before it begins': _leaf(begin=lambda: now() + 60 * SECOND, end=lambda: now() + 30 * SECOND),
    'a CA': _leaf(ca=True),
    'for clients': _leaf(usage=ExtendedKeyUsageOID.CLIENT_AUTH),
    'broken signature': lambda pki, csr, names: broken_signature(pki.leaf(names, csr.public_key())) + pem(pki.middle[1]),
    'foreign signer': _foreign_signer,
    'of a test CA': _staging,
    'wrong order': _chain(lambda pki, leaf: [pki.middle[1], leaf]),
    'unrelated extra': _chain(lambda pki, leaf: [leaf, pki.middle[1], pki.other_root[1]]),
    'expired intermediate': _chain(lambda pki, leaf: [leaf, pki.expired_middle[1]]),
    'long chain': _chain(_long_chain),
    'leaf twice': _chain(lambda pki, leaf: [leaf, leaf, pki.middle[1]]),
    'private key inside': _text(lambda t: t + key_pem(new_key())),
    'private key first': _text(lambda t: key_pem(new_key()) + t),
    'private key in one line': _text(lambda t: t + b'x-----BEGIN PRIVATE KEY-----'),
    'NUL inside': _text(lambda t: t.replace(b'-----END', b'\0-----END', 1)),
    'empty': _text(lambda t: b''),
    'not PEM': _text(lambda t: b'<html>thank you for your order</html>'),
    'not base64': _text(lambda t: t.replace(b'\n', b'\n!', 1)),
    'not DER': _text(lambda t: b'-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n'),
    'block without end': _text(lambda t: t[:t.index(b'-----END')]),
}

# Unusual, yet right: to be taken.
ODD = {
    'CRLF': _text(lambda t: t.replace(b'\n', b'\r\n')),
    'byte order mark': _text(lambda t: b'\xef\xbb\xbf' + t),
    'no final newline': _text(lambda t: t.rstrip(b'\n')),
    'text between blocks': _text(lambda t: b'your certificate:\n' + t.replace(b'-----END CERTIFICATE-----\n',
         b'-----END CERTIFICATE-----\nand more\n', 1)),
    'root included': _chain(lambda pki, leaf: [leaf, pki.middle[1], pki.root[1]]),
    'leaf only': _chain(lambda pki, leaf: [leaf]),
    'valid since now': _leaf(begin=now),
    'valid in five seconds': _leaf(begin=lambda: now() + 5 * SECOND),
}
