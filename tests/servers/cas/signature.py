# SPDX-License-Identifier: ISC
"""Both signatures of requests, checked on the bytes that came: ACS3-HMAC-SHA256 in headers, HMAC-SHA1 in parameters. Public functions return the text that was
to be signed, too, since SignatureDoesNotMatch tells it."""
import base64
import calendar
import hashlib
import hmac
import re
import time
from urllib.parse import quote, unquote_to_bytes

from .errors import Refusal

V3 = "ACS3-HMAC-SHA256"
AUTHORIZATION = re.compile(V3 + r" Credential=([^,\s]+),SignedHeaders=([a-z0-9;-]+),Signature=([0-9a-f]{64})\Z")


def encode(text):
    """The rule of both: only letters, digits, - _ . ~ stay."""
    return quote(text.encode(), safe="-_.~")


def decode(raw):
    if re.search(rb"%(?![0-9A-Fa-f]{2})", raw):
        raise Refusal("InvalidParameter.Format", "a percent sign without two digits in the query")
    try:
        return unquote_to_bytes(raw.replace(b"+", b" ")).decode("utf-8")
    except UnicodeDecodeError:
        raise Refusal("InvalidParameter.Format", "a parameter is not UTF-8") from None


def parse_pairs(raw):
    """[(name, value)] of a query or a form, in their order."""
    pairs = []
    for part in raw.split(b"&"):
        if part:
            name, _, value = part.partition(b"=")
            pairs.append((decode(name), decode(value)))
    return pairs


def canonical_pairs(pairs):
    return "&".join(encode(k) + "=" + encode(v) for k, v in sorted(pairs, key=lambda p: (p[0].encode(), p[1].encode())))


def parse_time(text):
    """Seconds since 1970."""
    try:
        return calendar.timegm(time.strptime(text, "%Y-%m-%dT%H:%M:%SZ"))
    except ValueError:
        raise Refusal("InvalidTimeStamp.Format", "the date is not YYYY-MM-DDTHH:MM:SSZ") from None


def parse_authorization(text):
    """(key id, [signed header names], signature)"""
    found = AUTHORIZATION.match(text)
    if not found:
        raise Refusal("IncompleteSignature", "the Authorization header is not %s with Credential, SignedHeaders and Signature" % V3)
    return found.group(1), found.group(2).split(";"), found.group(3)


def must_be_signed(headers):
    return sorted(name for name in headers if name.startswith("x-acs-") or name in ("host", "content-type"))


def v3_canonical(method, pairs, headers, names, body):
    """The canonical request. headers: by lower-case name."""
    lines = "".join("%s:%s\n" % (name, headers[name].strip()) for name in names)
    return "\n".join([method, "/", canonical_pairs(pairs), lines, ";".join(names), hashlib.sha256(body).hexdigest()])


def v3_sign(secret, canonical):
    """(signature, string to sign)"""
    text = V3 + "\n" + hashlib.sha256(canonical.encode()).hexdigest()
    return hmac.new(secret.encode(), text.encode(), hashlib.sha256).hexdigest(), text


def rpc_sign(secret, method, pairs):
    """(signature, string to sign); pairs without Signature."""
    text = method + "&%2F&" + encode(canonical_pairs(pairs))
    digest = hmac.new((secret + "&").encode(), text.encode(), hashlib.sha1).digest()
    return base64.b64encode(digest).decode(), text


def same(a, b):
    return hmac.compare_digest(a.encode(), b.encode())
