# SPDX-License-Identifier: ISC
"""The stand-in for Alibaba Cloud's certificate service, by a client of its own that signs by itself."""
import hashlib
import http.client
import json
import os
import socket
import ssl
import subprocess
import sys
import threading
import time
import types

import pytest

import cas
from cas import signature as checker
from cas_client import EMPTY, KEY, SECRET, Client

@pytest.fixture
def server(make_cas):
    return make_cas()


@pytest.fixture
def client(server):
    return Client(server)


# --- signatures, by published vectors ---

NONCE, DATE = "9166ab59f013e6ee53d2b9cbbb5b7f17", "2025-06-01T12:00:00Z"
PEM_QUERY = ("ContactIdList.1=519580&ContactIdList.2=519581&Csr=-----BEGIN%20CERTIFICATE%20REQUEST-----%0AMIIB%2B%2F%3D%0A-----END%20CERTIFICATE%20REQUEST-----%0A"
             "&Domain=example.com%2Cwww.example.com&GenerateCsrMethod=upload&InstanceId=cas_dv-cn-0001&Tags.1.TagKey=env&Tags.1.TagValue=prod&ValidationMethod=DNS")
V3 = [
    # action, version, host, query, body, more headers, canonical hash, signature
    ("DescribeCertificateState", "2020-04-07", "cas.aliyuncs.com", "OrderId=98987582437920968", b"", {},
     "9b703a2988798a9156c55fe7003f8e1f8825641cce378915290d7f1dcf7ff7bf", "f192e9d051c4c6e674f385f10aacb2a042fc47bcd652b3fa51ae103fe44cbbb6"),
    ("CreateCertificateForPackageRequest", "2020-04-07", "cas.aliyuncs.com",
     "CompanyName=%E6%9F%90%E5%85%AC%E5%8F%B8&Domain=*.example.com,a%2Bb~c.example.com&Email=tom%40example.com&Phone=13000000000&ProductCode=digicert-free-1-free"
     "&Username=Tom+Zhang&ValidateType=DNS", b"", {},
     "01caf852a505552fa62260b7714266f07aeab1b56f071f719fd709e61f35bac4", "1f5dcd8b006262032ac35e598e3b0a6a98a8680de11a3eec71b86263bf722efb"),
    ("AddDomainRecord", "2015-01-09", "alidns.aliyuncs.com", "DomainName=example.com&RR=_dnsauth&TTL=600&Type=TXT&Value=202506010000003k%2B%2F%3Dabc", b"",
     {"x-acs-accesskey-id": KEY, "x-acs-security-token": "testSecurityToken"},
     "a859adc2e17d67f2c5a85f804b7653ffbfb406bd9d97dc06ad96a304bd0c2e19", "a029e7ed69101bfcc0db048b4828419a39f3d28356768c544eb9b934d99b3038"),
    ("UploadUserCertificate", "2020-04-07", "cas.aliyuncs.com", "", b"Cert=AAA%0ABBB&Key=CCC&Name=my_cert", {"content-type": "application/x-www-form-urlencoded"},
     "f91d4a96704dae0359cacb28bc6ea3dc5e930625e4f8c24003cdea4a34bbabe5", "50e1a0f6cf162ed85b85c619d5be0fbc9c6fbcfd9b35f1ac403751e5f6af0850"),
    ("UpdateInstance", "2020-04-07", "cas.aliyuncs.com", PEM_QUERY, b"", {},
     "7b242ad0b690173ddc985b33926f0fe447f2ce80247407868fa9ba8126bb8927", "40f0b3eac5eb95b103b8bce24496d1278afe041c1436070e2513b53f85289f84"),
]


@pytest.mark.parametrize("action,version,host,query,body,more,digest,wanted", V3, ids=lambda v: v if isinstance(v, str) and v.isalpha() else "")
def test_v3_vectors(action, version, host, query, body, more, digest, wanted):
    """In another order and another spelling of the same characters, too."""
    headers = {"host": host, "x-acs-action": action, "x-acs-version": version, "x-acs-date": DATE, "x-acs-signature-nonce": NONCE,
               "x-acs-content-sha256": hashlib.sha256(body).hexdigest()} | more
    for raw in (query, "&".join(reversed(query.split("&")))):
        canonical = checker.v3_canonical("POST", checker.parse_pairs(raw.encode()), headers, checker.must_be_signed(headers), body)
        assert hashlib.sha256(canonical.encode()).hexdigest() == digest
        assert checker.v3_sign(SECRET, canonical)[0] == wanted


def test_v3_published_vector():
    headers = {"host": "ecs.cn-shanghai.aliyuncs.com", "x-acs-action": "RunInstances", "x-acs-version": "2014-05-26", "x-acs-date": "2023-10-26T10:22:32Z",
               "x-acs-signature-nonce": "3156853299f313e23d1673dc12e1703d", "x-acs-content-sha256": EMPTY}
    pairs = checker.parse_pairs(b"ImageId=win2019_1809_x64_dtc_zh-cn_40G_alibase_20230811.vhd&RegionId=cn-shanghai")
    canonical = checker.v3_canonical("POST", pairs, headers, checker.must_be_signed(headers), b"")
    assert checker.v3_sign("YourAccessKeySecret", canonical)[0] == "06563a9e1b43f5dfe96b81484da74bceab24a1d853912eee15083a6f0f3283c0"


RPC_COMMON = "&SignatureMethod=HMAC-SHA1&SignatureVersion=1.0&"
RPC_E = ("AccessKeyId=testAccessKeyId&Action=AddDomainRecord&Format=JSON&DomainName=example.com&RR=_dnsauth&TTL=600&Type=TXT&Version=2015-01-09"
         "&Value=202506010000003k%2B%2F%3Dabc+*~&SignatureNonce=" + NONCE + "&Timestamp=2025-06-01T12:00:00Z" + RPC_COMMON)


@pytest.mark.parametrize("secret,method,query,wanted", [
    ("testsecret", "GET", "AccessKeyId=testid&Action=DescribeRegions&Format=XML&SignatureNonce=3ee8c1b8-83d3-44af-a94f-4e0ad82fd6cf&Version=2014-05-26"
     "&Timestamp=2016-02-23T12:46:24Z" + RPC_COMMON, "OLeaidS1JvxuMvnyHOwuJ+uX5qY="),
    ("testsecret", "GET", "AccessKeyId=testid&Action=DescribeDomainRecords&DomainName=example.com&Format=XML&SignatureNonce=f59ed6a9-83fc-473b-9cc6-99c95df3856e"
     "&Version=2015-01-09&Timestamp=2016-03-24T16:41:54Z" + RPC_COMMON, "uRpHwaSEt3J+6KQD//svCh/x+pI="),
    (SECRET, "GET", RPC_E, "NgbD41g6MKHTNpImSDSonlw76Ig="),
    (SECRET, "POST", RPC_E, "f3VtHrIvD0o03LRX2ZBwli/LP6o="),
    ("testsecret", "GET", "AccessKeyId=testid&Action=DescribeCertificateState&OrderId=123451222&Format=JSON&Version=2020-04-07&Timestamp=2025-06-01T12:00:00Z"
     "&SignatureNonce=9166ab59-f013-e6ee-53d2-b9cbbb5b7f17" + RPC_COMMON, "CWzx0azfzW0iigjTTi0FayMRVuc="),
])
def test_rpc_vectors(secret, method, query, wanted):
    assert checker.rpc_sign(secret, method, checker.parse_pairs(query.encode()))[0] == wanted


# --- who is let in ---

def test_both_signatures(server, client):
    server.state.add_contact(name="hostmaster")
    assert client.get("ListContact")["ContactList"][0]["Name"] == "hostmaster"
    for method in ("GET", "POST"):
        assert client.rpc("ListContact", method)[1]["ContactList"][0]["Name"] == "hostmaster"
    assert [(e["scheme"], e["method"]) for e in server.requests("ListContact")] == [("v3", "POST"), ("rpc", "GET"), ("rpc", "POST")]


def test_bad_signatures(server):
    other = Client(server, secret="not the secret")
    status, document = other.v3("ListContact")
    assert (status, document["Code"]) == (400, "SignatureDoesNotMatch")
    assert "ACS3-HMAC-SHA256\n" in document["Message"] and document["HostId"] == "localhost"
    assert other.rpc("ListContact")[1]["Code"] == "SignatureDoesNotMatch"
    server.state.set("options", {"other_statuses": True})
    assert other.v3("ListContact")[0] == 403


def test_what_is_signed_counts(server, client):
    """A parameter that was changed, a header that was left out of the signed ones, a body of another digest, another host."""
    headers = client.signed("ListContact", "Keyword=a")
    assert json.loads(client.send("POST", "/?Keyword=b", headers)[1])["Code"] == "SignatureDoesNotMatch"
    headers = client.signed("ListContact", "")
    assert json.loads(client.send("POST", "/", headers | {"x-acs-more": "1"})[1])["Code"] == "IncompleteSignature"
    assert json.loads(client.send("POST", "/", headers | {"content-type": "application/json"})[1])["Code"] == "IncompleteSignature"
    assert json.loads(client.send("POST", "/", headers, b"x")[1])["Code"] == "SignatureDoesNotMatch"
    assert json.loads(client.send("POST", "/", headers | {"host": "127.0.0.1"})[1])["Code"] == "SignatureDoesNotMatch"
    assert client.v3("ListContact", {"x_acs_content_sha256": "0" * 64})[1]["Code"] == "SignatureDoesNotMatch"
    assert json.loads(client.send("POST", "/", headers)[1])["ContactList"] == []  # the refused ones did not spend the nonce


@pytest.mark.parametrize("skew,good", [(0, True), (-890, True), (890, True), (-910, False), (910, False)])
def test_clock(server, client, skew, good):
    client.skew = skew
    for ask in (client.v3, client.rpc):
        status, document = ask("ListContact")
        assert (status, document.get("Code")) == ((200, None) if good else (400, "InvalidTimeStamp.Expired"))


def test_date_tells_the_clock(server, client):
    server.clock.offset = 7200
    assert client.refused("ListContact") == "InvalidTimeStamp.Expired"
    seen = time.mktime(time.strptime(client.headers["Date"], "%a, %d %b %Y %H:%M:%S GMT")) - time.timezone
    client.skew = seen - time.time()
    assert 7190 < client.skew < 7210 and client.get("ListContact")["TotalCount"] == 0


def test_date_format(client):
    assert client.refused("ListContact", _change={"x_acs_date": "2026-08-30 12:00:00"}) == "InvalidTimeStamp.Format"


def test_nonce(client):
    for again in ({"x_acs_signature_nonce": "n1"},) * 2:
        status, document = client.v3("ListContact", again)
    assert (status, document["Code"]) == (400, "SignatureNonceUsed")
    client.rpc("ListContact", _change={"SignatureNonce": "n2"})
    assert client.rpc("ListContact", _change={"SignatureNonce": "n2"})[1]["Code"] == "SignatureNonceUsed"


def test_keys(server):
    server.state.add_key("idle", "s", active=False)
    server.state.add_key("sts", "s", token="t", expires=time.time() + 60)
    server.state.add_key("narrow", "s", actions=["ListContact"])
    server.state.add_key("locked", "s", restriction="Forbidden.RiskControl")
    assert Client(server, "nobody", "s").v3("ListContact")[0] == 404
    assert Client(server, "nobody", "s").refused("ListContact") == "InvalidAccessKeyId.NotFound"
    assert Client(server, "idle", "s").refused("ListContact") == "InvalidAccessKeyId.Inactive"
    assert Client(server, "locked", "s").refused("ListContact") == "Forbidden.RiskControl"
    assert Client(server, "narrow", "s").get("ListContact")
    status, document = Client(server, "narrow", "s").v3("ListCompanies")
    assert (status, document["Code"], document["AccessDeniedDetail"]["AuthAction"]) == (403, "NoPermission", "yundun-cert:ListCompanies")
    for ask in ("v3", "rpc"):
        assert getattr(Client(server, "sts", "s", "t"), ask)("ListContact")[0] == 200
        assert getattr(Client(server, "sts", "s", "other"), ask)("ListContact")[1]["Code"] == "InvalidSecurityToken.Malformed"
        assert getattr(Client(server, "sts", "s"), ask)("ListContact")[1]["Code"] == "InvalidAccessKeyId.NotFound"
    server.state["keys"]["sts"]["expires"] = time.time() - 1
    assert Client(server, "sts", "s", "t").refused("ListContact") == "InvalidSecurityToken.Expired"


def test_routing(server, client):
    assert client.v3("ListNothing")[0] == 404
    assert client.refused("ListNothing") == "InvalidAction.NotFound"
    assert client.refused("ListContact", _change={"x_acs_version": "2018-07-13"}) == "NoSuchVersion"
    assert client.refused("ListContact", _change={"x_acs_action": None}) == "MissingAction"
    assert client.rpc("ListContact", _change={"SignatureMethod": "HMAC-MD5"})[1]["Code"] == "InvalidSignatureMethod"
    assert client.rpc("ListContact", _change={"SignatureVersion": "2.0"})[1]["Code"] == "InvalidParameter"
    assert client.send("PUT", "/", client.signed("ListContact", ""))[0] == 405
    for query, code in (("Keyword=a&Keyword=b", "InvalidParameter"), ("Keyword=%zz", "InvalidParameter.Format"), ("Keyword=%ff", "InvalidParameter.Format")):
        assert json.loads(client.send("POST", "/?" + query, client.signed("ListContact", query))[1])["Code"] == code
    server.state.set("options", {"hosts": ["cas.aliyuncs.com"]})
    assert client.refused("ListContact") == "InvalidProduct.NotFound"


# --- lists and envelopes ---

def everything(client, action, member, **params):
    rows, page = [], 1
    while True:
        document = client.get(action, CurrentPage=page, ShowSize=100, **params)
        rows += document[member]
        if len(rows) >= document["TotalCount"]:
            return rows
        page += 1


def test_500_instances(server, client):
    for i in range(503):
        server.state.add_instance(certificate_type="OV" if i % 5 == 0 else "DV")
    assert len({r["InstanceId"] for r in everything(client, "ListInstances", "InstanceList")}) == 503
    assert len(everything(client, "ListInstances", "InstanceList", CertificateType="OV")) == 101
    first = client.get("ListInstances")
    assert (len(first["InstanceList"]), first["ShowSize"], first["TotalCount"]) == (10, 10, 503)
    assert len(client.get("ListInstances", ShowSize=500)["InstanceList"]) == 100
    assert client.get("ListInstances", CurrentPage=52)["InstanceList"] == []
    assert client.get("GetInstanceSummary")["InactiveCount"] == 503


def test_unused_instance(server, client):
    server.state.add_instance(full=2, wildcard=1)
    row = client.get("ListInstances")["InstanceList"][0]
    assert (row["InstanceId"], row["Status"], row["FullDomainCount"], row["WildcardDomainCount"]) == ("cas_dv-cn-0001", "inactive", 2, 1)
    detail = client.get("GetInstanceDetail", InstanceId=row["InstanceId"])
    for absent in ("CertificateStatus", "CertificateId", "DomainValidationList", "CompanyId", "InstanceEndTime", "Domain"):
        assert absent not in row and absent not in detail
    assert len(str(detail["OrderStartTime"])) == 13
    server.state.set("options", {"time_unit": "s"})
    assert len(str(client.get("ListInstances")["InstanceList"][0]["OrderStartTime"])) == 10
    assert client.refused("GetInstanceDetail", InstanceId="cas_dv-cn-9999") == "NotFound"
    assert client.refused("GetTaskAttribute", TaskId=row["InstanceId"]) == "NotFound"  # nothing was applied for


def test_parameters(server, client):
    assert client.refused("GetInstanceDetail") == "MissingInstanceId"
    assert client.refused("ListInstances", Status="asleep") == "InvalidStatus"
    assert client.refused("ListInstances", ShowSize="ten") == "InvalidShowSize"
    assert client.refused("ListInstances", CurrentPage=0) == "InvalidParameter"
    assert client.refused("GetContact", ContactId=1 << 63) == "InvalidContactId" and client.refused("GetContact", ContactId=(1 << 63) - 1) == "NotFound"
    server.state.set("options", {"named_codes": False})
    assert client.refused("GetInstanceDetail") == "MissingParameter"
    client.get("ListInstances", ClientToken="x")
    assert server.requests("ListInstances")[-1]["unknown"] == ["ClientToken"]


def test_people(server, client):
    number = client.get("CreateContact", Name="hostmaster", Mobile="13912345678", Email="hostmaster@example.com", Idcard="110000190001010000")["ContactId"]
    shown = client.get("GetContact", ContactId=number)
    assert (shown["Mobile"], shown["Email"], shown["IdCard"]) == ("139****5678", "h***@example.com", "110****0000")
    assert client.get("ListContact", Keyword="hostm")["ContactList"][0]["Mobile"] == "13912345678"
    assert client.refused("UpdateContact", ContactId=number, Name="hostmaster") == "MissingMobile"
    assert client.refused("UpdateContact", ContactId=number, Name="x", Mobile=shown["Mobile"]) == "InvalidParameter.MobileIllegal"
    client.get("DeleteContact", ContactId=number)
    assert client.refused("GetContact", ContactId=number) == "NotFound"
    company = dict(CompanyName="某公司", CompanyType=1, CompanyCode="1", CompanyPhone="1", CompanyAddress="1", City="杭州", Province="浙江", CountryCode="CN",
                   PostCode="310000", Lang="zh")
    number = client.get("CreateCompany", **company)["CompanyId"]
    assert client.get("ListCompanies", Keyword="某")["CompanyList"][0]["CompanyId"] == number
    assert client.refused("CreateCompany", **company) == "NameRepeat"
    assert client.get("GetCompany", CompanyId=number)["City"] == "杭州"


def test_xml(server, client):
    server.state.add_contact(name="a & b")
    body = client.rpc("ListContact", _change={"Format": "XML"})[1]
    assert body.startswith(b"<?xml") and b"<ListContactResponse><RequestId>" in body and b"<Name>a &amp; b</Name>" in body
    assert b"<Error><RequestId>" in client.rpc("GetContact", _change={"Format": "XML"})[1]


# --- faults ---

def test_faults(server, client):
    server.state.add_contact()
    arm = server.faults.arm
    arm(action="ListContact", do="throttle", retry_after=700)
    arm(action="ListContact", do="throttle", after=1)
    assert client.refused("ListContact") == "Throttling.User" and client.headers["x-acs-retry-after"] == "700"
    assert client.refused("ListContact") == "Throttling.User" and client.headers["x-acs-retry-after"] is None
    arm(action="*", do="unavailable")
    assert client.v3("ListCompanies")[0] == 503
    arm(action="ListContact", do="truncate", bytes=40)
    with pytest.raises(ValueError):
        client.get("ListContact")
    arm(action="ListContact", do="cut", bytes=40)
    with pytest.raises(http.client.IncompleteRead):
        client.get("ListContact")
    arm(action="ListContact", do="strings")
    assert isinstance(client.get("ListContact")["ContactList"][0]["ContactId"], str)
    arm(action="GetContact", do="lower_case")
    assert {"code", "message", "requestId"} <= set(client.v3("GetContact")[1])
    arm(action="ListContact", do="ok_error", code="InternalError")
    assert client.get("ListContact")["Code"] == "InternalError"
    arm(action="ListContact", do="set", set={"ContactList.0.Name": "x" * 5000})
    assert len(client.get("ListContact")["ContactList"][0]["Name"]) == 5000
    arm(action="ListContact", do="body", text="<html>moved</html>", status=302, content_type="text/html", headers={"Location": "https://elsewhere.example/"})
    status, body = client.send("POST", "/", client.signed("ListContact", ""))
    assert (status, body, client.headers["Location"]) == (302, b"<html>moved</html>", "https://elsewhere.example/")
    arm(action="ListContact", do="date", text="yesterday")
    client.get("ListContact")
    assert client.headers["Date"] == "yesterday" and server.requests("ListContact")[-1]["faults"] == ["date"]
    arm(action="GetContact", do="xml")
    assert client.send("POST", "/", client.signed("GetContact", ""))[1].startswith(b"<?xml")
    client.get("ListContact")


def test_rate(server, client):
    """More calls of one operation than it stands; others are not held up."""
    server.state.set("options", {"rate": 3})
    answers, begun = [], time.monotonic()
    while "Throttling.User" not in answers and time.monotonic() - begun < 30:
        answers.append(client.v3("ListContact")[1].get("Code"))
    assert answers[-1] == "Throttling.User" and answers[:3] == [None] * 3
    assert client.v3("ListCompanies")[0] == 200


def test_lost_reply(server, client):
    """It took effect, and nobody was told."""
    server.faults.arm(action="CreateContact", do="lost")
    with pytest.raises((http.client.RemoteDisconnected, ConnectionError, ssl.SSLError)):
        client.get("CreateContact", Name="a", Mobile="1")
    assert client.get("ListContact")["TotalCount"] == 1


@pytest.mark.parametrize("fault,done", [("hold", 0), ("hold_reply", 1)])
def test_held(server, client, fault, done):
    """Before it takes effect, or after; others go on meanwhile."""
    server.faults.arm(action="CreateContact", do=fault)
    got = []
    thread = threading.Thread(target=lambda: got.append(client.v3("CreateContact", Name="a", Mobile="1")[0]))
    thread.start()
    if done:
        assert server.wait_for("CreateContact")
    assert Client(server).get("ListContact")["TotalCount"] == done and got == []
    server.faults.heal()
    thread.join(30)
    assert got == [200] and Client(server).get("ListContact")["TotalCount"] == 1


# --- as a process ---

class Hand:
    """The control port's client."""

    def __init__(self, where):
        if isinstance(where, int):
            self.sock = socket.create_connection(("127.0.0.1", where))
        else:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(where)
        self.file = self.sock.makefile("rw")

    def __call__(self, verb, **more):
        self.file.write(json.dumps({"do": verb} | more) + "\n")
        self.file.flush()
        return json.loads(self.file.readline())

    def close(self):
        self.file.close()
        self.sock.close()


@pytest.mark.parametrize("by", ["path", "port"])
def test_process(tmp_path, by):
    """Started as tests of other programs do, moved by its control port, ended by a signal; the state stays in its file."""
    folder = os.path.dirname(cas.__file__)
    argv = [sys.executable, folder, "--state", str(tmp_path / "state.json"), "--tls", str(tmp_path / "tls"), "--control", str(tmp_path / "control") if by == "path"
            else "0", "--key", KEY + ":" + SECRET, "--site", "international", "--option", "time_unit=\"s\"", "--time", "list=7"]
    process = subprocess.Popen(argv, stdout=subprocess.PIPE)
    try:
        told = json.loads(process.stdout.readline())
        client = Client(types.SimpleNamespace(port=told["port"], ca_file=str(tmp_path / "tls.pem")))
        hand = Hand(told["control"])
        assert hand("add_instance", full=3)["result"]["id"] == "cas_dv-intl-0001"
        assert hand("arm", fault={"action": "ListInstances", "do": "unavailable"}) == {"ok": True, "result": None}
        assert client.v3("ListInstances", Keyword="intl")[0] == 503
        assert client.get("ListInstances")["InstanceList"][0]["FullDomainCount"] == 3
        asked = hand("requests", action="ListInstances")["result"]
        assert [(e["status"], e["params"]) for e in asked] == [(503, {"Keyword": "intl"}), (200, {})]
        assert hand("wait_for", action="ListInstances", n=2)["result"] is True
        assert hand("advance", seconds=10)["result"] == 10
        assert not hand("_answer")["ok"] and not hand("options", nothing=1)["ok"] and not hand("arm", fault={"do": "x"})["ok"]
        assert hand("crashes")["result"] == []
        hand.close()
    finally:
        process.terminate()
        assert process.wait(30) == 0
        process.stdout.close()
    kept = json.loads((tmp_path / "state.json").read_text())
    assert (kept["elapsed"], kept["times"]["list"], kept["instances"][0]["full"]) == (10, 7, 3)


def test_short_state(tmp_path):
    """Rows of a state that a person wrote."""
    (tmp_path / "state.json").write_text(json.dumps({"keys": {KEY: {"secret": SECRET}}, "instances": [{"full": 2}, {"certificate_type": "OV"}],
                                                     "contacts": [{"name": "hostmaster"}], "companies": [{"name": "Example Ltd"}]}))
    one = cas.Server(path=str(tmp_path / "state.json"), tls=str(tmp_path / "tls"))
    try:
        client = Client(one)
        assert [r["InstanceId"] for r in client.get("ListInstances")["InstanceList"]] == ["cas_dv-cn-0001", "cas_ov-cn-0002"]
        assert client.get("ListContact")["ContactList"][0]["EmailStatus"] == 1 and client.get("ListCompanies")["TotalCount"] == 1
    finally:
        one.close()


def test_plain_http(tmp_path):
    """Without TLS what needs it is refused, unless the test says otherwise."""
    one = cas.Server()
    try:
        one.state.add_key(KEY, SECRET)
        assert Client(one).refused("ListContact") == "InvalidProtocol.NeedSsl"
        one.state.set("options", {"need_ssl": False})
        assert Client(one).get("ListContact")["TotalCount"] == 0
    finally:
        one.close()
