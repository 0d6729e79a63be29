# SPDX-License-Identifier: ISC
"""From the bytes of a request to an operation, and back: signatures, clock, nonces, routing, envelopes. Knows no operation itself."""
import dataclasses
import hashlib
import threading
import time
import uuid

from . import faults, signature, wire
from .errors import Refusal

TOLERANCE = 15 * 60
NONCES_KEPT = 100000
RPC_COMMON = ("Format", "Version", "Action", "AccessKeyId", "SignatureMethod", "SignatureVersion", "SignatureNonce", "Timestamp", "Signature", "SecurityToken",
              "ResourceOwnerAccount", "RegionId", "SignatureType")


@dataclasses.dataclass
class Request:
    method: str
    target: bytes
    headers: list          # (name, value), as they came
    body: bytes = b""
    tls: bool = True


@dataclasses.dataclass
class Reply:
    status: int
    body: bytes
    content_type: str
    headers: dict
    length: int = None     # what Content-Length says; None: the truth
    date: str = None       # what Date says; None: the truth


@dataclasses.dataclass
class Call:
    """What was understood of a request so far; it becomes its line of the log."""
    request: Request
    id: str
    host: str = ""
    scheme: str = None
    action: str = None
    version: str = None
    key: str = None
    json: bool = False
    pairs: list = dataclasses.field(default_factory=list)
    params: dict = dataclasses.field(default_factory=dict)
    unknown: list = dataclasses.field(default_factory=list)
    headers: dict = dataclasses.field(default_factory=dict)


class Gateway:
    """products: version -> (prefix of its rights, {name: wire.Action}); service: what operations are given; note(entry): the log."""

    def __init__(self, state, clock, arm, products, service, note):
        self.state, self.clock, self.faults, self.products, self.service, self.note = state, clock, arm, products, service, note
        self.nonces, self.recent, self.lock = {}, {}, threading.Lock()

    # --- the whole of a request ---

    def answer(self, request):
        """A Reply; faults.Dropped when nothing is to be said."""
        call, hits = Call(request, str(uuid.uuid4()).upper()), []
        entry = {"method": request.method, "target": request.target.decode("latin-1"), "headers": request.headers, "body": request.body.decode("latin-1")}
        root, extra = None, {}
        try:
            self.understand(call)
            action = self.authorize(call)
            self.throttle(call)
            hits = self.faults.due(call.action)
            self.faults.before(hits)
            document, status = {"RequestId": call.id} | self.run(call, action), 200
            root = call.action + "Response"
        except Refusal as no:
            status, extra = no.status(self.state.option("other_statuses")), no.headers
            document = {"RequestId": call.id, "HostId": call.host.rsplit(":", 1)[0], "Code": no.code, "Message": no.message,
                        "Recommend": "https://api.example.invalid/troubleshoot?q=" + no.code} | no.more
        except faults.Dropped:
            self.note(entry | self.told(call) | {"status": None, "code": None, "faults": [f["do"] for f in hits]})
            raise
        document = faults.on_document(hits, document)
        self.note(entry | self.told(call) | {"status": status, "code": document.get("Code"), "faults": [f["do"] for f in hits]})
        reply = self.render(call, hits, document, status, root or "Error")
        reply.headers |= extra
        self.faults.after(hits, reply)
        return reply

    def told(self, call):
        return {"scheme": call.scheme, "action": call.action, "version": call.version, "key": call.key, "params": call.params, "unknown": call.unknown,
                "request_id": call.id}

    def render(self, call, hits, document, status, root):
        document = wire.in_unit(document, self.state.option("time_unit"))
        if call.json and not any(f["do"] == "xml" for f in hits):
            return Reply(status, wire.to_json(document), "application/json;charset=utf-8", {"x-acs-request-id": call.id})
        return Reply(status, wire.to_xml(root, document), "text/xml;charset=utf-8", {"x-acs-request-id": call.id})

    # --- steps ---

    def understand(self, call):
        """Headers and parameters; which scheme; which operation is meant."""
        request = call.request
        for name, value in request.headers:
            name = name.lower()
            if name in call.headers and (name.startswith("x-acs-") or name in ("host", "content-type", "authorization")):
                raise Refusal("InvalidParameter.Format", "The header %s comes twice." % name)
            call.headers[name] = value
        call.host = call.headers.get("host", "")
        call.json = "json" in call.headers.get("accept", "")
        if request.method not in ("GET", "POST"):
            raise Refusal("UnsupportedHTTPMethod", "This HTTP method is not supported.")
        path, _, query = request.target.partition(b"?")
        if path != b"/":
            raise Refusal("InvalidApi.NotFound", "Specified api is not found, please check your url and method.")
        call.pairs = signature.parse_pairs(query)
        if request.body and call.headers.get("content-type", "").split(";")[0].strip() == "application/x-www-form-urlencoded":
            call.pairs += signature.parse_pairs(request.body)
        given = dict(call.pairs)
        if len(given) != len(call.pairs):
            raise Refusal("InvalidParameter", "A parameter comes twice.")
        if "authorization" in call.headers:
            call.scheme, call.action, call.version = "v3", call.headers.get("x-acs-action"), call.headers.get("x-acs-version")
            call.params = given
        else:
            call.scheme, call.action, call.version = "rpc", given.get("Action"), given.get("Version")
            if given.get("Format", "XML").upper() not in ("JSON", "XML"):
                raise Refusal("InvalidParameter.Format", "Format is neither JSON nor XML.")
            call.json = given.get("Format", "XML").upper() == "JSON"
            call.params = {k: v for k, v in given.items() if k not in RPC_COMMON}
        self.route(call)

    def route(self, call):
        hosts = self.state.option("hosts")
        if hosts is not None and call.host not in hosts:
            raise Refusal("InvalidProduct.NotFound", "Cannot find product according to your specified domain.")
        for name, value in (("Action", call.action), ("Version", call.version)):
            if not value:
                raise Refusal("Missing" + name if self.state.option("named_codes") else "MissingParameter", "%s is mandatory for this action." % name)
        if call.version not in self.products:
            raise Refusal("NoSuchVersion" if call.version[:4].isdigit() else "InvalidVersion", "Specified parameter Version is not valid.")
        if call.action not in self.products[call.version][1]:
            raise Refusal("InvalidAction.NotFound", "Specified api is not found, please check your url and method.")

    def authorize(self, call):
        """The operation, once its caller is known and may ask for it so."""
        check = self.check_v3 if call.scheme == "v3" else self.check_rpc
        key = check(call)
        prefix, actions = self.products[call.version]
        action = actions[call.action]
        if action.ssl and not call.request.tls and self.state.option("need_ssl"):
            raise Refusal("InvalidProtocol.NeedSsl", "Your request is denied as lack of ssl protect.")
        if call.request.method == "GET" and not action.get:
            raise Refusal("UnsupportedHTTPMethod", "This HTTP method is not supported.")
        if key["restriction"]:
            raise Refusal(key["restriction"], "The account may not use this service.")
        if key["actions"] is not None and call.action not in key["actions"]:
            raise Refusal("NoPermission", "You are not authorized to do this operation.", more={"AccessDeniedDetail": {
                "PolicyType": "AccountLevelIdentityBasedPolicy", "AuthAction": prefix + ":" + call.action, "AuthPrincipalType": "SubUser",
                "NoPermissionType": "ImplicitDeny"}})
        return action

    def throttle(self, call):
        rate, now = self.state.option("rate"), time.monotonic()
        with self.lock:
            recent = [t for t in self.recent.get(call.action, ()) if t > now - 1]
            full = rate is not None and len(recent) >= rate
            self.recent[call.action] = recent if full else recent + [now]
        if full:
            raise Refusal("Throttling.User", "Request was denied due to user flow control.")

    def find_key(self, key_id, token, call):
        call.key = key_id
        key = self.state["keys"].get(key_id)
        if not key or (key["token"] and token is None):
            raise Refusal("InvalidAccessKeyId.NotFound", "Specified access key is not found.")
        if not key["active"]:
            raise Refusal("InvalidAccessKeyId.Inactive", "Specified access key is disabled.")
        if token is not None:
            if token != key["token"]:
                raise Refusal("InvalidSecurityToken.Malformed", "Specified SecurityToken is malformed.")
            if key["expires"] is not None and self.clock.wall() >= key["expires"]:
                raise Refusal("InvalidSecurityToken.Expired", "Specified SecurityToken is expired.")
        return key

    def check_date(self, text):
        if abs(signature.parse_time(text) - self.clock.wall()) > TOLERANCE:
            raise Refusal("InvalidTimeStamp.Expired", "Specified time stamp or date value is expired.")

    def spend(self, nonce, key_id):
        """After the signature was found good, so that nobody spends another's nonces."""
        now = self.clock.wall()
        with self.lock:
            if (key_id, nonce) in self.nonces:
                raise Refusal("SignatureNonceUsed", "Specified signature nonce was used already.")
            if len(self.nonces) >= NONCES_KEPT:
                self.nonces = {k: t for k, t in self.nonces.items() if t > now - 2 * TOLERANCE}
            self.nonces[key_id, nonce] = now

    def check_v3(self, call):
        headers = call.headers
        key_id, names, given = signature.parse_authorization(headers["authorization"])
        for name in ("host", "x-acs-date", "x-acs-signature-nonce", "x-acs-content-sha256"):
            if not headers.get(name):
                raise Refusal("MissingParameter", "The header %s is mandatory." % name)
        if headers.get("x-acs-accesskey-id", key_id) != key_id:
            raise Refusal("IncompleteSignature", "x-acs-accesskey-id is not that of Credential.")
        key = self.find_key(key_id, headers.get("x-acs-security-token"), call)
        self.check_date(headers["x-acs-date"])
        if names != signature.must_be_signed(headers):
            raise Refusal("IncompleteSignature", "SignedHeaders is not %s." % ";".join(signature.must_be_signed(headers)))
        query = signature.parse_pairs(call.request.target.partition(b"?")[2])
        canonical = signature.v3_canonical(call.request.method, query, headers, names, call.request.body)
        made, text = signature.v3_sign(key["secret"], canonical)
        if not signature.same(made, given) or headers["x-acs-content-sha256"] != hashlib.sha256(call.request.body).hexdigest():
            raise Refusal("SignatureDoesNotMatch", "Specified signature does not match our calculation. server string to sign is:%s" % text +
                          " server CanonicalRequest is:%s" % canonical)
        self.spend(headers["x-acs-signature-nonce"], key_id)
        return key

    def check_rpc(self, call):
        given = dict(call.pairs)
        for name in ("AccessKeyId", "SignatureMethod", "SignatureVersion", "SignatureNonce", "Timestamp"):
            if not given.get(name):
                raise Refusal("Missing" + name if self.state.option("named_codes") else "MissingParameter", "%s is mandatory for this action." % name)
        if not given.get("Signature"):
            raise Refusal("IncompleteSignature", "The request signature does not conform to standards.")
        if given["SignatureMethod"] != "HMAC-SHA1":
            raise Refusal("InvalidSignatureMethod", "Specified signature method is not supported.")
        if given["SignatureVersion"] != "1.0":
            raise Refusal("InvalidParameter", "SignatureVersion is not 1.0.")
        key = self.find_key(given["AccessKeyId"], given.get("SecurityToken"), call)
        self.check_date(given["Timestamp"])
        made, text = signature.rpc_sign(key["secret"], call.request.method, [p for p in call.pairs if p[0] != "Signature"])
        if not signature.same(made, given["Signature"]):
            raise Refusal("SignatureDoesNotMatch", "Specified signature is not matched with our calculation. server string to sign is:" + text)
        self.spend(given["SignatureNonce"], given["AccessKeyId"])
        return key

    def run(self, call, action):
        params, call.unknown = wire.take(action, call.params, self.state["options"])
        return self.service.run(action, params)
