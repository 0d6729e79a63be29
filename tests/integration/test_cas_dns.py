# SPDX-License-Identifier: ISC
"""The account's own zones at the stand-in: records by Alibaba Cloud DNS's operations, and applications that the platform proves by itself."""
import pytest

from cas_client import Client
from cas_world import make_csr, place, zone

__all__ = ["place", "zone"]


@pytest.fixture
def client(place):
    place.state.add_zone("shop.example")
    made = Client(place)
    made.version = "2015-01-09"
    return made


def add(client, **more):
    return client.get("AddDomainRecord", **({"DomainName": "shop.example", "RR": "_dnsauth", "Type": "TXT", "Value": "a"} | more))["RecordId"]


def refused(client, **more):
    return client.refused("AddDomainRecord", **({"DomainName": "shop.example", "RR": "_dnsauth", "Type": "TXT", "Value": "a"} | more))


def records(client, **more):
    shown = client.get("DescribeDomainRecords", DomainName="shop.example", PageSize=500, **more)
    return [(r["RR"], r["Type"], r["Value"]) for r in shown["DomainRecords"]["Record"]]


def test_records(client):
    first = add(client)
    second = add(client, Value="b")
    assert records(client) == [("_dnsauth", "TXT", "a"), ("_dnsauth", "TXT", "b")]
    assert isinstance(first, str) and client.get("DescribeDomainRecordInfo", RecordId=first)["Status"] == "ENABLE"
    assert refused(client) == "DomainRecordDuplicate"
    assert refused(client, Type="CNAME", Value="x.example") == "DomainRecordConflict"
    assert refused(client, Value="c", TTL=60) == "QuotaExceeded.TTL"
    assert refused(client, RR="a..b") == "InvalidRR.Format"
    assert refused(client, DomainName="other.example") == "InvalidDomainName.NoExist"
    assert client.refused("UpdateDomainRecord", RecordId=second, RR="_dnsauth", Type="TXT", Value="b") == "DomainRecordDuplicate"
    client.get("UpdateDomainRecord", RecordId=second, RR="_dnsauth.www", Type="TXT", Value="b")
    found = client.get("DescribeSubDomainRecords", SubDomain="_dnsauth.www.shop.example")
    assert found["TotalCount"] == 1 and found["DomainRecords"]["Record"][0]["RecordId"] == second
    client.get("DeleteDomainRecord", RecordId=first)
    assert client.refused("DeleteDomainRecord", RecordId=first) == "DomainRecordNotBelongToUser"
    assert client.get("DeleteSubDomainRecords", DomainName="shop.example", RR="_dnsauth.www", Type="A")["TotalCount"] == "0"
    assert client.get("DeleteSubDomainRecords", DomainName="shop.example", RR="_dnsauth.www")["TotalCount"] == "1"
    assert client.rpc("AddDomainRecord", "GET", DomainName="shop.example", RR="@", Type="TXT", Value="a+/=abc *~")[0] == 200
    assert records(client) == [("@", "TXT", "a+/=abc *~")]


def test_pauses_and_pages(place, client):
    place.state.set("times", {"dns_pause": 0.5})
    add(client)
    assert refused(client, Value="b") == "LastOperationNotFinished"
    place.clock.advance(0.5)
    add(client, Value="b")
    place.state.set("times", {"dns_pause": 0})
    for i in range(25):
        place.state.add_zone("z%d.example" % i)
    assert len(client.get("DescribeDomains")["Domains"]["Domain"]) == 20
    assert client.get("DescribeDomains", PageNumber=2)["TotalCount"] == 26
    assert client.get("DescribeDomains", KeyWord="z1.example", SearchMode="EXACT")["TotalCount"] == 1
    assert client.refused("DescribeDomains", PageSize=101) == "InvalidParameter"
    assert client.get("GetMainDomainName", InputString="a.b.shop.example")["RR"] == "a.b"
    assert client.get("DescribeDomainInfo", DomainName="shop.example")["MinTtl"] == 600


def test_locked_and_full(place, client):
    number = add(client)
    place.state["zones"][0]["records"][0]["locked"] = True
    assert client.refused("DeleteDomainRecord", RecordId=number) == "DomainRecordLocked"
    place.state["zones"][0]["records"] += [dict(place.state["zones"][0]["records"][0], id="r%d" % i, value="v%d" % i) for i in range(89)]
    assert refused(client, Value="one more") == "QuotaExceeded.Record"


def test_not_of_this_product(client):
    assert client.refused("ListInstances") == "InvalidAction.NotFound"


@pytest.mark.parametrize("by", ["the client", "the platform"])
def test_application(place, client, by):
    """The CA sees the account's zone; the platform even writes into it, and what was there is gone."""
    cas, one = Client(place), place.state.add_instance()
    place.state.set("options", {"auto_proof": by == "the platform"})
    cas.get("UpdateInstance", InstanceId=one["id"], Domain="shop.example", GenerateCsrMethod="upload", Csr=make_csr("shop.example"),
            **{"ContactIdList.1": place.contact})
    cas.get("ApplyCertificate", InstanceId=one["id"])
    add(client, Value="old")
    place.clock.advance(2)
    place.service.tick()
    assert records(client) == [("_dnsauth", "TXT", "old")]
    place.clock.advance(1)
    value = cas.get("GetInstanceDetail", InstanceId=one["id"])["DomainValidationList"][0]["ValidationValue"]
    if by == "the client":
        add(client, Value=value)
        place.clock.advance(10)
        place.service.tick()
    wanted = [("_dnsauth", "TXT", value)] if by == "the platform" else [("_dnsauth", "TXT", "old"), ("_dnsauth", "TXT", value)]
    assert records(client) == wanted
    place.clock.advance(60)
    assert cas.get("GetInstanceDetail", InstanceId=one["id"])["Status"] == "normal" and records(client) == wanted
