# SPDX-License-Identifier: ISC
"""Services that certificates are bound to, at the stand-in: a CDN domain and an ALB listener."""
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec

from cas_client import Client


@pytest.fixture
def server(make_cas):
    return make_cas()


def of(server, version):
    made = Client(server)
    made.version = version
    return made


@pytest.fixture
def cdn(server):
    server.state.add_cdn("www.shop.example")
    return of(server, "2018-05-10")


@pytest.fixture
def alb(server):
    server.state.add_listener()
    return of(server, "2020-06-16")


def pair(server, name="www.shop.example"):
    key = ec.generate_private_key(ec.SECP256R1())
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    return server.authority.issue([name], key.public_key(), 90)[0], pem


def uploaded(server, name):
    """(number, identifier)"""
    chain, key = pair(server)
    number = Client(server).get("UploadUserCertificate", Name=name, Cert=chain, Key=key)["CertId"]
    return number, "%d-cn-hangzhou" % number


def bound(cdn):
    return cdn.get("DescribeDomainCertificateInfo", DomainName="www.shop.example")["CertInfos"]["CertInfo"][0]


def test_cdn(server, cdn):
    assert bound(cdn)["ServerCertificateStatus"] == "off" and "CertName" not in bound(cdn)
    number, _ = uploaded(server, "a")
    given = dict(DomainName="www.shop.example", SSLProtocol="on", CertType="cas", CertId=number, CertName="a")
    cdn.get("SetCdnDomainSSLCertificate", **given)
    assert (bound(cdn)["Status"], bound(cdn)["CertId"]) == ("checking", str(number))
    server.clock.advance(30)
    assert (bound(cdn)["Status"], bound(cdn)["ServerCertificateStatus"], bound(cdn)["CertDomainName"]) == ("success", "on", "www.shop.example")
    for change, code in (({"CertRegion": "ap-southeast-1"}, "SetDomainCertificate.ParameterError"), ({"CertId": 1}, "SetDomainCertificate.ParameterError"),
                         ({"CertName": ""}, "CertName.MissingParameter"), ({"SSLProtocol": "maybe"}, "InvalidSSLProtocol.ValueNotSupport"),
                         ({"DomainName": "b.shop.example"}, "InvalidDomain.NotFound"), ({"CertName": "x" * 129}, "InvalidCertName.TooLong")):
        assert cdn.refused("SetCdnDomainSSLCertificate", **(given | change)) == code
    cdn.get("SetCdnDomainSSLCertificate", DomainName="www.shop.example", SSLProtocol="off")
    assert bound(cdn)["ServerCertificateStatus"] == "off"
    server.state["cdn"][0]["protected"] = True
    assert cdn.refused("SetCdnDomainSSLCertificate", **given) == "DomainInProtectedMode"


def test_cdn_upload(server, cdn):
    chain, key = pair(server)
    given = dict(DomainName="www.shop.example", SSLProtocol="on", SSLPub=chain, SSLPri=key)
    for change, code in (({"SSLPub": ""}, "SSLPub.MissingParameter"), ({"SSLPri": ""}, "SSLPri.MissingParameter"), ({"SSLPub": "x"}, "InvalidSSLPub"),
                         ({"SSLPri": "x"}, "InvalidSSLPri"), ({"SSLPri": pair(server)[1]}, "Certificate.MissMatch")):
        assert cdn.refused("SetCdnDomainSSLCertificate", **(given | change)) == code
    cdn.get("SetCdnDomainSSLCertificate", **given)
    assert x509.load_pem_x509_certificate(bound(cdn)["ServerCertificate"].encode()) == x509.load_pem_x509_certificate(chain.encode())


def job(alb, answer):
    return alb.get("ListAsynJobs", **{"JobIds.1": answer["JobId"]})["Jobs"][0]


def there(alb):
    return [(c["CertificateId"], c["IsDefault"], c["Status"]) for c in alb.get("ListListenerCertificates", ListenerId="lsn-0000")["Certificates"]]


def test_alb(server, alb):
    (_, first), (_, second) = uploaded(server, "a"), uploaded(server, "b")
    one = {"ListenerId": "lsn-0000", "Certificates.1.CertificateId": first}
    two = one | {"Certificates.1.CertificateId": second}
    made = alb.get("UpdateListenerAttribute", **one, ClientToken="t1")
    assert alb.get("UpdateListenerAttribute", **one, ClientToken="t1")["JobId"] == made["JobId"]  # asked again: the same job
    assert job(alb, made)["Status"] == "Processing" and alb.get("ListListeners")["Listeners"][0]["ListenerStatus"] == "Configuring"
    assert alb.refused("AssociateAdditionalCertificatesWithListener", **two) == "ResourceInConfiguring.Listener"
    assert there(alb) == []
    server.clock.advance(30)
    assert job(alb, made)["Status"] == "Succeeded" and there(alb) == [(first, True, "Associated")]
    assert alb.refused("AssociateAdditionalCertificatesWithListener", **one) == "OperationDenied.DefaultCertificateUsed"
    assert alb.refused("AssociateAdditionalCertificatesWithListener", **two, DryRun="true") == "DryRunOperation"
    alb.get("AssociateAdditionalCertificatesWithListener", **two)
    assert there(alb)[1:] == [(second, False, "Associating")]
    server.clock.advance(30)
    assert there(alb)[1:] == [(second, False, "Associated")]
    assert alb.refused("AssociateAdditionalCertificatesWithListener", **two) == "ResourceAlreadyAssociated.Certificate"
    alb.get("DissociateAdditionalCertificatesFromListener", **two)
    assert there(alb)[1:] == [(second, False, "Diassociating")]
    server.clock.advance(30)
    assert there(alb) == [(first, True, "Associated")]
    assert alb.refused("DissociateAdditionalCertificatesFromListener", **two) == "ResourceNotFound.Certificate"
    status, document = alb.v3("UpdateListenerAttribute", **one | {"Certificates.1.CertificateId": first.replace("cn-hangzhou", "ap-southeast-1")})
    assert (status, document["Code"]) == (404, "ResourceNotFound.Certificate")
    assert alb.refused("UpdateListenerAttribute", ListenerId="lsn-9") == "ResourceNotFound.Listener"


def test_alb_job_fails(server, alb):
    """What was there stays."""
    (_, first), (_, second) = uploaded(server, "a"), uploaded(server, "b")
    server.state["listeners"][0] |= {"default": first, "fail": "IncorrectStatus.LoadBalancer"}
    made = alb.get("UpdateListenerAttribute", **{"ListenerId": "lsn-0000", "Certificates.1.CertificateId": second})
    server.clock.advance(30)
    assert (job(alb, made)["Status"], job(alb, made)["ErrorCode"]) == ("Failed", "IncorrectStatus.LoadBalancer")
    assert there(alb) == [(first, True, "Associated")]


def test_alb_pages(server, alb):
    for _ in range(24):
        server.state.add_listener()
    first = alb.get("ListListeners")
    assert (len(first["Listeners"]), first["TotalCount"], first["NextToken"]) == (20, 25, "20")
    second = alb.get("ListListeners", NextToken=first["NextToken"])
    assert len(second["Listeners"]) == 5 and "NextToken" not in second
