"""Random statements on the tables of schema.sql, and transactions of them.

All randomness comes from the generator given, so that a seed stands for the
same scripts (not for the same interleaving).
"""

KEYS = 60


class Script:
    """Makes the SQL of one session."""

    def __init__(self, rng, session):
        self.rng = rng
        self.session = session
        self.prepared = []
        self.count = 0
        # some work on rows of their own, which gets more done, most on the same
        self.base = 1000 * (session % 100) if session % 3 == 1 else 0
        self.kinds = [
            (8, self.insert), (3, self.same_key), (8, self.update), (3, self.move_key),
            (2, self.swap), (4, self.upsert), (3, self.merge), (3, self.cte),
            (2, self.update_from), (4, self.delete), (2, self.from_itself), (3, self.touch),
            (3, self.blocks), (3, self.copy), (3, self.rules), (5, self.family),
            (5, self.partitions), (1, self.truncate), (2, self.nothing), (2, self.locks),
            (1, self.constraints),
        ]

    def key(self):
        return self.base + self.rng.randint(1, KEYS)

    def value(self):
        return self.rng.randint(1, 400)

    def note(self):
        return self.rng.choice(["NULL", "'n'", "'r'", "'r'", "'r2'"])

    def row(self, key=None, note=None):
        return "(%d, %d, %s)" % (key or self.key(), self.value(), note or self.note())

    # ---- statements ----

    def insert(self):
        return "INSERT INTO account VALUES " + ", ".join(
            self.row() for _ in range(self.rng.choice([1, 1, 1, 3])))

    def same_key(self):
        key = self.key()
        return "INSERT INTO account VALUES " + ", ".join(self.row(key, "'r'") for _ in range(3))

    def update(self):
        low = self.key()
        return self.rng.choice([
            "UPDATE account SET v = v + 1 WHERE id = %d" % low,
            "UPDATE account SET v = %d WHERE id = %d" % (self.value(), low),
            "UPDATE account SET v = v + %d WHERE id BETWEEN %d AND %d" % (self.value(), low, low + 5),
            "UPDATE account SET note = 'r' WHERE id = %d" % low,
            "UPDATE account SET v = v + 1 WHERE id IN (SELECT id FROM account ORDER BY id DESC LIMIT 3)"])

    def move_key(self):
        return "UPDATE account SET id = %d, v = %d, note = %s WHERE id = %d" % (
            self.key(), self.value(), self.note(), self.key())

    def swap(self):
        a, b = self.key(), self.key()
        return self.rng.choice([
            "UPDATE account SET id = %d - id WHERE id IN (%d, %d)" % (a + b, a, b),
            "UPDATE account SET id = -id WHERE id IN (%d, %d); UPDATE account SET id = %d + id WHERE id IN (%d, %d)"
            % (a, b, a + b, -a, -b)])

    def upsert(self):
        return "INSERT INTO account VALUES %s ON CONFLICT %s" % (
            self.row(), self.rng.choice(["DO NOTHING", "(id) DO UPDATE SET v = excluded.v + account.v",
                                         "(id) DO UPDATE SET id = %d" % self.key()]))

    def merge(self):
        return ("MERGE INTO account a USING (VALUES (%d, 1), (%d, 2), (%d, 3)) x (id, n) ON a.id = x.id "
                "WHEN MATCHED AND n = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET v = a.v + n "
                "WHEN NOT MATCHED THEN INSERT VALUES (x.id, %d, 'merged')" % (
                    self.key(), self.key(), self.key(), self.value()))

    def cte(self):
        a, b = self.key(), self.key()
        return self.rng.choice([
            "WITH d AS (DELETE FROM account WHERE id = %d RETURNING *) "
            "INSERT INTO account SELECT %d, v + 1, 'r' FROM d" % (a, b),
            "WITH u AS (UPDATE account SET v = v + 1 WHERE id = %d RETURNING *), "
            "i AS (INSERT INTO box SELECT id, v FROM u ON CONFLICT (id) DO UPDATE SET v = excluded.v RETURNING *) "
            "UPDATE account SET v = account.v + 2 FROM i WHERE account.id = %d" % (a, b)])

    def update_from(self):
        a = self.key()
        return ("UPDATE account a SET v = a.v + x.n FROM (VALUES (%d, 1), (%d, 2), (%d, 3)) x (id, n) WHERE a.id = x.id"
                % (a, a, self.key()))

    def delete(self):
        a = self.key()
        return self.rng.choice(["DELETE FROM account WHERE id = %d" % a,
                                "DELETE FROM account WHERE id BETWEEN %d AND %d" % (a, a + 3)])

    def from_itself(self):
        return ("INSERT INTO account SELECT id + %d, v + 1, 'r' FROM account WHERE id < %d"
                % (self.rng.randint(0, 3), self.key()))

    def touch(self):
        a = self.key()
        return "INSERT INTO account SELECT touch(i), %d, 'r' FROM generate_series(%d, %d) i" % (self.value(), a, a + 6)

    def blocks(self):
        """PL/pgSQL exception blocks, one in another."""
        return ("DO $do$ BEGIN %s; BEGIN %s; BEGIN %s; %s; EXCEPTION WHEN others THEN %s; END; %s; "
                "EXCEPTION WHEN others THEN NULL; END; END $do$" % (
                    self.update(), self.insert(), self.delete(),
                    self.rng.choice(["RAISE division_by_zero", "NULL", self.insert()]),
                    self.update(), self.rng.choice(["RAISE division_by_zero", "NULL"])))

    def copy(self):
        lines = "".join("%d\\t%d\\t%s\\n" % (self.key(), self.value(), self.rng.choice("nrr")) for _ in range(4))
        return "COPY account FROM PROGRAM $p$printf '%s'$p$" % lines

    def rules(self):
        return self.rng.choice([
            "UPDATE box SET v = v + %d WHERE id BETWEEN %d AND %d" % (self.value(), self.key(), self.key()),
            "DELETE FROM box WHERE id BETWEEN %d AND %d" % (self.key(), self.key()),
            "UPDATE account_view SET v = v + 1 WHERE id = %d" % self.key(),
            "INSERT INTO account_view VALUES (%d, %d)" % (self.key(), self.value())])

    def family(self):
        table = self.rng.choice(["child", "pet"])
        return self.rng.choice([
            "INSERT INTO %s VALUES (%d, %d, (SELECT id FROM account WHERE id >= %d LIMIT 1)) "
            "ON CONFLICT (id) DO UPDATE SET account = excluded.account" % (
                table, self.key(), self.value(), self.key()),
            "UPDATE %s SET v = v + 1, account = %d WHERE id = %d" % (table, self.key(), self.key()),
            "UPDATE account SET id = id + %d WHERE id = %d" % (KEYS, self.key()),
            "DELETE FROM %s WHERE id = %d" % (table, self.key())])

    def partitions(self):
        region = self.rng.choice(["eu", "us"])
        return self.rng.choice([
            "INSERT INTO part (id, v, region) VALUES (%d, %d, '%s') ON CONFLICT DO NOTHING" % (
                self.key(), self.value(), region),
            "UPDATE part SET region = '%s', v = v + 1 WHERE id BETWEEN %d AND %d" % (region, self.key(), self.key()),
            "UPDATE part_%s SET v = v + 1 WHERE id < %d" % (region, self.key()),
            "INSERT INTO part_%s (id, v, region) VALUES (%d, %d, '%s')" % (region, self.key(), self.value(), region),
            "DELETE FROM part WHERE id = %d" % self.key()])

    def truncate(self):
        return "TRUNCATE " + self.rng.choice(["box", "part", "box, part", "part_eu", "child, box", "account CASCADE"])

    def nothing(self):
        return "UPDATE account SET v = v WHERE id < %d" % self.key()

    def locks(self):
        a = self.key()
        return ("SELECT 1 FROM account WHERE id = %d FOR %s; UPDATE account SET v = v + 1 WHERE id = %d" % (
            a, self.rng.choice(["UPDATE", "SHARE", "KEY SHARE", "NO KEY UPDATE"]), a))

    def constraints(self):
        return "SET CONSTRAINTS ALL %s" % self.rng.choice(["IMMEDIATE", "DEFERRED"])

    # ---- transactions ----

    def statement(self):
        weights = [w for w, _ in self.kinds]
        return self.rng.choices([f for _, f in self.kinds], weights)[0]()

    def body(self, depth=0):
        """Statements and savepoints, one within another, released, rolled back
        to once or twice."""
        out = []
        for _ in range(self.rng.randint(1, 4)):
            if depth < 3 and self.rng.random() < 0.3:
                name = "s%d" % depth
                out.append("SAVEPOINT " + name)
                out += self.body(depth + 1)
                if self.rng.random() < 0.5:
                    out.append("ROLLBACK TO " + name)
                    if self.rng.random() < 0.3:
                        out += self.body(depth + 1)
                        out.append("ROLLBACK TO " + name)
                if self.rng.random() < 0.5:
                    out.append("RELEASE " + name)
            else:
                out.append(self.statement())
        return out

    def settle(self):
        """Ends prepared transactions, of which a session has few at a time."""
        out = []
        while len(self.prepared) > self.rng.randint(0, 1):
            out.append("%s PREPARED '%s'" % (self.rng.choice(["COMMIT", "COMMIT", "ROLLBACK"]), self.prepared.pop(0)))
        return out

    def transaction(self):
        if self.rng.random() < 0.25:
            return [self.statement()]
        out = ["BEGIN ISOLATION LEVEL " + self.rng.choice(
            ["READ COMMITTED", "READ COMMITTED", "REPEATABLE READ", "SERIALIZABLE"])]
        out += self.body()
        if self.rng.random() < 0.05:
            out.append("SELECT pg_sleep(%.2f)" % (self.rng.random() / 4))
        end = self.rng.random()
        if end < 0.75:
            out.append("COMMIT")
        elif end < 0.95:
            out.append("ROLLBACK")
        else:
            self.count += 1
            name = "%d-%d" % (self.session, self.count)
            out.append("PREPARE TRANSACTION '%s'" % name)
            self.prepared.append(name)
        return out + self.settle()

    def chunk(self, transactions):
        out = ["SET search_path = stress", "SET provenance.actor = 'session %d'" % self.session]
        if self.session % 2 == 0:
            out.insert(0, "\\set ON_ERROR_ROLLBACK on")     # a savepoint before each statement
        for _ in range(transactions):
            out += self.transaction()
        return "".join(line + ("\n" if line.startswith("\\") else ";\n") for line in out)
