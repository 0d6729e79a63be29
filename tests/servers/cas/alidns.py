# SPDX-License-Identifier: ISC
"""Alibaba Cloud DNS (2015-01-09): zones and records of the same account. The CA looks into them first, and proves by itself what lies in them.

A zone is {name, edition, records, written}; a record {id, rr, type, value, ttl, line, priority, enabled, locked, made, changed}."""
import re

from .errors import Refusal
from .wire import Action, Param, Time

VERSION = "2015-01-09"
LEAST_TTL = {"mianfei": 600, "version_enterprise_basic": 60, "version_ultimate": 1}
MOST_PER_SET = 90
LABEL = re.compile(r"\*|[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
TYPES = ("A", "AAAA", "CNAME", "TXT", "MX", "NS", "SRV", "CAA")


def zone_of(service, name):
    zone = service.state.find(service.state["zones"], name.lower(), "name")
    if not zone:
        raise Refusal("InvalidDomainName.NoExist", "The specified domain name does not exist.")
    return zone


def record_of(service, number):
    """(zone, record)"""
    for zone in service.state["zones"]:
        record = service.state.find(zone["records"], number)
        if record:
            return zone, record
    raise Refusal("DomainRecordNotBelongToUser", "The DNS record does not belong to you.")


def full_name(zone, record):
    return zone["name"] if record["rr"] == "@" else record["rr"] + "." + zone["name"]


def shown(zone, record):
    item = {"RecordId": record["id"], "DomainName": zone["name"], "RR": record["rr"], "Type": record["type"], "Value": record["value"], "TTL": record["ttl"],
            "Line": record["line"], "Status": "ENABLE" if record["enabled"] else "DISABLE", "Locked": record["locked"]}
    return item | ({"Priority": record["priority"]} if record["priority"] else {})


def begin_write(service, zone):
    """One write after another on a zone needs a pause."""
    now = service.clock.elapsed()
    if now < zone["written"] + service.state.time("dns_pause"):
        raise Refusal("LastOperationNotFinished", "The last operation is not finished.")
    zone["written"] = now


def check_record(zone, new, other_than=None):
    """new: rr, type, value, line, ttl, priority."""
    if new["rr"] != "@" and not all(LABEL.fullmatch(x) for x in new["rr"].split(".")):
        raise Refusal("InvalidRR.Format", "The RR is not good.")
    if not LEAST_TTL[zone["edition"]] <= new["ttl"] <= 86400:
        raise Refusal("QuotaExceeded.TTL", "The TTL is below that of your edition.")
    if not new["value"] or len(new["value"]) > 512:
        raise Refusal("SubDomainInvalid.Value", "The value is not good.")
    there = [r for r in zone["records"] if r["rr"].lower() == new["rr"].lower() and r["line"] == new["line"] and r is not other_than]
    if any(r["type"] == new["type"] and r["value"] == new["value"] for r in there):
        raise Refusal("DomainRecordDuplicate", "The DNS record already exists.")
    if any((r["type"] == "CNAME") != (new["type"] == "CNAME") or r["type"] == "CNAME" for r in there):
        raise Refusal("DomainRecordConflict", "The DNS record conflicts with others.")
    if sum(r["type"] == new["type"] for r in there) >= MOST_PER_SET:
        raise Refusal("QuotaExceeded.Record", "There are too many records.")


def asked_record(p):
    return {"rr": p["RR"], "type": p["Type"].upper(), "value": p["Value"], "line": p.get("Line", "default"), "ttl": p.get("TTL", 600), "priority": p.get("Priority")}


def put(service, zone, new):
    """A record, unchecked."""
    now = int(service.clock.wall())
    record = new | {"id": str(service.state.new_id()), "enabled": True, "locked": False, "made": now, "changed": now}
    zone["records"].append(record)
    return record


def add_record(service, p):
    zone, new = zone_of(service, p["DomainName"]), asked_record(p)
    begin_write(service, zone)
    check_record(zone, new)
    return {"RecordId": put(service, zone, new)["id"]}


def unlocked(service, number):
    zone, record = record_of(service, number)
    if record["locked"]:
        raise Refusal("DomainRecordLocked", "The DNS record is locked.")
    begin_write(service, zone)
    return zone, record


def update_record(service, p):
    zone, record = unlocked(service, p["RecordId"])
    new = asked_record(p)
    if all(record[k] == v for k, v in new.items()):
        raise Refusal("DomainRecordDuplicate", "The DNS record already exists.")
    check_record(zone, new, record)
    record.update(new, changed=int(service.clock.wall()))
    return {"RecordId": record["id"]}


def delete_record(service, p):
    zone, record = unlocked(service, p["RecordId"])
    zone["records"].remove(record)
    return {"RecordId": record["id"]}


def delete_sub_domain(service, p):
    """Without a type: every record of the name."""
    zone = zone_of(service, p["DomainName"])
    begin_write(service, zone)
    gone = [r for r in zone["records"] if r["rr"].lower() == p["RR"].lower() and p.get("Type", r["type"]).upper() == r["type"]]
    zone["records"] = [r for r in zone["records"] if r not in gone]
    return {"RR": p["RR"], "TotalCount": str(len(gone))}


def set_status(service, p):
    _, record = unlocked(service, p["RecordId"])
    record["enabled"] = p["Status"].lower() == "enable"
    return {"RecordId": record["id"], "Status": p["Status"]}


def describe_record(service, p):
    return shown(*record_of(service, p["RecordId"]))


def paged(rows, p, most):
    number, size = p.get("PageNumber", 1), p.get("PageSize", 20)
    if number < 1 or not 1 <= size <= most:
        raise Refusal("InvalidParameter", "PageNumber begins at 1, PageSize is 1 to %d." % most)
    return rows[(number - 1) * size:number * size], {"TotalCount": len(rows), "PageNumber": number, "PageSize": size}


def records_shown(rows, p, more=lambda record: {}):
    rows, page = paged([shown(z, r) | {"Weight": 1} | more(r) for z, r in rows], p, 500)
    return {"DomainRecords": {"Record": rows}} | page


def times_of(record):
    return {"CreateTimestamp": Time.of(record["made"]), "UpdateTimestamp": Time.of(record["changed"])}


def describe_records(service, p):
    zone = zone_of(service, p["DomainName"])
    rows = [r for r in zone["records"] if p.get("RRKeyWord", "").lower() in r["rr"].lower() and p.get("ValueKeyWord", "") in r["value"]
            and p.get("TypeKeyWord", p.get("Type", r["type"])).upper() == r["type"] and p.get("Line", r["line"]) == r["line"]]
    if "KeyWord" in p:
        exact = p.get("SearchMode") == "EXACT"
        rows = [r for r in rows if (p["KeyWord"].lower() == r["rr"].lower() if exact else p["KeyWord"].lower() in r["rr"].lower() or p["KeyWord"] in r["value"])]
    if "Status" in p:
        rows = [r for r in rows if r["enabled"] == (p["Status"].lower() == "enable")]
    return records_shown([(zone, r) for r in rows], p, times_of)


def describe_sub_domain(service, p):
    name = p["SubDomain"].lower()
    zones = [zone_of(service, p["DomainName"])] if "DomainName" in p else service.state["zones"]
    rows = [(z, r) for z in zones for r in z["records"] if full_name(z, r).lower() == name and p.get("Type", r["type"]).upper() == r["type"]]
    return records_shown(rows, p)


def zone_shown(zone):
    return {"DomainName": zone["name"], "PunyCode": zone["name"], "DomainId": "00efd71a-770e-4255-b54e-%012d" % len(zone["name"]), "AliDomain": False,
            "VersionCode": zone["edition"], "DnsServers": {"DnsServer": ["ns1.alidns.example", "ns2.alidns.example"]}}


def describe_domains(service, p):
    rows, word = service.state["zones"], p.get("KeyWord", "").lower()
    rows = [z for z in rows if (z["name"] == word if p.get("SearchMode") == "EXACT" and word else word in z["name"])]
    rows, page = paged([zone_shown(z) | {"RecordCount": len(z["records"])} for z in rows], p, 100)
    return {"Domains": {"Domain": rows}} | page


def describe_domain(service, p):
    zone = zone_of(service, p["DomainName"])
    return zone_shown(zone) | {"MinTtl": LEAST_TTL[zone["edition"]], "InBlackHole": False}


def main_domain(service, p):
    """By public suffixes alone: it does not know the account's own zones."""
    labels = p["InputString"].lower().split(".")
    if len(labels) < 2:
        raise Refusal("InvalidDomainName.Format", "The domain name is not good.")
    return {"DomainName": ".".join(labels[-2:]), "RR": ".".join(labels[:-2]) or "@", "DomainLevel": len(labels) - 1}


# --- what the CA asks ---

def zone_above(service, name):
    """The account's own zone that a name lies in; None."""
    return max((z for z in service.state["zones"] if name == z["name"] or name.endswith("." + z["name"])), key=lambda z: len(z["name"]), default=None)


def values_of(zone, name, kind):
    return [r["value"] for r in zone["records"] if r["enabled"] and r["type"] == kind and full_name(zone, r).lower() == name.lower()]


def prove(service, zone, name, kind, value):
    """The platform adds the record by itself; other TXT there is removed, and nobody cleans up afterwards."""
    if value not in values_of(zone, name, kind):
        zone["records"] = [r for r in zone["records"] if full_name(zone, r).lower() != name.lower() or r["type"] not in ("TXT", "CNAME")]
        put(service, zone, {"rr": name[:-len(zone["name"]) - 1] or "@", "type": kind, "value": value, "line": "default", "ttl": 600, "priority": None})


def call(function, *params, writes=False):
    return Action(function, *params, writes=writes, ssl=False, get=True)


NAME, ID, RR = Param("DomainName", required=True), Param("RecordId", required=True), Param("RR", required=True)
RECORD = (RR, Param("Type", required=True, values=TYPES + tuple(t.lower() for t in TYPES)), Param("Value", required=True), Param("TTL", "int"), Param("Line"),
          Param("Priority", "int"), Param("Lang"), Param("UserClientIp"))
PAGE = (Param("PageNumber", "int"), Param("PageSize", "int"), Param("Lang"))
MODE = Param("SearchMode", values=("LIKE", "EXACT", "ADVANCED", "COMBINATION"))

ACTIONS = {
    "AddDomainRecord": call(add_record, NAME, *RECORD, writes=True),
    "UpdateDomainRecord": call(update_record, ID, *RECORD, writes=True),
    "DeleteDomainRecord": call(delete_record, ID, writes=True),
    "DeleteSubDomainRecords": call(delete_sub_domain, NAME, RR, Param("Type"), writes=True),
    "SetDomainRecordStatus": call(set_status, ID, Param("Status", required=True, values=("Enable", "Disable")), writes=True),
    "DescribeDomainRecordInfo": call(describe_record, ID),
    "DescribeDomainRecords": call(describe_records, NAME, Param("KeyWord"), Param("RRKeyWord"), Param("TypeKeyWord"), Param("ValueKeyWord"), MODE, Param("Type"),
                                  Param("Line"), Param("Status"), *PAGE),
    "DescribeSubDomainRecords": call(describe_sub_domain, Param("SubDomain", required=True), Param("DomainName"), Param("Type"), *PAGE),
    "DescribeDomains": call(describe_domains, Param("KeyWord"), MODE, *PAGE),
    "DescribeDomainInfo": call(describe_domain, NAME),
    "GetMainDomainName": call(main_domain, Param("InputString", required=True)),
}
