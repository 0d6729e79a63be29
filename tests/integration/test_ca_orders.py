# SPDX-License-Identifier: ISC
"""A20 to A28, A41, H8: orders, authorizations and challenges that are anything but what they should be."""
import os
import re

import pytest

import fakeca_pki as pki
from fakeca_bench import Case, run_board

ERROR = {'type': 'urn:ietf:params:acme:error:rejectedIdentifier', 'detail': 'we do not like this name', 'status': 403}


def edits(*rules, **attributes):
    """rules: (kind, nth, function that changes the object)."""
    def fault(ca):
        for kind, nth, edit in rules:
            ca.on(kind, nth, edit=edit)
        for k, v in attributes.items():
            setattr(ca, k, v)
    return fault


def update(**members):
    return lambda o: o.update(members)


def challenge(change):
    return lambda o: change(o['challenges'][0])


# --- A20: the order is further than one thinks ---

def foreign_certificate(ca):
    """The order is said to be done at once, with a certificate for nobody's key."""
    p = ca.server.pki
    chain = pki.pem(p.leaf(['valid-at-once.example.org'], pki.new_key().public_key())) + pki.pem(p.middle[1])
    ca.certs['x'] = {'account': None, 'chain': chain}
    ca.on('newOrder', edit=lambda o: o.update(status='valid', certificate=ca.base + '/cert/x'))


A20 = [
    Case('ready at once', edits(authorized=True), kind=None),
    Case('ready at once without authorizations', edits(('newOrder', None, update(authorizations=[])), authorized=True), kind=None),
    Case('processing at once', edits(('newOrder', None, update(status='processing'))), kind=None),
    Case('processing at once, then ready', edits(('newOrder', None, update(status='processing', authorizations=[])), authorized=True), kind=None),
    Case('pending without authorizations, then ready', edits(('newOrder', None, update(status='pending', authorizations=[])), authorized=True),
         kind=None),
    Case('pending without authorizations for ever', edits(('newOrder', None, update(authorizations=[])), ('order', None, update(authorizations=[]))),
         detail='without getting further', type='loop'),
    Case('pending after all is proven', edits(('order', (1, 2), update(status='pending')), ('finalize', 1, update(status='pending'))), kind=None),
    Case('valid at once, foreign certificate', foreign_certificate, kind='denied', detail='key|certificate|names|example.org'),
    Case('valid without certificate', edits(('newOrder', None, update(status='valid'))), detail='certificate is missing'),
    Case('invalid at once', edits(('newOrder', None, update(status='invalid', error=ERROR))), kind='denied', type='rejectedIdentifier',
         detail='do not like'),
    Case('invalid at once without a reason', edits(('newOrder', None, update(status='invalid'))), type='order', detail='order is invalid'),
    Case('processing for a while', edits(processing=6), kind=None),
    Case('processing with waits', edits(processing=1, retry_after=1), kind=None),
    Case('valid in the answer to finalize', edits(processing=0), kind=None),
    Case('no Location, no Retry-After later', lambda ca: ca.on('order', without=['Location', 'Retry-After']), kind=None),
    Case('names in upper case', edits(('newOrder', None, lambda o: [i.update(value=i['value'].upper()) for i in o['identifiers']] and None),
                                      ('order', None, lambda o: [i.update(value=i['value'].upper()) for i in o['identifiers']] and None)), kind=None),
    Case('names in another order', edits(('newOrder', None, lambda o: o['identifiers'].reverse())), kind=None, names=['b', 'c']),
    Case('all names valid but one', lambda ca: None, kind=None, names=['b', 'c']),
]

# --- A21: what the authorization is when first read ---

A21 = [Case('authorization %s when first read' % word, edits(('authz', None, update(status=word))), type='authorization',
            detail='authorization for .* is')
       for word in ('deactivated', 'expired', 'revoked', 'invalid')]
A21 += [
    Case('authorization processing when first read', edits(('authz', 1, update(status='processing'))), kind=None),
    Case('challenge processing when first read', edits(('authz', 1, challenge(lambda c: c.update(status='processing')))), kind=None),
    Case('invalid with a reason', edits(('authz', None, lambda o: (o.update(status='invalid'), o['challenges'][0].update(status='invalid', error={
        'type': 'urn:ietf:params:acme:error:dns', 'detail': 'no such host', 'status': 400}))[0])), type='dns', detail='no such host'),
    Case('revoked after it was proven', edits(('authz', (2, 9), update(status='revoked'))), type='authorization', detail='is gone|revoked'),
]


# --- A22: the order becomes invalid after each step ---

def invalid_from(kind, nth=None, problem=None):
    def fault(ca):
        if problem:
            ca.on(kind, nth, problem=problem)
        ca.on('order', edit=update(status='invalid', error=ERROR))
        if kind in ('newOrder', 'finalize') and not problem:
            ca.on(kind, nth, edit=update(status='invalid', error=ERROR))
    return fault


def finalized(n):
    def check(board, case):
        assert board.requests[case.slug]['finalize'] == n, board.requests[case.slug]
    return check


NOT_READY = (403, 'orderNotReady', 'the order is not ready')
A22 = [
    Case('invalid after the proof', invalid_from('finalize', problem=NOT_READY), kind='denied', type='rejectedIdentifier', detail='do not like',
         certificates=1),
    Case('invalid in the answer to finalize', invalid_from('finalize'), kind='denied', type='rejectedIdentifier', detail='do not like',
         certificates=2),
    Case('invalid while processing', invalid_from('order'), kind='denied', type='rejectedIdentifier', detail='do not like', certificates=2),
    Case('gone while processing', lambda ca: ca.on('order', problem=(404, 'malformed', 'no such order')), certificates=None, kind='temp'),
    Case('certificate refused', lambda ca: ca.on('certificate', problem=(403, 'unauthorized', 'not for you')), kind='denied', detail='not for you'),
    Case('certificate not there yet', lambda ca: ca.on('certificate', problem=(404, 'malformed', 'not yet')), kind='denied', detail='not yet'),
    Case('not ready at first', lambda ca: ca.on('finalize', (1, 2), problem=NOT_READY), kind=None),
    Case('never ready', lambda ca: ca.on('finalize', problem=NOT_READY), type='orderNotReady', detail='not ready', check=finalized(3)),
]


# --- A25: what may not change, changes ---

def other_name(o):
    o['identifiers'][0]['value'] = 'else.example.org'


A25 = [
    Case('other names from the beginning', edits(('newOrder', None, other_name)), kind='denied', type='identifiers', detail='lacks .*example.org'),
    Case('one name too many', edits(('newOrder', None, lambda o: o['identifiers'].append({'type': 'dns', 'value': 'more.example.org'}))),
         kind='denied',
         type='identifiers', detail='more.example.org'),
    Case('one name too few', edits(('newOrder', None, lambda o: o['identifiers'].pop() and None)), kind='denied', type='identifiers', detail='lacks',
         names=['b']),
    Case('names change while processing', edits(('order', None, other_name)), kind='denied', type='identifiers', detail='other names',
         certificates=2),
    Case('names change in the answer to finalize', edits(('finalize', None, other_name)), kind='denied', type='identifiers', detail='other names',
         certificates=2),
]

# --- A26: challenges ---

MORE = [{'type': 'dns-01', 'url': None, 'token': 'abc', 'status': 'pending'},
        {'type': 'telepathy-01', 'url': 'http://127.0.0.1/', 'status': 7, 'token': ['../x']}]


def with_more(place):
    def edit(o):
        more = [dict(m, url=m['url'] or o['challenges'][0]['url']) for m in MORE]
        o['challenges'] = o['challenges'] + more if place == 'behind' else more + o['challenges']
    return edit


A26 = [
    Case('no challenges', edits(('authz', None, update(challenges=[]))), kind='denied', type='no-method', detail='does not offer http-01'),
    Case('other challenges only', edits(('authz', None, challenge(lambda c: c.update(type='dns-01')))), kind='denied', type='no-method',
         detail='does not offer http-01'),
    Case('unknown types behind', edits(('authz', None, with_more('behind'))), kind=None),
    Case('unknown types before', edits(('authz', None, with_more('before'))), kind=None),
    Case('unknown type only', edits(('authz', None, challenge(lambda c: c.update(type='telepathy-01')))), kind='denied', type='no-method',
         detail='http-01'),
    Case('type in upper case', edits(('authz', None, challenge(lambda c: c.update(type='HTTP-01')))), kind='denied', type='no-method',
         detail='http-01'),
    Case('ten thousand challenges', edits(('authz', None, lambda o: o.update(challenges=o['challenges'] * 200))), kind=None),
]

# --- A27, H3: tokens ---

TOKENS = ['', '.', '..', '../../../../tmp/dovad-token-escaped', '..%2f..%2fescaped', '%2e%2e%2fescaped', '/tmp/dovad-token-escaped', 'a/b', 'a\\b',
          'a\x00b', 'a\nb',
          'a b', 'x' * 10240, '$(touch /tmp/dovad-token-escaped)', '`touch /tmp/dovad-token-escaped`', ';touch /tmp/dovad-token-escaped', "'", '"',
          '<script>',
          'a=b', 'a+b', 'token.with.dots', 'tökén', '‮abc', '-rf\t', '*', '~root', '\x1b[2J']


def token_check(board, case):
    assert board.requests[case.slug]['challenge'] == 0, 'the CA was told that this token is shown'


A27 = [Case('token %r' % t[:40], edits(('authz', None, challenge(lambda c, t=t: c.update(token=t)))),
            kind='temp' if '\x00' in t else 'denied',
            type='json' if '\x00' in t else 'policy', detail='authorization' if '\x00' in t else 'token is not a token',
            check=token_check) for t in TOKENS]

# --- A28, H8: authorizations for something else ---

A28 = [
    Case('authorization for another name', edits(('authz', None, lambda o: o['identifier'].update(value='victim.example.com'))), kind='denied',
         detail='victim.example.com, which was not asked for', check=token_check),
    Case('authorization for the name above', edits(('authz', None, lambda o: o['identifier'].update(value='example.org'))), kind='denied',
         detail='not asked for',
         check=token_check),
    Case('authorization for a name with a dot behind', edits(('authz', None, lambda o: o['identifier'].update(value=o['identifier']['value'] + '.'))),
         kind='denied', detail='not asked for', check=token_check),
    Case('authorization in upper case', edits(('authz', None, lambda o: o['identifier'].update(value=o['identifier']['value'].upper()))), kind=None),
    Case('authorization for a path', edits(('authz', None, lambda o: o['identifier'].update(value='../../etc/passwd'))), kind='denied',
         detail='is not a name',
         check=token_check),
    Case('authorization for a terminal', edits(('authz', None, lambda o: o['identifier'].update(value='\x1b]0;owned\x07'))), kind='denied',
         detail='is not a name',
         check=token_check),
    Case('authorization for an address', edits(('authz', None, lambda o: o['identifier'].update(type='ip', value='127.0.0.1'))),
         detail='is not one we asked for',
         check=token_check),
    Case('a lie about the wildcard', edits(('authz', None, update(wildcard=True))), kind='denied', detail='not asked for|http-01 cannot|wildcard',
         check=token_check),
    Case('a token too many', edits(('authz', None, lambda o: o['challenges'].append(dict(o['challenges'][0], token='x' * 24)))), kind=None),
]


# --- A41: what a CA may refuse, and what kind of failure that is (acme.md section 2) ---

def is_printable(board, case):
    assert re.fullmatch('[ -~]*', board.outcome[case.slug]['last_error']['detail'])


def refuses(kind, status, type, more=None):
    return lambda ca: ca.on(kind, problem=(status, type, 'the reason is %s' % type, more))


PROBLEMS = [('serverInternal', 500, 'temp'), ('serverInternal', 400, 'temp'), ('externalAccountRequired', 403, 'denied'),
            ('userActionRequired', 403, 'denied'),
            ('rejectedIdentifier', 400, 'denied'), ('unsupportedIdentifier', 400, 'denied'), ('malformed', 400, 'denied'),
            ('invalidProfile', 400, 'denied'),
            ('caa', 403, 'denied'), ('badSignatureAlgorithm', 400, 'denied'), ('badPublicKey', 400, 'denied'), ('dns', 400, 'temp'),
            ('connection', 400, 'temp'),
            ('conflict', 409, 'temp'), ('compound', 400, 'denied'), ('rateLimited', 429, 'denied'), ('http://example.org/own', 418, 'denied'),
            ('http://example.org/own', 502, 'temp'), ('about:blank', 404, 'denied'), ('about:blank', 503, 'temp'), ('somethingNew', 400, 'denied')]
A41 = [Case('newOrder %s %d' % p[:2], refuses('newOrder', p[1], p[0]), kind=p[2], type=p[0], detail='the reason is') for p in PROBLEMS]
A41 += [Case('finalize %s' % t, refuses('finalize', 403, t), kind='denied', type=t, detail='the reason is') for t in ('badCSR', 'unauthorized',
     'rejectedIdentifier', 'caa')]
A41 += [Case('challenge %s' % t, refuses('challenge', s, t), kind='denied', type=t, detail='the reason is') for t,
        s in (('unauthorized', 403), ('caa', 403))]
A41 += [
    Case('terms have changed', lambda ca: ca.on('newOrder', problem=(403, 'userActionRequired', 'agree', {'instance': 'https://ca.example/agree'}),
                                                headers=[('Link', '<https://ca.example/terms>; rel="terms-of-service"')]),
         kind='denied', type='userActionRequired', detail='ca.example/agree.*ca.example/terms'),
    Case('99 of 100 names refused', lambda ca: ca.on('newOrder', problem=(400, 'rejectedIdentifier', 'some names are bad', {'subproblems': [
        {'type': 'urn:ietf:params:acme:error:rejectedIdentifier', 'detail': 'bad name',
         'identifier': {'type': 'dns', 'value': 'n%d.example.org' % i}} for i in range(99)]})),
         kind='denied', type='rejectedIdentifier', detail='some names are bad', names=['n%d' % i for i in range(99)]),
    Case('a reason full of control characters', lambda ca: ca.on('newOrder',
         problem=(400, 'malformed', 'bad\x1b[31m\nred\r\u202eeman \x07' + 'x' * 5000)),
         kind='denied', type='malformed', detail=r'bad\\x1b\[31m\\x0ared\\x0d', check=is_printable),
    Case('a reason that is a number', lambda ca: ca.on('newOrder', status=400, body={'type': 7, 'detail': ['x'], 'status': '400'}), kind='denied',
         detail='no reason'),
    Case('HTML instead of a reason', lambda ca: ca.on('newOrder', status=403, body=b'<html>\x1b[2J forbidden</html>', content_type='text/html'),
         kind='denied',
         type='http', detail=r'HTTP 403.*forbidden'),
    Case('nothing instead of a reason', lambda ca: ca.on('newOrder', status=404, body=b''), kind='denied', type='http',
         detail='HTTP 404 without a reason'),
    Case('content types all wrong', lambda ca: [ca.on(k, content_type=t) for k, t in (
        ('directory', 'text/html'), ('newAccount', None), ('newOrder', 'image/png'), ('authz', ''), ('order', 'application/json; charset="x'),
        ('certificate', 'application/octet-stream'))], kind=None),
]

CASES = A20 + A21 + A22 + A25 + A26 + A27 + A28 + A41


@pytest.fixture(scope='module')
def board(request):
    yield from run_board(request, CASES, timeout=60)


@pytest.mark.parametrize('case', CASES, ids=str)
def test_order(board, case):
    board.judge(case)
    assert sum(board.requests[case.slug].values()) < 80 + 8 * len(case.names), 'that was a storm: %s' % board.requests[case.slug]


def test_no_file_escaped(board):
    """Nothing was written that a token of a CA named; in the web root is nothing but the folder of the challenges."""
    assert not os.path.exists('/tmp/dovad-token-escaped')
    ours = re.compile('|'.join(c.slug for c in CASES))
    assert not [p for p in board.lab.root.rglob('*') if re.search('escaped|victim', p.name) and not ours.search(str(p))]
    assert [str(p.relative_to(board.lab.web)) for p in board.lab.web.rglob('*')] == ['.well-known', '.well-known/acme-challenge']


def test_log_is_printable(board):
    """H5: what a CA writes cannot forge a line of the log or talk to the terminal of who reads it."""
    text = (board.lab.logs / 'dovad.log').read_bytes()
    assert not re.search(rb'[\x00-\x08\x0b-\x1f\x7f]', text)
    assert '‮'.encode() not in text
