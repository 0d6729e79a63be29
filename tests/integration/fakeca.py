# SPDX-License-Identifier: ISC
"""A scripted ACME server: strictly right by default, and as hostile as its rules say.

One Server is a TLS port; any number of CAs live on it, each below a path of its own, with its own state, rules and log:

    server = Server()
    ca = server.ca('good')                       # ca.directory is its URL, server.ca_file what to trust
    ca.on('newOrder', 2, status=503)             # the second newOrder; without a number: each; (a, b): from a to b; a function of it: those it likes
    ca.on('order', edit=lambda o: o.update(status='banana'))
    ...
    ca.heal()                                    # no rules any more, whatever hangs is let go
    assert ca.violations == []

What a rule may say (see Ca.answer and Conn.play):
    before   stall, hold=Event, reset, hang_up (no answer), refuse (and nobody listens any more); with process=True the request takes effect
    instead  status, problem=(status, type, detail[, more]), body, content_type, headers, redirect=(status, url), bad_nonce
    after    edit=function(object), without=[header...], headers=[(k, v or v())...], nonce=text, no_nonce
    wire     truncate_at, chunked, drip=(bytes, seconds), endless=bytes, endless_headers=bytes, prefix=bytes, raw=bytes
"""
import collections
import dataclasses
import itertools
import json
import os
import secrets
import socket
import tempfile
import threading
import time

from cryptography import x509

import fakeca_jws as jws
import fakeca_pki as pki
from fakeca_wire import Answer, Listener, server_context

KINDS = ('directory', 'newNonce', 'newAccount', 'newOrder', 'order', 'authz', 'challenge', 'finalize', 'certificate', 'revokeCert', 'deactivate',
         'keyChange')
URN = 'urn:ietf:params:acme:error:'


class Problem(Exception):
    def __init__(self, status, kind, detail, **more):
        super().__init__(detail)
        self.status, self.document = status, {'type': URN + kind, 'detail': detail, 'status': status, **more}


@dataclasses.dataclass
class Entry:
    """One request, as it came and as it was answered."""
    at: float
    kind: str
    n: int
    method: str
    path: str
    payload: object = None
    status: int = 0


def timestamp(seconds):
    return time.strftime('%Y-%m-%dT%H:%M:%SZ', time.gmtime(time.time() + seconds))


class Ca:
    def __init__(self, server, name):
        self.server, self.name = server, name
        self.base = server.origin + '/' + name
        self.directory = self.base + '/directory'
        self.lock = threading.RLock()
        self.changed = threading.Condition(self.lock)
        self.rules = []
        self.counts = collections.Counter()
        self.log, self.violations, self.issued, self.replays = [], [], [], 0
        self.nonces, self.spent, self.given = set(), {}, set()
        self.ids = itertools.count(1)
        self.accounts, self.orders, self.authz, self.certs = {}, {}, {}, {}
        # How it behaves where RFC 8555 leaves it free.
        self.eab = None          # identifier -> key: binding required
        self.processing = 1      # looks at an order that still is processing after finalize
        self.reuse = False       # authorizations of the account are good for the next order too
        self.retry_after = None  # on orders and authorizations
        self.validate = True     # by HTTP; else every challenge is fine
        self.challenge = 'http-01'
        self.refuse = None       # function(name): (type, detail) of what else it met there, None: nothing
        self.authorized = False  # every name is, without a challenge
        self.issue = None        # function(pki, csr, names): what to send instead of the right chain
        self.alternates = []     # Link headers of the certificate, {url} is its own URL

    # --- the script ---

    def on(self, kind, nth=None, **act):
        """Add a rule; the newest that fits a request counts."""
        assert kind in KINDS, kind
        with self.lock:
            self.rules.insert(0, (kind, nth, act))
        return self

    def heal(self):
        with self.lock:
            self.rules = []
        self.server.release()
        return self

    def _act(self, kind, n):
        for k, nth, act in self.rules:
            if k == kind and (nth is None or nth == n or (isinstance(nth, tuple) and nth[0] <= n <= nth[1]) or (callable(nth) and nth(n))):
                return act
        return {}

    def wait_for(self, kind, n=1, timeout=60):
        """Until the n-th request of a kind has come."""
        with self.changed:
            assert self.changed.wait_for(lambda: self.counts[kind] >= n, timeout), \
                '%s: only %d of %d %s requests came' % (self.name, self.counts[kind], n, kind)

    def requests(self):
        return sum(self.counts.values())

    def lose_accounts(self):
        """What a CA does that restores an old backup."""
        with self.lock:
            self.accounts = {}

    # --- a request ---

    def note(self, what, request):
        with self.lock:
            self.violations.append('%s %s: %s' % (request.method, request.path, what))

    def serve(self, conn, request, path):
        """False: the connection ends."""
        kind = self.kind_of(path, request)
        with self.changed:
            self.counts[kind] += 1
            entry = Entry(time.time(), kind, self.counts[kind], request.method, request.path)
            self.log.append(entry)
            act = self._act(kind, entry.n)
            self.changed.notify_all()
        if 'hold' in act:
            act['hold'].wait()
        silent = {'stall', 'reset', 'hang_up', 'refuse'} & set(act)
        if act.get('process') or not silent:
            answer = self.answer(kind, path, request, entry, act)
        if act.get('refuse'):
            self.server.refuse()
        if act.get('stall'):
            conn.stall()
        if act.get('reset'):
            conn.reset()
        return False if silent else conn.play(answer, act)

    def kind_of(self, path, request):
        head = path.split('/')[0]
        kind = {'acct': 'keyChange', 'cert': 'certificate'}.get(head, head)
        if kind == 'authz' and b'payload' in request.body:
            try:
                kind = 'deactivate' if jws.Jws(request.body).payload else 'authz'
            except jws.Bad:
                pass
        if kind not in KINDS:
            self.note('no such resource', request)
            return 'directory'
        return kind

    def answer(self, kind, path, request, entry, act):
        answer = Answer(status=200)
        answer.head_only = request.method == 'HEAD'
        with self.lock:
            try:
                asked = self.check(kind, request, act)
                entry.payload = asked.object if asked else None
                if act.get('process') or not {'status', 'problem', 'redirect', 'body'} & set(act):
                    self.handle(kind, path.split('/')[1:], asked, answer)
            except Problem as p:
                self._problem(answer, p.status, p.document)
            self._change(answer, act)
            if kind != 'directory':
                self._add_nonce(answer, act)
        entry.status = answer.status
        return answer

    def _problem(self, answer, status, document):
        answer.status, answer.content_type, answer.body = status, 'application/problem+json', json.dumps(document).encode()

    def _change(self, answer, act):
        if 'edit' in act:
            value = json.loads(answer.body)
            changed = act['edit'](value)
            answer.body = json.dumps(value if changed is None else changed).encode()
        if 'problem' in act:
            status, kind, detail, *more = act['problem']
            self._problem(answer, status, {'type': kind if ':' in kind else URN + kind, 'detail': detail, 'status': status,
                                           **(more[0] if more and more[0] else {})})
        answer.status = act.get('status', answer.status)
        if 'redirect' in act:
            answer.status = act['redirect'][0]
            answer.headers.append(('Location', act['redirect'][1]))
        if 'body' in act:
            answer.body = act['body'] if isinstance(act['body'], bytes) else json.dumps(act['body']).encode()
        answer.content_type = act.get('content_type', answer.content_type)
        for name in act.get('without', []):
            answer.without(name)
        answer.headers += [(k, v() if callable(v) else v) for k, v in act.get('headers', [])]

    def _add_nonce(self, answer, act):
        if act.get('no_nonce'):
            return
        nonce = act['nonce'] if 'nonce' in act else jws.b64(secrets.token_bytes(16))
        if 'nonce' in act:
            self.given.add(nonce)  # will not be accepted, and to come with it is no violation
        else:
            self.nonces.add(nonce)
        answer.headers += [('Replay-Nonce', nonce), ('Cache-Control', 'no-store'), ('Link', '<%s>;rel="index"' % self.directory)]

    # --- what every request must be ---

    def check(self, kind, request, act):
        """The verified JWS; None for what is not signed."""
        if not request.header('User-Agent'):
            self.note('no User-Agent', request)
        if request.header('Accept-Encoding'):
            self.note('asks for compression', request)
        if kind in ('directory', 'newNonce'):
            if request.method not in (('GET',) if kind == 'directory' else ('HEAD', 'GET')):
                self.note('wrong method', request)
            return None
        try:
            if request.method != 'POST':
                raise jws.Bad('method %s' % request.method)
            if request.header('Content-Type') != 'application/jose+json':
                raise jws.Bad('content type %s' % request.header('Content-Type'))
            return self._signed(kind, request, act)
        except jws.Bad as e:
            self.note(str(e), request)
            raise Problem(400, 'malformed', str(e))

    def _signed(self, kind, request, act):
        asked = jws.Jws(request.body)
        extra = set(asked.header) - {'alg', 'nonce', 'url', 'jwk', 'kid'}
        url = self.server.origin + request.path
        if extra or ('jwk' in asked.header) == ('kid' in asked.header):
            raise jws.Bad('header %s' % sorted(asked.header))
        if asked.header.get('url') != url:
            raise jws.Bad('url is %s' % asked.header.get('url'))
        if ('jwk' in asked.header) != (kind == 'newAccount') and kind != 'revokeCert':
            raise jws.Bad('signed by %s' % ('jwk' if 'jwk' in asked.header else 'kid'))
        if 'jwk' in asked.header:
            asked.verify(asked.header['jwk'])
            asked.account = self.accounts.get(jws.thumbprint(asked.header['jwk']))
        else:
            asked.account = self._account_of(asked)
        if (asked.payload == b'') != (kind in ('order', 'authz', 'certificate')):
            raise jws.Bad('payload %r' % asked.payload[:60])
        self._spend(asked.header.get('nonce'), request, act)
        return asked

    def _account_of(self, asked):
        found = [a for a in self.accounts.values() if a['url'] == asked.header['kid']]
        if not found:
            raise Problem(400, 'accountDoesNotExist', 'no account ' + asked.header['kid'][-40:])
        asked.verify(found[0]['jwk'])
        if found[0]['status'] != 'valid':
            raise Problem(401, 'unauthorized', 'the account is ' + found[0]['status'])
        return found[0]

    def _spend(self, nonce, request, act):
        if nonce in self.nonces and not act.get('bad_nonce'):
            self.nonces.remove(nonce)
            self.spent[nonce] = request.body
            return
        if nonce in self.spent and self.spent[nonce] == request.body:
            self.replays += 1  # the same bytes again on a new connection: the transport lost an answer
        elif nonce not in self.given and nonce not in self.nonces:
            self.note('nonce %r was %s' % (nonce, 'used twice' if nonce in self.spent else 'never given'), request)
        self.nonces.discard(nonce)
        self.spent[nonce] = request.body
        raise Problem(400, 'badNonce', 'this nonce is not good')

    # --- resources ---

    def handle(self, kind, rest, asked, answer):
        getattr(self, 'do_' + kind)(rest, asked, answer)

    def _json(self, answer, value, status=200, location=None):
        answer.status, answer.content_type, answer.body = status, 'application/json', json.dumps(value).encode()
        if location:
            answer.headers.append(('Location', location))

    def do_directory(self, rest, asked, answer):
        names = ('newNonce', 'newAccount', 'newOrder', 'revokeCert', 'keyChange')
        meta = {'termsOfService': self.base + '/terms', 'externalAccountRequired': bool(self.eab)}
        self._json(answer, {**{n: '%s/%s' % (self.base, n) for n in names}, 'meta': meta})

    def do_newNonce(self, rest, asked, answer):
        answer.status = 200 if answer.head_only else 204

    def do_newAccount(self, rest, asked, answer):
        account = asked.account
        if not account and asked.object.get('onlyReturnExisting'):
            raise Problem(400, 'accountDoesNotExist', 'no account with this key')
        if not account:
            if not asked.object.get('termsOfServiceAgreed'):
                raise Problem(403, 'userActionRequired', 'agree to the terms first')
            if self.eab is not None:
                self._bind(asked)
            account = {'url': '%s/acct/%d' % (self.base, next(self.ids)), 'jwk': asked.header['jwk'], 'status': 'valid',
                       'contact': asked.object.get('contact', [])}
            self.accounts[jws.thumbprint(asked.header['jwk'])] = account
        shown = {'status': account['status'], 'contact': account['contact'], 'orders': account['url'] + '/orders'}
        self._json(answer, shown, 200 if asked.account else 201, account['url'])

    def _bind(self, asked):
        if 'externalAccountBinding' not in asked.object:
            raise Problem(403, 'externalAccountRequired', 'bind the account')
        try:
            jws.verify_binding(asked.object['externalAccountBinding'], self.eab, asked.header['url'], asked.header['jwk'])
        except jws.Bad as e:
            raise Problem(403, 'unauthorized', str(e))

    def do_newOrder(self, rest, asked, answer):
        names = [i['value'] for i in asked.object['identifiers']]
        if any(i['type'] != 'dns' for i in asked.object['identifiers']) or len(set(names)) != len(names) or not names:
            raise Problem(400, 'malformed', 'identifiers')
        order = {'id': str(next(self.ids)), 'account': asked.account['url'], 'names': names, 'status': 'pending', 'cert': None, 'looks': 0}
        order['authz'] = [self._authorize(asked.account['url'], n) for n in names]
        self.orders[order['id']] = order
        self._show_order(order, answer, 201)

    def _authorize(self, account, name):
        for a in self.authz.values():
            if self.reuse and (a['account'], a['name'], a['status']) == (account, name, 'valid'):
                return a['id']
        authz = {'id': str(next(self.ids)), 'account': account, 'name': name, 'status': 'valid' if self.authorized else 'pending',
                 'token': jws.b64(secrets.token_bytes(24)), 'error': None}
        self.authz[authz['id']] = authz
        return authz['id']

    def _own(self, table, rest, asked):
        found = table.get(rest[0] if rest else None)
        if not found:
            raise Problem(404, 'malformed', 'no such thing')
        if found['account'] not in (None, asked.account['url']):
            raise Problem(403, 'unauthorized', 'of another account')
        return found

    def _settle(self, order):
        states = [self.authz[i]['status'] for i in order['authz']]
        if order['status'] == 'pending' and all(s == 'valid' for s in states):
            order['status'] = 'ready'
        if order['status'] in ('pending', 'ready') and any(s in ('invalid', 'deactivated') for s in states):
            order['status'] = 'invalid'
        if order['status'] == 'processing':
            order['looks'] += 1
            if order['looks'] > self.processing:
                order['status'] = 'valid'

    def _show_order(self, order, answer, status=200):
        self._settle(order)
        url = '%s/order/%s' % (self.base, order['id'])
        shown = {'status': order['status'], 'expires': timestamp(86400), 'identifiers': [{'type': 'dns', 'value': n} for n in order['names']],
                 'authorizations': ['%s/authz/%s' % (self.base, i) for i in order['authz']], 'finalize': '%s/finalize/%s' % (self.base, order['id'])}
        if order['status'] == 'valid':
            shown['certificate'] = '%s/cert/%s' % (self.base, order['cert'])
        errors = [self.authz[i]['error'] for i in order['authz'] if self.authz[i]['error']]
        if order['status'] == 'invalid' and errors:
            shown['error'] = errors[0]
        self._json(answer, shown, status, url if status == 201 else None)
        if self.retry_after is not None and status == 200:
            answer.headers.append(('Retry-After', str(self.retry_after)))

    def do_order(self, rest, asked, answer):
        self._show_order(self._own(self.orders, rest, asked), answer)

    def _challenge(self, authz):
        shown = {'type': self.challenge, 'url': '%s/challenge/%s' % (self.base, authz['id']), 'token': authz['token'],
                 'status': {'deactivated': 'invalid'}.get(authz['status'], authz['status'])}
        if authz['error']:
            shown['error'] = authz['error']
        return shown

    def do_authz(self, rest, asked, answer):
        authz = self._own(self.authz, rest, asked)
        self._json(answer, {'status': authz['status'], 'expires': timestamp(3600), 'identifier': {'type': 'dns', 'value': authz['name']},
                            'challenges': [self._challenge(authz)]})

    def do_deactivate(self, rest, asked, answer):
        authz = self._own(self.authz, rest, asked)
        if asked.object != {'status': 'deactivated'}:
            raise Problem(400, 'malformed', 'only to be deactivated')
        authz['status'] = 'deactivated'
        self.do_authz(rest, asked, answer)

    def do_challenge(self, rest, asked, answer):
        authz = self._own(self.authz, rest, asked)
        if asked.object != {}:
            raise Problem(400, 'malformed', 'an answer to a challenge is {}')
        if authz['status'] != 'pending':
            raise Problem(400, 'malformed', 'the challenge is ' + authz['status'])
        key = '%s.%s' % (authz['token'], jws.thumbprint(asked.account['jwk']))
        if self.validate or self.refuse:
            threading.Thread(target=self._validate, args=(authz, key), daemon=True).start()
        else:
            authz['status'] = 'valid'
        self._json(answer, self._challenge(authz))

    def _look(self, authz, expected):
        try:
            got = self.server.fetch(authz['name'], '/.well-known/acme-challenge/' + authz['token'])
            return None if got == expected.encode() else ('unauthorized', 'got %r' % got[:60])
        except OSError as e:
            return 'unauthorized', str(e)

    def _validate(self, authz, expected):
        error = (self._look(authz, expected) if self.validate else None) or (self.refuse(authz['name']) if self.refuse else None)
        with self.lock:
            authz['status'] = 'invalid' if error else 'valid'
            authz['error'] = {'type': URN + error[0], 'detail': error[1], 'status': 403} if error else None

    def do_finalize(self, rest, asked, answer):
        order = self._own(self.orders, rest, asked)
        self._settle(order)
        if order['status'] != 'ready':
            raise Problem(403, 'orderNotReady', 'the order is ' + order['status'])
        csr = self._read_csr(asked, order)
        cert = str(next(self.ids))
        chain = (self.issue or (lambda p, c, n: p.issue(c, n)))(self.server.pki, csr, order['names'])
        self.certs[cert] = {'account': order['account'], 'chain': chain}
        self.issued.append({'order': order['id'], 'names': order['names'], 'key': csr.public_key().public_numbers(), 'chain': chain})
        order['status'], order['cert'] = 'processing', cert
        self._show_order(order, answer)

    def _read_csr(self, asked, order):
        try:
            csr = x509.load_der_x509_csr(jws.unb64(asked.object['csr']))
            names = csr.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
        except (ValueError, KeyError, x509.ExtensionNotFound) as e:
            raise Problem(400, 'badCSR', str(e))
        if not csr.is_signature_valid or sorted(names.get_values_for_type(x509.DNSName)) != sorted(order['names']) or len(list(csr.subject)):
            raise Problem(400, 'badCSR', 'names, subject or signature')
        return csr

    def do_certificate(self, rest, asked, answer):
        cert = self._own(self.certs, rest[:1], asked)
        answer.content_type, answer.body = 'application/pem-certificate-chain', cert['chain']
        if len(rest) > 1:
            answer.body = self.server.pki.alternate(cert['chain'])
        url = '%s/cert/%s' % (self.base, rest[0])
        answer.headers += [('Link', link.replace('{url}', url)) for link in self.alternates]

    def do_revokeCert(self, rest, asked, answer):
        cert = x509.load_der_x509_certificate(jws.unb64(asked.object['certificate']))
        if not any(pki.fingerprint(pki.leaf_of(i['chain'])) == pki.fingerprint(cert) for i in self.issued):
            raise Problem(404, 'malformed', 'not issued here')
        answer.body = b''

    def do_keyChange(self, rest, asked, answer):
        raise Problem(501, 'serverInternal', 'not offered')


class Server:
    """A TLS port with CAs on it. port_to_validate: where the web server listens that has to show the challenges."""

    def __init__(self, port_to_validate=80, context=None, mode='tls', host='localhost', speak=None):
        self.folder = tempfile.TemporaryDirectory(prefix='fakeca.')
        self.port_to_validate = port_to_validate
        self.pki = pki.Pki()
        self.tls_root = pki.make_ca('fake TLS root')
        self.ca_file = os.path.join(self.folder.name, 'tls-root.pem')
        with open(self.ca_file, 'wb') as f:
            f.write(pki.pem(self.tls_root[1]))
        os.chmod(self.folder.name, 0o755)
        self.cas = {}
        self.good = self.context()
        self.listener = Listener(speak or self.converse, context or self.good, mode)
        self.origin = 'https://%s:%d' % (host, self.listener.port)

    def context(self, hosts=('localhost', '127.0.0.1'), **how):
        """A server context with a certificate that clients of ca_file trust."""
        return server_context(*self.credentials(hosts), **how)

    def credentials(self, hosts=('localhost', '127.0.0.1'), **life):
        key, chain = pki.make_server(list(hosts), self.tls_root, **life)
        return pki.key_pem(key), chain

    def ca(self, name, **attributes):
        ca = self.cas[name] = Ca(self, name)
        for k, v in attributes.items():
            assert hasattr(ca, k), k
            setattr(ca, k, v)
        return ca

    def converse(self, conn):
        while True:
            request = conn.read_request()
            if not request:
                return
            name, _, path = request.path[1:].partition('/')
            if name in self.cas:
                if not self.cas[name].serve(conn, request, path):
                    return
            elif not conn.play(Answer(404), {}):
                return

    def fetch(self, host, path, timeout=10):
        """The body of a page of the web server under test, as a CA reads it."""
        with socket.create_connection(('127.0.0.1', self.port_to_validate), timeout) as s:
            s.sendall(('GET %s HTTP/1.1\r\nHost: %s\r\nConnection: close\r\n\r\n' % (path, host)).encode())
            got = b''
            while len(got) < 4096:
                piece = s.recv(4096)
                if not piece:
                    break
                got += piece
        head, _, body = got.partition(b'\r\n\r\n')
        if b' 200 ' not in head.split(b'\r\n')[0]:
            raise OSError('the web server says %r' % head.split(b'\r\n')[0])
        return body

    def refuse(self):
        self.listener.refuse()

    def listen(self):
        """After refuse(): back again."""
        self.listener.listen()

    def release(self):
        self.listener.release()

    def violations(self):
        return {name: ca.violations for name, ca in self.cas.items() if ca.violations}

    @property
    def errors(self):
        """Of the harness itself."""
        return self.listener.errors

    def close(self):
        for ca in self.cas.values():
            with ca.lock:
                ca.rules = []
        self.listener.close()
        self.folder.cleanup()
