# SPDX-License-Identifier: ISC
"""The same hand for other processes: a unix socket or a loopback port; one JSON object a line, {"do": verb, ...} -> {"ok": true, "result": ...} or
{"ok": false, "error": text}. Verbs are the methods of Control that do not begin with "_"; their arguments are the object's other members."""
import json
import os
import socketserver
import threading


class Control:
    def __init__(self, server):
        self._server = server

    def state(self):
        return self._server.state.data

    def options(self, **values):
        self._server.state.set("options", values)

    def times(self, **values):
        self._server.state.set("times", values)

    def add_key(self, id, secret, **more):
        self._server.state.add_key(id, secret, **more)

    def add_instance(self, **fields):
        return self._server.state.add_instance(**fields)

    def add_contact(self, **fields):
        return self._server.state.add_contact(**fields)

    def add_company(self, **fields):
        return self._server.state.add_company(**fields)

    def add_package(self, **fields):
        return self._server.state.add_package(**fields)

    def add_zone(self, **fields):
        return self._server.state.add_zone(**fields)

    def add_cdn(self, **fields):
        return self._server.state.add_cdn(**fields)

    def add_listener(self, **fields):
        return self._server.state.add_listener(**fields)

    def set_instance(self, id, **fields):
        """A test's word over the state machine's."""
        one = self._server.state.find(self._server.state["instances"], id)
        if not one:
            raise ValueError("no such instance")
        one.update(fields)
        return one

    def verdict(self, id, **verdict):
        """What the CA will say of the next application without one: {} issues, refuse=TEXT, task_failed=TEXT."""
        self.set_instance(id)["verdicts"].append(verdict)

    def met(self, id):
        """The CA has met the people of an OV or EV application."""
        self.set_instance(id)["application"]["person"] = False

    def advance(self, seconds, world=False):
        """The clock; then the CA looks."""
        self._server.clock.advance(seconds, world)
        self._server.service.tick()
        return self._server.clock.elapsed()

    def set_wall(self, offset):
        """Seconds that the service's date is ahead of the real one."""
        self._server.clock.offset = offset

    def arm(self, fault):
        self._server.faults.arm(**fault)

    def heal(self):
        self._server.faults.heal()

    def requests(self, action=None):
        return self._server.requests(action)

    def wait_for(self, action, n=1, timeout=60):
        return self._server.wait_for(action, n, timeout)

    def looks(self):
        """What the CA has looked at: [(name, whether the proof was there)]."""
        return self._server.prober.seen

    def crashes(self):
        return self._server.crashes

    def root(self):
        """The certificate that issued chains lead to, as PEM."""
        from . import pki
        return pki.pem(self._server.authority.root[1])

    def _answer(self, line):
        try:
            asked = json.loads(line)
            verb = asked.pop("do")
            if verb.startswith("_") or not hasattr(self, verb):
                raise ValueError("no such verb")
            if verb == "wait_for":
                result = self.wait_for(**asked)
            else:
                with self._server.service.lock:
                    result = json.loads(json.dumps(getattr(self, verb)(**asked)))
                    self._server.service.save()
            return {"ok": True, "result": result}
        except (ValueError, TypeError, KeyError, AttributeError) as e:
            return {"ok": False, "error": "%s: %s" % (type(e).__name__, e)}


class _Handler(socketserver.StreamRequestHandler):
    def handle(self):
        for line in self.rfile:
            self.wfile.write(json.dumps(self.server.control._answer(line)).encode() + b"\n")


class _Tcp(socketserver.ThreadingTCPServer):
    daemon_threads = allow_reuse_address = True


class _Unix(socketserver.ThreadingUnixStreamServer):
    daemon_threads = True


def listen(server, where):
    """where: a path, or a port of 127.0.0.1 (0: any). The path or the port."""
    if isinstance(where, int):
        made = _Tcp(("127.0.0.1", where), _Handler)
        where = made.server_address[1]
    else:
        if os.path.exists(where):
            os.unlink(where)
        made = _Unix(where, _Handler)
    made.control = Control(server)
    threading.Thread(target=made.serve_forever, daemon=True).start()
    return where
