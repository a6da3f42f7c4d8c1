"""bench-long: does anything get dearer as the log grows, and as the heads do?

One log, grown by bulk statements to each of the sizes. At each of them: what an
UPDATE costs its writer (beside untagged, interleaved), what one more checkpoint
costs, sealing, proofs, history, verification. On the way the log gets a table of
2 million rows, later of 20 million, for sealing with as many heads.
"""
import os
import time
from statistics import median

import ledger
from candidates import seal
from report import Figure
from server import Failed, pgbench, number, psql, say

KEYS = [            # from this many million entries on, as many million keys, bar
    (2.5, 2, 150000), (25, 20, 60000),
]


def log_size():
    return number("provenance", "SELECT log_size FROM provenance.status")


def grow(target, rows):
    say("growing the log to %g million entries" % (target / 1e6))
    i = 0
    while log_size() < target:
        psql("provenance", "UPDATE crm.contact SET score = score %% 1000 + 1 WHERE id <= %d; SELECT provenance.seal(); "
                           "VACUUM crm.contact; VACUUM provenance.head" % rows)
        i += 1
        if i % 10 == 0:
            psql("provenance", "CHECKPOINT")


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


def stage(report, rows, seconds, rounds, first):
    """Figures at this size; returns (writer's added CPU, checkpoint's time) of the rounds."""
    size = log_size()
    at = " at %.3g million entries" % (size / 1e6)
    say("measuring" + at)
    psql("postgres", "CHECKPOINT")
    tps = Figure("UPDATE, asynchronous, 4 clients" + at, "tps", True)
    cpu = Figure("… CPU of the writer, added" + at, "µs", False, kind="added")
    rates, checkpoints = [], []
    for r in range(rounds):
        for c in ("untagged", "provenance") if r % 2 == 0 else ("provenance", "untagged"):
            got = pgbench(c, "update", seconds, rows, False)
            tps.add(c, r, got[0])
            cpu.add(c, r, got[1])
            if c == "provenance":
                seal()
        psql("provenance", "UPDATE crm.contact SET score = score %% 1000 + 1 WHERE id <= %d" % rows)
        took = seal()
        if took and took[1] > 0:
            rates.append(took)
        for i in range(20):
            psql("provenance", "UPDATE crm.contact SET score = score %% 1000 + 1 WHERE id = %d" % (i + 1))
            start = time.monotonic()
            psql("provenance", "SELECT provenance.seal()")
            checkpoints.append((time.monotonic() - start) * 1000)
        psql("provenance", "VACUUM crm.contact; VACUUM provenance.head")
        psql("untagged", "VACUUM crm.contact")
    report.section("The log%s" % at)
    report.add(tps)
    report.add(cpu)
    report.value("checkpoint over one entry" + at, checkpoints, "ms", "seal() with its connection")
    ledger.sealing(report, rates, rows, "{:,}".format(rows), None)
    ledger.history(report, at=at, name="provenance")
    ledger.proving(report, rounds, at=at, name="provenance")
    ledger.verifying(report, 1, at=at, name="provenance")
    own = cpu.values("provenance")
    if first is not None:
        report.value("writer's added cost per change%s, by that at the first size" % at,
                     [value / median(first[0]) for value in own], "times", "", 1.1, False)
        report.value("writer's whole cost per change%s, by that at the first size" % at,
                     [value / base for value, base in zip(cpu.rounds["provenance"].values(), first[2])], "times",
                     "CPU of the backend, untagged's share included")
        report.value("checkpoint over one entry%s, by that at the first size" % at,
                     median(checkpoints) / median(first[1]), "times", "independent of log size: about 1", 1.1, False)
    return own, checkpoints, list(cpu.rounds["provenance"].values())


def measure(report, rows, seconds, rounds):
    scale = float(os.environ.get("BENCH_SCALE") or 1)
    stages = [float(s) for s in (os.environ.get("BENCH_STAGES") or "1 10 50").split()]
    psql("provenance", "CREATE TABLE crm.many (id bigint PRIMARY KEY, amount int NOT NULL); "
                       "SELECT provenance.tag('crm.many')")
    todo, first = list(KEYS), None
    for millions in stages:
        report.section("Sealing with many heads")
        while todo and (todo[0][0] <= millions or millions == stages[-1]):
            entries, n, bar = todo.pop(0)
            try:
                keys(report, n, bar, rounds, scale)
            except Failed as e:
                report.leave_out("%d million keys: %s" % (n, e))
        grow(millions * 1e6 * scale, rows)
        found = stage(report, rows, seconds, rounds, first)
        first = first or found
