# SPDX-License-Identifier: ISC
"""A9, A11, A12, A17, A19, A37: answers that break off, never end or come over bad TLS, and answers that are lost after the CA has acted."""
import ssl
import struct

import pytest

import fakeca_pki as pki
from fakeca_bench import Case, run_board
from fakeca_wire import server_context

MIB = 1 << 20
GETS = ('directory', 'newNonce')
CREATING = ('newAccount', 'newOrder')
LATER = ('authz', 'challenge', 'finalize', 'order', 'certificate')
DOUBTFUL = ('challenge', 'finalize')  # the CA itself is asked what came of it, at once


def does(kind, nth=None, **act):
    return lambda ca: ca.on(kind, nth, **act)


def own_port(board):
    return board.add_server()


# --- A9, A37: truncated anywhere, lost altogether. Whatever happened, one certificate is made and one account. ---

CUTS = (0, 1, 9, 13, 60, 150, 250, 300, 350, 400, -300, -2, -1)  # from the beginning; negative: before the end


def one_account(board, case):
    assert len(case.ca.accounts) <= 1 and len(case.ca.orders) <= 3, (case.ca.accounts, case.ca.orders)


def cut():
    for kind in GETS + CREATING + LATER:
        for at in CUTS:
            if kind == 'newNonce' and not 0 <= at <= 150:
                continue  # its answer is a short one without a body
            yield Case('%s cut at %d' % (kind, at), does(kind, truncate_at=at), kind=None if kind in DOUBTFUL else 'temp', check=one_account)
    for kind in ('directory', 'newOrder', 'authz', 'certificate'):
        for at in (-3, -5, -20, -100):
            yield Case('%s in chunks, cut at %d' % (kind, at), does(kind, chunked=True, truncate_at=at), kind='temp', check=one_account)
        yield Case('%s in chunks' % kind, does(kind, chunked=True), kind=None)


def lost():
    for kind in CREATING + LATER:
        for how in ('reset', 'hang_up'):
            yield Case('answer to %s lost once: %s' % (kind, how), does(kind, 1, process=True, **{how: True}),
                       kind=None if kind in DOUBTFUL else 'temp',
                       check=one_account)
            yield Case('answer to %s lost twice: %s' % (kind, how), does(kind, (1, 2), process=True, **{how: True}),
                       kind=None if kind in DOUBTFUL else 'temp',
                       check=one_account)


# --- A11, A12: too much ---

def bounded(limit):
    def check(board, case):
        assert case.ca.server.listener.most_sent < limit, case.ca.server.listener.most_sent
    return check


def much():
    for kind in ('directory', 'newAccount', 'newOrder', 'authz', 'order', 'certificate'):
        yield Case('%s never ends' % kind, does(kind, status=200, endless=b' ' * 65536), server=own_port, type='too-large', check=bounded(8 * MIB))
        yield Case('%s announces a GiB' % kind, does(kind, status=200, endless=b'{' * 65536, announce=1 << 30), server=own_port, type='too-large',
                   check=bounded(8 * MIB))
    yield Case('finalize never ends', does('finalize', endless=b' ' * 65536), server=own_port, kind=None, check=bounded(8 * MIB))
    yield Case('headers never end', does('newOrder', endless_headers=b'X-More: ' + b'x' * 1000 + b'\r\n'), server=own_port, type='too-large',
               check=bounded(8 * MIB))
    yield Case('a header never ends', does('newOrder', endless_headers=b'x' * 65536), server=own_port, check=bounded(8 * MIB), type='too-large')
    yield Case('compressed', does('directory', headers=[('Content-Encoding', 'gzip')], body=b'\x1f\x8b\x08' + b'\0' * 1000), type='json',
               detail='directory')
    yield Case('said to be compressed', does('directory', headers=[('Content-Encoding', 'gzip')]), kind=None)
    yield Case('10000 headers', does('newOrder', headers=[('X-%d' % i, 'y') for i in range(10000)]), kind=None)
    yield Case('10000 long headers', does('newOrder', headers=[('X-%d' % i, 'y' * 20) for i in range(10000)]), type='too-large', detail='headers')
    yield Case('100 headers', does('authz', headers=[('X-%d' % i, 'y') for i in range(100)]), kind=None)
    yield Case('a header of a MiB', does('newOrder', headers=[('X-Long', 'y' * MIB)]), type='too-large', detail='headers')
    yield Case('500 links', does('certificate', headers=[('Link', '<https://localhost/x>;rel="alternate"')] * 500), kind=None)
    yield Case('folded and broken headers', does('authz', headers=[('X-Folded', 'a\r\n b\r\n\tc'), ('X-Empty', ''), ('X Bad Name', 'x'), ('', 'y')]),
               kind=None)


# --- A19: HTTP itself ---

def h2(*frames):
    """A server that greets in HTTP/2 and then says these frames: (type, flags, stream, payload)."""
    def speak(conn):
        conn.sock.recv(65536)
        conn.send(b'\0\0\0\4\0\0\0\0\0')
        for kind, flags, stream, payload in frames:
            conn.send(struct.pack('>I', len(payload))[1:] + struct.pack('>BBI', kind, flags, stream) + payload)
        conn.sock.recv(65536)
    return lambda board: h2_server(board, speak)


def h2_server(board, speak):
    server = board.add_server(speak=speak)
    server.listener.context = server.context(h2=True)
    server.hostile_speak = speak
    return server


def speaks_http1_again(ca):
    ca.server.listener.speak = ca.server.converse


GOAWAY, RST, HEADERS, DATA, SETTINGS = 7, 3, 1, 0, 4
STATUS_200 = b'\x88'  # ":status: 200" of the static table
A19 = [Case('HTTP/2: %s' % name, lambda ca: None, server=h2(*frames), cure=speaks_http1_again, detail='localhost port|directory') for name,
       frames in {
    'GOAWAY': [(GOAWAY, 0, 0, struct.pack('>II', 0, 0))],
    'GOAWAY with an error': [(GOAWAY, 0, 0, struct.pack('>II', 0, 11) + b'enhance your calm')],
    'RST after headers': [(HEADERS, 4, 1, STATUS_200), (RST, 0, 1, struct.pack('>I', 2))],
    'RST at once': [(RST, 0, 1, struct.pack('>I', 8))],
    'end after headers': [(HEADERS, 4, 1, STATUS_200), (DATA, 0, 1, b'{"newNonce": ')],
    'a frame too large': [(DATA, 0, 1, b'x' * 20000)],
    'garbage in the headers': [(HEADERS, 4, 1, b'\xff' * 40)],
    'settings of a wrong length': [(SETTINGS, 0, 0, b'xxx')]}.items()]
A19 += [
    Case('1xx, a hundred times',
         does('newOrder', prefix=b'HTTP/1.1 100 Continue\r\n\r\n' * 50 + b'HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n' * 50), kind=None),
    Case('1xx without end', does('newOrder', endless=b'HTTP/1.1 103 Early Hints\r\nX-Hint: yes\r\n\r\n' * 100, status=103), server=own_port,
         check=bounded(64 * MIB)),
    Case('not HTTP', does('newOrder', raw=b'SSH-2.0-OpenSSH_9.2\r\n'), detail='.'),
    Case('HTTP/0.9', does('newOrder', raw=b'{"status":"ready"}'), detail='.'),
    Case('status 999', does('newOrder', raw=b'HTTP/1.1 999 Hello\r\nContent-Length: 0\r\n\r\n'), detail='.'),
    Case('status 0', does('newOrder', raw=b'HTTP/1.1 0 Hello\r\nContent-Length: 0\r\n\r\n'), detail='.'),
    Case('two lengths', does('newOrder', raw=b'HTTP/1.1 201 Created\r\nContent-Length: 10\r\nContent-Length: 20\r\n\r\n{"status":'), detail='.'),
    Case('a length below zero', does('newOrder', raw=b'HTTP/1.1 201 Created\r\nContent-Length: -1\r\n\r\n{}'), detail='.'),
    Case('chunks of nonsense', does('newOrder', raw=b'HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n{}\r\n'), detail='.'),
    Case('chunks of a huge size', does('newOrder', raw=b'HTTP/1.1 201 Created\r\nTransfer-Encoding: chunked\r\n\r\nfffffffffffffffff\r\n{}\r\n'),
         detail='.'),
    Case('205 Reset Content', does('newOrder', status=205), detail='.'),
    Case('304 Not Modified', does('newOrder', status=304), type='redirect', detail='304'),
]


# --- A17: bad TLS: no way round it, and not in the clear either ---

def shows(**how):
    """A server with a certificate that does not do."""
    def make(board):
        server = board.add_server()
        begin, end = how.get('begin'), how.get('end')
        issuer = {'own': server.tls_root, 'other': pki.make_ca('other TLS root'), 'self': None}[how.get('issuer', 'own')]
        key, chain = pki.make_server(how.get('hosts', ['localhost']), issuer, begin, end)
        server.listener.context = server_context(pki.key_pem(key), chain, version=how.get('version'))
        return server
    return make


def mode(what):
    def make(board):
        server = board.add_server()
        server.listener.mode = what
        return server
    return make


def never_asked(board, case):
    assert case.ca.requests() == 0, 'a request was sent over this'


A17 = [Case('TLS: %s' % name, lambda ca: None, server=make, type='tls' if word else None, detail=word or 'localhost port',
            check=never_asked) for name, make, word in (
    ('expired', shows(begin=pki.now() - 20 * pki.DAY, end=pki.now() - pki.DAY), 'expired'),
    ('not yet valid', shows(begin=pki.now() + pki.DAY), 'not yet valid'),
    ('for another name', shows(hosts=['other.example.org']), 'localhost|host name|subject'),
    ('for a name that begins alike', shows(hosts=['localhost.example.org']), 'localhost|host name|subject'),
    ('self-signed', shows(issuer='self'), 'self.signed'),
    ('of an unknown CA', shows(issuer='other'), 'unable to get local issuer|trusted CAs come from'),
    ('TLS 1.1', shows(version=ssl.TLSVersion.TLSv1_1), 'protocol|version'),
    ('TLS 1.0', shows(version=ssl.TLSVersion.TLSv1), 'protocol|version'),
    ('an HTTP error instead of a handshake', mode('garbage'), None),
    ('reset in the handshake', mode('reset'), None))]
A17 += [Case('TLS 1.2', lambda ca: None, server=shows(version=ssl.TLSVersion.TLSv1_2), kind=None)]

CASES = list(cut()) + list(lost()) + list(much()) + A19 + A17


@pytest.fixture(scope='module')
def board(request):
    yield from run_board(request, CASES, timeout=70)


@pytest.mark.parametrize('case', CASES, ids=str)
def test_wire(board, case):
    board.judge(case)
    assert len(case.ca.accounts) == 1
