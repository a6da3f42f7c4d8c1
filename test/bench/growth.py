"""bench-long: does anything get dearer as the log grows, and as the heads do?

One log, grown by bulk statements to each of the sizes. At each of them: what an
UPDATE costs its writer and what one more checkpoint costs, in rounds interleaved
with untagged and with another log that stays at the first size; sealing, proofs,
history, verification. On the way the log gets a table of 2 million rows, later
of 20 million, for sealing with as many heads.
"""
import os
from statistics import median

import ledger
from candidates import order, seal
from report import Figure
from server import Failed, number, pgbench, psql, run_file, say, timed

KEYS = [            # from this many million entries on, as many million keys, bar
    (2.5, 2, 150000), (25, 20, 60000),
]


SMALL = "small"     # the log that stays at the first size
UPDATE_ALL = "UPDATE crm.contact SET score = score %% 1000 + 1 WHERE id <= %d"


def log_size(name="provenance"):
    return number(name, "SELECT log_size FROM provenance.status")


def grow(target, rows, name="provenance"):
    say("growing %s to %g million entries" % (name, target / 1e6))
    i = 0
    while log_size(name) < target:
        psql(name, UPDATE_ALL % rows + "; SELECT provenance.seal(); VACUUM crm.contact; VACUUM provenance.head")
        i += 1
        if i % 10 == 0:
            psql(name, "CHECKPOINT")


def create_small(rows):
    psql("postgres", "CREATE DATABASE %s" % SMALL)
    run_file(SMALL, "tables/contact.sql", {"rows": rows})
    run_file(SMALL, "candidate/provenance.sql")
    psql(SMALL, "SELECT provenance.tag('crm.contact')")


def keys(report, millions, bar, rounds, scale):
    """Sealing with so many heads: of entries of keys at random."""
    have, want = number("provenance", "SELECT coalesce(max(id), 0) FROM crm.many"), int(millions * 1e6 * scale)
    say("%d keys" % want)
    step = 500000
    while have < want:
        psql("provenance", "INSERT INTO crm.many SELECT n, 0 FROM generate_series(%d, %d) n; SELECT provenance.seal()"
             % (have + 1, min(have + step, want)))
        have = min(have + step, want)
    psql("provenance", "VACUUM ANALYZE crm.many; VACUUM provenance.head; CHECKPOINT")
    n = min(200000, want // 2)
    found = []
    for r in range(rounds):
        psql("provenance", "UPDATE crm.many SET amount = amount + 1 WHERE id IN "
                           "(SELECT 1 + (random() * %d)::bigint FROM generate_series(1, %d))" % (want - 1, n))
        before = log_size()
        took = seal()
        sealed = log_size() - before
        if took and took[1] > 0 and sealed > n / 2:
            found.append((took[0] * n / sealed, took[1] * n / sealed))
    ledger.sealing(report, found, n, "%d million" % millions if scale == 1 else "{:,}".format(want), bar)


def checkpoints(name, count=20):
    """Milliseconds of a checkpoint over one entry, as its caller sees it."""
    took = []
    for i in range(count):
        psql(name, "UPDATE crm.contact SET score = score %% 1000 + 1 WHERE id = %d" % (i + 1))
        took.append(timed(name, "SELECT provenance.seal();")[0] * 1000)
    return median(took)


def stage(report, rows, seconds, rounds):
    """Figures at this size."""
    size = log_size()
    at = " at %.3g million entries" % (size / 1e6)
    say("measuring" + at)
    psql("postgres", "CHECKPOINT")
    tps = Figure("UPDATE, asynchronous, 4 clients" + at, "tps", True)
    cpu = Figure("UPDATE, CPU added" + at, "µs", False, 8, "added")
    small = Figure("UPDATE, CPU added in a log of %.3g million" % (log_size(SMALL) / 1e6), "µs", False, kind="added")
    sealing, one, other = [], [], []
    names = ["untagged", SMALL, "provenance"]
    for r in range(rounds):
        for name in order(names, r):
            got = pgbench(name, "update", seconds, rows, False)
            if name != "untagged":
                seal(name)
            if name == SMALL:
                small.add("provenance", r, got[1])
                continue
            tps.add(name, r, got[0])
            cpu.add(name, r, got[1])
            if name == "untagged":
                small.add(name, r, got[1])
        one.append(checkpoints("provenance"))
        other.append(checkpoints(SMALL))
        psql("provenance", UPDATE_ALL % rows)
        took = seal()
        if took and took[1] > 0:
            sealing.append(took)
        for name in names:
            psql(name, "VACUUM crm.contact")
            if name != "untagged":
                psql(name, "VACUUM provenance.head")
    report.section("The log%s" % at)
    for figure in (tps, cpu, small):
        report.add(figure)
    report.value("writer's whole cost per change%s, by that in the small log" % at,
                 [cpu.rounds["provenance"][r] / value for r, value in sorted(small.rounds["provenance"].items())], "times",
                 "CPU of the backend", 1.1, False)
    report.value("checkpoint over one entry%s" % at, one, "ms")
    report.value("checkpoint over one entry%s, by that in the small log" % at, [a / b for a, b in zip(one, other)],
                 "times", "", 1.1, False)
    ledger.sealing(report, sealing, rows, "{:,}".format(rows), None)
    ledger.history(report, at=at, name="provenance")
    ledger.proving(report, rounds, at=at, name="provenance")
    ledger.verifying(report, 1, at=at, name="provenance")


def measure(report, rows, seconds, rounds):
    scale = float(os.environ.get("BENCH_SCALE") or 1)
    stages = [float(s) for s in (os.environ.get("BENCH_STAGES") or "1 10 50").split()]
    psql("provenance", "CREATE TABLE crm.many (id bigint PRIMARY KEY, amount int NOT NULL); "
                       "SELECT provenance.tag('crm.many')")
    create_small(rows)
    grow(stages[0] * 1e6 * scale, rows, SMALL)
    todo = list(KEYS)
    for millions in stages:
        report.section("Sealing with many heads")
        while todo and (todo[0][0] <= millions or millions == stages[-1]):
            _, n, bar = todo.pop(0)
            try:
                keys(report, n, bar, rounds, scale)
            except Failed as e:
                report.leave_out("%d million keys: %s" % (n, e))
        grow(millions * 1e6 * scale, rows)
        stage(report, rows, seconds, rounds)
