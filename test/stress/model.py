"""What happened to each row, told by the server's WAL alone, against the log.

The model knows nothing of the extension. It reads the tables' changes out of
the WAL by logical decoding (contrib's test_decoding): a transaction's changes
come in the order in which they were made, those of subtransactions that were
rolled back and of transactions that were not committed do not come, and
transactions come in the order of their commits. Two transactions that change
one row wait for each other, so for each row this is the order of its versions.

From that follows what the log must hold, entry by entry: an UPDATE that changed
nothing gives none, one that changed the key two, the truncate of one partition
a deletion of each of its rows. Compared are, for each row, the operations with
their images in the log's order, and how many truncates of the table lie before
each; the predecessors, hash by hash; and the rows left in the end.
"""
import json
import re

PARTITIONS = {"part_eu": "part", "part_us": "part"}
KEYS = {"part": ("id", "region")}
COLUMNS = {"account": ("id", "v", "note"), "child": ("id", "v", "account"), "pet": ("id", "v", "account"),
           "box": ("id", "v"), "part": ("id", "v", "region"), "plain": ("id", "v")}

CHANGE = re.compile(r"table stress\.(\w+): (INSERT|UPDATE|DELETE): (.*)", re.S)
TRUNCATE = re.compile(r"table (.*): TRUNCATE: ")
COLUMN = re.compile(r"(\w+)\[[^\]]*\]:(null|'[^']*'|-?\d+)")
ZEROS = "0" * 64


def columns(table, text):
    row = dict.fromkeys(COLUMNS[table])         # nulls of an old row are left out
    row.update((name, None if value == "null" else value.strip("'")) for name, value in COLUMN.findall(text))
    return row


class Difference(Exception):
    pass


class Model:
    def __init__(self):
        tables = COLUMNS
        self.rows = {t: {} for t in tables}         # key -> row
        self.where = {}                             # (table, key) -> partition
        self.epoch = {t: 0 for t in tables}         # truncates so far
        self.last_lsn = 0
        self.expected = {}                          # (table, key) -> [(epoch, op, image)]
        self.log_epoch = {t: 0 for t in tables}     # those in the log
        self.last_hash = {}                         # (table, key) -> (epoch, leaf hash)
        self.next_leaf = 0
        self.changes = 0

    # ---- the WAL ----

    def key(self, table, row):
        return tuple(row[c] for c in KEYS.get(table, ("id",)))

    def expect(self, table, key, op, image):
        self.expected.setdefault((table, key), []).append((self.epoch[table], op, image))

    def change(self, relation, op, rest):
        table = PARTITIONS.get(relation, relation)
        if table not in self.rows:
            return
        self.changes += 1
        rows = self.rows[table]
        old = new = None
        if op == "INSERT":
            new = columns(table, rest)
        elif op == "DELETE":
            old = columns(table, rest)
        else:
            before, found, after = rest.partition(" new-tuple: ")
            if not found or not before.startswith("old-key: "):
                raise Difference("an UPDATE without its old row in the WAL: " + rest)
            old, new = columns(table, before), columns(table, after)
        if old is not None and rows.get(self.key(table, old)) != old:
            raise Difference("the model is wrong: %s %s, its row is %s" % (
                relation, rest, rows.get(self.key(table, old))))
        if old is not None and new is not None and self.key(table, old) == self.key(table, new):
            key = self.key(table, old)
            if old != new:
                self.expect(table, key, "update", new)
            rows[key] = new
            return
        if old is not None:
            key = self.key(table, old)
            self.expect(table, key, "delete", None)
            del rows[key]
        if new is not None:
            key = self.key(table, new)
            if key in rows:
                raise Difference("the model is wrong: %s %s is there already" % (table, key))
            self.expect(table, key, "insert", new)
            rows[key] = new
            self.where[table, key] = relation

    def truncate(self, relations):
        names = [n.strip().removeprefix("stress.") for n in relations.split(",")]
        for name in names:
            if name in self.rows:
                self.rows[name] = {}
                self.epoch[name] += 1
        for name in names:
            table = PARTITIONS.get(name)
            if table is None or table in names:
                continue
            for key in [k for k in self.rows[table] if self.where[table, k] == name]:
                self.expect(table, key, "delete", None)
                del self.rows[table][key]

    def read_wal(self, lines):
        """lines: (lsn as a number, text) of test_decoding."""
        transaction = []
        for lsn, text in lines:
            if text.startswith("BEGIN"):
                transaction = []
            elif text.startswith("COMMIT"):
                # after a crash a slot may tell again what it told before
                if lsn > self.last_lsn:
                    self.last_lsn = lsn
                    for item in transaction:
                        self.apply(item)
            else:
                transaction.append(text)

    def apply(self, text):
        match = CHANGE.match(text)
        if match:
            self.change(*match.groups())
            return
        match = TRUNCATE.match(text)
        if match:
            self.truncate(match.group(1))

    # ---- the log ----

    def read_log(self, lines):
        """lines: table, entry as JSON, in the order of the leaves, from the
        first leaf on that was not read before. Checks and forgets what was
        expected."""
        found = {}
        leaves = set()
        for table, text in lines:
            e = json.loads(text)
            leaf = e["leaf_index"]
            if leaf is None:
                raise Difference("%s: entry %s is not sealed" % (table, e["seq"]))
            if leaf in leaves:
                raise Difference("leaf %d occurs twice" % leaf)
            leaves.add(leaf)
            if e["op"] == "truncate":
                self.log_epoch[table] += 1
                continue
            if e["op"] not in ("insert", "update", "delete"):
                continue
            key = tuple(str(e["key"][c]) for c in KEYS.get(table, ("id",)))
            image = None if e["op"] == "delete" else {
                c: None if v is None else str(v) for c, v in e["image"].items()}
            found.setdefault((table, key), []).append((self.log_epoch[table], e["op"], image))
            epoch, before = self.last_hash.get((table, key), (-1, ZEROS))
            expected = before if epoch == self.log_epoch[table] else ZEROS
            if e["prev_hash"] != expected:
                raise Difference("%s %s: leaf %d follows %s, not the row's last leaf %s" % (
                    table, key, leaf, e["prev_hash"], expected))
            self.last_hash[table, key] = (self.log_epoch[table], e["leaf_hash"])
        if leaves:
            if min(leaves) < self.next_leaf:
                raise Difference("leaf %d was in the log before" % min(leaves))
            if len(leaves) != max(leaves) + 1 - self.next_leaf:
                raise Difference("%d leaves from %d to %d" % (len(leaves), self.next_leaf, max(leaves)))
            self.next_leaf = max(leaves) + 1
        self.compare(found)
        self.expected = {}
        return len(leaves)

    def compare(self, found):
        for name in sorted(set(found) | set(self.expected), key=str):
            want, have = self.expected.get(name, []), found.get(name, [])
            if want == have:
                continue
            i = next((i for i, (a, b) in enumerate(zip(want, have)) if a != b), min(len(want), len(have)))
            raise Difference("%s %s: change %d of %d (%d in the log) differs\n  happened: %s\n  in the log: %s" % (
                name[0], name[1], i + 1, len(want), len(have), want[max(i - 2, 0):i + 3], have[max(i - 2, 0):i + 3]))
        if self.epoch != self.log_epoch:
            raise Difference("truncates: %s happened, %s are in the log" % (self.epoch, self.log_epoch))

    def compare_table(self, table, lines):
        """lines: the table's rows as JSON."""
        have = {}
        for line in lines:
            row = {c: None if v is None else str(v) for c, v in json.loads(line).items()}
            have[self.key(table, row)] = row
        if have != self.rows[table]:
            raise Difference("table %s is not what the WAL says" % table)
