# SPDX-License-Identifier: ISC
"""A13, A14, A25 to A28: what a CA may put into the objects it sends, field by field and type by type."""
import pytest

from fakeca_bench import Case, run_board

TEXT, FLAG, LIST, OBJECT = 'text', 'flag', 'list', 'object'
NUMBER = 7
VALUES = {'null': None, 'number': NUMBER, TEXT: 'x', LIST: [], OBJECT: {}, FLAG: True}

# kind of request, path of the member, type, required, word that the error has to name it by
FIELDS = [
    ('directory', 'newNonce', TEXT, True),
    ('directory', 'newAccount', TEXT, True),
    ('directory', 'newOrder', TEXT, True),
    ('directory', 'revokeCert', TEXT, False),
    ('directory', 'keyChange', TEXT, False),
    ('directory', 'renewalInfo', TEXT, False),
    ('directory', 'meta', OBJECT, False),
    ('directory', 'meta.termsOfService', TEXT, False),
    ('directory', 'meta.externalAccountRequired', FLAG, False),
    ('directory', 'meta.profiles', OBJECT, False),
    ('newAccount', 'status', TEXT, True),
    ('newOrder', 'status', TEXT, True),
    ('newOrder', 'expires', TEXT, False),
    ('newOrder', 'identifiers', LIST, True),
    ('newOrder', 'identifiers.0.type', TEXT, True),
    ('newOrder', 'identifiers.0.value', TEXT, True),
    ('newOrder', 'authorizations', LIST, True),
    ('newOrder', 'finalize', TEXT, True),
    ('order', 'certificate', TEXT, True),
    ('order', 'identifiers', LIST, True),
    ('authz', 'status', TEXT, True),
    ('authz', 'expires', TEXT, False),
    ('authz', 'identifier', OBJECT, True),
    ('authz', 'identifier.type', TEXT, True),
    ('authz', 'identifier.value', TEXT, True),
    ('authz', 'challenges', LIST, True),
    ('authz', 'challenges.0.type', TEXT, True),
    ('authz', 'challenges.0.url', TEXT, True),
    ('authz', 'challenges.0.status', TEXT, True),
    ('authz', 'challenges.0.token', TEXT, True),
    ('authz', 'wildcard', FLAG, False),
]


def put(path, value=None, drop=False):
    """An edit that sets or removes one member, however deep."""
    def edit(obj):
        *above, last = [int(p) if p.isdigit() else p for p in path.split('.')]
        at = obj
        for p in above:
            at = at.setdefault(p, {}) if isinstance(at, dict) else at[p]
        if drop:
            at.pop(last, None)
        else:
            at[last] = value
    return edit


def faulty(kind, edit):
    return lambda ca: ca.on(kind, edit=edit)


def matrix():
    for kind, path, shape, required in FIELDS:
        field = [p for p in path.split('.') if not p.isdigit()][-1]
        for what in ('missing', *VALUES):
            if what == shape or (shape == OBJECT and what == LIST and path == 'error'):
                continue
            absent = what in ('missing', 'null')
            fails = required or not absent
            yield Case('%s %s %s' % (kind, path, what), faulty(kind, put(path, VALUES.get(what), what == 'missing')),
                       kind='temp' if fails else None, type='object' if fails else None, detail=field if fails else '.')


def body(kind, data, detail, type=None):
    return Case('%s is %s' % (kind, detail[0]), lambda ca: ca.on(kind, status=201 if kind.startswith('new') else 200, process=True, body=data),
                type=type, detail=detail[1])


def bodies():
    """Not an object, not JSON, not anything."""
    deep = b'[' * 30000 + b']' * 30000
    for kind, word in (('directory', 'directory'), ('newAccount', 'account'), ('newOrder', 'order'), ('authz', 'authorization')):
        yield body(kind, b'', ('empty', word))
        yield body(kind, b'[]', ('a list', word), 'object')
        yield body(kind, b'"text"', ('a text', word))
        yield body(kind, b'{"status":', ('cut', word))
        yield body(kind, deep, ('deep', 'nested'))
        yield body(kind, b'{"status":"valid","status":"pending"}', ('a duplicate', 'status|duplicate'))
        yield body(kind, b'{"status":"va\\u0000lid"}', ('escaped NUL', word))
        yield body(kind, b'{"status":"va\0lid"}', ('NUL', word))
        yield body(kind, b'{"status":"\xff\xfe"}', ('not UTF-8', word))
        yield body(kind, b'{"expires":1e999999,"status":7}', ('a huge number', word))
        yield body(kind, b'<html><h1>It works!</h1></html>', ('HTML', word))


def words():
    """A14: a status nobody knows is an error, and above all not "pending"."""
    for kind, what in (('newOrder', 'order'), ('order', 'order'), ('authz', 'authorization'), ('newAccount', 'account')):
        for word in ('banana', 'PENDING', 'Valid', 'valid ', ''):
            yield Case('%s says %r' % (kind, word), faulty(kind, put('status', word)), type='object', detail='status is not known')
    for word in ('banana', 'VALID'):
        yield Case('challenge says %r' % word, faulty('authz', put('challenges.0.status', word)), type='object',
                   detail='challenge.*status is not known')


CASES = list(matrix()) + list(bodies()) + list(words())


@pytest.fixture(scope='module')
def board(request):
    yield from run_board(request, CASES, timeout=90, show_every=8)


@pytest.mark.parametrize('case', CASES, ids=str)
def test_object(board, case):
    board.judge(case)
