# SPDX-License-Identifier: ISC
"""What the keeper signs for Alibaba Cloud's certificate service: taken by the stand-in, and field by field what Alibaba's SDK sends for the same call."""
import http.client
import json
import socket
import ssl
import sys

import pytest

from cas_client import KEY, SECRET
from cas_facts import TABLE, complaints
from cas_sdk import beside, capture, sdk_place, service
from cas_world import zone
from lab_base import PREFIX, wait_until
from test_config import ACTIVATE

__all__ = ["capture", "sdk_place", "service", "zone"]
TOKEN = "a+token/with=letters"
READS = ["ListInstances", "GetInstanceDetail", "GetInstanceSummary", "GetTaskAttribute", "ListContact", "ListCompanies", "ListCertificates", "GetCertificateDetail",
         "GetUserCertificateDetail"]


class KeeperError(Exception):
    def __init__(self, error):
        super().__init__(json.dumps(error))
        self.kind, self.type = error.get("kind"), error.get("type")


class Keeper:
    """A keeper that runs alone, asked as the network half asks it. Its ca entries: v3 and rpc, each with a permanent key and (-sts) a temporary one."""

    def __init__(self, lab, port):
        self.lab, path, self.id = lab, lab.runtime / "keeper.sock", 0
        entry = '{ name = "%s"; type = "alibaba-cas"; site = "china"; endpoint = "https://localhost:%d"; access_key_id = "%s"; signature = "%s"; ' \
                'access_key_secret = "credential:%s"; %sallow_private = true; }'
        for signature in ("v3", "rpc"):
            lab.cas.append(entry % (signature, port, KEY, signature, "secret", ""))
            lab.cas.append(entry % (signature + "-sts", port, "STS.1", signature, "temporary", 'security_token = "credential:token"; '))
        for name, text in (("secret", SECRET), ("temporary", "temporarySecret"), ("token", TOKEN)):
            lab.credential(name, text + "\n")
        lab.write_config()
        lab.run("keeper", [sys.executable, "-c", ACTIVATE, path, PREFIX / "libexec/dovad/dovad-keeper", "-c", lab.conf_file])
        wait_until(path.exists, 20, lambda: "the keeper:\n" + lab.log("keeper"))
        self.socket = socket.socket(socket.AF_UNIX)
        self.socket.settimeout(30)
        self.socket.connect(str(path))
        self.file = self.socket.makefile("rb")

    def ask(self, op, **request):
        self.id += 1
        self.socket.sendall(json.dumps({"op": op, "id": self.id} | request).encode() + b"\0")
        while True:
            message = b""
            while not message.endswith(b"\0"):
                piece = self.file.read(1)
                assert piece, "the keeper ended:\n" + self.lab.log("keeper")
                message += piece
            answer = json.loads(message[:-1])
            if answer.get("id") == self.id:
                break
        if "error" in answer:
            raise KeeperError(answer["error"])
        return answer

    def close(self):
        self.file.close()
        self.socket.close()


@pytest.fixture
def keeper(make_lab, service):
    service.state.add_key("STS.1", "temporarySecret", token=TOKEN)
    one = Keeper(make_lab(), service.port)
    yield one
    one.close()


def send(service, signed):
    """(status, document, the stand-in's note) of a request that the keeper signed, sent as the contract between the halves says."""
    conn = http.client.HTTPSConnection("localhost", service.port, timeout=30, context=ssl.create_default_context(cafile=service.ca_file))
    conn.putrequest(signed["method"], "/?" + signed["query"], skip_host=True, skip_accept_encoding=True)
    headers = [line.split(": ", 1) for line in signed["headers"]]
    if "host" not in [name.lower() for name, _ in headers]:
        headers.append(["host", "localhost:%d" % service.port])
    for name, value in headers + [["accept", "application/json"], ["content-length", "0"]]:
        conn.putheader(name, value)
    conn.endheaders()
    answer = conn.getresponse()
    status, document = answer.status, json.loads(answer.read())
    conn.close()
    return status, document, service.requests()[-1]


@pytest.mark.parametrize("ca", ["v3", "v3-sts", "rpc", "rpc-sts"])
def test_every_call_is_what_the_sdk_sends(service, keeper, capture, ca):
    """All parameters of each call, with texts that both must encode alike."""
    odd = "a b*+~=&/é某"
    values = {"CurrentPage": "2", "ShowSize": "5", "CompanyId": "7", "CertificateId": "18541350", "CertId": "18541350", "CertFilter": "true", "Status": "normal",
              "CertificateStatus": "issued", "InstanceType": "TEST", "CertificateType": "OV", "CertificateSource": "BUY", "TaskType": "ApplyCertificate"}
    theirs = capture.at(id="STS.1", secret="x", token=TOKEN) if ca.endswith("sts") else capture
    for action in READS:
        params = {row["name"]: values.get(row["name"], odd) for row in TABLE[action]["request"]}
        status, document, entry = send(service, keeper.ask("acs", ca=ca, action=action, params=params, skew=0))
        assert (entry["action"], entry["params"], entry["unknown"], entry["scheme"]) == (action, params, [], ca[:3].rstrip("-"))
        if status == 200:
            assert complaints(action, document) == []
        else:
            assert document["Code"] == "NotFound"  # the odd text is nobody's id
        assert beside(theirs, entry) == []


@pytest.mark.parametrize("ca", ["v3", "rpc"])
def test_skew(service, keeper, ca):
    """Seconds that the service's clock is ahead, as its answers tell; each request has a nonce of its own."""
    service.clock.offset = 7200
    status, document, _ = send(service, keeper.ask("acs", ca=ca, action="ListContact", params={}, skew=0))
    assert (status, document["Code"]) == (400, "InvalidTimeStamp.Expired")
    for skew in (7200, 7000, 7400):
        assert send(service, keeper.ask("acs", ca=ca, action="ListContact", skew=skew))[0] == 200
    signed = keeper.ask("acs", ca=ca, action="ListContact", skew=7200)
    assert send(service, signed)[0] == 200
    assert send(service, signed)[1]["Code"] == "SignatureNonceUsed"


def test_what_is_not_signed(keeper):
    """Nothing that changes something, nothing that a row does not name, and no private key."""
    for request in [{"action": action} for action in TABLE if action not in READS] + [
            {"action": "ListContact", "params": {"Version": "2018-07-13"}}, {"action": "ListContact", "params": {"Action": "DeleteContact"}},
            {"action": "ListContact", "params": {"Keyword.1": "a"}}, {"action": "ListContact", "params": {"Keyword": "a" * 20000}},
            {"action": "ListContact", "params": {"SecurityToken": "x"}}, {"action": "ListContact", "skew": 10 ** 9},
            {"action": "GetUserCertificateDetail", "params": {"CertId": "1"}}, {"action": "GetUserCertificateDetail", "params": {"CertId": "1", "CertFilter": "false"}}]:
        with pytest.raises(KeeperError) as caught:
            keeper.ask("acs", ca="v3", **request)
        assert (caught.value.kind, caught.value.type) == ("denied", "policy"), request
