"""make bench: candidates side by side, rounds interleaved; see doc/performance.md."""
import os
import platform
import subprocess
import sys
import time

import bundle as bundle_part
import ledger as ledger_part
from report import CANDIDATES, Figure, Ledger, print_figures, write_csv
from server import (Failed, HERE, children_cpu, fdatasync_us, full_pages, lsn, number, pgbench, process_cpu,
                    psql, query, run_file, say, timed)

QUICK = bool(os.environ.get("BENCH_QUICK"))
ROUNDS = int(os.environ.get("BENCH_ROUNDS") or (2 if QUICK else 5))
SECONDS = int(os.environ.get("BENCH_SECONDS") or (1 if QUICK else 2))
ROWS = int(os.environ.get("BENCH_ROWS") or (50000 if QUICK else 200000))
ONLY = (os.environ.get("BENCH_ONLY") or "single bulk tag ledger bundle").split()

SINGLE = [          # name, script, durable, candidates
    ("UPDATE, durable", "update.pgbench", True, CANDIDATES),
    ("UPDATE, asynchronous", "update.pgbench", False, CANDIDATES),
    ("INSERT, durable", "insert.pgbench", True, CANDIDATES),
    ("INSERT, asynchronous", "insert.pgbench", False, CANDIDATES),
    ("UPDATE, actor per transaction, durable", "update_actor.pgbench", True, CANDIDATES[:2]),
    ("UPDATE, actor per transaction, asynchronous", "update_actor.pgbench", False, CANDIDATES[:2]),
]
BULK = [            # name, statement, what to do before
    ("bulk INSERT … SELECT", "INSERT INTO crm.bulk SELECT * FROM crm.source;", "TRUNCATE crm.bulk;"),
    ("bulk UPDATE", "UPDATE crm.bulk SET phone = '+49 30 7654321', status = 'dormant', score = score / 2;", ""),
    ("COPY", "COPY crm.bulk FROM :'file';", "TRUNCATE crm.bulk;"),
]


def machine():
    def first(path, key):
        with open(path) as f:
            for line in f:
                if line.startswith(key):
                    return line.partition(":")[2].strip()
        return "unknown"

    data = os.environ["BENCH_DATA"]
    system = subprocess.run(["df", "--output=fstype", data], text=True, stdout=subprocess.PIPE).stdout.split()[-1]
    settings = ["shared_buffers", "max_wal_size", "checkpoint_timeout", "fsync", "full_page_writes",
                "wal_sync_method", "autovacuum", "jit"]
    print("- kernel %s, %s, %d cores used, %s of memory" % (
        platform.release(), first("/proc/cpuinfo", "model name"), len(os.sched_getaffinity(0)),
        first("/proc/meminfo", "MemTotal")))
    print("- %s" % query("postgres", "SELECT version()"))
    print("- %s" % ", ".join("%s = %s" % (s, query("postgres", "SHOW " + s)) for s in settings))
    print("- data on %s; an 8 kB write with fdatasync takes %.0f µs%s" % (
        system, fdatasync_us(), "; NOT durable: \"durable\" means nothing here" if system == "tmpfs" else ""))
    print("- %d rounds, interleaved; %d rows; pgbench: 4 clients, %d s a run; load of the machine before: %s" % (
        ROUNDS, ROWS, SECONDS, " ".join("%.1f" % load for load in os.getloadavg())))


def create():
    """The candidates' databases; returns those that work."""
    ready = []
    image = 200
    for c in CANDIDATES:
        say("preparing %s" % c)
        psql("postgres", "CREATE DATABASE %s" % c)
        try:
            run_file(c, "contact.sql", {"rows": ROWS})
            if c != "untagged":
                run_file(c, c + ".sql", {"module": os.path.join(HERE, "floor", "floor"), "image": image})
            if c == "provenance":
                image = int(number(c, "SELECT avg(octet_length(image)) FROM provenance.entry WHERE image IS NOT NULL"))
                seal()
            ready.append(c)
        except Failed as e:
            print("\n%s is left out: %s" % (c, e))
    file = os.path.join(os.environ["BENCH_DATA"], "bench.copy")
    psql("untagged", "COPY crm.source TO :'file'", {"file": file})
    return ready, file


def seal():
    """Everything sealed, so that its work does not fall into what is measured next.
    Seconds it took, and seconds of CPU of whoever sealed; None if it failed."""
    try:
        worker = query("provenance", "SELECT provenance.worker_pid()")
        # what just ended must not be counted with the children that end from here on
        while number("provenance", "SELECT count(*) FROM pg_stat_activity "
                                   "WHERE datname = 'provenance' AND backend_type = 'client backend'") > 1:
            time.sleep(0.02)
        time.sleep(0.05)
        standing, others = process_cpu(worker), children_cpu()
        seconds = timed("provenance", "SELECT provenance.seal();")[0]
        time.sleep(0.1)         # for the request's worker to be reaped
        others, after = children_cpu() - others, process_cpu(worker)
        return seconds, others + (after - standing if standing is not None and after is not None else 0)
    except Failed as e:
        say("seal: %s" % e)
        return None


def order(candidates, round_):
    """Another one first in each round."""
    shift = round_ % len(candidates)
    return candidates[shift:] + candidates[:shift]


def tidy(candidates):
    for c in candidates:
        psql(c, "VACUUM crm.contact")
        if c == "provenance":
            psql(c, "VACUUM provenance.head")


def single(candidates, extra):
    figures = [Figure(name, "tps", True) for name, *_ in SINGLE]
    cpu = [Figure(name, "µs", False, compared=False) for name, *_ in SINGLE]
    wal = [Figure(name, "bytes", False, compared=False) for name, *_ in SINGLE]
    fpi = {"provenance": [], "untagged": []}
    psql("postgres", "CHECKPOINT")
    for r in range(ROUNDS):
        tidy(candidates)
        for i, (name, script, durable, whose) in enumerate(SINGLE):
            say("round %d: %s" % (r + 1, name))
            for c in order([c for c in whose if c in candidates], r):
                worker = query(c, "SELECT provenance.worker_pid()") if c == "provenance" and extra else None
                sealer, at, pages = process_cpu(worker), lsn(), full_pages()
                try:
                    tps, us = pgbench(c, script, SECONDS, ROWS, durable)
                except Failed as e:
                    say("%s, %s: %s" % (name, c, e))
                    continue
                if c == "provenance" and extra:
                    after = process_cpu(worker)
                    if sealer is not None and after is not None and name == "UPDATE, asynchronous":
                        extra.setdefault("sealer", []).append((after - sealer) / SECONDS * 100)
                    seal()
                n = tps * SECONDS
                if r > 0 or ROUNDS == 1:    # the first touches pages for the first time
                    wal[i].add(c, r, (lsn() - at) / n)
                    if c in fpi:
                        fpi[c].append((full_pages() - pages) / n)
                figures[i].add(c, r, tps)
                cpu[i].add(c, r, us)
    print_figures("One row per transaction: throughput", figures,
                  "Transactions per second, relative to untagged (more is better).")
    print_figures("One row per transaction: CPU", cpu,
                  "CPU of the backends per transaction, relative to untagged (less is better); "
                  "less disturbed by what else the machine does than throughput.")
    print_figures("One row per transaction: WAL", wal,
                  "Bytes of WAL per transaction until sealed, relative to untagged; without the first round, "
                  "which touches every page for the first time since the checkpoint. Full page images per transaction: untagged %.3f, provenance %.3f."
                  % tuple(sum(fpi[c]) / max(1, len(fpi[c])) for c in ("untagged", "provenance")))
    return figures, cpu, wal


def bulk(candidates, file, found):
    figures = [Figure(name, "s", False) for name, *_ in BULK]
    cpu = [Figure(name, "s", False, compared=False) for name, *_ in BULK]
    wal = [Figure(name, "MB", False, compared=False) for name, *_ in BULK]
    for r in range(ROUNDS):
        psql("postgres", "CHECKPOINT")
        for i, (name, statement, before) in enumerate(BULK):
            say("round %d: %s" % (r + 1, name))
            for c in order(candidates, r):
                try:
                    if before:
                        psql(c, before)
                    at = lsn()
                    seconds, busy = timed(c, statement, "\\set file %s\n" % file)
                except Failed as e:
                    say("%s, %s: %s" % (name, c, e))
                    continue
                if c == "provenance" and found is not None:
                    lag = seal()
                    if lag:
                        found.setdefault(name, []).append(lag)
                figures[i].add(c, r, seconds)
                cpu[i].add(c, r, busy)
                wal[i].add(c, r, (lsn() - at) / 1e6)
                psql(c, "VACUUM crm.bulk")
    print_figures("%d rows in one statement: time" % ROWS, figures,
                  "Time of the statement with its commit, relative to untagged (less is better).")
    print_figures("%d rows in one statement: CPU" % ROWS, cpu,
                  "CPU of the backend, relative to untagged (less is better).")
    print_figures("%d rows in one statement: WAL" % ROWS, wal,
                  "WAL until sealed, relative to untagged.")
    return figures, cpu, wal


def bundles(goal, started, figures=(), figures_of_ledger=None):
    """The last group, and the end."""
    rest = figures_of_ledger or Ledger()
    if "bundle" in ONLY:
        if goal == "bench-long":
            rows = int(os.environ.get("BENCH_BUNDLE_ROWS") or 1000000)
            bundle_part.measure(rest, rows, 8, min(ROUNDS, 2))
        else:
            bundle_part.measure(rest, int(os.environ.get("BENCH_BUNDLE_ROWS") or ROWS), 4, min(ROUNDS, 3))
    write_csv(os.environ["BENCH_CSV"], figures, rest)
    print("\nAll rounds: %s. Took %.0f s." % (os.environ["BENCH_CSV"], time.monotonic() - started))


def main():
    goal = sys.argv[1] if len(sys.argv) > 1 else "bench"
    started = time.monotonic()
    print("## Measurements\n")
    machine()
    if ONLY == ["bundle"]:
        bundles(goal, started)
        return
    candidates, file = create()
    found = {} if "provenance" in candidates and seal() is not None else None
    extra = {} if found is None else {"on": True}
    figures, figures_of_ledger = [], Ledger()
    if goal == "bench-long":
        ledger_part.long(candidates, figures_of_ledger, ROWS, SECONDS, ROUNDS, seal)
    else:
        if "single" in ONLY:
            for group, kind in zip(single(candidates, extra), ("", "CPU ", "WAL ")):
                for f in group:
                    f.name = kind + f.name
                figures += group
        if "bulk" in ONLY:
            for group, kind in zip(bulk(candidates, file, found), ("", "CPU ", "WAL ")):
                for f in group:
                    f.name = kind + f.name
                figures += group
        if "provenance" in candidates:
            if extra.get("sealer"):
                figures_of_ledger.add("worker while UPDATE, asynchronous runs", extra["sealer"], "% of a core")
            ledger_part.sealing(figures_of_ledger, found or {}, ROWS)
            if "tag" in ONLY:
                ledger_part.tagging(figures_of_ledger, ROWS, min(ROUNDS, 3), seal)
            if "ledger" in ONLY:
                ledger_part.storage(figures_of_ledger)
                ledger_part.reading(figures_of_ledger, ROUNDS, seal)
    figures_of_ledger.print()
    bundles(goal, started, figures, figures_of_ledger)


main()
