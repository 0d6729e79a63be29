# SPDX-License-Identifier: ISC
"""Orders of the older kind at the stand-in for Alibaba Cloud's certificate service: quota, states, members that belong to each; and requests that it keeps."""
import json

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

from cas_client import Client
from cas_world import make_csr, place, zone

__all__ = ["place", "zone"]
FREE = "digicert-free-1-free"
BY = {"Username": "Tom", "Phone": "13900008888", "Email": "tom@example.com"}


@pytest.fixture
def client(place):
    place.state.add_package(FREE, total=2)
    return Client(place)


def state(client, order):
    return {k: v for k, v in client.get("DescribeCertificateState", OrderId=order).items() if k != "RequestId"}


def quota(client):
    shown = client.get("DescribePackageState")
    return shown["TotalCount"], shown["UsedCount"], shown["IssuedCount"]


def apply(client, **more):
    return client.get("CreateCertificateForPackageRequest", **({"Domain": "www.shop.example", "ValidateType": "DNS"} | BY | more))["OrderId"]


def proven(place, zone, client, order):
    """Until the CA has the proof, and has thought about it."""
    place.clock.advance(3)
    told = state(client, order)
    zone.records["%s.shop.example" % told["RecordDomain"], "TXT"] = ['"%s"' % told["RecordValue"]]
    for seconds in (10, 60):
        place.clock.advance(seconds)
        last = state(client, order)
    return last


def test_order(place, zone, client):
    order = apply(client)
    assert order > 1 << 53 and quota(client) == (2, 1, 0)
    assert state(client, order) == {"Type": "domain_verify"}
    place.clock.advance(3)
    told = state(client, order)
    assert set(told) == {"Type", "ValidateType", "RecordDomain", "RecordType", "RecordValue"}
    assert (told["RecordDomain"], told["RecordType"], len(told["RecordValue"])) == ("_dnsauth.www", "TXT", 64)
    zone.records["_dnsauth.www.shop.example", "TXT"] = ['"%s"' % told["RecordValue"]]
    place.clock.advance(10)
    assert state(client, order) == {"Type": "process"}
    listed = client.get("ListUserCertificateOrder")["CertificateOrderList"][0]
    assert (listed["OrderId"], listed["Status"], listed["DomainType"]) == (order, "CHECKING", "ONE") and "CertEndTime" not in listed
    place.clock.advance(60)
    last = state(client, order)
    assert set(last) == {"Type", "CertId", "Certificate", "PrivateKey"} and quota(client) == (2, 1, 1)
    key = serialization.load_pem_private_key(last["PrivateKey"].encode(), None)
    assert key.public_key().public_numbers() == x509.load_pem_x509_certificate(last["Certificate"].encode()).public_key().public_numbers()
    assert client.get("GetUserCertificateDetail", CertId=last["CertId"])["OrderId"] == order
    assert client.get("ListUserCertificateOrder", OrderType="CERT")["CertificateOrderList"][0]["CertificateId"] == int(last["CertId"])
    for refused in ("CancelOrderRequest", "DeleteCertificateRequest", "RenewCertificateOrderForPackageRequest"):
        status, document = client.v3(refused, OrderId=order)
        assert (status, document["Code"]) == (403, "OrderStateError")
    client.get("CancelCertificateForPackageRequest", OrderId=order)
    assert quota(client) == (2, 0, 1) and client.get("ListUserCertificateOrder", Status="REVOKED")["TotalCount"] == 1
    client.get("DeleteUserCertificate", CertId=last["CertId"])
    assert state(client, order) == {"Type": "unknow"}


def test_refused_order(place, zone, client):
    """No word why; deleted, its quota is back."""
    place.state["packages"][FREE]["verdicts"].append({"refuse": "nobody will read this"})
    order = apply(client, Csr=make_csr("www.shop.example"))
    assert proven(place, zone, client, order) == {"Type": "verify_fail"}
    assert client.refused("CancelOrderRequest", OrderId=order) == "OrderStateError"
    client.get("DeleteCertificateRequest", OrderId=order)
    assert client.refused("DescribeCertificateState", OrderId=order) == "NotFoundOrder" and quota(client) == (2, 0, 0)
    again = apply(client, Csr=make_csr("www.shop.example"))
    assert "PrivateKey" not in proven(place, zone, client, again)


def test_withdrawn_order(place, client):
    order = apply(client)
    client.get("CancelOrderRequest", OrderId=order)
    assert state(client, order) == {"Type": "payed"} and quota(client)[1] == 1
    place.state.set("options", {"delete_payed": False})
    client.get("DeleteCertificateRequest", OrderId=order)
    assert quota(client)[1] == 1
    place.state.set("options", {"delete_payed": True})
    client.get("DeleteCertificateRequest", OrderId=order)
    assert quota(client)[1] == 0


def test_quota(place, client):
    assert client.refused("DescribePackageState", ProductCode="other") == "NotFoundPackage"
    for _ in range(2):
        apply(client)
    status, document = client.v3("CreateCertificateForPackageRequest", Domain="www.shop.example")
    assert (status, document["Code"]) == (404, "NotRemainCount")
    shown = client.get("GetCertificatePackageCount")
    assert json.loads(shown["ProductCountList"])[0]["RemainCount"] == 0 and shown["TotalCountDetail"] == "{TotalCount=2, RemainCount=0, UsedCount=2}"


def test_what_orders_may_be(client):
    for wrong in ({"Domain": "*.shop.example", "ValidateType": "FILE"}, {"Domain": "*.shop.example,www.shop.example"}, {"Domain": "a..b"},
                  {"Domain": ",".join("%d.shop.example" % i for i in range(6))}):
        assert client.refused("CreateCertificateForPackageRequest", **wrong) == "CreateCertificateRequestFailed"
    assert client.refused("CreateCertificateRequest", Domain="www.shop.example", **BY) == "MissingValidateType"
    assert client.refused("CreateCertificateWithCsrRequest", ValidateType="DNS", **BY) == "MissingCsr"
    assert quota(client)[1] == 0
    assert client.rpc("CreateCertificateRequest", "GET", Domain="www.shop.example", ValidateType="DNS", **BY)[0] == 200  # this kind may write by GET


def test_file_order(place, client):
    order = client.get("CreateCertificateRequest", Domain="www.shop.example", ValidateType="FILE", **BY)["OrderId"]
    place.clock.advance(3)
    told = state(client, order)
    assert set(told) == {"Type", "ValidateType", "Domain", "Uri", "Content"}
    assert (told["Domain"], told["Uri"]) == ("www.shop.example", "/.well-known/pki-validation/fileauth.txt")


def test_payed_first(place, client):
    place.state.set("options", {"payed_first": True})
    order = apply(client)
    assert state(client, order) == {"Type": "payed"}
    place.clock.advance(3)
    assert state(client, order)["Type"] == "domain_verify"


def test_renewal(place, zone, client):
    place.state["packages"][FREE]["total"] = 3
    order = apply(client)
    assert proven(place, zone, client, order)["Type"] == "certificate"
    client.skew = place.clock.offset = 70 * 86400
    assert state(client, client.get("RenewCertificateOrderForPackageRequest", OrderId=order)["OrderId"]) == {"Type": "payed"}
    place.state.set("options", {"renewed": "domain_verify"})
    again = client.get("RenewCertificateOrderForPackageRequest", OrderId=order, Csr=make_csr("www.shop.example"))["OrderId"]
    assert proven(place, zone, client, again)["Type"] == "certificate"


def test_late_revocation(place, zone, client):
    """After 30 days the quota is gone."""
    order = apply(client)
    assert proven(place, zone, client, order)["Type"] == "certificate"
    client.skew = place.clock.offset = 31 * 86400
    client.get("CancelCertificateForPackageRequest", OrderId=order)
    assert quota(client) == (2, 1, 1)


def test_kept_requests(client):
    made = client.get("CreateCsr", CommonName="www.shop.example", Algorithm="ECC", KeySize=256, CountryCode="CN", Province="Zhejiang", Locality="Hangzhou",
                      Sans="www.shop.example,shop.example", Name="shop")
    kept = client.get("GetCsrDetail", CsrId=made["CsrId"])
    key = serialization.load_pem_private_key(kept["PrivateKey"].encode(), None)
    assert key.public_key().public_numbers() == x509.load_pem_x509_csr(kept["Csr"].encode()).public_key().public_numbers()
    other = client.get("UploadCsr", Csr=make_csr("a.shop.example"))["CsrId"]
    assert "PrivateKey" not in client.get("GetCsrDetail", CsrId=other)
    assert client.refused("UpdateCsr", CsrId=other, Key=kept["PrivateKey"]) == "InvalidParameter"
    rows = client.get("ListCsr", KeyWord="shop")["CsrList"]
    assert [(r["CommonName"], r["HasPrivateKey"], r.get("Sans")) for r in rows] == [("www.shop.example", True, "www.shop.example,shop.example"),
                                                                                   ("a.shop.example", False, None)]
    assert client.refused("CreateCsr", CommonName="x", Algorithm="RSA", KeySize=256, CountryCode="CN", Province="x", Locality="x") == "InvalidKeySize"
    assert client.refused("CreateCsr", CommonName="x", Algorithm="ECC", KeySize=256, CountryCode="China", Province="x", Locality="x") == "CreateCsrFailed"
    client.get("DeleteCsr", CsrId=other)
    assert client.refused("GetCsrDetail", CsrId=other) == "NotFound"
