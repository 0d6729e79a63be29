# SPDX-License-Identifier: ISC
"""tests/servers/cas-gen2.json, the table of what the instance API takes and answers, and checks against it."""
import json

import pytest

from cas_sdk import SdkError
from lab_base import TOP

TABLE = json.loads((TOP / "tests/servers/cas-gen2.json").read_text())["operations"]
RANGE = {"int32": 31, "int64": 63, "number": 63}


def required(operation):
    return [row["name"] for row in TABLE[operation]["request"] if row.get("required")]


def complaints(operation, document, rows=None):
    """What in the document of a successful answer is not as the table has it (or rows like the table's): members it does not know, types, values."""
    found = []
    if not document.get("RequestId"):
        found.append("RequestId: missing")
    members(found, "", rows or TABLE[operation]["answer"], document)
    return found


def rows_of(shape):
    """Rows like the table's of what the driver's style "models" tells; a type may be "number"."""
    rows = []
    for name, kind in shape.items():
        listed, kind = ("list of ", kind["list"]) if isinstance(kind, dict) and set(kind) == {"list"} else ("", kind)
        rows.append({"name": name, "type": listed + ("object" if isinstance(kind, dict) else kind)} | ({"of": rows_of(kind)} if isinstance(kind, dict) else {}))
    return rows


def checked(sdk, operation, params=None, **how):
    """The document of a call, which must be as the table has it."""
    document = sdk.call(operation, params, **how)
    assert complaints(operation, document) == []
    return document


def refused(sdk, operation, params=None, **how):
    with pytest.raises(SdkError) as caught:
        sdk.call(operation, params, **how)
    return caught.value


def members(found, where, rows, document):
    rows = {row["name"]: row for row in rows}
    for name, value in document.items():
        if name not in rows:
            found.append("%s%s: not in the table" % (where, name))
        elif rows[name]["type"].startswith("list of "):
            if not isinstance(value, list):
                found.append("%s%s: not a list: %r" % (where, name, value))
                continue
            for i, one in enumerate(value):
                scalar(found, "%s%s.%d" % (where, name, i), rows[name], rows[name]["type"][len("list of "):], one)
        else:
            scalar(found, where + name, rows[name], rows[name]["type"], value)


def scalar(found, where, row, kind, value):
    if kind == "object" and isinstance(value, dict):
        members(found, where + ".", row["of"], value)
    elif kind in RANGE and isinstance(value, int) and not isinstance(value, bool):
        if not -1 << RANGE[kind] <= value < 1 << RANGE[kind]:
            found.append("%s: %d is no %s" % (where, value, kind))
    elif kind == "string" and isinstance(value, str):
        if value and value not in row.get("values", [value]):
            found.append("%s: %r is not one of %s" % (where, value, ", ".join(row["values"])))
    elif not (kind == "boolean" and isinstance(value, bool)):
        found.append("%s: no %s: %r" % (where, kind, value))
