#!/usr/bin/env python3
"""An independent reader of disclosures, for the tests.

Written from doc/format.md alone, with Python's standard library, and with
tlog.py beside it for what is behind the proof. It shares no code with the
extension.

    disclosure.py VKEY FILE     print what the disclosure proves, as JSON

Exit status 0: it holds. 1: refused, with the reason on standard error.
"""
import hashlib
import json
import os
import struct
import sys
import unicodedata

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from tlog import Refused, b64, check_inclusion, leaf_hash, need, open_proof  # noqa: E402

CONTEXT = ["actor", "purpose", "source", "db_user", "session_user", "current_user", "application", "client_addr",
           "source_leaf"]
ROW, KEY = "row", "key"
OPERATIONS = [
    None,
    ("insert", ROW), ("update", ROW), ("delete", KEY), ("baseline", ROW),
    ("truncate", ["schema", "table"]),
    ("tag", ["schema", "table", "subject", "mode", "exclude"]),
    ("untag", ["schema", "table"]),
    ("schema", ["schema", "table", "shape"]),
    ("attach", ["schema", "table", "partition"]),
    ("detach", ["schema", "table", "partition"]),
    ("erase", ["entries", "fields", "reason"]),
]
INVISIBLE = ([0x061C, 0xFEFF] + list(range(0x200B, 0x2010)) + list(range(0x2028, 0x202F)) + list(range(0x2060, 0x206A)))


def sha256(*parts):
    return hashlib.sha256(b"".join(parts)).digest()


def plain(text):
    return (text != "" and text[0] != " " and text[-1] != " "
            and not any(unicodedata.category(c) == "Cc" or ord(c) in INVISIBLE for c in text))


def host_like(origin):
    return (1 <= len(origin) <= 200 and origin.isascii() and all(c.isalnum() or c in ".-" for c in origin)
            and origin[0].isalnum() and origin[-1].isalnum() and ".." not in origin)


# --- the shape ------------------------------------------------------------------

class Bytes:
    def __init__(self, data):
        self.data, self.at = data, 0

    def take(self, n):
        need(self.at + n <= len(self.data), "shape ends too early")
        self.at += n
        return self.data[self.at - n:self.at]

    def number(self, n):
        return int.from_bytes(self.take(n), "big")

    def name(self, most):
        data = self.take(self.number(2))
        need(1 <= len(data) <= most and b"\0" not in data, "a name in the shape has a wrong length")
        return data.decode("utf-8")


def open_shape(data):
    b = Bytes(data)
    need(b.number(1) == 1, "version of the shape")
    shape = {"origin": b.name(200)}
    need(host_like(shape["origin"]), "origin in the shape")
    shape["table_id"] = b.number(4)
    shape["schema"], shape["table"] = b.name(255), b.name(255)
    count = b.number(2)
    need(1 <= count <= 1664, "number of columns")
    columns = [(b.name(255), b.name(1023), b.number(2)) for _ in range(count)]
    need(b.at == len(data), "bytes left over in the shape")
    need(len({c[0] for c in columns}) == count, "two columns of one name")
    key = sorted((c for c in columns if c[2]), key=lambda c: c[2])
    need([c[2] for c in key] == list(range(1, len(key) + 1)), "key positions")
    shape[ROW], shape[KEY] = [c[0] for c in columns], [c[0] for c in key]
    return shape


# --- lines ------------------------------------------------------------------------

class Lines:
    def __init__(self, text):
        self.lines, self.at = text.split("\n"), 0

    def next(self):
        # what follows the last newline is no line
        need(self.at + 1 < len(self.lines), "the text ends too early")
        self.at += 1
        return self.lines[self.at - 1]

    def word(self, *words):
        line = self.next()
        for word in words:
            if line.startswith(word + " ") and len(line) > len(word) + 1:
                return word, line[len(word) + 1:]
        raise Refused("line %d: not %s" % (self.at, " or ".join(words)))

    def fixed(self, word, n):
        data = b64(self.word(word)[1])
        need(len(data) == n, "line %d: wrong length" % self.at)
        return data


def encoded_text(text):
    value = b64(text).decode("utf-8")
    need(value != "" and not plain(value) and "\0" not in value, "base64 of what is plain, or no text")
    return value


def field(lines, domain, name):
    """Returns the digest, and the value in a list if it is disclosed."""
    word, text = lines.word("field", "field-base64")
    if word == "field":
        need(plain(text), "line %d: not plain" % lines.at)
    else:
        text = encoded_text(text)
    need(text == name, "line %d: field %r is not %r" % (lines.at, text, name))
    word, data = lines.word("salt", "digest")
    data = b64(data)
    need(len(data) == (16 if word == "salt" else 32), "line %d: wrong length" % lines.at)
    if word == "digest":
        return data, None
    line = lines.next()
    if line == "null":
        value = None
    elif line == "empty":
        value = ""
    elif line.startswith("text "):
        value = line[5:]
        need(plain(value), "line %d: not plain" % lines.at)
    else:
        need(line.startswith("base64 "), "line %d: no value" % lines.at)
        value = encoded_text(line[7:])
    bytes_of = b"" if value is None else value.encode()
    name = name.encode()
    digest = sha256(domain, data, struct.pack(">H", len(name)), name, b"\x01" if value is None else b"\x00",
                    struct.pack(">I", len(bytes_of)), bytes_of)
    return digest, [value]


def main(vkey, path):
    with open(path, "rb") as f:
        text = f.read().decode("utf-8")
    need(len(text.encode()) < 2**31, "too long")
    lines = Lines(text)
    need(lines.next() == "provenance/disclosure@v1", "version")

    leaf = lines.fixed("leaf", 82)
    need(leaf[0] == 1 and 1 <= leaf[1] <= 11, "version or operation of the leaf")
    operation, names = OPERATIONS[leaf[1]]
    time_us, xid = struct.unpack(">qQ", leaf[2:18])
    shape_bytes = b64(lines.word("shape")[1])
    shape = open_shape(shape_bytes)
    if names in (ROW, KEY):
        names = shape[names]

    context = {}
    word, data = lines.word("context", "context-digest")
    data = b64(data)
    need(len(data) == 32, "length of the context's digest or commitment")
    if word == "context-digest":
        digests = [data]
    else:
        salt = lines.fixed("salt", 16)
        fields = []
        for name in CONTEXT:
            digest, value = field(lines, b"\x06", name)
            fields.append(digest)
            if value is not None:
                context[name] = value[0]
        need(context, "a context with nothing disclosed")
        context_digests = b"".join(fields)
        digests = [sha256(b"\x02", salt, b"\0\0", b"\0", struct.pack(">I", 32), data)]

    disclosed, withheld = {}, []
    for name in names:
        digest, value = field(lines, b"\x02", name)
        digests.append(digest)
        if value is None:
            withheld.append(name)
        else:
            disclosed[name] = value[0]
    need(lines.next() == "", "no empty line after the fields")

    index, path_hashes, (origin, size, root) = open_proof("\n".join(lines.lines[lines.at:]), vkey)
    check_inclusion(leaf_hash(leaf), index, size, path_hashes, root)
    log, _, incarnation = origin.partition("/")
    need(log == shape["origin"] and (origin == log or int(incarnation) >= 2), "origin of the shape")
    if word == "context":
        need(sha256(b"\x04", struct.pack(">I", len(CONTEXT)), context_digests) == data, "context commitment")
    commitment = sha256(b"\x03", sha256(b"\x05", shape_bytes), struct.pack(">I", len(digests)), *digests)
    need(commitment == leaf[50:], "record commitment")
    print(json.dumps({
        "origin": origin, "schema": shape["schema"], "table": shape["table"], "operation": operation,
        "time_us": time_us, "xid": xid, "index": index, "size": size, "leaf_hash": leaf_hash(leaf).hex(),
        "context": context, "fields": disclosed, "withheld": withheld}, ensure_ascii=True, sort_keys=True))


if __name__ == "__main__":
    try:
        main(*sys.argv[1:])
    except (Refused, ValueError) as e:
        print("refused: %s" % e, file=sys.stderr)
        sys.exit(1)
