"""bench-long: does anything get dearer as the log grows, and as the heads do?

One log, grown by bulk statements to each of the sizes. At each of them: what an
UPDATE costs its writer and what one more checkpoint costs, in rounds interleaved
with untagged and with a small log; sealing, proofs, history, verification. The
small log begins with the first of the sizes and grows by what is measured in it,
to about four times that in three stages. On the way the log gets a table of 2 million rows, later of 20
million, for sealing with as many heads. A step that fails is left out, and the
next is tried.
"""
import math
import os
from statistics import median

import ledger
from candidates import log_size, order, seal, sealing_of
from report import Figure
from server import Failed, number, pgbench, psql, run_file, say, timed

KEYS = [            # from this many million entries on, as many million keys, bar
    (2.5, 2, 150000), (25, 20, 60000),
]
STEP = 200000       # new keys in one statement: as many heads as one pass of sealing holds

SMALL = "small"     # the log that grows only by what is measured in it
UPDATE_SOME = "UPDATE crm.contact SET score = score %% 1000 + 1 WHERE id > %d AND id <= %d"
UPDATE_ALL = UPDATE_SOME.replace("%d", "0", 1)

# Bytes of disk: of a new entry with its images in WAL and heads; of an entry in
# the temporary files of verify(); of WAL at most, with max_wal_size at 8 GB.
ENTRY, TEMPORARY, WAL = 550, 112, 10e9


def missing(target):
    """A sentence if there is not the disk for the way to a log of this size."""
    disk = os.statvfs(os.environ["BENCH_DATA"])
    free, size = disk.f_bavail * disk.f_frsize, log_size()
    new = max(0, target - size)
    wal = number("postgres", "SELECT sum(size) FROM pg_ls_waldir()")
    need = 1.1 * (new * ENTRY + target * TEMPORARY + max(0, min(WAL, new * 3000) - wal))
    if need <= free:
        return ""
    return "it needs some %.0f GB of disk, and %.0f are free (BENCH_DIR names another place)" % (need / 1e9, free / 1e9)


def grow(target, rows, name="provenance"):
    """The key of a row that changed a hundred times on the way; None if it was too short for that."""
    say("growing %s to %g million entries" % (name, target / 1e6))
    steps = math.ceil((target - log_size(name)) / rows)
    if steps <= 0:
        return None
    key, done, parts = ledger.new_row(name), 0, math.ceil(ledger.CHANGES / steps)
    i = 0
    while log_size(name) < target:
        script = ""
        for part in range(parts):
            script += UPDATE_SOME % (rows * part // parts, rows * (part + 1) // parts) + ";\n"
            if done < ledger.CHANGES:
                done += 1
                script += ledger.change(key, done)
        psql(name, script + "SELECT provenance.seal(); VACUUM crm.contact; VACUUM provenance.head")
        i += 1
        if i % 10 == 0:
            psql(name, "CHECKPOINT")
    return key if done == ledger.CHANGES else None


def create_small(target, rows):
    """Also of untagged: after some UPDATEs of all rows all three tables have the same free space."""
    psql("postgres", "CREATE DATABASE %s" % SMALL)
    run_file(SMALL, "tables/contact.sql", {"rows": rows})
    run_file(SMALL, "candidate/provenance.sql")
    psql(SMALL, "SELECT provenance.tag('crm.contact')")
    grow(target, rows, SMALL)
    for _ in range(4):
        psql("untagged", UPDATE_ALL % rows + "; VACUUM crm.contact")


def keys(report, millions, bar, rounds, scale):
    """Sealing with so many heads: of entries of keys at random."""
    have, want = number("provenance", "SELECT coalesce(max(id), 0) FROM crm.many"), int(millions * 1e6 * scale)
    lacking = missing(log_size() + max(0, want - have))
    if lacking:
        raise Failed(lacking)
    say("%d keys" % want)
    i = 0
    while have < want:
        i += 1
        psql("provenance", "INSERT INTO crm.many SELECT n, 0 FROM generate_series(%d, %d) n; SELECT provenance.seal()%s"
             % (have + 1, min(have + STEP, want), "; VACUUM provenance.head" if i % 5 == 0 else ""))
        have = min(have + STEP, want)
    psql("provenance", "VACUUM ANALYZE crm.many; VACUUM provenance.head; CHECKPOINT")
    n = min(200000, want // 2)
    found = []
    try:
        for r in range(rounds):
            say("round %d: sealing" % (r + 1))
            found.append(sealing_of("provenance", "UPDATE crm.many SET amount = amount + 1 WHERE id IN "
                                    "(SELECT 1 + (random() * %d)::bigint FROM generate_series(1, %d))" % (want - 1, n)))
            psql("provenance", "VACUUM crm.many; VACUUM provenance.head")
    finally:
        ledger.sealing(report, found, "%d million" % millions if scale == 1 else "{:,}".format(want), bar)


def checkpoints(name, count=20):
    """Milliseconds of a checkpoint over one entry, as its caller sees it."""
    took = []
    for i in range(count):
        psql(name, "UPDATE crm.contact SET score = score %% 1000 + 1 WHERE id = %d" % (i + 1))
        took.append(timed(name, "SELECT provenance.seal();")[0] * 1000)
    return median(took)


def writer(report, at, rows, seconds, rounds):
    """What an UPDATE costs, and a checkpoint, beside untagged and the small log. All three are in the same
    state: what only one of them did before, a CHECKPOINT has put behind."""
    tps = Figure("UPDATE, asynchronous, 4 clients" + at, "tps", True)
    cpu = Figure("UPDATE, CPU added" + at, "µs", False, 8, "added")
    small = Figure("UPDATE, CPU added in the small log", "µs", False, kind="added")
    begin = log_size(SMALL) / 1e6
    one, other = [], []
    names = ["untagged", SMALL, "provenance"]
    psql("postgres", "CHECKPOINT")
    try:
        for r in range(rounds):
            say("round %d: writer" % (r + 1))
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
            for name in names:
                psql(name, "VACUUM crm.contact")
                if name != "untagged":
                    psql(name, "VACUUM provenance.head")
    finally:
        than = "that in the small log of %.3g to %.3g million" % (begin, log_size(SMALL) / 1e6)
        small.name = "UPDATE, CPU added," + than.partition("that")[2]
        for figure in (tps, cpu, small):
            report.add(figure)
        mine, theirs = cpu.rounds["provenance"], small.rounds["provenance"]
        report.value("writer's whole cost per change%s, by %s" % (at, than),
                     [mine[r] / theirs[r] for r in mine if r in theirs], "times", "CPU of the backend", 1.1, False)
        mine, theirs = cpu.by_round("provenance"), small.by_round("provenance")
        report.value("what recording adds to it%s, by %s" % (at, than),
                     [mine[r] / theirs[r] for r in mine if theirs.get(r, 0) > 0], "times",
                     "CPU of the backend less that of untagged", 1.1, False)
        report.value("checkpoint over one entry%s" % at, one, "ms")
        report.value("checkpoint over one entry%s, by %s" % (at, than), [a / b for a, b in zip(one, other)],
                     "times", "", 1.1, False)


def sealing(report, at, rows, rounds):
    found = []
    try:
        for r in range(rounds):
            say("round %d: sealing" % (r + 1))
            found.append(sealing_of("provenance", UPDATE_ALL % rows))
            psql("provenance", "VACUUM crm.contact; VACUUM provenance.head")
    finally:
        ledger.sealing(report, found, "{:,}".format(rows), None, at)


def stage(report, rows, seconds, rounds, spread):
    """Figures at this size; spread: the row that changed on the way to it."""
    at = " at %.3g million entries" % (log_size() / 1e6)
    say("measuring" + at)
    report.section("The log%s" % at)
    with report.attempt("writer" + at):
        writer(report, at, rows, seconds, rounds)
    with report.attempt("sealing" + at):
        sealing(report, at, rows, rounds)
    ledger.history(report, at=at, name="provenance", spread=spread)
    ledger.proving(report, rounds, at=at, name="provenance")
    ledger.verifying(report, 1, at=at, name="provenance")


def measure(report, rows, seconds, rounds):
    scale = float(os.environ.get("BENCH_SCALE") or 1)
    stages = sorted(float(s) for s in (os.environ.get("BENCH_STAGES") or "1 10 50").split())
    psql("provenance", "CREATE TABLE crm.many (id bigint PRIMARY KEY, amount int NOT NULL); "
                       "SELECT provenance.tag('crm.many')")
    for millions in list(stages):
        lacking = missing(millions * 1e6 * scale)
        if lacking:
            report.leave_out("a log of %g million entries: %s" % (millions, lacking))
            stages.remove(millions)
    if not stages:
        return
    create_small(stages[0] * 1e6 * scale, rows)
    todo = list(KEYS)
    for millions in stages:
        lacking = missing(millions * 1e6 * scale)
        if lacking:
            report.leave_out("a log of %g million entries: %s" % (millions, lacking))
            continue
        report.section("Sealing with many heads")
        while todo and (todo[0][0] <= millions or millions == stages[-1]):
            _, n, bar = todo.pop(0)
            with report.attempt("sealing with %d million keys" % n):
                keys(report, n, bar, rounds, scale)
        spread = None
        with report.attempt("growing to %g million entries" % millions):
            spread = grow(millions * 1e6 * scale, rows)
        with report.attempt("measuring at %g million entries" % millions):
            stage(report, rows, seconds, rounds, spread)
