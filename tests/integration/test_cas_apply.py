# SPDX-License-Identifier: ISC
"""Whole applications at the stand-in for Alibaba Cloud's certificate service: proven, refused, withdrawn, changed and resubmitted."""
import http.server
import ssl
import threading

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa

from cas import control, pki
from cas_client import Client
from cas_world import make_csr, place, zone

__all__ = ["place", "zone"]
CHINESE = "域名验证失败：未检测到解析记录"


def request(place, domain, csr=None, **more):
    return {"Domain": domain, "GenerateCsrMethod": "upload", "Csr": csr or make_csr(domain.split(",")[0]), "ContactIdList.1": place.contact,
            "ValidationMethod": "DNS"} | more


def submit(place, client, one, domain, csr=None, **more):
    client.get("UpdateInstance", InstanceId=one["id"], **request(place, domain, csr, **more))
    client.get("ApplyCertificate", InstanceId=one["id"])


def detail(client, one):
    return client.get("GetInstanceDetail", InstanceId=one["id"])


def proofs(place, client, one):
    place.clock.advance(place.state.time("list"))
    return detail(client, one)["DomainValidationList"]


def reviewed(place, client, one, kind="DV"):
    """The CA looks, and has its time to think."""
    for seconds in (place.state.time("probe"), place.state.time(kind)):
        place.clock.advance(seconds)
        last = detail(client, one)
    return last


def test_dv_by_dns(place, zone):
    """Two names and a wildcard, from the unused instance to the chain."""
    client = Client(place)
    one, key = place.state.add_instance(full=2, wildcard=1), rsa.generate_private_key(65537, 2048)
    names = "shop.example,www.shop.example,*.shop.example"
    client.get("UpdateInstance", InstanceId=one["id"], CertificateName="shop", **{"Tags.1.TagKey": "env", "Tags.1.TagValue": "prod"},
               **request(place, names, make_csr("shop.example", key)))
    assert detail(client, one)["Status"] == "inactive" and detail(client, one)["Tags"] == [{"TagKey": "env", "TagValue": "prod"}]
    client.get("ApplyCertificate", InstanceId=one["id"])
    first = detail(client, one)
    assert (first["Status"], first["PendingResult"], first["AverageWaitingTime"], first["KeyAlgorithm"]) == ("pending", "", "60", "RSA_2048")
    assert "DomainValidationList" not in first and client.get("GetTaskAttribute", TaskId=one["id"])["TaskStatus"] == "processing"
    listed = proofs(place, client, one)
    assert [(p["Domain"], p["ValidationKey"], p["RootDomain"], p["ValidationType"]) for p in listed] == [
        ("shop.example", "_dnsauth", "shop.example", "TXT"), ("www.shop.example", "_dnsauth.www", "shop.example", "TXT"),
        ("*.shop.example", "_dnsauth", "shop.example", "TXT")]
    assert len({p["ValidationValue"] for p in listed}) == 3 and client.get("GetTaskAttribute", TaskId=one["id"])["TaskStatus"] == "success"
    for proof in listed[:2]:
        zone.publish(proof)
    place.clock.advance(3600)
    assert detail(client, one)["Status"] == "pending"  # one is missing
    zone.publish(listed[2])
    place.clock.advance(10)
    assert detail(client, one)["Status"] == "pending"
    place.clock.advance(59)
    assert detail(client, one)["Status"] == "pending"
    place.clock.advance(1)
    last = detail(client, one)
    assert (last["Status"], last["CertificateStatus"], last["CertIdentifier"]) == ("normal", "issued", "%d-cn-hangzhou" % last["CertificateId"])
    assert "DomainValidationList" not in last and "PendingResult" not in last
    cert = client.get("GetUserCertificateDetail", CertId=last["CertificateId"])
    leaf, middle = [x509.load_pem_x509_certificate(t.encode() + b"-----END CERTIFICATE-----\n") for t in cert["Cert"].split("-----END CERTIFICATE-----\n")[:2]]
    assert cert["Key"] == "" and leaf.public_key().public_numbers() == key.public_key().public_numbers()
    middle.public_key().verify(leaf.signature, leaf.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
    place.authority.root[1].public_key().verify(middle.signature, middle.tbs_certificate_bytes, ec.ECDSA(hashes.SHA256()))
    assert leaf.extensions.get_extension_for_class(x509.SubjectAlternativeName).value.get_values_for_type(x509.DNSName) == names.split(",")
    assert cert["Sha2"] == leaf.fingerprint(hashes.SHA256()).hex() and cert["Sans"] == names
    assert "Cert" not in client.get("GetUserCertificateDetail", CertId=last["CertificateId"], CertFilter="true")
    assert client.get("ListCertificates", InstanceId=one["id"])["CertificateList"][0]["CertificateId"] == str(last["CertificateId"])
    for again in ("ApplyCertificate", "CancelPendingCertificate"):
        assert client.refused(again, InstanceId=one["id"]) == "OperationDenied.StatusNotSupport"
    assert client.refused("UpdateInstance", InstanceId=one["id"], **request(place, names)) == "OperationDenied.StatusNotSupport"


@pytest.mark.parametrize("after,shown", [("pending", "pending"), ("inactive", "inactive")])
def test_refusal_withdrawal_resubmission(place, zone, after, shown):
    client, one = Client(place), place.state.add_instance()
    place.state.set("options", {"after_refusal": after})
    hand = control.Control(place)
    hand.verdict(one["id"], refuse=CHINESE)
    submit(place, client, one, "shop.example")
    zone.publish(proofs(place, client, one)[0])
    refused = reviewed(place, client, one)
    assert (refused["Status"], refused["PendingResult"]) == (shown, CHINESE)
    assert ("DomainValidationList" in refused) == (shown == "pending")
    if shown == "pending":
        assert client.refused("UpdateInstance", InstanceId=one["id"], **request(place, "shop.example")) == "OperationDenied.StatusNotSupport"
        client.get("CancelPendingCertificate", InstanceId=one["id"])
        place.clock.advance(119)
        assert detail(client, one)["Status"] == "pending"
        assert client.refused("ApplyCertificate", InstanceId=one["id"]) == "OperationDenied.StatusNotSupport"
        place.clock.advance(1)
        assert detail(client, one)["Status"] == "inactive"
    submit(place, client, one, "www.shop.example")
    zone.publish(proofs(place, client, one)[0])
    last = reviewed(place, client, one)
    assert (last["Status"], last["CertificateStatus"]) == ("normal", "issued")


def test_a_request_serves_once(place, zone):
    client, csr = Client(place), make_csr("shop.example")
    for outcome in ("normal", "pending"):
        one = place.state.add_instance()
        submit(place, client, one, "shop.example", csr)
        zone.publish(proofs(place, client, one)[0])
        assert reviewed(place, client, one)["Status"] == outcome
    assert "CSR" in detail(client, one)["PendingResult"]


def test_windows(place):
    """Refusals that last for seconds."""
    client, one = Client(place), place.state.add_instance()
    place.state.set("times", {"protect": 5, "list_rest": 30})
    client.get("UpdateInstance", InstanceId=one["id"], **request(place, "shop.example"))
    assert client.refused("UpdateInstance", InstanceId=one["id"], **request(place, "shop.example")) == "InvalidStatus.UpdateProtection"
    client.get("ApplyCertificate", InstanceId=one["id"])
    assert client.refused("ApplyCertificate", InstanceId=one["id"]) == "OperationDenied.StatusNotSupport"
    assert client.refused("CancelPendingCertificate", InstanceId=one["id"]) == "OperationDenied.StatusNotSupport"
    place.clock.advance(5)
    client.get("CancelPendingCertificate", InstanceId=one["id"])
    place.clock.advance(120)
    assert detail(client, one)["Status"] == "inactive"
    assert client.refused("UpdateInstance", InstanceId=one["id"], **request(place, "shop.example")) == "InvalidStatus.UpdateProtection"
    two = place.state.add_instance(full=2)
    submit(place, client, two, "shop.example,www.shop.example")
    assert len(proofs(place, client, two)) == 1
    place.clock.advance(30)
    assert len(detail(client, two)["DomainValidationList"]) == 2


def test_auto_submit(place):
    """UpdateInstance with all there is submits; Apply is refused, and Status tells why."""
    client, one = Client(place), place.state.add_instance()
    place.state.set("options", {"auto_submit": True})
    client.get("UpdateInstance", InstanceId=one["id"], **request(place, "shop.example"))
    assert client.refused("ApplyCertificate", InstanceId=one["id"]) == "OperationDenied.StatusNotSupport"
    assert detail(client, one)["Status"] == "pending"


def test_ov_waits_for_people(place, zone):
    client, one, company = Client(place), place.state.add_instance(certificate_type="OV"), place.state.add_company()["id"]
    place.state.set("options", {"person": ["OV"]})
    client.get("UpdateInstance", InstanceId=one["id"], **request(place, "shop.example"))
    assert client.refused("ApplyCertificate", InstanceId=one["id"]) == "MissingCompanyId"
    client.get("UpdateInstance", InstanceId=one["id"], CompanyId=company, City="Elsewhere")
    assert "CompanyId" not in detail(client, one) and detail(client, one)["City"] == "Hangzhou"
    client.get("ApplyCertificate", InstanceId=one["id"])
    zone.publish(proofs(place, client, one)[0])
    assert detail(client, one)["CompanyId"] == company
    assert reviewed(place, client, one, "OV")["Status"] == "pending"
    place.clock.advance(30 * 86400)
    assert detail(client, one)["Status"] == "pending"
    control.Control(place).met(one["id"])
    assert detail(client, one)["Status"] == "normal"


def test_failed_task(place):
    client, one = Client(place), place.state.add_instance()
    control.Control(place).verdict(one["id"], task_failed="联系人信息不完整")
    submit(place, client, one, "shop.example")
    place.clock.advance(2)
    task = client.get("GetTaskAttribute", TaskId=one["id"])
    assert (task["TaskStatus"], task["TaskMessage"]) == ("failed", "联系人信息不完整")
    assert detail(client, one)["Status"] == "inactive"
    place.state.set("options", {"task_words": "skill"})
    assert client.get("GetTaskAttribute", TaskId=one["id"])["TaskStatus"] == "FAILED"


def broken(csr):
    """Signed by nobody."""
    der = bytearray(x509.load_pem_x509_csr(csr.encode()).public_bytes(serialization.Encoding.DER))
    der[-1] ^= 1
    return x509.load_der_x509_csr(bytes(der)).public_bytes(serialization.Encoding.PEM).decode()


def test_what_is_refused(place):
    client, one = Client(place), place.state.add_instance(full=2)
    test = place.state.add_instance(type="TEST", full=2)

    def refused(given, which=one, **more):
        return client.refused("UpdateInstance", InstanceId=which["id"], **(given | more))
    assert refused(request(place, "*.shop.example")) == "DomainAndProductNotMatch"
    assert refused(request(place, "a.shop.example,b.shop.example,c.shop.example")) == "DomainAndProductNotMatch"
    assert refused(request(place, "a.shop.example,b.shop.example"), test) == "DomainAndProductNotMatch"
    assert refused(request(place, "a.shop.example,A.shop.example")) == "DomainRepeat"
    assert refused(request(place, "-a.shop.example")) == "InvalidDomain"
    assert refused(request(place, "shop.example", make_csr("other.example"))) == "InvalidParameter"
    assert refused(request(place, "shop.example", make_csr("shop.example", cn=False))) == "InvalidParameter"
    assert refused(request(place, "shop.example", make_csr("shop.example", rsa.generate_private_key(65537, 1024)))) == "CertificateFormatException"
    assert refused(request(place, "shop.example", make_csr("shop.example").replace("\n", " "))) == "CertificateFormatException"
    assert refused(request(place, "shop.example", broken(make_csr("shop.example")))) == "CertificateFormatException"
    assert refused({"GenerateCsrMethod": "upload"}) == "MissingCsr"
    assert refused(request(place, "shop.example"), **{"ContactIdList.1": 1}) == "NotFound"
    assert refused(request(place, "shop.example"), **{"ContactIdList.3": place.contact}) == "InvalidContactIdList"
    assert refused(request(place, "shop.example"), CompanyId=1) == "NotFound"
    assert refused({"Tags.1.TagKey": "acs:x"}) == "InvalidParameter"
    assert client.refused("ApplyCertificate", InstanceId=one["id"]) == "MissingDomain"
    assert detail(client, one)["Status"] == "inactive" and "Domain" not in detail(client, one)  # nothing of it was kept
    status, document = client.rpc("ApplyCertificate", "GET", InstanceId=one["id"])
    assert (status, document["Code"]) == (405, "UnsupportedHTTPMethod")


def test_lost_apply(place):
    """The answer is lost after the application was made: there is exactly one."""
    client, one = Client(place), place.state.add_instance()
    place.faults.arm(action="ApplyCertificate", do="lost")
    client.get("UpdateInstance", InstanceId=one["id"], **request(place, "shop.example"))
    with pytest.raises(OSError):
        client.get("ApplyCertificate", InstanceId=one["id"])
    assert detail(client, one)["Status"] == "pending"
    assert client.refused("ApplyCertificate", InstanceId=one["id"]) == "OperationDenied.StatusNotSupport"


@pytest.mark.parametrize("form,key,where", [
    ("relative", "_dnsauth.a", "_dnsauth.a.shop.example"), ("bare", "_dnsauth", "_dnsauth.shop.example"), ("bare at name", "_dnsauth", "_dnsauth.a.shop.example"),
    ("absolute", "_dnsauth.a.shop.example", "_dnsauth.a.shop.example")])
def test_forms_of_the_record(place, zone, form, key, where):
    client, one = Client(place), place.state.add_instance()
    place.state.set("options", {"record_form": form.split()[0], "bare_at": "name" if form == "bare at name" else "root"})
    submit(place, client, one, "a.shop.example")
    proof = proofs(place, client, one)[0]
    assert proof["ValidationKey"] == key
    zone.records[where, "TXT"] = ['"%s"' % proof["ValidationValue"]]
    assert reviewed(place, client, one)["Status"] == "normal"


@pytest.mark.parametrize("kind", ["CNAME record", "CNAME delegation", "behind a CNAME", "same account", "wrong value"])
def test_kinds_of_dns_proof(place, zone, kind):
    client, one = Client(place), place.state.add_instance()
    place.state.set("options", {"record_type": "CNAME" if kind == "CNAME record" else "TXT", "delegation": kind == "CNAME delegation",
                                "auto_zones": ["shop.example"] if kind == "same account" else []})
    submit(place, client, one, "shop.example")
    proof = proofs(place, client, one)[0]
    here, value = ("_dnsauth.shop.example", "CNAME"), proof["ValidationValue"]
    zone.records |= {"CNAME record": {here: [value + "."]}, "CNAME delegation": {here: [proof.get("Cname", "") + "."]},
                     "behind a CNAME": {here: ["x.other.example."], ("x.other.example", "TXT"): ['"%s"' % value]}, "same account": {},
                     "wrong value": {("_dnsauth.shop.example", "TXT"): ['"%sx"' % value]}}[kind]
    place.clock.advance(place.state.time("auto"))
    assert reviewed(place, client, one)["Status"] == ("pending" if kind == "wrong value" else "normal")


class Web:
    """A web server of (host, path) -> (status, body); over TLS with a certificate for hosts by the CA in `tls`."""

    def __init__(self, answers, tls=None, hosts=()):
        class Handler(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                status, body = answers.get((self.headers["Host"], self.path), (404, b""))
                self.send_response(status)
                if status == 302:
                    self.send_header("Location", "http://www.shop.example/token")
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *args):
                pass
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.handle_error = lambda *args: None  # who does not trust it, leaves
        if tls:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(pki.tls_files(tls, hosts))
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.port = self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, args=(0.05,), daemon=True).start()

    def close(self):
        self.server.shutdown()
        self.server.server_close()


@pytest.mark.parametrize("served,good", [("token", True), ("token and newline", False), ("redirect", False), ("other", False), ("trusted", True),
                                         ("untrusted", False), ("apex", True)])
def test_dv_by_file(place, zone, tmp_path, served, good):
    client, one, name = Client(place), place.state.add_instance(), "www.shop.example"
    place.state.set("options", {"http_host": "apex" if served == "apex" else "own", "http_path": "key" if served == "apex" else "none"})
    submit(place, client, one, name, ValidationMethod="HTTP")
    proof = proofs(place, client, one)[0]
    path = "/.well-known/pki-validation/fileauth.txt"
    assert proof["ValidationType"] == "HTTP" and proof.get("ValidationKey") == (path if served == "apex" else None)
    token = proof["ValidationValue"].encode()
    host = "shop.example" if served == "apex" else name
    zone.records[host, "A"] = ["127.0.0.1"]
    answers = {(host, path): {"token and newline": (200, token + b"\n"), "redirect": (302, token), "other": (200, b"x")}.get(served, (200, token)),
               (name, "/token"): (200, token)}
    webs = [Web(answers)]
    place.prober.http = webs[0].port
    if served in ("trusted", "untrusted"):
        webs.append(Web(answers if served == "untrusted" else dict(answers), str(tmp_path / "web"), [name]))
        place.prober.https = webs[1].port
        place.prober.https_ca = str(tmp_path / "web.pem") if served == "trusted" else place.ca_file
        if served == "trusted":
            answers.clear()  # what HTTPS says is enough
    try:
        assert reviewed(place, client, one)["Status"] == ("normal" if good else "pending")
        assert place.prober.seen[-1] == (host, good)
    finally:
        for web in webs:
            web.close()


def test_no_file_proves_a_wildcard(place):
    wild = place.state.add_instance(wildcard=1, full=0)
    given = request(place, "*.shop.example", ValidationMethod="HTTP")
    assert Client(place).refused("UpdateInstance", InstanceId=wild["id"], **given) == "InvalidValidationMethod"


def test_key_by_the_service(place, zone):
    client, one = Client(place), place.state.add_instance()
    submit(place, client, one, "shop.example", GenerateCsrMethod="online", Csr="", KeyAlgorithm="ECC_256")
    zone.publish(proofs(place, client, one)[0])
    cert = client.get("GetUserCertificateDetail", CertId=reviewed(place, client, one)["CertificateId"])
    key = serialization.load_pem_private_key(cert["Key"].encode(), None)
    assert key.public_key().public_numbers() == x509.load_pem_x509_certificate(cert["Cert"].encode()).public_key().public_numbers()


def test_certificate_for_another_request(place, zone):
    client, one, key = Client(place), place.state.add_instance(), ec.generate_private_key(ec.SECP256R1())
    place.state.set("options", {"wrong_csr": True})
    submit(place, client, one, "shop.example", make_csr("shop.example", key))
    zone.publish(proofs(place, client, one)[0])
    cert = client.get("GetUserCertificateDetail", CertId=reviewed(place, client, one)["CertificateId"])["Cert"]
    assert x509.load_pem_x509_certificate(cert.encode()).public_key().public_numbers() != key.public_key().public_numbers()


def test_end_of_an_instance(place, zone):
    """Revoked; or refunded and deleted; the summary moves along."""
    client, one, two = Client(place), place.state.add_instance(), place.state.add_instance()
    assert client.refused("RefundInstance", InstanceId=two["id"]) == "CouldNotRefund.NotSupport"
    place.clock.advance(6)
    client.get("RefundInstance", InstanceId=two["id"])
    old = place.state.add_instance(bought=-8 * 86400, type="TEST")
    assert client.refused("RefundInstance", InstanceId=old["id"]) == "CouldNotRefund.OverTime"
    assert client.get("GetInstanceSummary", InstanceType="BUY")["CertificateCount"] == 1
    assert client.refused("DeleteInstance", InstanceId=two["id"]) == "InvalidStatus.DeleteProtection"
    place.clock.advance(30)
    client.get("DeleteInstance", InstanceId=two["id"])
    assert client.refused("GetInstanceDetail", InstanceId=two["id"]) == "NotFound"
    submit(place, client, one, "shop.example")
    zone.publish(proofs(place, client, one)[0])
    reviewed(place, client, one)
    assert client.get("GetInstanceSummary", InstanceType="BUY")["CertificateCount"] == 0
    assert client.refused("RefundInstance", InstanceId=one["id"]) == "CouldNotRefund.NotSupport"
    number = detail(client, one)["CertificateId"]
    assert client.refused("DeleteUserCertificate", CertId=number) == "OperationDenied.StatusNotSupport"
    assert client.refused("RevokeCertificate", InstanceId=one["id"], CertificateId=number + 1) == "NotFound"
    client.get("RevokeCertificate", InstanceId=one["id"], CertificateId=number)
    assert detail(client, one)["CertificateStatus"] == "revoked" and detail(client, one)["CertificateRevokeTime"] > 1 << 40


def test_certificates_grow_old(place, zone):
    client, one = Client(place), place.state.add_instance()
    submit(place, client, one, "shop.example")
    zone.publish(proofs(place, client, one)[0])
    reviewed(place, client, one)
    client.skew = place.clock.offset = 180 * 86400
    assert (detail(client, one)["Status"], detail(client, one)["CertificateStatus"]) == ("willExpire", "willExpire")
    client.skew = place.clock.offset = 200 * 86400
    assert (detail(client, one)["Status"], detail(client, one)["CertificateStatus"]) == ("expired", "expired")


def test_uploads(place):
    client, key = Client(place), ec.generate_private_key(ec.SECP256R1())
    chain, _ = place.authority.issue(["up.example"], key.public_key(), 90)
    pem = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()).decode()
    made = client.get("UploadUserCertificate", Name="up_1", Cert=chain, Key=pem)
    assert made["ResourceId"] == "cas-upload-%d" % made["CertId"]
    assert client.refused("UploadUserCertificate", Name="up_1", Cert=chain, Key=pem) == "NameRepeat"
    assert client.refused("UploadUserCertificate", Name="up 2", Cert=chain, Key=pem) == "InvalidParameter"
    other = place.authority.issue(["up.example"], ec.generate_private_key(ec.SECP256R1()).public_key(), 90)[0]
    assert client.refused("UploadUserCertificate", Name="up_2", Cert=other, Key=pem) == "InvalidParameter"
    place.state.set("options", {"pem_spaces": True})
    assert "\n" not in client.get("GetUserCertificateDetail", CertId=made["CertId"])["Cert"]
    assert client.get("ListCertificates", CertificateSource="UPLOAD")["TotalCount"] == 1
    client.get("DeleteUserCertificate", CertId=made["CertId"])
    assert client.refused("GetCertificateDetail", CertificateId=made["CertId"]) == "NotFound"


def test_state_outlives_the_process(make_cas, zone, tmp_path):
    """Another process goes on with the same file."""
    path = str(tmp_path / "state.json")
    one = make_cas(path=path, dns_server=zone.at)
    one.contact = one.state.add_contact()["id"]
    instance = one.state.add_instance()
    submit(one, Client(one), instance, "shop.example")
    proof = proofs(one, Client(one), instance)[0]
    one.close()
    two = make_cas(path=path, dns_server=zone.at)
    zone.publish(proof)
    assert reviewed(two, Client(two), instance)["Status"] == "normal"
