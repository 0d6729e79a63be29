# SPDX-License-Identifier: ISC
"""A client of Alibaba Cloud's certificate service that signs by itself: for tests of the stand-in in tests/servers/cas."""
import base64
import hashlib
import hmac
import http.client
import json
import ssl
import time
import uuid
from urllib.parse import quote

KEY, SECRET = "testAccessKeyId", "testAccessKeySecret"
EMPTY = hashlib.sha256(b"").hexdigest()


def enc(text):
    return quote(text, safe="")  # letters, digits and _.-~ stay


class Client:
    def __init__(self, server, key=KEY, secret=SECRET, token=None):
        self.server, self.key, self.secret, self.token = server, key, secret, token
        self.skew, self.version = 0, "2020-04-07"

    def stamp(self):
        return time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + self.skew))

    def send(self, method, target, headers, body=b""):
        if self.server.ca_file:
            conn = http.client.HTTPSConnection("localhost", self.server.port, timeout=30, context=ssl.create_default_context(cafile=self.server.ca_file))
        else:
            conn = http.client.HTTPConnection("localhost", self.server.port, timeout=30)
        try:
            conn.putrequest(method, target, skip_host=True, skip_accept_encoding=True)
            for name, value in headers.items():
                conn.putheader(name, value)
            conn.putheader("Content-Length", str(len(body)))
            conn.endheaders(body)
            answer = conn.getresponse()
            self.headers = answer.headers
            return answer.status, answer.read()
        finally:
            conn.close()

    def signed(self, action, query, **change):
        """The headers of a V3 request; change: header -> value, before it is signed; None: without it."""
        headers = {"host": "localhost:%d" % self.server.port, "x-acs-action": action, "x-acs-version": self.version, "x-acs-date": self.stamp(),
                   "x-acs-signature-nonce": uuid.uuid4().hex, "x-acs-content-sha256": EMPTY}
        if self.token:
            headers |= {"x-acs-accesskey-id": self.key, "x-acs-security-token": self.token}
        headers |= {k.replace("_", "-"): v for k, v in change.items()}
        headers = {k: v for k, v in headers.items() if v is not None}
        names = sorted(headers)
        text = "POST\n/\n%s\n%s\n%s\n%s" % (query, "".join("%s:%s\n" % (n, headers[n]) for n in names), ";".join(names), EMPTY)
        text = "ACS3-HMAC-SHA256\n" + hashlib.sha256(text.encode()).hexdigest()
        made = hmac.new(self.secret.encode(), text.encode(), hashlib.sha256).hexdigest()
        return headers | {"accept": "application/json",
                          "authorization": "ACS3-HMAC-SHA256 Credential=%s,SignedHeaders=%s,Signature=%s" % (self.key, ";".join(names), made)}

    def v3(self, action, _change=None, **params):
        query = "&".join("%s=%s" % (enc(k), enc(str(v))) for k, v in sorted(params.items()))
        status, body = self.send("POST", "/?" + query, self.signed(action, query, **(_change or {})))
        return status, json.loads(body)

    def rpc(self, action, _method="GET", _change=None, **params):
        given = {"Action": action, "Version": self.version, "Format": "JSON", "AccessKeyId": self.key, "SignatureMethod": "HMAC-SHA1", "SignatureVersion": "1.0",
                 "SignatureNonce": uuid.uuid4().hex, "Timestamp": self.stamp()} | {k: str(v) for k, v in params.items()} | (_change or {})
        if self.token:
            given["SecurityToken"] = self.token
        query = "&".join("%s=%s" % (enc(k), enc(v)) for k, v in sorted(given.items()))
        made = base64.b64encode(hmac.new(self.secret.encode() + b"&", (_method + "&%2F&" + enc(query)).encode(), hashlib.sha1).digest()).decode()
        status, body = self.send(_method, "/?%s&Signature=%s" % (query, enc(made)), {"host": "localhost:%d" % self.server.port})
        return status, json.loads(body) if body.startswith(b"{") else body

    def get(self, action, **params):
        """What must be answered well."""
        status, document = self.v3(action, **params)
        assert status == 200, document
        return document

    def refused(self, action, **params):
        status, document = self.v3(action, **params)
        assert status != 200, document
        return document["Code"]
