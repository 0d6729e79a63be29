# SPDX-License-Identifier: ISC
"""A15, A16, H4: wherever a CA may write a URL it writes one that leads elsewhere, and nobody goes there."""
import pytest

from fakeca_bench import Case, run_board
from fakeca_wire import Decoy

LOCAL, OTHER = Decoy(), Decoy('127.0.0.2')  # nobody may ever connect to these

# name -> function of the CA that makes the URL. What a CA may say is https, its own host, its own port.
URLS = {
    'http': lambda ca: ca.base.replace('https', 'http') + '/x',
    'http of a decoy': lambda ca: 'http://localhost:%d/x' % LOCAL.port,
    'file': lambda ca: 'file:///etc/passwd',
    'gopher': lambda ca: 'gopher://localhost:%d/x' % LOCAL.port,
    'other port': lambda ca: 'https://localhost:%d/x' % LOCAL.port,
    'other host': lambda ca: 'https://other.example.org:%d/x' % LOCAL.port,
    'other host, same port': lambda ca: ca.base.replace('localhost', 'other.example.org') + '/x',
    'same host, other spelling': lambda ca: ca.base.replace('localhost', 'localhost.') + '/x',
    'default port': lambda ca: 'https://localhost/x',
    'user': lambda ca: ca.base.replace('https://', 'https://user:secret@') + '/x',
    'user that looks like the host': lambda ca: 'https://%s@127.0.0.2:%d/x' % (ca.base[8:].split('/')[0], OTHER.port),
    'metadata service': lambda ca: 'https://169.254.169.254/latest/meta-data/',
    'IPv4 of loopback': lambda ca: 'https://127.0.0.2:%d/x' % OTHER.port,
    'IPv6 of loopback': lambda ca: 'https://[::1]:%d/x' % LOCAL.port,
    'a number as address': lambda ca: 'https://2130706434:%d/x' % OTHER.port,
    'very long': lambda ca: ca.base + '/' + 'x' * 5000,
    'newline': lambda ca: ca.base + '/x\r\nHost: evil',
    'NUL-like control': lambda ca: ca.base + '/x\x01',
    'blank': lambda ca: ca.base + '/a b',
    'not ASCII': lambda ca: ca.base + '/\u00e9',
    'backslash': lambda ca: ca.base.split('//')[0] + '//localhost:%d\\@127.0.0.2:%d/x' % (ca.server.listener.port, OTHER.port),
    'fragment': lambda ca: ca.base + '/x#y',
    'without scheme': lambda ca: '//127.0.0.2:%d/x' % OTHER.port,
    'relative': lambda ca: '/x',
    'empty': lambda ca: '',
    'huge port': lambda ca: 'https://localhost:99999/x',
    'no host': lambda ca: 'https:///x',
}


def member(kind, path):
    """A member of an object: directory.newNonce, order.authorizations.0 ..."""
    def fault(ca, url):
        def edit(o):
            *above, last = [int(p) if p.isdigit() else p for p in path.split('.')]
            for p in above:
                o = o[p]
            o[last] = url
        ca.on(kind, edit=edit)
    return fault


def header(kind):
    def fault(ca, url):
        ca.on(kind, without=['Location'], headers=[('Location', url.encode('utf-8').decode('latin-1'))])
    return fault


# place -> (how to write there, word that the error names it by, does it heal at once, certificates the CA makes)
PLACES = {
    'newNonce': (member('directory', 'newNonce'), 'newNonce', True, 1),
    'newAccount': (member('directory', 'newAccount'), 'newAccount', True, 1),
    'newOrder': (member('directory', 'newOrder'), 'newOrder', True, 1),
    'revokeCert': (member('directory', 'revokeCert'), 'revokeCert', True, 1),
    'keyChange': (member('directory', 'keyChange'), 'keyChange', True, 1),
    'account': (header('newAccount'), 'account: Location', True, 1),
    'order': (header('newOrder'), 'order: Location', True, 1),
    'authorization': (member('newOrder', 'authorizations.0'), 'authorizations', True, 1),
    'finalize': (member('newOrder', 'finalize'), 'finalize', True, 1),
    'challenge': (member('authz', 'challenges.0.url'), 'challenge 1: url', True, 1),
    'certificate': (member('order', 'certificate'), 'certificate', True, 1),
}
HEADERS_CANNOT_SAY = ('newline', 'NUL-like control', 'empty', 'very long')


def hostile():
    for place, (fault, word, heal, certificates) in PLACES.items():
        for name, url in URLS.items():
            if 'Location' in word and name in HEADERS_CANNOT_SAY:
                continue
            yield Case('%s: %s' % (place, name), lambda ca, f=fault, u=url: f(ca, u(ca)), kind='denied', type='policy', detail=word, heal=heal,
                       certificates=certificates)


# --- A16: redirects ---

def redirects(to, kind='directory', status=302, nth=None):
    return lambda ca: ca.on(kind, nth, redirect=(status, to(ca)))


def hop(n, status=302):
    """The directory is found after n redirects."""
    return lambda ca: ca.on('directory', (1, n), redirect=(status, ca.directory))


DIRECTORY = [Case('directory after %d hops by %d' % (n, s), hop(n, s), kind=None) for n, s in ((1, 301), (2, 302), (3, 303), (4, 307), (5, 308))]
DIRECTORY += [
    Case('directory after 6 hops', hop(6), type='redirect', detail='more than 5 times'),
    Case('directory that runs in circles', redirects(lambda ca: ca.directory), type='redirect', detail='more than 5 times'),
    Case('directory of a relative place', lambda ca: ca.on('directory', 1, redirect=(302, '/%s/directory' % ca.name)), kind=None),
    Case('directory nowhere', lambda ca: ca.on('directory', status=302), type='redirect', detail='not where to'),
]
DIRECTORY += [Case('directory elsewhere: %s' % name, redirects(lambda ca, u=url: u(ca).encode().decode('latin-1')), kind='denied', type='policy',
                   detail='redirect of the directory')
              for name, url in URLS.items() if name not in HEADERS_CANNOT_SAY + ('relative',)]
POSTS = [Case('%s redirected by %d' % (kind, status), redirects(lambda ca: 'https://127.0.0.2:%d/x' % OTHER.port, kind, status), type='redirect',
              detail='%s was answered with a redirect .HTTP %d' % (kind, status))
         for kind in ('newNonce', 'newAccount', 'newOrder', 'authz', 'challenge', 'finalize', 'certificate') for status in (301, 302, 303, 307, 308)]
POSTS += [Case('newOrder redirected to itself', redirects(lambda ca: ca.base + '/newOrder', 'newOrder', 307), type='redirect',
               detail='newOrder was answered')]
PRIVATE = [Case('a CA on a private address', lambda ca: None, kind='temp', type='policy', detail='private', private=False, heal=False,
                certificates=0)]
CASES = list(hostile()) + DIRECTORY + POSTS + PRIVATE


@pytest.fixture(scope='module')
def board(request):
    yield from run_board(request, CASES, timeout=90, show_every=8)


@pytest.mark.parametrize('case', CASES, ids=str)
def test_url(board, case):
    board.judge(case)


def test_nobody_was_led_astray(board):
    assert LOCAL.touched == [] and OTHER.touched == []


def test_directory_gives_up(board):
    case = next(c for c in CASES if c.name == 'directory that runs in circles')
    assert board.requests[case.slug] == {'directory': 6}


def test_private_address(board):
    """Without allow_private no connection is made to where only we are."""
    assert PRIVATE[0].ca.requests() == 0
