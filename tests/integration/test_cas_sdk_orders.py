# SPDX-License-Identifier: ISC
"""Generation 1 of the stand-in for Alibaba Cloud's certificate service, by the typed calls of Alibaba's SDK, whose models say what answers may hold."""
import json
import re
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec

from cas_facts import complaints, refused, rows_of
from cas_sdk import driver, sdk, sdk_place, service
from cas_world import make_csr, zone

__all__ = ["driver", "sdk", "sdk_place", "service", "zone"]
FREE = "digicert-free-1-free"
WHO = {"Username": "Tom", "Phone": "13900008888", "Email": "tom@shop.example"}
OPERATIONS = ["DescribePackageState", "CreateCertificateForPackageRequest", "CreateCertificateRequest", "CreateCertificateWithCsrRequest", "DescribeCertificateState",
              "CancelOrderRequest", "CancelCertificateForPackageRequest", "DeleteCertificateRequest", "RenewCertificateOrderForPackageRequest",
              "ListUserCertificateOrder"]
# Members that came after the SDK that npm has.
LATER = {"DescribeCertificateState": [{"name": "CertId", "type": "string"}]}
BOTH_SIGNATURES = pytest.mark.parametrize("signature", ["v3", "rpc"])


@pytest.fixture
def ask(sdk, service):
    """A checked call: typed, and when it only reads, generic beside it, which must say the same. Numbers of orders are such that JavaScript keeps them."""
    service.state.add_package(FREE, total=3)

    def ask(operation, signature="v3", **params):
        if operation.startswith(("Create", "Renew")):
            service.state.data["next_id"] += -(service.state["next_id"] + 1 + 98987582437920968) % 80
        document = sdk.call(operation, params, style="typed", signature=signature)
        if operation.startswith(("Describe", "List")):
            whole = sdk.call(operation, params, signature=signature)
            later = [row["name"] for row in LATER.get(operation, ())]
            assert {k: v for k, v in whole.items() if k not in later} | {"RequestId": ""} == document | {"RequestId": ""}
            document = whole
        rows = rows_of(sdk.ask(operation, style="models")["answer"]) + LATER.get(operation, [])
        assert complaints(operation, document, rows) == []
        return document
    return ask


@pytest.fixture
def review(service):
    """review(order, ask, zone): publishes the proof and lets the CA do its work; the last state."""
    def review(order, ask, zone):
        service.clock.advance(service.state.time("list") + 1)
        shown = ask("DescribeCertificateState", OrderId=order)
        zone.publish({"ValidationKey": shown["RecordDomain"], "RootDomain": "shop.example", "ValidationValue": shown["RecordValue"]})
        service.clock.advance(service.state.time("probe") + 1)
        assert set(ask("DescribeCertificateState", OrderId=order)) == {"RequestId", "Type"}
        service.clock.advance(service.state.time("DV") + 1)
        return ask("DescribeCertificateState", OrderId=order)
    return review


def used(ask):
    package = ask("DescribePackageState", ProductCode=FREE)
    return package["UsedCount"], package["IssuedCount"]


def marked(folder, operation):
    """Names that the SDK's own declarations mark as required."""
    text = (Path(folder) / "node_modules/@alicloud/cas20200407/dist/client.d.ts").read_text()
    block = re.search(r"class %sRequest extends .*?\n}\n" % operation, text, re.S).group()
    return [name[0].upper() + name[1:] for comment, name in re.findall(r"/\*\*(.*?)\*/\s*(\w+)\?:", block, re.S)
            if re.search(r"^\s*\* This parameter is required\.\s*$", comment, re.M)]


@pytest.mark.parametrize("operation", OPERATIONS)
def test_required_parameters(sdk_place, service, sdk, operation):
    full = WHO | {"Domain": "www.shop.example", "Csr": make_csr("www.shop.example"), "ValidateType": "DNS", "OrderId": 16, "ProductCode": FREE}
    names = marked(sdk_place[0], operation)
    assert names or operation.startswith(("Describe", "List", "CreateCertificateForPackage"))
    for name in names:
        error = refused(sdk, operation, {k: full[k] for k in names if k != name}, style="typed")
        assert error.code in ("Missing" + name, "MissingParameter") and name in error.code + error.message
    error = refused(sdk, operation, {k: full[k] for k in names}, style="typed") if names else None
    assert not names or error.code in ("NotFoundOrder", "NotFoundPackage")


@BOTH_SIGNATURES
def test_order(service, ask, sdk, zone, review, signature):
    assert used(ask) == (0, 0)
    order = ask("CreateCertificateForPackageRequest", signature, Domain="www.shop.example", ValidateType="DNS", **WHO)["OrderId"]
    assert used(ask) == (1, 0)
    assert ask("DescribeCertificateState", signature, OrderId=order)["Type"] in ("domain_verify", "payed")
    service.clock.advance(service.state.time("list") + 1)
    shown = ask("DescribeCertificateState", signature, OrderId=order)
    assert set(shown) == {"RequestId", "Type", "ValidateType", "RecordDomain", "RecordType", "RecordValue"}
    assert (shown["Type"], shown["ValidateType"], shown["RecordType"]) == ("domain_verify", "DNS", "TXT")
    listed, = ask("ListUserCertificateOrder", signature)["CertificateOrderList"]
    assert (listed["OrderId"], listed["Status"], listed["Domain"]) == (order, "CHECKING", "www.shop.example")
    done = review(order, ask, zone)
    assert done["Type"] == "certificate" and set(done) <= {"RequestId", "Type", "CertId", "Certificate", "PrivateKey"}
    leaf = x509.load_pem_x509_certificate(done["Certificate"].encode())
    assert leaf.subject.rfc4514_string() == "CN=www.shop.example" and done["PrivateKey"].startswith("-----BEGIN")
    assert used(ask) == (1, 1)
    assert ask("ListUserCertificateOrder", signature, OrderType="CPACK", Status="ISSUED")["TotalCount"] == 1
    certificate, = ask("ListUserCertificateOrder", signature, OrderType="CERT")["CertificateOrderList"]
    assert str(certificate["CertificateId"]) == done["CertId"] and "OrderId" not in certificate
    for operation in ("CancelOrderRequest", "DeleteCertificateRequest", "RenewCertificateOrderForPackageRequest"):
        assert refused(sdk, operation, {"OrderId": order}, style="typed", signature=signature).code == "OrderStateError"
    ask("CancelCertificateForPackageRequest", signature, OrderId=order)
    assert used(ask)[0] == 0


def test_own_request_and_file(service, ask):
    key = ec.generate_private_key(ec.SECP256R1())
    order = ask("CreateCertificateWithCsrRequest", Csr=make_csr("www.shop.example", key), ValidateType="FILE", Tags=[{"Key": "env", "Value": "prod"}], **WHO)["OrderId"]
    service.clock.advance(service.state.time("list") + 1)
    shown = ask("DescribeCertificateState", OrderId=order)
    assert set(shown) == {"RequestId", "Type", "ValidateType", "Domain", "Uri", "Content"}
    assert (shown["ValidateType"], shown["Uri"]) == ("FILE", "/.well-known/pki-validation/fileauth.txt")


def test_refusal_withdrawal_and_quota(service, ask, sdk, zone, review):
    service.state["packages"][FREE]["verdicts"].append({"refuse": "nobody will read this"})
    first = ask("CreateCertificateRequest", Domain="www.shop.example", ValidateType="DNS", **WHO)["OrderId"]
    assert set(review(first, ask, zone)) == {"RequestId", "Type"}
    assert ask("DescribeCertificateState", OrderId=first)["Type"] == "verify_fail"
    second, third = (ask("CreateCertificateForPackageRequest", Domain=name + ".shop.example", **WHO)["OrderId"] for name in ("a", "b"))
    full = refused(sdk, "CreateCertificateForPackageRequest", {"Domain": "c.shop.example"} | WHO, style="typed")
    assert (full.code, full.status) == ("NotRemainCount", 404)
    ask("CancelOrderRequest", OrderId=second)
    assert ask("DescribeCertificateState", OrderId=second)["Type"] == "payed" and used(ask)[0] == 3
    ask("DeleteCertificateRequest", OrderId=second)
    ask("DeleteCertificateRequest", OrderId=first)
    assert used(ask)[0] == 1 and [o["OrderId"] for o in ask("ListUserCertificateOrder")["CertificateOrderList"]] == [third]
    assert refused(sdk, "DescribeCertificateState", {"OrderId": first}, style="typed").code == "NotFoundOrder"


def test_renewal(service, ask, zone, review):
    order = ask("CreateCertificateForPackageRequest", Domain="www.shop.example", **WHO)["OrderId"]
    review(order, ask, zone)
    service.state["certificates"][-1]["not_after"] = int(service.clock.wall()) + 20 * 86400
    renewed = ask("RenewCertificateOrderForPackageRequest", OrderId=order, Csr=make_csr("www.shop.example"))["OrderId"]
    assert renewed != order and ask("DescribeCertificateState", OrderId=renewed)["Type"] in ("payed", "domain_verify")
    assert ask("ListUserCertificateOrder", Status="WILLEXPIRED")["TotalCount"] == 1


def test_packages_as_text(service, sdk):
    """The operation is younger than npm's SDK; its answer is texts."""
    service.state.add_package(FREE, total=7)
    counts = sdk.call("GetCertificatePackageCount")
    assert set(counts) == {"RequestId", "ProductCountList", "NoticeCountDetail", "ProxyCountDetail", "TotalCountDetail", "TrusteeCountDetail"}
    assert all(isinstance(text, str) for text in counts.values())
    package, = json.loads(counts["ProductCountList"])
    assert (package["ProductCode"], package["TotalCount"], package["RemainCount"]) == (FREE, 7, 7)
