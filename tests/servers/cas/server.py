# SPDX-License-Identifier: ISC
"""The port, and what a test holds in its hand.

    server = Server(tls=base, dns_server=("127.0.0.1", 5353))     # base.pem: what clients have to trust; without tls: plain HTTP
    server.state.add_key("id", "secret"); server.state.add_instance(full=2)
    server.clock.advance(60); server.faults.arm(action="ListInstances", do="throttle"); server.requests("ApplyCertificate")
    assert server.crashes == []
"""
import email.utils
import http.server
import ssl
import threading
import traceback

from . import faults, pki
from .clock import Clock
from .gateway import Gateway, Reply, Request
from .proofs import Prober
from .service import PRODUCTS, Service
from .state import State

MAX_BODY = 1 << 20
IDLE = 60  # seconds that a connection may say nothing


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server_version, sys_version = "stand-in", ""
    timeout, date = IDLE, None

    def setup(self):
        if self.server.context:
            self.request.settimeout(IDLE)
            self.request = self.server.context.wrap_socket(self.request, server_side=True)
        super().setup()

    def finish(self):
        super().finish()
        self.request.close()  # the listener knows only the socket below TLS

    def date_time_string(self, timestamp=None):
        return self.date or email.utils.formatdate(self.server.stand_in.clock.wall(), usegmt=True)

    def log_message(self, form, *args):
        pass

    def serve(self):
        try:
            length = int(self.headers.get("Content-Length") or 0)
        except ValueError:
            length = -1
        if not 0 <= length <= MAX_BODY or "Transfer-Encoding" in self.headers:
            self.send_error(400)
            self.close_connection = True
            return
        body = self.rfile.read(length)
        target = self.raw_requestline.split(b" ")[1]
        try:
            reply = self.server.stand_in.gateway.answer(Request(self.command, target, self.headers.items(), body, bool(self.server.context)))
        except faults.Dropped:
            self.close_connection = True
            return
        except Exception:
            self.server.stand_in.crashes.append(traceback.format_exc())
            reply = Reply(500, b'{"Code":"InternalError","Message":"the stand-in is broken"}', "application/json", {})
        self.date = reply.date
        self.send_response(reply.status)
        for name, value in {"Content-Type": reply.content_type, **reply.headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(reply.body) if reply.length is None else reply.length))
        self.end_headers()
        self.wfile.write(reply.body)
        if reply.length is not None:
            self.close_connection = True

    do_GET = do_POST = do_PUT = do_DELETE = do_HEAD = serve


class Listener(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request, client_address):
        """Clients that leave or do not trust us are no news; what is ours is in `crashes`."""


class Server:
    def __init__(self, data=None, path=None, address="127.0.0.1", port=0, tls=None, hosts=("localhost", "127.0.0.1"), running=False, **prober):
        self.state = State(data, path)
        self.clock = Clock(self.state["elapsed"], running)
        self.authority = pki.Authority()
        self.prober = Prober(**prober)
        self.service = Service(self.state, self.clock, self.prober, self.authority)
        self.faults = faults.Faults()
        self.log, self.crashes = [], []
        self.came = threading.Condition()
        self.gateway = Gateway(self.state, self.clock, self.faults, PRODUCTS, self.service, self.note)
        self.listener = Listener((address, port), Handler)
        self.listener.stand_in, self.listener.context, self.ca_file = self, None, None
        if tls:
            self.ca_file = tls + ".pem"
            self.listener.context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self.listener.context.load_cert_chain(pki.tls_files(tls, hosts))
        self.port = self.listener.server_address[1]
        threading.Thread(target=self.listener.serve_forever, args=(0.05,), daemon=True).start()

    def note(self, entry):
        with self.came:
            self.log.append({"n": len(self.log) + 1, "at": self.clock.wall()} | entry)
            self.came.notify_all()

    def requests(self, action=None):
        """The log's lines, of one operation."""
        with self.came:
            return [e for e in self.log if action in (None, e["action"])]

    def wait_for(self, action, n=1, timeout=60):
        """Until the n-th request of an operation was answered. False: it did not come in time."""
        with self.came:
            return self.came.wait_for(lambda: sum(e["action"] == action for e in self.log) >= n, timeout)

    def close(self):
        self.faults.heal()
        self.listener.shutdown()
        self.listener.server_close()
