#!/usr/bin/env python3
"""stress.py: random changes from many sessions at once, against a model.

usage: stress.py [--seconds N] [--seed N] [--sessions N] [--bulk ROWS]

Works in the database that PG* variables name, of a server of its own: wal_level
logical, max_prepared_transactions, run by the same user (processes are killed).
In rounds: sessions run random transactions (statements.py) on the tables of
schema.sql, while the worker seals every 100 ms, two sessions call seal(), and
now and then a backend or the worker is terminated, or killed, upon which the
server restarts. Then all is let end, and the log compared with what the WAL
says has happened to each row (model.py). Also a thousand small transactions a
second for a tenth of the time; and with --bulk, as many entries in one
transaction, whose memory is measured. At the end, verification has no finding.

A failure prints the seed, which gives the same statements again.
"""
import argparse
import os
import random
import re
import signal
import subprocess
import sys
import threading
import time

from model import COLUMNS, Difference, Model
from statements import Script

HERE = os.path.dirname(os.path.abspath(__file__))
SLOT = "stress_%d" % os.getpid()

# What statements may fail with: keys, foreign keys, what triggers refuse,
# deadlocks and serialization, time-outs, a transaction that failed before, a
# prepared one that is not there, a connection or server that was killed, a
# seal() that could not wait.
ALLOWED = re.compile(r"23505|23503|23502|27000|P0001|21000|22012|40P01|40001|55P03|25P02|3B001|42704|57P0[123]|57014"
                     r"|08\w\w\w|25001|54001|55000|53300|55006")


def say(text):
    print(text, flush=True)


class Failed(Exception):
    pass


def psql(script, check=True, settings=""):
    env = dict(os.environ, PGOPTIONS="-c client_min_messages=warning " + settings)
    done = subprocess.run(
        ["psql", "-X", "-q", "-A", "-t", "-v", "VERBOSITY=verbose"] + (["-v", "ON_ERROR_STOP=1"] if check else []),
        input=script, text=True, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    if check and done.returncode != 0:
        raise Failed(done.stderr.strip())
    return done.stdout if check else done.stderr


def query(sql):
    return psql(sql).strip("\n")


class Session(threading.Thread):
    """One client: chunks of transactions, a psql each."""

    errors = {}
    unexpected = []
    lock = threading.Lock()

    def __init__(self, script, until):
        super().__init__()
        self.script, self.until = script, until

    def run(self):
        while time.time() < self.until and not Session.unexpected:
            self.note(psql(self.script.chunk(12), check=False,
                           settings="-c lock_timeout=60 -c deadlock_timeout=10 -c statement_timeout=30000"))

    def note(self, stderr):
        for line in stderr.splitlines():
            match = re.search(r"(ERROR|FATAL|PANIC):  (\w{5}): ", line)
            if not match:
                continue
            with Session.lock:
                code = match.group(2)
                Session.errors[code] = Session.errors.get(code, 0) + 1
                # a COPY's program ends with the statement
                if not ALLOWED.fullmatch(code) and 'program "printf' not in line:
                    Session.unexpected.append(line)


class Sealer(Session):
    """Calls seal(), beside the worker and another one."""

    def run(self):
        while time.time() < self.until:
            self.note(psql("SELECT provenance.start_worker(); SELECT 1 FROM provenance.seal();", check=False))
            time.sleep(0.2)


class Killer(threading.Thread):
    """Ends processes, now in an orderly way, now not."""

    def __init__(self, rng, until, pause, kill):
        super().__init__()
        self.rng, self.until, self.pause, self.kill, self.done = rng, until, pause, kill, {}

    def run(self):
        while True:
            time.sleep(self.pause)
            if time.time() > self.until - 0.5:
                return
            try:
                self.one()
            except Failed:
                pass                # no connection just now

    def one(self):
        worker = self.rng.random() < 0.4
        pid = query("SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
                    "AND backend_type %s ORDER BY random() LIMIT 1" % (
                        "LIKE 'provenance%'" if worker else "= 'client backend'"))
        if not pid:
            return
        crash = self.kill and self.rng.random() < 0.15
        if crash:
            os.kill(int(pid), signal.SIGKILL)
        else:
            query("SELECT pg_%s_backend(%s)" % (
                self.rng.choice(["terminate", "terminate", "cancel"]), pid))
        name = "%s %s" % ("worker" if worker else "session", "killed" if crash else "ended")
        self.done[name] = self.done.get(name, 0) + 1


def wait_server():
    for _ in range(300):
        try:
            return query("SELECT 1")
        except Failed:
            time.sleep(0.1)
    raise Failed("the server does not come back")


def quiesce(rng=random):
    """Ends what is prepared, and waits until nothing is left to seal."""
    wait_server()
    for gid in query("SELECT gid FROM pg_prepared_xacts WHERE database = current_database()").split():
        query("%s PREPARED '%s'" % (rng.choice(["COMMIT", "ROLLBACK"]), gid))
    query("SELECT provenance.seal() IS NOT NULL")
    if query("SELECT pending FROM provenance.status") != "0":
        raise Failed("entries wait although nothing is open: " + query("SELECT pending FROM provenance.status"))


def compare(model, since):
    """The round that began at the server's time since."""
    wal = query("SELECT (lsn - '0/0')::text || ' ' || data FROM pg_logical_slot_get_changes('" + SLOT + "', NULL, NULL, "
                "'include-xids', 'off') WHERE data ~ '^(BEGIN|COMMIT|table (stress.\\w+(, )?)+: )'")
    model.read_wal([(int(lsn), text) for lsn, _, text in (line.partition(" ") for line in wal.split("\n") if line)])
    log = "\n".join(query(
        "SELECT '%s ' || jsonb_build_object('seq', seq, 'leaf_index', leaf_index, 'op', op, 'key', key, 'image', image, "
        "'prev_hash', prev_hash::text, 'leaf_hash', leaf_hash::text)::text "
        "FROM provenance.changes('stress.%s', '%s', 'infinity') "
        "WHERE leaf_index >= %d OR leaf_index IS NULL ORDER BY leaf_index" % (t, t, since, model.next_leaf)) for t in COLUMNS)
    leaves = model.read_log([line.split(" ", 1) for line in log.split("\n") if line])
    counts = query("SELECT (SELECT count(*) FROM provenance.entry), log_size, (SELECT sum(count) FROM provenance.leaf_run), "
                   "(SELECT sum(entries) FROM provenance.table_head) FROM provenance.seal_state")
    if len(set(counts.split("|") + [str(model.next_leaf)])) != 1:
        raise Difference("entries, log size, leaves, entries counted: %s; read: %d" % (counts, model.next_leaf))
    for t in COLUMNS:
        rows = query("SELECT row_to_json(t) FROM stress.%s t" % t)
        model.compare_table(t, rows.split("\n") if rows else [])
    query("CHECKPOINT")             # so that the slot stays where it is
    return leaves


def verify():
    findings = query("SELECT * FROM provenance.verify() LIMIT 20")
    if findings:
        raise Difference("findings:\n" + findings)


def chaos(args, model, rng, seconds, number):
    since = query("SELECT clock_timestamp()")
    until = time.time() + seconds
    threads = [Session(Script(random.Random("%d/%d/%d" % (args.seed, number, i)), number * 100 + i), until)
               for i in range(args.sessions)]
    threads += [Sealer(None, until), Sealer(None, until)]
    killer = Killer(rng, until, seconds / 8, number % 2 == 0)
    for t in threads + [killer]:
        t.start()
    for t in threads + [killer]:
        t.join()
    if Session.unexpected:
        raise Failed("unexpected: " + Session.unexpected[0])
    quiesce(rng)
    before = model.changes
    leaves = compare(model, since)
    say("round %d: %d changes of rows, %d leaves, %s" % (
        number, model.changes - before, leaves, ", ".join("%d %s" % (n, k) for k, n in sorted(killer.done.items())) or "none ended"))


def small_transactions(model, seconds):
    """A thousand a second."""
    since = query("SELECT clock_timestamp()")
    path = os.path.join(os.environ.get("TMPDIR", "/tmp"), "stress-%d.pgbench" % os.getpid())
    with open(path, "w") as f:
        f.write("\\set id random(1, 2000)\n"
                "INSERT INTO stress.plain VALUES (:id, 1) ON CONFLICT (id) DO UPDATE SET v = stress.plain.v + 1;\n")
    runs = query("SELECT count(*) FROM provenance.leaf_run")
    done = subprocess.run(["pgbench", "-n", "-c", "4", "-j", "2", "-R", "1000", "-T", str(seconds), "-f", path],
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    os.unlink(path)
    if done.returncode != 0:
        raise Failed(done.stdout)
    oldest = query("SELECT coalesce(extract(epoch FROM clock_timestamp() - oldest_pending), 0) FROM provenance.status")
    quiesce()
    leaves = compare(model, since)
    if leaves < (300 if seconds >= 60 else 100) * seconds:
        raise Failed("%d small transactions in %d s" % (leaves, seconds))
    runs = int(query("SELECT count(*) FROM provenance.leaf_run")) - int(runs)
    if runs < seconds:
        raise Failed("%d pieces of log in %d s" % (runs, seconds))
    say("small transactions: %d in %d s, %d pieces of log, the oldest unsealed %.1f s old" % (leaves, seconds, runs, float(oldest)))


def bulk(rows):
    """One transaction with very many entries: what its backend's memory grows
    by from the first statement to the last."""
    each = max(min(rows // 4, 100000), 1)
    steps = rows // each
    before = int(query("SELECT log_size FROM provenance.seal_state"))
    measure = "SELECT sum(total_bytes) FROM pg_backend_memory_contexts;\n"
    out = psql("BEGIN; INSERT INTO stress.mass SELECT i, 0 FROM generate_series(1, %d) i;\n" % each +
               (measure + "UPDATE stress.mass SET v = v + 1;\n") * (steps - 2) + measure +
               "UPDATE stress.mass SET v = -v;\n" + measure + "COMMIT;\n").split()
    quiesce()
    leaves = int(query("SELECT log_size FROM provenance.seal_state")) - before
    grown = int(out[-1]) - int(out[0])
    say("one transaction: %d entries, %d kB of memory more after them than after %d" % (leaves, grown // 1024, each))
    if leaves != each * steps:
        raise Failed("%d entries of %d changes" % (leaves, each * steps))
    if grown > 1024 * 1024:
        raise Failed("memory of a backend grew by %d bytes" % grown)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=int, default=600)
    parser.add_argument("--seed", type=int, default=random.randrange(1000000))
    parser.add_argument("--sessions", type=int, default=5)
    parser.add_argument("--bulk", type=int, default=0)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    say("stress: seed %d, %d s, %d sessions" % (args.seed, args.seconds, args.sessions))
    try:
        with open(os.path.join(HERE, "schema.sql")) as f:
            psql(f.read())
        query("SELECT 1 FROM pg_create_logical_replication_slot('%s', 'test_decoding')" % SLOT)
        query("SELECT 1 FROM provenance.seal()")
        model = Model()
        model.next_leaf = int(query("SELECT log_size FROM provenance.seal_state"))
        end = time.time() + args.seconds
        length = min(25, max(args.seconds * 0.35, 5))
        number = 0
        small_transactions(model, max(args.seconds // 10, 4))
        while number == 0 or time.time() + length / 2 < end:
            chaos(args, model, rng, length, number)
            number += 1
        if args.bulk:
            bulk(args.bulk)
        verify()
        say("errors on the way: " + ", ".join("%s %d" % e for e in sorted(Session.errors.items())))
        say("%d changes of rows, %d leaves: in the log each once, in their order; verification finds nothing" % (
            model.changes, model.next_leaf))
    except (Failed, Difference) as e:
        say("stress FAILED: %s\nagain: stress.py --seconds %d --seed %d --sessions %d" % (
            e, args.seconds, args.seed, args.sessions))
        return 1
    finally:
        psql("SELECT pg_drop_replication_slot('%s')" % SLOT, check=False)
    return 0


sys.exit(main())
