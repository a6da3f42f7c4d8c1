#!/usr/bin/env python3
"""make_types_fixture.py > types_fixture.sql

A tree of five leaves ('leaf 0' to 'leaf 4') and its checkpoints, inclusion
proofs and consistency paths, as psql statements for sql/types_verify.sql.

Standard library only and independent of src/core: the tree is computed from
the recursive definitions of RFC 6962, the signatures by the definitions of
RFC 8032. The keys are made from public strings: they protect nothing.
"""
import base64
import hashlib

# Ed25519, RFC 8032, section 5.1. Slow, not constant time: for test keys only.
P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P


def x_of(y, sign):
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * pow(2, (P - 1) // 4, P) % P
    return P - x if x % 2 != sign else x


BY = 4 * pow(5, P - 2, P) % P
BASE = (x_of(BY, 0), BY)


def add(a, b):
    (x1, y1), (x2, y2) = a, b
    t = D * x1 * x2 * y1 * y2
    return ((x1 * y2 + x2 * y1) * pow(1 + t, P - 2, P) % P,
            (y1 * y2 + x1 * x2) * pow(1 - t, P - 2, P) % P)


def mul(n, point):
    out = (0, 1)
    while n:
        if n & 1:
            out = add(out, point)
        point = add(point, point)
        n >>= 1
    return out


def encode(point):
    return (point[1] | (point[0] & 1) << 255).to_bytes(32, 'little')


def h512(*parts):
    return int.from_bytes(hashlib.sha512(b''.join(parts)).digest(), 'little')


class Key:
    def __init__(self, name, secret):
        self.name = name
        h = hashlib.sha512(hashlib.sha256(secret.encode()).digest()).digest()
        self.scalar = int.from_bytes(h[:32], 'little') & (1 << 254) - 8 | 1 << 254
        self.prefix = h[32:]
        self.public = encode(mul(self.scalar, BASE))
        self.id = self.key_id(1)

    def key_id(self, kind):
        return hashlib.sha256(self.name.encode() + b'\n' + bytes([kind]) + self.public).digest()[:4]

    def vkey(self, kind=1):
        return '%s+%s+%s' % (self.name, self.key_id(kind).hex(), b64(bytes([kind]) + self.public))

    def sign(self, msg):
        r = h512(self.prefix, msg) % L
        big_r = encode(mul(r, BASE))
        s = (r + h512(big_r, self.public, msg) % L * self.scalar) % L
        return big_r + s.to_bytes(32, 'little')

    def line(self, text, spoil=False):
        sig = bytearray(self.sign(text.encode()))
        sig[7] ^= spoil
        return '\u2014 %s %s\n' % (self.name, b64(self.id + bytes(sig)))


def b64(data):
    return base64.b64encode(data).decode()


# RFC 6962, section 2.1.
def sha(data):
    return hashlib.sha256(data).digest()


def split(n):
    k = 1
    while 2 * k < n:
        k *= 2
    return k


def root(d):
    if len(d) < 2:
        return sha(b'\0' + d[0]) if d else sha(b'')
    k = split(len(d))
    return sha(b'\1' + root(d[:k]) + root(d[k:]))


def inclusion(m, d):
    if len(d) == 1:
        return []
    k = split(len(d))
    if m < k:
        return inclusion(m, d[:k]) + [root(d[k:])]
    return inclusion(m - k, d[k:]) + [root(d[:k])]


def consistency(m, d, whole=True):
    if m == len(d):
        return [] if whole else [root(d)]
    k = split(len(d))
    if m <= k:
        return consistency(m, d[:k], whole) + [root(d[k:])]
    return consistency(m - k, d[k:], False) + [root(d[:k])]


LEAVES = [b'leaf %d' % i for i in range(5)]
ORIGIN = 'log.example'
LOG = Key(ORIGIN, 'provenance types test: log')
NEXT = Key(ORIGIN, 'provenance types test: the next key')
WITNESS = Key('witness.example', 'provenance types test: witness')


def note(size, keys, origin=ORIGIN, root_of=None, **kw):
    text = '%s\n%d\n%s\n' % (origin, size, b64(root(LEAVES[:size]) if root_of is None else root_of))
    return text + '\n' + ''.join(k.line(text, **kw) for k in keys)


def proof(index, path, checkpoint):
    return 'c2sp.org/tlog-proof@v1\nindex %d\n%s\n%s' % (
        index, ''.join(b64(h) + '\n' for h in path), checkpoint)


def quote(s):
    return "'" + s.replace("'", "''") + "'"


def main():
    out = print
    out('-- made by test/vectors/make_types_fixture.py')
    out("\\set log_key " + quote(LOG.vkey()))
    out("\\set next_key " + quote(NEXT.vkey()))
    out("\\set witness_key " + quote(WITNESS.vkey()))
    out("\\set log_cosigner_key " + quote(LOG.vkey(4)))

    notes = [(str(n), note(n, [LOG])) for n in range(6)]
    notes += [
        ('5 next', note(5, [NEXT])),
        ('5 both', note(5, [LOG, NEXT])),
        ('5 witnessed', note(5, [WITNESS, LOG])),
        ('5 witness alone', note(5, [WITNESS])),
        ('5 spoilt', note(5, [LOG], spoil=True)),
        ('5 one spoilt', note(5, [LOG]) + note(5, [NEXT], spoil=True).split('\n\n')[1]),
        ('5 elsewhere', note(5, [LOG], origin='other.example')),
        ('5 incarnation', note(5, [Key(ORIGIN + '/2', 'provenance types test: log')], origin=ORIGIN + '/2')),
        ('5 other root', note(5, [LOG], root_of=sha(b'another root'))),
    ]
    out('CREATE TEMP TABLE note (name text PRIMARY KEY, cp provenance.checkpoint NOT NULL);')
    out('INSERT INTO note VALUES')
    out(',\n'.join('(%s, %s)' % (quote(n), quote(t)) for n, t in notes) + ';')

    rows = [(i, n, proof(i, inclusion(i, LEAVES[:n]), note(n, [LOG]))) for n in range(1, 6) for i in range(n)]
    out('CREATE TEMP TABLE inclusion (index bigint, size bigint, p provenance.proof NOT NULL);')
    out('INSERT INTO inclusion VALUES')
    out(',\n'.join('(%d, %d, %s)' % (i, n, quote(t)) for i, n, t in rows) + ';')

    rows = [(m, n, consistency(m, LEAVES[:n]) if m else []) for n in range(6) for m in range(n + 1)]
    out('CREATE TEMP TABLE consistency (old bigint, new bigint, path provenance.hash[] NOT NULL);')
    out('INSERT INTO consistency VALUES')
    out(',\n'.join("(%d, %d, '{%s}')" % (m, n, ','.join(h.hex() for h in p)) for m, n, p in rows) + ';')


main()
