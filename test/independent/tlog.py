#!/usr/bin/env python3
"""An independent reader of transparency logs, for the tests.

Written from RFC 6962, RFC 9162, RFC 8032 and the C2SP pages signed-note,
tlog-checkpoint, tlog-cosignature, tlog-proof and tlog-tiles alone, with Python's standard library. It shares
no code with the extension and knows nothing of its tables.

    tlog.py checkpoint VKEY FILE              print "origin size root"
    tlog.py cosignature VKEY FILE             by the witness of that key: print "origin size time"
    tlog.py proof VKEY LEAF-HEX FILE          an inclusion proof (tlog-proof)
    tlog.py consistency VKEY OLD NEW PATH     PATH: a file, one hex hash a line
    tlog.py leaves VKEY CHECKPOINT LEAVES     LEAVES: a file, one hex leaf a line
    tlog.py tiles VKEY DIR                    a whole log as files (tlog-tiles)

Exit status 0: accepted. 1: refused, with the reason on standard error.
"""
import base64
import hashlib
import os
import sys


class Refused(Exception):
    pass


def need(condition, reason):
    if not condition:
        raise Refused(reason)


# --- Ed25519 verification, RFC 8032 section 5.1 -----------------------------

P = 2**255 - 19
L = 2**252 + 27742317777372353535851937790883648493
D = -121665 * pow(121666, P - 2, P) % P
SQRT_M1 = pow(2, (P - 1) // 4, P)


def recover_x(y, sign):
    if y >= P:
        return None
    x2 = (y * y - 1) * pow(D * y * y + 1, P - 2, P) % P
    if x2 == 0:
        return None if sign else 0
    x = pow(x2, (P + 3) // 8, P)
    if (x * x - x2) % P:
        x = x * SQRT_M1 % P
    if (x * x - x2) % P:
        return None
    return P - x if x & 1 != sign else x


def point_add(p, q):
    a = (p[1] - p[0]) * (q[1] - q[0]) % P
    b = (p[1] + p[0]) * (q[1] + q[0]) % P
    c = 2 * p[3] * q[3] * D % P
    d = 2 * p[2] * q[2] % P
    e, f, g, h = b - a, d - c, d + c, b + a
    return (e * f % P, g * h % P, f * g % P, e * h % P)


def point_mul(n, p):
    q = (0, 1, 1, 0)
    while n:
        if n & 1:
            q = point_add(q, p)
        p = point_add(p, p)
        n >>= 1
    return q


def decompress(data):
    y = int.from_bytes(data, "little")
    sign, y = y >> 255, y & (2**255 - 1)
    x = recover_x(y, sign)
    return None if x is None else (x, y, 1, x * y % P)


BASE_Y = 4 * pow(5, P - 2, P) % P
BASE_X = recover_x(BASE_Y, 0)
BASE = (BASE_X, BASE_Y, 1, BASE_X * BASE_Y % P)


def ed25519_verify(public, message, signature):
    a, r = decompress(public), decompress(signature[:32])
    s = int.from_bytes(signature[32:], "little")
    if a is None or r is None or s >= L:
        return False
    k = int.from_bytes(hashlib.sha512(signature[:32] + public + message).digest(), "little") % L
    left, right = point_mul(s, BASE), point_add(r, point_mul(k, a))
    return ((left[0] * right[2] - right[0] * left[2]) % P == 0
            and (left[1] * right[2] - right[1] * left[2]) % P == 0)


# --- signed-note, tlog-checkpoint, tlog-proof -------------------------------

def b64(text):
    data = base64.b64decode(text, validate=True)
    need(base64.b64encode(data).decode() == text, "base64 is not canonical")
    return data


def decimal(text):
    need(text.isascii() and text.isdigit() and (text == "0" or text[0] != "0"), "not a decimal: %r" % text)
    return int(text)


def parse_vkey(vkey, kind=1):
    name, key_id, blob = vkey.split("+", 2)
    blob = b64(blob)
    need(len(blob) == 33 and blob[0] == kind, "not an Ed25519 verifier key of type %d" % kind)
    need(hashlib.sha256(name.encode() + b"\n" + blob).digest()[:4].hex() == key_id, "wrong key ID in verifier key")
    return name, bytes.fromhex(key_id), blob[1:]


def open_checkpoint(note, vkey):
    """Verifies a checkpoint; returns origin, size, root."""
    name, key_id, public = parse_vkey(vkey)
    text, blank, signatures = note.rpartition("\n\n")
    need(blank and signatures.endswith("\n"), "not a signed note")
    text += "\n"
    good = False
    for line in signatures[:-1].split("\n"):
        need(line.startswith("\u2014 "), "not a signature line")
        signer, blob = line[2:].split(" ")
        blob = b64(blob)
        if signer == name and blob[:4] == key_id:
            need(len(blob) == 68 and ed25519_verify(public, text.encode(), blob[4:]), "wrong signature")
            good = True
    need(good, "no signature by this key")
    lines = text[:-1].split("\n")
    need(len(lines) >= 3 and all(lines), "not a checkpoint")
    need(lines[0] == name, "origin differs from the key's name")
    root = b64(lines[2])
    need(len(root) == 32, "root is not 32 bytes")
    return lines[0], decimal(lines[1]), root


def check_cosignature(note, vkey):
    """Verifies a witness's cosignature; returns origin, size, time."""
    name, key_id, public = parse_vkey(vkey, 4)
    text, blank, signatures = note.rpartition("\n\n")
    need(blank and signatures.endswith("\n"), "not a signed note")
    text += "\n"
    times = []
    for line in signatures[:-1].split("\n"):
        need(line.startswith("\u2014 "), "not a signature line")
        signer, blob = line[2:].split(" ")
        blob = b64(blob)
        if signer == name and blob[:4] == key_id:
            need(len(blob) == 76, "not a cosignature")
            seconds = int.from_bytes(blob[4:12], "big")
            message = "cosignature/v1\ntime %d\n%s" % (seconds, text)
            need(ed25519_verify(public, message.encode(), blob[12:]), "wrong cosignature")
            times.append(seconds)
    need(times, "no cosignature by this key")
    lines = text.split("\n")
    return lines[0], decimal(lines[1]), max(times)


def open_proof(data, vkey):
    head, blank, checkpoint = data.partition("\n\n")
    lines = head.split("\n")
    need(blank and lines[0] == "c2sp.org/tlog-proof@v1", "not a tlog-proof")
    if lines[1].startswith("extra "):
        b64(lines.pop(1)[6:])
    need(lines[1].startswith("index "), "no index line")
    path = [b64(line) for line in lines[2:]]
    need(all(len(h) == 32 for h in path), "a hash is not 32 bytes")
    return decimal(lines[1][6:]), path, open_checkpoint(checkpoint, vkey)


# --- the tree, RFC 6962 section 2.1 and RFC 9162 section 2.1 ------------------

def leaf_hash(leaf):
    return hashlib.sha256(b"\x00" + leaf).digest()


def node(left, right):
    return hashlib.sha256(b"\x01" + left + right).digest()


def root_of(hashes):
    if not hashes:
        return hashlib.sha256(b"").digest()
    # Level by level: an unpaired last node moves up unchanged, which is the
    # recursive definition's split at the largest power of two.
    while len(hashes) > 1:
        paired = [node(hashes[i], hashes[i + 1]) for i in range(0, len(hashes) - 1, 2)]
        hashes = paired + ([hashes[-1]] if len(hashes) % 2 else [])
    return hashes[0]


def check_inclusion(h, index, size, path, root):
    need(index < size, "index beyond the tree")
    fn, sn, r = index, size - 1, h
    for p in path:
        need(sn != 0, "path too long")
        if fn & 1 or fn == sn:
            r = node(p, r)
            while not fn & 1 and fn != 0:
                fn >>= 1
                sn >>= 1
        else:
            r = node(r, p)
        fn >>= 1
        sn >>= 1
    need(sn == 0, "path too short")
    need(r == root, "path leads to another root")


def check_consistency(first, first_root, second, second_root, path):
    need(first <= second, "first size beyond the second")
    if first == second:
        need(not path and first_root == second_root, "equal sizes, different roots or a path")
        return
    if first == 0:
        need(not path and first_root == hashlib.sha256(b"").digest(), "an empty log needs no path")
        return
    need(path, "empty path")
    if first & (first - 1) == 0:
        path = [first_root] + path
    fn, sn = first - 1, second - 1
    while fn & 1:
        fn >>= 1
        sn >>= 1
    fr = sr = path[0]
    for c in path[1:]:
        need(sn != 0, "path too long")
        if fn & 1 or fn == sn:
            fr, sr = node(c, fr), node(c, sr)
            while not fn & 1 and fn != 0:
                fn >>= 1
                sn >>= 1
        else:
            sr = node(sr, c)
        fn >>= 1
        sn >>= 1
    need(sn == 0 and fr == first_root and sr == second_root, "path does not join the two roots")


# --- tlog-tiles ---------------------------------------------------------------

def tile_name(level, index, width):
    groups = ["%03d" % (index % 1000)]
    while index >= 1000:
        index //= 1000
        groups.insert(0, "x%03d" % (index % 1000))
    name = "tile/%s/%s" % (level, "/".join(groups))
    return name if width == 256 else name + ".p/%d" % width


def tiles_of(n):
    """(index, width) of the tiles that hold n hashes."""
    return [(i, 256) for i in range(n // 256)] + ([(n // 256, n % 256)] if n % 256 else [])


def open_bundle(data, width, name):
    entries, pos = [], 0
    for _ in range(width):
        need(pos + 2 <= len(data), "%s: too short" % name)
        end = pos + 2 + int.from_bytes(data[pos:pos + 2], "big")
        need(end <= len(data), "%s: too short" % name)
        entries.append(data[pos + 2:end])
        pos = end
    need(pos == len(data), "%s: too long" % name)
    return entries


def check_tiles(top, vkey):
    """A complete log in a directory: every file that its checkpoint asks for,
    and besides them only partial tiles of smaller sizes."""
    def bytes_of(name):
        path = os.path.join(top, name)
        need(os.path.isfile(path), "%s is missing" % name)
        with open(path, "rb") as f:
            return f.read()

    _, size, root = open_checkpoint(bytes_of("checkpoint").decode("utf-8"), vkey)
    seen = {"checkpoint"}
    leaves = []
    for index, width in tiles_of(size):
        name = tile_name("entries", index, width)
        seen.add(name)
        leaves += [leaf_hash(e) for e in open_bundle(bytes_of(name), width, name)]
    hashes, level = leaves, 0
    while hashes:
        for index, width in tiles_of(len(hashes)):
            name = tile_name(level, index, width)
            seen.add(name)
            want = b"".join(hashes[index * 256:index * 256 + width])
            need(bytes_of(name) == want, "%s: wrong hashes" % name)
        hashes = [root_of(hashes[i:i + 256]) for i in range(0, len(hashes) // 256 * 256, 256)]
        level += 1
    need(root_of(leaves) == root, "the entries give another root")

    for folder, folders, files in os.walk(top):
        for name in folders + files:
            need(not os.path.islink(os.path.join(folder, name)), "%s is a symbolic link" % name)
        for name in files:
            name = os.path.relpath(os.path.join(folder, name), top)
            if name not in seen:
                check_older_partial(name, bytes_of(name), leaves)
    return size


def check_older_partial(name, data, leaves):
    parts = name.split("/")
    need(len(parts) >= 4 and parts[0] == "tile" and parts[-2].endswith(".p"), "%s is no file of a log" % name)
    index = int("".join(parts[2:-1]).replace("x", "").removesuffix(".p"))
    width = decimal(parts[-1])
    need(1 <= width <= 255 and tile_name(parts[1], index, width) == name, "%s is no file of a log" % name)
    if parts[1] == "entries":
        have = [leaf_hash(e) for e in open_bundle(data, width, name)]
        span = 1
    else:
        have = [data[i:i + 32] for i in range(0, len(data), 32)]
        span = 256 ** decimal(parts[1])
    for i in range(width):
        first = (index * 256 + i) * span
        need(first + span <= len(leaves), "%s: beyond the checkpoint" % name)
        need(len(have) == width and have[i] == root_of(leaves[first:first + span]), "%s: wrong hashes" % name)


# --- command line -------------------------------------------------------------

def read(name):
    with open(name, encoding="utf-8", newline="") as f:
        return f.read()


def main(argv):
    what, vkey, rest = argv[0], argv[1], argv[2:]
    if what == "checkpoint":
        origin, size, root = open_checkpoint(read(rest[0]), vkey)
        print(origin, size, root.hex())
    elif what == "cosignature":
        print(*check_cosignature(read(rest[0]), vkey))
    elif what == "proof":
        index, path, (_, size, root) = open_proof(read(rest[1]), vkey)
        check_inclusion(leaf_hash(bytes.fromhex(rest[0])), index, size, path, root)
        print("leaf", index, "of", size)
    elif what == "consistency":
        origin, first, first_root = open_checkpoint(read(rest[0]), vkey)
        origin2, second, second_root = open_checkpoint(read(rest[1]), vkey)
        need(origin == origin2, "two origins")
        check_consistency(first, first_root, second, second_root, [bytes.fromhex(x) for x in read(rest[2]).split()])
        print(first, "to", second)
    elif what == "leaves":
        _, size, root = open_checkpoint(read(rest[0]), vkey)
        leaves = [leaf_hash(bytes.fromhex(x)) for x in read(rest[1]).split()]
        need(len(leaves) == size, "%d leaves for a size of %d" % (len(leaves), size))
        need(root_of(leaves) == root, "the leaves give another root")
        print(size, "leaves")
    elif what == "tiles":
        print(check_tiles(rest[0], vkey), "entries")
    else:
        raise SystemExit(__doc__)


if __name__ == "__main__":
    if len(sys.argv) < 4:
        raise SystemExit(__doc__)
    try:
        main(sys.argv[1:])
    except (Refused, ValueError, IndexError) as e:
        sys.stderr.write("refused: %s\n" % e)
        sys.exit(1)
