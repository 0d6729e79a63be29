# SPDX-License-Identifier: ISC
"""What goes wrong on demand. A fault is a dict:

    action  the operation's name, or "*"          after   let so many fitting requests pass first (0)
    times   how many it hits (1; 0: all)          do      what happens, with its arguments:

    instead of the call     error {code, status, message, retry_after}   throttle {retry_after}   unavailable   drop
    before the call         hold (until the test releases it)            slow {seconds}
    with the document       set {path: value}   remove [path]   strings   seconds   milliseconds   xml   lower_case   ok_error {code, message}
    with the bytes          truncate {bytes}   cut {bytes}   pad {bytes}   body {text, status, content_type, headers}
    with the Date header    date {text}
    with the connection     lost: the call took effect, and no answer comes     hold_reply: it took effect, and the answer waits for the test's release
"""
import threading

from . import wire
from .errors import Refusal

KINDS = ("error", "throttle", "unavailable", "drop", "hold", "slow", "set", "remove", "strings", "seconds", "milliseconds", "xml", "lower_case", "ok_error",
         "truncate", "cut", "pad", "body", "date", "lost",
         "hold_reply")


class Dropped(Exception):
    """No answer: the connection ends."""


def check(fault):
    known = {"action", "after", "times", "do", "code", "status", "message", "retry_after", "seconds", "set", "remove", "bytes", "text", "content_type", "headers"}
    if fault.get("do") not in KINDS or not isinstance(fault.get("action"), str) or set(fault) - known:
        raise ValueError("not a fault: %r" % (fault,))


class Faults:
    def __init__(self):
        self.armed = []
        self.released = threading.Event()
        self.lock = threading.Lock()

    def arm(self, **fault):
        check(fault)
        with self.lock:
            self.armed.append({"after": 0, "times": 1} | fault | {"seen": 0})
            self.released.clear()

    def heal(self):
        with self.lock:
            self.armed = []
        self.released.set()

    def due(self, action):
        """Those that hit this request, in the order they were armed."""
        hits = []
        with self.lock:
            for fault in self.armed:
                if fault["action"] in ("*", action):
                    fault["seen"] += 1
                    n = fault["seen"] - fault["after"]
                    if n >= 1 and (fault["times"] == 0 or n <= fault["times"]):
                        hits.append(fault)
        return hits

    def before(self, hits):
        for f in hits:
            if f["do"] in ("hold", "slow"):
                self.released.wait(f.get("seconds") if f["do"] == "slow" else None)
            elif f["do"] == "drop":
                raise Dropped
            elif f["do"] == "unavailable":
                raise Refusal("ServiceUnavailable", "The request has failed due to a temporary failure of the server.")
            elif f["do"] == "throttle":
                raise Refusal("Throttling.User", "Request was denied due to user flow control.", f.get("status"), headers=retry_after(f))
            elif f["do"] == "error":
                raise Refusal(f["code"], f.get("message", "armed by the test"), f.get("status"), headers=retry_after(f))

    def after(self, hits, reply):
        if any(f["do"] == "hold_reply" for f in hits):
            self.released.wait()
        on_reply(hits, reply)


def retry_after(fault):
    return {"x-acs-retry-after": str(fault["retry_after"])} if "retry_after" in fault else {}


def place(document, path):
    """(container, last key) of "InstanceList.0.Status"."""
    *way, last = path.split(".")
    for step in way:
        document = document[int(step) if isinstance(document, list) else step]
    return document, int(last) if isinstance(document, list) else last


def on_document(hits, document):
    """The document of the answer, as the faults want it, without its times' unit decided."""
    for f in hits:
        if f["do"] == "set":
            for path, value in f["set"].items():
                where, key = place(document, path)
                where[key] = value
        elif f["do"] == "remove":
            for path in f["remove"]:
                where, key = place(document, path)
                del where[key]
        elif f["do"] in ("seconds", "milliseconds"):
            document = wire.in_unit(document, "s" if f["do"] == "seconds" else "ms")
        elif f["do"] == "lower_case" and "Code" in document:
            document = {k[:1].lower() + k[1:]: v for k, v in document.items()}
        elif f["do"] == "ok_error":
            document = {"RequestId": document["RequestId"], "Code": f["code"], "Message": f.get("message", "armed by the test")}
    return wire.numbers_as_text(document) if any(f["do"] == "strings" for f in hits) else document


def on_reply(hits, reply):
    for f in hits:
        if f["do"] == "truncate":
            reply.body = reply.body[:f["bytes"]]
        elif f["do"] == "cut":
            reply.length, reply.body = len(reply.body), reply.body[:f["bytes"]]
        elif f["do"] == "pad":
            reply.body += b" " * f["bytes"]
        elif f["do"] == "body":
            reply.body, reply.status = f["text"].encode(), f.get("status", reply.status)
            reply.content_type = f.get("content_type", reply.content_type)
            reply.headers |= f.get("headers", {})
        elif f["do"] == "date":
            reply.date = f["text"]
        elif f["do"] == "lost":
            raise Dropped
