# SPDX-License-Identifier: ISC
"""Parameters and answers on the wire: how lists, numbers and truth values are written, what a call requires, JSON and XML."""
import json
import re
from xml.sax.saxutils import escape

from .errors import Refusal


class Time(int):
    """Milliseconds since 1970 of an answer; written in the unit that the server was told to use."""

    @classmethod
    def of(cls, seconds):
        return cls(int(seconds * 1000))


class Param:
    """One parameter of a call. kind: text, int, bool, texts (NAME.1, NAME.2 ...), ints, objects (NAME.1.MEMBER)."""

    def __init__(self, name, kind="text", required=False, values=(), most=None, members=()):
        self.name, self.kind, self.required, self.values, self.most, self.members = name, kind, required, values, most, members


class Action:
    """One operation. writes: it changes something; ssl: HTTPS only; get: may be asked with GET (None: unless it writes)."""

    def __init__(self, call, *params, writes=False, ssl=True, get=None):
        self.call, self.params, self.writes, self.ssl, self.get = call, params, writes, ssl, not writes if get is None else get


def missing(name, options):
    code = "Missing" + name if options["named_codes"] else "MissingParameter"
    return Refusal(code, "%s is mandatory for this action." % name)


def invalid(name, why, options):
    code = "Invalid" + name if options["named_codes"] else "InvalidParameter"
    return Refusal(code, "The specified %s is invalid: %s." % (name, why))


def scalar(param, text, options):
    kind = {"ints": "int", "texts": "text"}.get(param.kind, param.kind)
    if kind == "int":
        if not re.fullmatch(r"-?[0-9]{1,19}", text) or not -1 << 63 <= int(text) < 1 << 63:
            raise invalid(param.name, "not a number", options)
        return int(text)
    if kind == "bool":
        if text not in ("true", "false"):
            raise invalid(param.name, "neither true nor false", options)
        return text == "true"
    if param.values and text not in param.values:
        raise invalid(param.name, "not one of " + ", ".join(param.values), options)
    if param.most is not None and len(text) > param.most:
        raise invalid(param.name, "longer than %d" % param.most, options)
    return text


def take_list(param, given, options):
    """NAME.1 .. NAME.n without a gap; members of objects are texts."""
    found, used = {}, set()
    for name, text in given.items():
        hit = re.fullmatch(re.escape(param.name) + r"\.([1-9][0-9]{0,3})(?:\.([A-Za-z]+))?", name)
        if not hit or (hit.group(2) is None) == (param.kind == "objects"):
            continue
        index = int(hit.group(1))
        if hit.group(2) is None:
            found[index] = scalar(param, text, options)
        elif hit.group(2) in param.members:
            found.setdefault(index, {})[hit.group(2)] = text
        else:
            continue
        used.add(name)
    if sorted(found) != list(range(1, len(found) + 1)):
        raise invalid(param.name, "its numbers are not 1 to n", options)
    return [found[i] for i in sorted(found)], used


def take(action, given, options):
    """(parameters by name, names that the call does not have). An empty value counts as one that was not given."""
    taken, used = {}, set()
    for param in action.params:
        if param.kind in ("texts", "ints", "objects"):
            value, names = take_list(param, given, options)
            used |= names
            value = value or None
        else:
            used.add(param.name)
            text = given.get(param.name) or None
            value = None if text is None else scalar(param, text, options)
        if value is None and param.required:
            raise missing(param.name, options)
        if value is not None:
            taken[param.name] = value
    return taken, sorted(set(given) - used)


def walk(value, change):
    """A copy with every leaf changed."""
    if isinstance(value, dict):
        return {k: walk(v, change) for k, v in value.items()}
    if isinstance(value, list):
        return [walk(v, change) for v in value]
    return change(value)


def in_unit(document, unit):
    """Times as plain numbers: "ms" or "s"."""
    return walk(document, lambda v: int(v) // (1000 if unit == "s" else 1) if isinstance(v, Time) else v)


def numbers_as_text(document):
    return walk(document, lambda v: str(v) if isinstance(v, int) and not isinstance(v, bool) else v)


def to_json(document):
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def xml_of(name, value):
    if isinstance(value, list):
        return "".join(xml_of(name, v) for v in value)
    if isinstance(value, dict):
        inner = "".join(xml_of(k, v) for k, v in value.items())
    elif isinstance(value, bool):
        inner = "true" if value else "false"
    else:
        inner = escape(str(value))
    return "<%s>%s</%s>" % (name, inner, name)


def to_xml(root, document):
    return ("<?xml version='1.0' encoding='UTF-8'?>" + xml_of(root, document)).encode()


def page_of(rows, p, default=10, most=100):
    """(rows of the page, TotalCount, CurrentPage, ShowSize) by CurrentPage and ShowSize; a size above the most is cut to it."""
    page, size = p.get("CurrentPage", 1), p.get("ShowSize", default)
    if page < 1 or size < 1:
        raise Refusal("InvalidParameter", "CurrentPage and ShowSize begin at 1")
    size = min(size, most)
    return rows[(page - 1) * size:page * size], {"TotalCount": len(rows), "CurrentPage": page, "ShowSize": size}
