# SPDX-License-Identifier: ISC
"""Contacts and companies."""
import json

from .errors import Refusal
from .wire import Action, Param, page_of

CONTACT = (("ContactId", "id"), ("Name", "name"), ("Mobile", "mobile"), ("Email", "email"), ("EmailStatus", "email_status"), ("MobileStatus", "mobile_status"),
           ("Webhooks", "webhooks"))
COMPANY = (("CompanyId", "id"), ("CompanyName", "name"), ("CompanyType", "type"), ("CompanyCode", "code"), ("CompanyPhone", "phone"), ("CompanyAddress", "address"),
           ("City", "city"), ("Province", "province"), ("CountryCode", "country"), ("PostCode", "post"), ("Lang", "lang"), ("Department", "department"),
           ("CompanyEmail", "email"))


def shown(row, names):
    return {wire: row[ours] for wire, ours in names}


def contact_of(row):
    return shown(row, CONTACT) | {"WebhookList": json.loads(row["webhooks"])}


def masked(text):
    """What GetContact shows: never enough to write back."""
    name, at, host = text.partition("@")
    if at:
        return name[:1] + "***" + at + host
    return text[:3] + "****" + text[-4:] if text else ""


def existing(rows, number, what):
    for row in rows:
        if row["id"] == number:
            return row
    raise Refusal("NotFound", "The %s does not exist." % what)


def matching(rows, keyword, *members):
    return [r for r in rows if not keyword or any(keyword in str(r[m]) for m in members)]


def checked_webhooks(text):
    try:
        hooks = json.loads(text)
    except ValueError:
        hooks = None
    if not isinstance(hooks, list) or not all(isinstance(h, str) for h in hooks):
        raise Refusal("WebHookFailed", "Webhooks is not a list of texts in JSON.")
    return text


def list_contact(service, p):
    rows, page = page_of(matching(service.state["contacts"], p.get("Keyword"), "name", "email", "mobile"), p, 20)
    return {"ContactList": [contact_of(r) for r in rows]} | page | ({"Keyword": p["Keyword"]} if "Keyword" in p else {})


def get_contact(service, p):
    row = existing(service.state["contacts"], p["ContactId"], "contact")
    return contact_of(row) | {"Mobile": masked(row["mobile"]), "Email": masked(row["email"]), "IdCard": masked(row["idcard"])}


def contact_fields(p):
    if not p["Mobile"].lstrip("+").isdigit():
        raise Refusal("InvalidParameter.MobileIllegal", "The mobile number is illegal.")
    return {"name": p["Name"], "mobile": p["Mobile"], "email": p.get("Email", ""), "idcard": p.get("Idcard", ""),
            "webhooks": checked_webhooks(p.get("Webhooks", "[]"))}


def create_contact(service, p):
    return {"ContactId": service.state.add_contact(**contact_fields(p), email_status=0, mobile_status=0)["id"]}


def update_contact(service, p):
    existing(service.state["contacts"], p["ContactId"], "contact").update(contact_fields(p))
    return {"ContactId": p["ContactId"]}


def delete_contact(service, p):
    rows = service.state["contacts"]
    rows.remove(existing(rows, p["ContactId"], "contact"))
    return {}


def list_companies(service, p):
    rows = [r for r in service.state["companies"] if p.get("CompanyId", r["id"]) == r["id"]]
    rows, page = page_of(matching(rows, p.get("Keyword"), "name", "code"), p)
    return {"CompanyList": [shown(r, COMPANY) for r in rows]} | page


def get_company(service, p):
    return shown(existing(service.state["companies"], p["CompanyId"], "company"), COMPANY)


def company_fields(p):
    return {ours: p.get(wire, "") for wire, ours in COMPANY if ours != "id"}


def create_company(service, p):
    if service.state.find(service.state["companies"], p["CompanyName"], "name"):
        raise Refusal("NameRepeat", "A company of this name exists.")
    return {"CompanyId": service.state.add_company(**company_fields(p))["id"]}


def update_company(service, p):
    existing(service.state["companies"], p["CompanyId"], "company").update(company_fields(p))
    return {"CompanyId": p["CompanyId"]}


def delete_company(service, p):
    rows = service.state["companies"]
    rows.remove(existing(rows, p["CompanyId"], "company"))
    return {}


def number(name, required=True):
    return Param(name, "int", required)


PAGE = (Param("CurrentPage", "int"), Param("ShowSize", "int"))
CONTACT_PARAMS = (Param("Name", required=True), Param("Mobile", required=True), Param("Email"), Param("Idcard"), Param("Webhooks"))
COMPANY_PARAMS = tuple(Param(n, required=True) for n in ("CompanyName", "CompanyCode", "CompanyPhone", "CompanyAddress", "City", "Province", "CountryCode",
                                                         "PostCode")) + (number("CompanyType"), Param("Department"), Param("CompanyEmail"))

ACTIONS = {
    "ListContact": Action(list_contact, Param("Keyword"), *PAGE),
    "GetContact": Action(get_contact, number("ContactId")),
    "CreateContact": Action(create_contact, *CONTACT_PARAMS, writes=True),
    "UpdateContact": Action(update_contact, number("ContactId"), *CONTACT_PARAMS, writes=True),
    "DeleteContact": Action(delete_contact, number("ContactId"), writes=True),
    "ListCompanies": Action(list_companies, number("CompanyId", False), Param("Keyword"), *PAGE),
    "GetCompany": Action(get_company, number("CompanyId")),
    "CreateCompany": Action(create_company, *COMPANY_PARAMS, Param("Lang", required=True), writes=True),
    "UpdateCompany": Action(update_company, number("CompanyId"), *COMPANY_PARAMS, Param("Lang"), writes=True),
    "DeleteCompany": Action(delete_company, number("CompanyId"), writes=True),
}
