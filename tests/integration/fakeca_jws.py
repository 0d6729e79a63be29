# SPDX-License-Identifier: ISC
"""The signature side of ACME (RFC 7515, 7638, 8555 section 6.2), as a strict server reads it."""
import base64
import hashlib
import hmac
import json
import re

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, padding, rsa, utils

BASE64URL = re.compile(rb'^[A-Za-z0-9_-]*$')
CURVES = {'ES256': ('P-256', ec.SECP256R1, hashes.SHA256, 32), 'ES384': ('P-384', ec.SECP384R1, hashes.SHA384, 48)}
HMACS = {'HS256': hashlib.sha256, 'HS384': hashlib.sha384, 'HS512': hashlib.sha512}


class Bad(Exception):
    """What is wrong with a request."""


def b64(data):
    return base64.urlsafe_b64encode(data).rstrip(b'=').decode()


def unb64(text):
    text = text.encode() if isinstance(text, str) else text
    if not BASE64URL.match(text) or len(text) % 4 == 1:
        raise Bad('not unpadded base64url: %r' % text[:40])
    return base64.urlsafe_b64decode(text + b'=' * (-len(text) % 4))


def thumbprint(jwk):
    members = {'EC': ('crv', 'kty', 'x', 'y'), 'RSA': ('e', 'kty', 'n')}[jwk['kty']]
    return b64(hashlib.sha256(json.dumps({m: jwk[m] for m in members}, sort_keys=True, separators=(',', ':')).encode()).digest())


def public_key(jwk, alg):
    if jwk.get('kty') == 'RSA':
        return rsa.RSAPublicNumbers(int.from_bytes(unb64(jwk['e']), 'big'), int.from_bytes(unb64(jwk['n']), 'big')).public_key()
    name, curve, _, width = CURVES[alg]
    if jwk.get('kty') != 'EC' or jwk.get('crv') != name:
        raise Bad('the key does not fit the algorithm %s' % alg)
    x, y = unb64(jwk['x']), unb64(jwk['y'])
    if len(x) != width or len(y) != width:
        raise Bad('a coordinate of the key is not %d bytes long' % width)
    return ec.EllipticCurvePublicNumbers(int.from_bytes(x, 'big'), int.from_bytes(y, 'big'), curve()).public_key()


def verify(jwk, alg, signed, signature):
    try:
        if alg == 'RS256':
            public_key(jwk, alg).verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())
            return
        _, _, digest, width = CURVES[alg]
        if len(signature) != 2 * width:
            raise Bad('a signature of %d bytes' % len(signature))
        pair = utils.encode_dss_signature(int.from_bytes(signature[:width], 'big'), int.from_bytes(signature[width:], 'big'))
        public_key(jwk, alg).verify(pair, signed, ec.ECDSA(digest()))
    except KeyError as e:
        raise Bad('%s is missing or unknown' % e)
    except InvalidSignature:
        raise Bad('the signature does not verify')


class Jws:
    """A flattened JSON serialization, taken apart but not yet verified."""

    def __init__(self, text):
        try:
            outer = json.loads(text)
            if set(outer) != {'protected', 'payload', 'signature'}:
                raise Bad('members %s' % sorted(outer))
            self.header = json.loads(unb64(outer['protected']))
            self.payload = unb64(outer['payload'])
            self.object = json.loads(self.payload) if self.payload else None
        except (ValueError, TypeError, AttributeError) as e:
            raise Bad('not a JWS: %s' % e)
        self.signed = ('%s.%s' % (outer['protected'], outer['payload'])).encode()
        self.signature = unb64(outer['signature'])

    def verify(self, jwk):
        verify(jwk, self.header.get('alg'), self.signed, self.signature)


def verify_binding(binding, keys, url, jwk):
    """External account binding: the key identifier. keys: identifier -> bytes."""
    inner = Jws(json.dumps(binding))
    if set(inner.header) != {'alg', 'kid', 'url'} or inner.header['url'] != url or inner.header['alg'] not in HMACS:
        raise Bad('header of the binding: %s' % inner.header)
    if inner.object != jwk:
        raise Bad('the binding is for another key')
    key = keys.get(inner.header['kid'])
    if key is None or not hmac.compare_digest(hmac.new(key, inner.signed, HMACS[inner.header['alg']]).digest(), inner.signature):
        raise Bad('the binding does not verify')
    return inner.header['kid']
