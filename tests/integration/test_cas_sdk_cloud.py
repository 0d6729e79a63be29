# SPDX-License-Identifier: ISC
"""The products beside the certificate service at the stand-in (zones, CDN domains, ALB listeners), by the typed calls of each product's own SDK, whose models
say what answers may hold and what a call may be given."""
import pytest
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cas.service import CAS_VERSION, PRODUCTS
from cas_facts import complaints, refused, rows_of
from cas_sdk import capture, driver, sdk, sdk_place, service
from cas_world import zone

__all__ = ["capture", "driver", "sdk", "sdk_place", "service", "zone"]
DNS, CDN, ALB = "2015-01-09", "2018-05-10", "2020-06-16"
OTHERS = sorted((version, operation) for version, (_, actions) in PRODUCTS.items() if version != CAS_VERSION for operation in actions)
BOTH_SIGNATURES = pytest.mark.parametrize("signature", ["v3", "rpc"])


@pytest.fixture
def ask(sdk):
    """ask(version, operation, signature, **params): a typed call, its answer as it came held against the models."""
    def ask(version, operation, signature="v3", **params):
        one = sdk.at(version=version)
        document = one.call(operation, params, style="typed", signature=signature)
        if operation.startswith(("Describe", "List", "Get")):
            whole = one.call(operation, params, signature=signature)
            assert whole | {"RequestId": ""} == document | {"RequestId": ""}
        assert complaints(operation, document, rows_of(one.ask(operation, style="models")["answer"])) == []
        return document
    return ask


@pytest.mark.parametrize("version,operation", OTHERS)
def test_operation_and_parameters_exist(capture, version, operation):
    """The SDK has the operation, and each parameter that the stand-in takes, with the same type."""
    request = capture.at(version=version).ask(operation, style="models")["request"]
    kinds = {"text": "string", "int": "number", "bool": "boolean", "texts": {"list": "string"}, "ints": {"list": "number"}}
    for param in PRODUCTS[version][1][operation].params:
        if param.kind == "objects":
            assert set(param.members) <= set(request[param.name]["list"]), param.name
        else:
            assert request[param.name] == kinds[param.kind], param.name


@BOTH_SIGNATURES
def test_records(service, ask, sdk, signature):
    service.state.add_zone("shop.example")
    given = {"DomainName": "shop.example", "RR": "_dnsauth.www", "Type": "TXT", "Value": "202506010000003k+/=abc *~"}
    number = ask(DNS, "AddDomainRecord", signature, **given)["RecordId"]
    service.clock.advance(10)
    assert refused(sdk.at(version=DNS), "AddDomainRecord", given, style="typed", signature=signature).code == "DomainRecordDuplicate"
    row, = ask(DNS, "DescribeDomainRecords", signature, DomainName="shop.example", PageSize=500)["DomainRecords"]["Record"]
    assert (row["RecordId"], row["RR"], row["Value"]) == (number, given["RR"], given["Value"])
    assert ask(DNS, "DescribeSubDomainRecords", signature, SubDomain="_dnsauth.www.shop.example")["TotalCount"] == 1
    assert ask(DNS, "DescribeDomainRecordInfo", RecordId=number)["Value"] == given["Value"]
    assert [d["DomainName"] for d in ask(DNS, "DescribeDomains", signature)["Domains"]["Domain"]] == ["shop.example"]
    ask(DNS, "DescribeDomainInfo", DomainName="shop.example")
    assert ask(DNS, "GetMainDomainName", InputString="a.www.shop.example")["DomainName"] == "shop.example"
    ask(DNS, "UpdateDomainRecord", signature, RecordId=number, **{k: v for k, v in given.items() if k != "DomainName"} | {"Value": "other"})
    service.clock.advance(10)
    ask(DNS, "SetDomainRecordStatus", RecordId=number, Status="Disable")
    service.clock.advance(10)
    ask(DNS, "DeleteDomainRecord", signature, RecordId=number)
    assert ask(DNS, "DescribeDomainRecords", DomainName="shop.example")["TotalCount"] == 0


def upload(service, sdk, name):
    key = ec.generate_private_key(ec.SECP256R1())
    chain, _ = service.authority.issue(["www.shop.example"], key.public_key(), 90)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    number = sdk.call("UploadUserCertificate", {"Name": name, "Cert": chain, "Key": pem})["CertId"]
    return number, chain, pem


@BOTH_SIGNATURES
def test_cdn(service, ask, sdk, signature):
    service.state.add_cdn("www.shop.example")
    number, chain, pem = upload(service, sdk, "a")
    on = {"DomainName": "www.shop.example", "SSLProtocol": "on"}
    for more in ({"CertType": "cas", "CertId": number, "CertName": "a"}, {"CertType": "upload", "SSLPub": chain, "SSLPri": pem, "CertName": "b"}):
        ask(CDN, "SetCdnDomainSSLCertificate", signature, **on, **more)
        service.clock.advance(30)
        seen = ask(CDN, "DescribeDomainCertificateInfo", signature, DomainName="www.shop.example")["CertInfos"]["CertInfo"][0]
        assert (seen["Status"], seen["ServerCertificateStatus"], seen["CertName"]) == ("success", "on", more["CertName"])


@BOTH_SIGNATURES
def test_alb(service, ask, sdk, signature):
    service.state.add_listener()
    first, second = ("%d-cn-hangzhou" % upload(service, sdk, name)[0] for name in "ab")
    where = {"ListenerId": "lsn-0000"}
    job = ask(ALB, "UpdateListenerAttribute", signature, Certificates=[{"CertificateId": first}], ClientToken="t", **where)["JobId"]
    ask(ALB, "ListListeners", signature, ListenerIds=["lsn-0000"])
    service.clock.advance(30)
    assert [j["Status"] for j in ask(ALB, "ListAsynJobs", signature, JobIds=[job])["Jobs"]] == ["Succeeded"]
    ask(ALB, "AssociateAdditionalCertificatesWithListener", signature, Certificates=[{"CertificateId": second}], **where)
    service.clock.advance(30)
    shown = ask(ALB, "ListListenerCertificates", signature, **where)["Certificates"]
    assert [(c["CertificateId"], c["IsDefault"]) for c in shown] == [(first, True), (second, False)]
    ask(ALB, "DissociateAdditionalCertificatesFromListener", signature, Certificates=[{"CertificateId": second}], **where)
