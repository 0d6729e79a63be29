# SPDX-License-Identifier: ISC
"""Alibaba's SDK as a client of the stand-in tests/servers/cas, and its requests field by field beside dovad's."""
import copy
import json
import os
import re
import shutil
import subprocess
from urllib.parse import unquote, urlsplit

import pytest

from cas import Server
from cas.pki import tls_files
from cas_client import KEY, SECRET
from lab_base import TOP

PLACE = TOP / "tests/servers/sdk"
VERSION = "2020-04-07"


def install(folder):
    """Puts the SDK there, unless it is there already; the folder. DOVAD_CAS_SDK names one that lasts longer than a test."""
    for tool in ("node", "npm"):
        if not shutil.which(tool):
            pytest.fail("%s is missing" % tool)
    folder = os.environ.get("DOVAD_CAS_SDK") or str(folder)
    done = subprocess.run([PLACE / "install.sh", folder], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=300)
    if done.returncode:
        pytest.fail("the SDK could not be installed:\n" + done.stderr[-2000:])
    return folder


class SdkError(Exception):
    """What the SDK threw: code, status (None: no answer that it could read), message, data (the document, where the SDK hands it on), retry_after."""

    def __init__(self, error):
        super().__init__("%s: %s" % (error.get("code") or error.get("name"), error.get("message")))
        self.code, self.status, self.message = error.get("code"), error.get("status"), error.get("message")
        self.data, self.retry_after = error.get("data"), error.get("retryAfter")


class Sdk:
    """A process of the driver (its head tells the rest). endpoint: a URL, or "capture"; options: id, secret, token, skew."""

    def __init__(self, folder, endpoint, ca_file=None, **options):
        env = dict(os.environ, CAS_SDK=str(folder), **({"NODE_EXTRA_CA_CERTS": str(ca_file)} if ca_file else {}))
        for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY", "NODE_OPTIONS"):
            env.pop(name, None)
        words = ["%s=%s" % pair for pair in options.items()]
        self.own = {}
        self.process = subprocess.Popen(["node", str(PLACE / "driver.js"), endpoint] + words, env=env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def at(self, **own):
        """The same process as another client: endpoint, id, secret, token; version: of another product."""
        other = copy.copy(self)
        other.own = self.own | own
        return other

    def ask(self, action, params=None, style="generic", signature="v3"):
        """One command's answer as the driver prints it."""
        command = {"action": action, "params": params or {}, "style": style, "signature": signature} | self.own
        self.process.stdin.write(json.dumps(command) + "\n")
        self.process.stdin.flush()
        line = self.process.stdout.readline()
        assert line, "the driver ended, %s" % self.process.wait(10)
        answer = json.loads(line)
        if "error" in answer:
            raise SdkError(answer["error"])
        return answer

    def call(self, action, params=None, style="generic", signature="v3"):
        """The document of a success; SdkError otherwise. Numbers above 2^53 are whole in generic calls only: the SDK's own models lose digits."""
        answer = self.ask(action, params, style, signature)
        return answer["body"] if style == "typed" else json.loads(answer["text"])

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        self.process.stdout.close()


# --- fixtures, to be imported; service needs cas_world.zone beside it ---

@pytest.fixture(scope="module")
def sdk_place(tmp_path_factory):
    """The SDK's folder, and where the files of the CA are that signs the stand-in's own certificate."""
    folder = tmp_path_factory.mktemp("cas")
    return install(folder / "sdk"), str(folder / "tls")


@pytest.fixture(scope="module")
def driver(sdk_place):
    """What runs the SDK for all tests; the service of each comes and goes."""
    tls_files(sdk_place[1], ["localhost"])
    one = Sdk(sdk_place[0], "https://localhost", sdk_place[1] + ".pem", id=KEY, secret=SECRET)
    yield one
    one.close()


@pytest.fixture(scope="module")
def capture(sdk_place):
    one = Sdk(sdk_place[0], "capture", id=KEY, secret=SECRET)
    yield one
    one.close()


@pytest.fixture
def service(sdk_place, zone):
    server = Server(tls=sdk_place[1], dns_server=zone.at)
    server.state.add_key(KEY, SECRET)
    yield server
    server.close()
    assert server.crashes == []


@pytest.fixture
def sdk(driver, service):
    return driver.at(endpoint="https://127.0.0.1:%d" % service.port)


# --- requests beside each other ---

# What differs from request to request: only its form is compared.
FORMS = {
    "header x-acs-date": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ", "query Timestamp": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ",
    "header x-acs-signature-nonce": r"[0-9A-Za-z-]{16,64}", "query SignatureNonce": r"[0-9A-Za-z-]{16,64}",
    "authorization Signature": r"[0-9a-f]{64}", "query Signature": r"[A-Za-z0-9+/]{27}=",
}
# Fields of the SDK's that no service needs: who it is, how it got its key, what the connection is. In RPC mode it also names action and version in headers,
# and its Format says in a parameter what ours says with accept, too.
SDK_ONLY = {"header user-agent", "header connection", "header x-acs-credentials-provider"}
SDK_ONLY_RPC = SDK_ONLY | {"header x-acs-action", "header x-acs-version"}
OURS_RPC = {"header accept": "application/json"}


def fields(request):
    """The decoded fields of {method, target, headers, body} as {name: value}; what comes twice is a list of both. Names of headers are in lower case."""
    found = {}

    def add(name, value):
        if name in found:
            value = (found[name] if isinstance(found[name], list) else [found[name]]) + [value]
        found[name] = value
    target = urlsplit(request["target"])
    add("method", request["method"])
    add("path", target.path)
    add("body", request["body"])
    for part in target.query.split("&") if target.query else ():
        name, _, value = part.partition("=")
        add("query " + unquote(name, errors="strict"), unquote(value, errors="strict"))
    for name, value in request["headers"]:
        if name.lower() != "authorization":
            add("header " + name.lower(), value)
            continue
        scheme, _, rest = value.partition(" ")
        add("authorization", scheme)
        for part in rest.split(","):
            name, _, value = part.partition("=")
            add("authorization " + name, value)
    return found


def differences(ours, theirs):
    """[(field, ours, theirs)] of two requests for the same call, None where a side has none. What every request has of its own (date, nonce, signature) must
    have the right form on both sides; what only an SDK sends may be missing in ours."""
    a, b = fields(ours), fields(theirs)
    only = SDK_ONLY if "authorization" in b else SDK_ONLY_RPC
    signed = "authorization SignedHeaders"
    if isinstance(b.get(signed), str):
        b[signed] = ";".join(name for name in b[signed].split(";") if "header " + name not in only or "header " + name in a)
    found = []
    for name in sorted(set(a) | set(b)):
        x, y = a.get(name), b.get(name)
        if (name in only and x is None) or (only is SDK_ONLY_RPC and y is None and x == OURS_RPC.get(name, ())):
            continue
        if name in FORMS and all(isinstance(v, str) and re.fullmatch(FORMS[name], v) for v in (x, y)):
            continue
        if name == "query Format" and x and y and x.lower() == y.lower():
            continue
        if x != y and not (name == "header user-agent" and x and y):
            found.append((name, x, y))
    return found


def nested(params):
    """Parameters as a caller of the SDK has them, from those on the wire: {"Tags.1.TagKey": "a", "Ids.1": "7"} is {"Tags": [{"TagKey": "a"}], "Ids": ["7"]}."""
    found = {}
    for name, value in params.items():
        head, *rest = name.split(".")
        if not rest:
            found[head] = value
        else:
            found.setdefault(head, {}).setdefault(int(rest[0]), {}).update({".".join(rest[1:]): value})
    for name, items in found.items():
        if isinstance(items, dict):
            if sorted(items) != list(range(1, len(items) + 1)):
                raise ValueError("%s: not numbered 1 to n" % name)
            found[name] = [items[i][""] if "" in items[i] else items[i] for i in sorted(items)]
    return found


def beside(capture, entry):
    """differences() of a request that the stand-in has in its log and the SDK's for the same call with the same parameters, which goes nowhere: capture is an
    Sdk for "capture", with the same key and token. The Host is taken for granted: it is signed, and the stand-in has checked that."""
    theirs = capture.ask(entry["action"], nested(entry["params"]), signature=entry["scheme"])
    host = [value for name, value in entry["headers"] if name.lower() == "host"]
    theirs["headers"] = [[name, host[0] if name.lower() == "host" and host else value] for name, value in theirs["headers"]]
    return differences(entry, theirs)
