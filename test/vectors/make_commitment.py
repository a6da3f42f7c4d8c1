#!/usr/bin/env python3
"""Computes the commitment vectors, and the worked example of doc/format.md.

    make_commitment.py vectors > commitment.txt
    make_commitment.py example

Written from doc/format.md and FIPS 197 alone: SHA-256 comes from hashlib,
AES-128 is the textbook below, checked against the example of FIPS 197,
appendix C.1, at every run. It shares nothing with src/core.
"""
import hashlib
import struct
import sys


# ---- AES-128 (FIPS 197), one block, encryption only

def xtime(a):
    return ((a << 1) ^ 0x11B if a & 0x80 else a << 1) & 0xFF


def gmul(a, b):
    product = 0
    while b:
        if b & 1:
            product ^= a
        a, b = xtime(a), b >> 1
    return product


def sbox_of(a):
    inverse = next((x for x in range(256) if gmul(a, x) == 1), 0)
    bit = lambda x, n: (x >> (n % 8)) & 1
    return sum((bit(inverse, i) ^ bit(inverse, i + 4) ^ bit(inverse, i + 5) ^ bit(inverse, i + 6)
                ^ bit(inverse, i + 7) ^ bit(0x63, i)) << i for i in range(8))


SBOX = [sbox_of(a) for a in range(256)]


def aes128(key, block):
    words = [list(key[i:i + 4]) for i in range(0, 16, 4)]
    rcon = 1
    for i in range(4, 44):
        w = list(words[i - 1])
        if i % 4 == 0:
            w = [SBOX[x] for x in w[1:] + w[:1]]
            w[0] ^= rcon
            rcon = xtime(rcon)
        words.append([a ^ b for a, b in zip(words[i - 4], w)])
    keys = [sum(words[4 * r:4 * r + 4], []) for r in range(11)]
    s = [a ^ b for a, b in zip(block, keys[0])]
    for r in range(1, 11):
        s = [SBOX[x] for x in s]
        s = [s[(i + 4 * (i % 4)) % 16] for i in range(16)]      # ShiftRows, columns of four
        if r < 10:
            mixed = []
            for c in range(0, 16, 4):
                for i in range(4):
                    a, b, d, e = (s[c + (i + k) % 4] for k in range(4))
                    mixed.append(gmul(a, 2) ^ gmul(b, 3) ^ d ^ e)
            s = mixed
        s = [a ^ b for a, b in zip(s, keys[r])]
    return bytes(s)


assert aes128(bytes(range(16)), bytes.fromhex("00112233445566778899aabbccddeeff")) == \
    bytes.fromhex("69c4e0d86a7b0430d8cdb78070b4c55a"), "FIPS 197, appendix C.1"


# ---- the formats

def u16(n): return struct.pack(">H", n)
def u32(n): return struct.pack(">I", n)
def u64(n): return struct.pack(">Q", n)
def sha256(*parts): return hashlib.sha256(b"".join(parts)).digest()
def text16(s): return u16(len(s.encode())) + s.encode()


def salt(seed, i):
    return aes128(seed, i.to_bytes(16, "big"))


def field_digest(domain, salt_, name, value):
    return sha256(bytes([domain]), salt_, u16(len(name)), name, b"\x01" if value is None else b"\x00",
                  u32(len(value or b"")), value or b"")


def context_digests(seed, fields):
    return [field_digest(6, salt(seed, i), n, v) for i, (n, v) in enumerate(fields)]


def context_commitment(seed, fields):
    return sha256(b"\x04", u32(len(fields)), *context_digests(seed, fields))


def record_digests(context, seed, fields):
    return [field_digest(2, salt(seed, i), n, v) for i, (n, v) in enumerate([(b"", context)] + fields)]


def record_commitment(shape, context, seed, fields):
    return sha256(b"\x03", shape, u32(len(fields) + 1), *record_digests(context, seed, fields))


def value_list(values):
    out = b"\x01"
    for v in values:
        if v is None:
            out += b"\xff"
        elif len(v) <= 253:
            out += bytes([len(v)]) + v
        else:
            out += b"\xfe" + u32(len(v)) + v
    return out


def shape_bytes(origin, table_id, schema, table, columns):
    return (b"\x01" + text16(origin) + u32(table_id) + text16(schema) + text16(table) + u16(len(columns))
            + b"".join(text16(n) + text16(t) + u16(k) for n, t, k in columns))


def row_identity(key, table_id, values):
    return sha256(b"\x07", key, u32(table_id), u16(len(values)), *(u32(len(v)) + v for v in values))[:16]


def leaf_bytes(op, time_us, xid, prev, commitment):
    return b"\x01" + bytes([op]) + struct.pack(">q", time_us) + u64(xid) + prev + commitment


# ---- vectors

HEAD = """\
# Commitment vectors, written by make_commitment.py. One vector a line, fields
# separated by one space. Bytes are in hexadecimal, "-" is zero bytes, NULL is
# the SQL NULL; "name value" repeats as often as the count before it says.
#
# salt SEED INDEX -> SALT
# field DOMAIN SALT NAME VALUE -> DIGEST
# context SEED COUNT name value ... -> COMMITMENT
# record SHAPE-DIGEST CONTEXT-COMMITMENT SEED COUNT name value ... -> COMMITMENT
# row KEY TABLE-ID COUNT value ... -> IDENTITY
# values COUNT value ... -> STORED-LIST
# shape ORIGIN TABLE-ID SCHEMA TABLE COUNT name type key-position ... -> BYTES DIGEST
# leaf OPERATION TIME XID PREVIOUS COMMITMENT -> BYTES LEAF-HASH
"""

CONTEXT_NAMES = [b"actor", b"purpose", b"source", b"db_user", b"session_user", b"current_user", b"application",
                 b"client_addr", b"source_leaf"]


def h(b):
    return "NULL" if b is None else b.hex() or "-"


def pairs(fields):
    return " ".join([str(len(fields))] + [h(n) + " " + h(v) for n, v in fields])


def fill(tag, n):
    """n bytes that look random and are the same at every run."""
    return b"".join(sha256(b"%s %d" % (tag, i)) for i in range(n // 32 + 1))[:n]


def vectors():
    print(HEAD, end="")
    seeds = [bytes(16), bytes(range(16)), b"\xff" * 16, fill(b"seed", 16)]
    for seed in seeds:
        for i in (0, 1, 2, 13, 255, 256, 1664):
            print("salt", h(seed), i, "->", h(salt(seed, i)))
    for domain in (2, 6):
        for name in (b"", b"id", "größe".encode(), b"n" * 255):
            print("field", domain, h(seeds[3]), h(name), "NULL ->", h(field_digest(domain, seeds[3], name, None)))
            whole = 512 - 24 - len(name)        # an input of 512 bytes
            for size in (0, 1, 13, whole - 1, whole, whole + 1, 511, 512, 513):
                v = fill(b"value", size)
                print("field", domain, h(seeds[3]), h(name), h(v), "->", h(field_digest(domain, seeds[3], name, v)))
    for seed in seeds:
        for n in (0, 1, 9):
            fields = [(CONTEXT_NAMES[i], [fill(b"c%d" % i, i), None, b""][i % 3]) for i in range(n)]
            print("context", h(seed), pairs(fields), "->", h(context_commitment(seed, fields)))
    for seed in seeds:
        for n in (0, 1, 2, 13, 14, 15, 60):
            fields = [(b"column_%d" % i, [b"%d" % i, None, b"", fill(b"r%d" % i, 7 * i)][i % 4]) for i in range(n)]
            shape, context = fill(b"shape", 32), fill(b"context", 32)
            print("record", h(shape), h(context), h(seed), pairs(fields), "->",
                  h(record_commitment(shape, context, seed, fields)))
    for table_id, values in ((0, []), (1, []), (1, [b""]), (1, [b"", b""]), (7, [b"42"]), (4294967295, [b"4", b"2"]),
                             (8, [fill(b"key", 600), b"x"])):
        key = fill(b"row key", 32)
        print("row", h(key), table_id, len(values), *[h(v) for v in values], "->", h(row_identity(key, table_id, values)))
    for values in ([], [None], [b""], [b"a", None, b"", b"bc"], [bytes(252), bytes(253)], [bytes(254)],
                   [bytes(255), None, bytes(300)]):
        print("values", len(values), *[h(v) for v in values], "->", h(value_list(values)))
    for origin, table_id, schema, table, columns in (
            ("a", 0, "s", "t", [("c", "text", 0)]),
            ("crm.acme.example", 7, "public", "order", [("b", "integer", 2), ("größe", "numeric(10,2)", 0), ("a", "uuid", 1)]),
            ("x-1.example", 4294967295, "Sch ema", "t\n", [("k%d" % i, "bigint", 40 - i) for i in range(40)])):
        b = shape_bytes(origin, table_id, schema, table, columns)
        print("shape", h(origin.encode()), table_id, h(schema.encode()), h(table.encode()), len(columns),
              *["%s %s %d" % (h(n.encode()), h(t.encode()), k) for n, t, k in columns], "->", h(b), h(sha256(b"\x05", b)))
    for op, time_us, xid, prev in ((1, 0, 0, bytes(32)), (2, 1, 2, fill(b"prev", 32)), (11, -1, 2 ** 64 - 1, b"\xff" * 32),
                                   (5, -2 ** 63, 1 << 32, bytes(32)), (4, 2 ** 63 - 1, 731, fill(b"p", 32))):
        b = leaf_bytes(op, time_us, xid, prev, fill(b"commitment", 32))
        print("leaf", op, time_us, xid, h(prev), h(fill(b"commitment", 32)), "->", h(b), h(sha256(b"\x00", b)))


# ---- the worked example

def show(label, value):
    """A label and its value; bytes in hexadecimal, 32 to a line."""
    if value is None:
        value = "NULL"
    if isinstance(value, bytes):
        value = value.hex()
        if len(value) > 64:
            print(label + ":")
            for i in range(0, len(value), 64):
                print("  " + value[i:i + 64])
            return
    print("%s: %s" % (label, value))


def example():
    origin, table_id, schema, table = "crm.acme.example", 7, "crm", "contact"
    columns = [("id", "bigint", 1), ("name", "text", 0), ("phone", "text", 0), ("balance", "numeric(12,2)", 0)]
    image = [b"42", "Zoë Núñez".encode(), None, b"-17.50"]
    context = [b"zoe@acme.example", b"support", None, b"crm_app", b"crm_app", b"crm_app", b"crm-web", b"192.0.2.7", None]
    seed = bytes.fromhex("000102030405060708090a0b0c0d0e0f")
    context_seed = bytes.fromhex("f0f1f2f3f4f5f6f7f8f9fafbfcfdfeff")
    row_key = bytes(range(0x20, 0x40))
    op, time_us, xid, prev = 1, 1767225600123456, 731, bytes(32)

    show("origin", origin)
    show("table id", table_id)
    show("schema", schema)
    show("table", table)
    for i, (name, kind, key) in enumerate(columns):
        show("column %d name" % i, name)
        show("column %d type" % i, kind)
        show("column %d key position" % i, key)
    encoded = shape_bytes(origin, table_id, schema, table, columns)
    shape = sha256(b"\x05", encoded)
    show("shape bytes", encoded)
    show("shape digest", shape)

    print()
    show("context seed", context_seed)
    fields = list(zip(CONTEXT_NAMES, context))
    digests = context_digests(context_seed, fields)
    for i, (name, value) in enumerate(fields):
        label = "context %s" % name.decode()
        show(label, value if value is None else value.decode())
        show(label + " salt", salt(context_seed, i))
        show(label + " digest", digests[i])
    show("context stored", value_list(context))
    commitment = context_commitment(context_seed, fields)
    show("context commitment", commitment)

    print()
    show("seed", seed)
    fields = [(name.encode(), value) for (name, kind, key), value in zip(columns, image)]
    digests = record_digests(commitment, seed, fields)
    show("salt 0", salt(seed, 0))
    show("digest 0", digests[0])
    for i, (name, value) in enumerate(fields):
        show("value %d" % i, value if value is None else value.decode())
        show("salt %d" % (i + 1), salt(seed, i + 1))
        show("digest %d" % (i + 1), digests[i + 1])
    show("image stored", value_list(image))
    record = record_commitment(shape, commitment, seed, fields)
    show("record commitment", record)

    print()
    show("operation", op)
    show("time", time_us)
    show("transaction id", xid)
    show("previous", prev)
    leaf = leaf_bytes(op, time_us, xid, prev, record)
    show("leaf", leaf)
    show("leaf hash", sha256(b"\x00", leaf))

    print()
    show("row key", row_key)
    show("row identity", row_identity(row_key, table_id, [image[0]]))


if len(sys.argv) == 2 and sys.argv[1] in ("vectors", "example"):
    sys.stdout.reconfigure(encoding="utf-8", newline="\n")
    (vectors if sys.argv[1] == "vectors" else example)()
else:
    sys.exit("usage: make_commitment.py vectors|example")
