# SPDX-License-Identifier: ISC
"""HTTP/1.1 over TLS by hand, so that everything about it can be wrong: when a byte leaves, whether it does, and what follows it."""
import dataclasses
import http.client
import os
import socket
import ssl
import struct
import threading
import traceback
import warnings

LIMIT = 1 << 30  # bytes of an endless answer after which nobody can say that it was not endless


@dataclasses.dataclass
class Request:
    method: str
    path: str
    headers: list
    body: bytes = b''

    def header(self, name):
        found = [v for k, v in self.headers if k.lower() == name.lower()]
        return found[0] if found else None


@dataclasses.dataclass
class Answer:
    status: int = 200
    headers: list = dataclasses.field(default_factory=list)
    body: bytes = b''
    content_type: str = None
    head_only: bool = False

    def without(self, name):
        self.headers = [(k, v) for k, v in self.headers if k.lower() != name.lower()]

    def head(self, length):
        lines = ['HTTP/1.1 %d %s' % (self.status, http.client.responses.get(self.status, 'Whatever'))]
        if self.content_type:
            lines.append('Content-Type: ' + self.content_type)
        lines += ['%s: %s' % h for h in self.headers]
        if length:
            lines.append(length)
        return '\r\n'.join(lines).encode('latin-1') + b'\r\n\r\n'

    def bytes(self, chunked=False):
        body = b'' if self.head_only else self.body
        if chunked:
            half = len(body) // 2
            parts = b''.join(b'%x\r\n%s\r\n' % (len(p), p) for p in (body[:half], body[half:]) if p)
            return self.head('Transfer-Encoding: chunked') + parts + b'0\r\n\r\n'
        return self.head('Content-Length: %d' % len(self.body)) + body


class Conn:
    """One connection of a client, after the handshake."""

    def __init__(self, sock, released):
        self.sock = sock
        self.released = released
        self.rest = b''
        self.sent = 0

    def read_request(self):
        """None when the client is gone."""
        while b'\r\n\r\n' not in self.rest:
            if not self._more():
                return None
        head, self.rest = self.rest.split(b'\r\n\r\n', 1)
        lines = head.decode('latin-1').split('\r\n')
        method, path, _ = lines[0].split(' ')
        headers = [tuple(line.split(': ', 1)) for line in lines[1:]]
        request = Request(method, path, headers)
        want = int(request.header('Content-Length') or 0)
        while len(self.rest) < want:
            if not self._more():
                return None
        request.body, self.rest = self.rest[:want], self.rest[want:]
        return request

    def _more(self):
        data = self.sock.recv(65536)
        self.rest += data
        return bool(data)

    def send(self, data):
        self.sent += len(data)
        self.sock.sendall(data)

    def reset(self):
        """Ends with RST instead of FIN."""
        self.sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        fd = self.sock.detach()
        socket.close(fd)

    def stall(self):
        self.released.wait()

    def drip(self, data, size, seconds):
        """False: the client left before the end."""
        for i in range(0, len(data), size):
            self.send(data[i:i + size])
            if self.released.wait(seconds):
                return False
        return True

    def endless(self, piece):
        while self.sent < LIMIT:
            self.send(piece)

    def play(self, answer, act):
        """Send an answer the way `act` wants it. False: the connection ends here."""
        if 'prefix' in act:
            self.send(act['prefix'])
        if 'endless_headers' in act:
            self.send(answer.head(None)[:-2])
            self.endless(act['endless_headers'])
        if 'endless' in act:
            self.send(answer.head(None if act.get('announce') is None else 'Content-Length: %d' % act['announce']))
            self.endless(act['endless'])
        data = act['raw'] if 'raw' in act else answer.bytes(act.get('chunked', False))
        if 'truncate_at' in act:
            cut = act['truncate_at']
            self.send(data[:cut if cut >= 0 else len(data) + cut])
            return False
        if 'drip' in act:
            return self.drip(data, *act['drip'])
        self.send(data)
        return 'raw' not in act and not act.get('hang_up_after')


def server_context(key_pem, chain, version=None, h2=False):
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    if version:
        context.set_ciphers('ALL:@SECLEVEL=0')
        with warnings.catch_warnings():
            warnings.simplefilter('ignore')  # old ones are deprecated: that is why we are here
            context.minimum_version = context.maximum_version = version
    if h2:
        context.set_alpn_protocols(['h2'])
    with pem_file(key_pem + chain) as path:
        context.load_cert_chain(path)
    return context


class pem_file:
    """The ssl module loads certificates from files only: an anonymous one."""

    def __init__(self, data):
        self.data = data

    def __enter__(self):
        self.fd = os.memfd_create('pem')
        os.write(self.fd, self.data)
        return '/proc/self/fd/%d' % self.fd

    def __exit__(self, *_):
        os.close(self.fd)


class Listener:
    """A port on loopback. speak(Conn) runs in a thread per connection. mode: "tls", or what happens instead of a handshake: "stall", "reset",
    "plain", "garbage"; may be changed at any time. "stall once": the next connection stalls, those after it are served."""

    def __init__(self, speak, context, mode='tls', address='127.0.0.1', port=0):
        self.speak = speak
        self.context = context
        self.mode = mode
        self.released = threading.Event()
        self.accepted = self.most_sent = 0
        self.open_conns = set()
        self.errors = []
        self.lock = threading.Lock()
        self.sock = None
        self.address = address
        self.port = port
        self.listen()

    def listen(self):
        self.sock = socket.create_server((self.address, self.port), backlog=128)
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self._accept, args=(self.sock,), daemon=True).start()

    def refuse(self):
        """Nobody listens any more, and open connections are reset."""
        if self.sock:
            # close() alone would leave the accepting thread in the kernel, and the port open with it.
            self.sock.shutdown(socket.SHUT_RDWR)
            self.sock.close()
        self.sock = None
        self.cut()

    def cut(self):
        with self.lock:
            for s in list(self.open_conns):
                try:
                    s.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
                    s.shutdown(socket.SHUT_RDWR)
                except OSError:
                    pass

    def release(self):
        """Ends every stall and drip; later ones work anew."""
        self.released.set()
        self.released = threading.Event()

    def close(self):
        self.released.set()
        if self.sock:
            self.refuse()
        self.cut()

    def _accept(self, listening):
        while True:
            try:
                sock, _ = listening.accept()
            except OSError:
                return
            self.accepted += 1
            threading.Thread(target=self._serve, args=(sock,), daemon=True).start()

    def _handshake(self, sock):
        if self.mode == 'stall once':
            self.mode = 'tls'
            self.released.wait()
            return None
        if self.mode == 'tls':
            return self.context.wrap_socket(sock, server_side=True)
        if self.mode == 'plain':
            return sock
        if self.mode == 'garbage':
            sock.recv(1000)
            sock.sendall(b'HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\nthis is not TLS')
        if self.mode == 'stall':
            self.released.wait()
        if self.mode == 'reset':
            sock.recv(1)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack('ii', 1, 0))
        return None

    def _serve(self, sock):
        with self.lock:
            self.open_conns.add(sock)
        tls = conn = None
        try:
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            tls = self._handshake(sock)
            if tls:
                with self.lock:
                    self.open_conns.discard(sock)
                    self.open_conns.add(tls)
                conn = Conn(tls, self.released)
                self.speak(conn)
        except OSError:
            pass  # the client is gone, or was sent away
        except Exception:  # noqa: BLE001  whatever it is, the tests must hear of it
            self.errors.append(traceback.format_exc())
        finally:
            with self.lock:
                self.most_sent = max(self.most_sent, conn.sent if conn else 0)
                self.open_conns.discard(sock)
                self.open_conns.discard(tls)
            for s in (tls, sock):
                if s:
                    s.close()


class Decoy:
    """Where nobody may connect to."""

    def __init__(self, address='127.0.0.1'):
        self.touched = []
        self.sock = socket.create_server((address, 0))
        self.port = self.sock.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                sock, peer = self.sock.accept()
            except OSError:
                return
            self.touched.append(peer)
            sock.close()

    def close(self):
        self.sock.shutdown(socket.SHUT_RDWR)
        self.sock.close()
