#!/usr/bin/env python3
"""An independent reader of bundles, for the tests.

Written from doc/format.md alone, with Python's standard library, and with
tlog.py and disclosure.py beside it for checkpoints and shapes. It shares no
code with the extension. It keeps the whole bundle in memory, and so compares
chains and computes the root in the plainest way.

    bundle.py VKEY FILE [OLD-CHECKPOINT]    print what the bundle proves, as JSON
    bundle.py bits VKEY FILE STEP           change one bit of every STEP-th byte: each must be refused

FILE is what COPY … TO wrote in text format. With an older checkpoint, the
bundle must extend it. Exit status 0: it holds. 1: refused, with the reason on
standard error.
"""
import hashlib
import hmac
import json
import os
import struct
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tlog import (Refused, b64, check_consistency, decimal, ed25519_verify, leaf_hash, need, node,  # noqa: E402
                  open_checkpoint)
from disclosure import CONTEXT, KEY, OPERATIONS, ROW, host_like, open_shape, plain, sha256  # noqa: E402

MAX_SIZE = 2**63 - 1
ESCAPES = {"\\": "\\", "t": "\t", "n": "\n", "r": "\r", "b": "\b", "f": "\f", "v": "\v"}


# --- lines and tokens -------------------------------------------------------------

def copy_lines(text):
    """The rows of COPY's text format, three columns each."""
    need(text.endswith("\n"), "the file ends within a line")
    for row in text[:-1].split("\n"):
        columns, at, cell = [], 0, ""
        while at < len(row):
            if row[at] == "\t":
                columns.append(cell)
                cell = ""
            elif row[at] == "\\":
                at += 1
                need(at < len(row) and row[at] in ESCAPES, "an escape of COPY")
                cell += ESCAPES[row[at]]
            else:
                cell += row[at]
            at += 1
        columns.append(cell)
        need(len(columns) == 3, "not three columns")
        yield decimal(columns[0]), columns[1], columns[2]


def fixed(token, n):
    data = b64(token)
    need(len(data) == n, "not %d bytes" % n)
    return data


def hashes(token):
    data = b64(token)
    need(len(data) % 32 == 0, "not whole hashes")
    return [data[i:i + 32] for i in range(0, len(data), 32)]


def number(token, most):
    n = decimal(token)
    need(n <= most, "number %d is too great" % n)
    return n


def written(mark, body):
    """A text: as it is after '=', in base64 after ':'."""
    if mark == "=":
        need(plain(body) and "|" not in body, "not plain: %r" % body)
        return body
    need(mark == ":", "neither '=' nor ':'")
    value = b64(body).decode("utf-8")
    need("\0" not in value and not (plain(value) and "|" not in value), "base64 of what is plain, or no text")
    return value


def text_token(token):
    return None if token == "-" else written(token[:1], token[1:])


def field(token, domain, name):
    """Returns the digest, and the value in a list if it is disclosed."""
    if token[:1] == "-":
        return fixed(token[1:], 32), None
    salt, rest = fixed(token[1:25], 16), token[25:]
    if token[0] == "0":
        need(rest == "", "NULL with a value")
        value = None
    else:
        value = written(token[0], rest)
    data, name = (b"" if value is None else value.encode()), name.encode()
    return sha256(domain, salt, struct.pack(">H", len(name)), name, b"\x01" if value is None else b"\x00",
                  struct.pack(">I", len(data)), data), [value]


def fields(tokens, domain, names):
    need(len(tokens) == len(names), "number of fields")
    digests, disclosed, withheld = [], {}, []
    for token, name in zip(tokens, names):
        digest, value = field(token, domain, name)
        digests.append(digest)
        if value is None:
            withheld.append(name)
        else:
            disclosed[name] = value[0]
    return digests, disclosed, withheld


# --- the tree ----------------------------------------------------------------------

def subtrees(start, end):
    """The perfect subtrees between two places: (first leaf, leaves)."""
    found = []
    while start < end:
        width = 1 << 62
        while start % width or start + width > end:
            width //= 2
        found.append((start, width))
        start += width
    return found


def root_of(nodes, lo, hi):
    """MTH of the leaves lo to hi - 1, of which nodes has some subtrees."""
    if (lo, hi - lo) in nodes:
        return nodes[lo, hi - lo]
    need(hi - lo > 1, "leaf %d is in no gap" % lo)
    k = 1
    while 2 * k < hi - lo:
        k *= 2
    return node(root_of(nodes, lo, lo + k), root_of(nodes, lo + k, hi))


# --- a bundle ----------------------------------------------------------------------

class Bundle:
    def __init__(self, vkey, old):
        self.vkey, self.old = vkey, old
        self.shapes, self.contexts, self.entries, self.nodes = {}, {}, [], {}
        self.paths, self.names, self.position, self.last, self.signers = {}, set(), 0, None, []

    def bundle(self, t):
        need(len(t) == 10 and t[0] == "provenance/bundle@v1", "version or number of tokens")
        log, slash, incarnation = t[1].partition("/")
        need(host_like(log) and len(t[1]) <= 200 and (not slash or 2 <= decimal(incarnation) < 2**32), "origin")
        self.origin, self.log = t[1], log
        self.size = number(t[2], MAX_SIZE)
        self.since = number(t[3], self.size)
        need(self.size > 0, "size 0")
        self.table_id = number(t[4], 2**32 - 1)
        self.table = (text_token(t[5]), text_token(t[6]))
        need((self.table[0] is None) == (self.table[1] is None), "schema without table")
        need(all(n is None or 1 <= len(n.encode()) <= 255 for n in self.table), "length of a name")
        need(t[7] in ("all", "keys"), "which rows")
        self.rows, self.recipient, self.purpose = t[7], text_token(t[8]), text_token(t[9])

    def checkpoint(self, t):
        need(len(t) == 1, "number of tokens")
        note = b64(t[0])
        need(len(note) <= 65536, "length of the checkpoint")
        origin, size, self.root = open_checkpoint(note.decode("utf-8"), self.vkey)
        need((origin, size) == (self.origin, self.size), "a checkpoint of another log or size")

    def consistency(self, t):
        need(self.last in ("checkpoint", "consistency"), "a path not directly after the checkpoint")
        need(len(t) == 2 and len(self.paths) < 16, "number of tokens or paths")
        old = number(t[0], self.size - 1)
        need(old > max(self.paths, default=0), "old sizes do not rise")
        self.paths[old] = hashes(t[1])
        need(len(self.paths[old]) <= 64, "length of the path")

    def shape(self, t):
        need(len(t) == 2, "number of tokens")
        data = b64(t[1])
        shape = open_shape(data)
        need(shape["origin"] == self.log and shape["table_id"] == self.table_id, "a shape of another log or table")
        self.names.add((shape["schema"], shape["table"]))
        shape["digest"] = sha256(b"\x05", data)
        self.shapes[number(t[0], 15)] = shape

    def context(self, t):
        commitment = fixed(t[1], 32)
        digests, disclosed, _ = fields(t[2:], b"\x06", CONTEXT)
        need(disclosed, "a context with nothing disclosed")
        need(sha256(b"\x04", struct.pack(">I", len(digests)), *digests) == commitment, "context commitment")
        self.contexts[number(t[0], 255)] = (commitment, disclosed)

    def gap(self, token, end):
        places, given = subtrees(self.position, end), hashes(token)
        need(len(places) == len(given), "%d hashes for a gap of %d" % (len(given), len(places)))
        self.nodes.update(zip(places, given))
        self.position = end

    def entry(self, t):
        need(len(t) >= 8, "number of tokens")
        index = number(t[0], self.size - 1)
        need(index >= self.position and index >= self.since, "leaf indexes do not rise")
        self.gap(t[1], index)
        leaf = fixed(t[2], 82)
        need(leaf[0] == 1 and 1 <= leaf[1] <= 11, "version or operation of the leaf")
        operation, names = OPERATIONS[leaf[1]]
        previous = None if t[3] == "-" else number(t[3], index - 1)
        need((previous is None) == (leaf[18:50] == bytes(32)), "previous entry and previous hash")
        need(t[4] in ("0", "1"), "next")
        shape = self.shapes.get(number(t[5], 15))
        need(shape is not None, "a slot without a shape")
        context, disclosed, withheld, erased = None, {}, [], t[8:] == ["!"]
        if erased:
            need(t[6] == "-", "a context of an erased entry")
        else:
            digest, context = self.digest_0(t[6])
            digests, disclosed, withheld = fields(t[8:], b"\x02", shape[names] if names in (ROW, KEY) else names)
            commitment = sha256(b"\x03", shape["digest"], struct.pack(">I", len(digests) + 1), digest, *digests)
            need(commitment == leaf[50:], "record commitment")
        if t[7] != "-":
            fixed(t[7], 16)
        self.nodes[index, 1] = leaf_hash(leaf)
        self.position = index + 1
        self.signers = []
        time_us, xid = struct.unpack(">qQ", leaf[2:18])
        self.entries.append({
            "index": index, "leaf": leaf, "previous": previous, "next": t[4] == "1", "pseudonym": t[7],
            "shown": {"index": index, "operation": operation, "time_us": time_us, "xid": xid, "erased": erased,
                      "leaf_hash": leaf_hash(leaf).hex(), "context": context, "fields": disclosed,
                      "withheld": withheld, "countersigned": self.signers}})

    def digest_0(self, token):
        if token[:1] == "-":
            return fixed(token[1:], 32), None
        slot, colon, salt = token.partition(":")
        context = self.contexts.get(number(slot, 255))
        need(colon and context is not None, "a slot without a context")
        return sha256(b"\x02", fixed(salt, 16), b"\0\0", b"\0", struct.pack(">I", 32), context[0]), context[1]

    def countersignature(self, t):
        need(self.last in ("entry", "countersignature") and len(t) == 3, "no entry before it, or number of tokens")
        entry = self.entries[-1]
        need(decimal(t[0]) == entry["index"], "a countersignature of another entry")
        key = fixed(t[1], 32)
        need(not self.signers or self.signers[-1] < key.hex(), "public keys do not rise")
        need(ed25519_verify(key, b"provenance countersignature v1\n" + entry["leaf"], fixed(t[2], 64)),
             "countersignature")
        self.signers.append(key.hex())

    def end(self, t):
        need(len(t) == 3 and decimal(t[0]) == len(self.entries), "number of tokens or entries")
        self.gap(t[1], self.size)
        self.digest = fixed(t[2], 32)
        self.chains()
        need(not self.names or self.table in self.names, "no shape has the table's name")
        need(root_of(self.nodes, 0, self.size) == self.root, "leaves and gaps give another root")

    def chains(self):
        by_index, named = {e["index"]: e for e in self.entries}, set()
        for e in self.entries:
            previous = e["previous"]
            if previous is None or previous < self.since:
                continue
            need(previous in by_index, "the entry before %d is missing" % e["index"])
            need(previous not in named, "two entries after %d" % previous)
            need(leaf_hash(by_index[previous]["leaf"]) == e["leaf"][18:50], "another entry before %d" % e["index"])
            named.add(previous)
        need(named == {e["index"] for e in self.entries if e["next"]}, "next entries")

    def extends(self):
        if self.old is None:
            return
        origin, size, root = open_checkpoint(self.old, self.vkey)
        need(origin == self.origin and size <= self.size, "older checkpoint of another log, or newer")
        check_consistency(size, root, self.size, self.root, self.paths.get(size, []))


KINDS = ["bundle", "checkpoint", "consistency", "shape", "context", "entry", "countersignature", "end"]


def verify(text, vkey, old=None, with_digest=True):
    b, digest, expected = Bundle(vkey, old), hashlib.sha256(b"\x08"), 1
    for line, kind, content in copy_lines(text):
        try:
            need(b.last != "end" and line == expected, "not line %d" % expected)
            need(kind in KINDS and (kind == KINDS[line - 1] if line < 3 else kind not in KINDS[:2]),
                 "kind of the line")
            need(len(content.encode()) < 2**28, "too long")
            getattr(b, kind)(content.split("|"))
        except (Refused, ValueError, IndexError) as e:
            raise Refused("line %d: %s" % (line, e))
        if kind != "end":
            digest.update(("%d\t%s\t%s\n" % (line, kind, content)).encode())
        b.last, expected = kind, expected + 1
    need(b.last == "end", "the last line is missing")
    need(not with_digest or hmac.compare_digest(digest.digest(), b.digest), "digest of the bundle")
    b.extends()
    return {"origin": b.origin, "size": b.size, "since_size": b.since, "schema": b.table[0], "table": b.table[1],
            "rows": b.rows, "recipient": b.recipient, "purpose": b.purpose, "consistency": sorted(b.paths),
            "entries": [dict(e["shown"], previous=e["previous"], pseudonym=e["pseudonym"]) for e in b.entries]}


# What a bundle says and does not prove: a change is seen by the digest alone.
CLAIMS = {"bundle": [3, 7, 8, 9], "consistency": [0, 1], "entry": [7]}


def bits(text, vkey, step):
    """Changes bits; each must be refused, without the digest too where it counts."""
    data, tried = text.encode(), 0
    for at in range(0, len(data), step):
        changed = bytearray(data)
        changed[at] ^= 1 << at // step % 8
        line = data[data.rfind(b"\n", 0, at) + 1:at].decode("utf-8", "replace").split("\t")
        kind, token = line[1] if len(line) > 2 else "", line[-1].count("|")
        claimed = len(line) < 3 or kind == "checkpoint" or token in CLAIMS.get(kind, []) or (kind, token) == ("end", 2)
        for with_digest in (True,) if claimed else (True, False):
            tried += 1
            try:
                verify(changed.decode("utf-8"), vkey, None, with_digest)
            except (Refused, ValueError):
                continue
            raise Refused("byte %d changed was not noticed (digest: %s)" % (at, with_digest))
    return tried


def main(argv):
    def read(path):
        with open(path, "rb") as f:
            return f.read().decode("utf-8")
    if argv[0] == "bits":
        print(bits(read(argv[2]), argv[1], int(argv[3])))
    else:
        print(json.dumps(verify(read(argv[1]), argv[0], read(argv[2]) if len(argv) > 2 else None),
                         ensure_ascii=True, sort_keys=True))


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except (Refused, ValueError) as e:
        print("refused: %s" % e, file=sys.stderr)
        sys.exit(1)
