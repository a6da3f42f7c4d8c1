"""make bench: candidates side by side, rounds interleaved; see doc/performance.md."""
import os
import platform
import signal
import subprocess
import sys
import time

import bulk
import bundle
import candidates as own
import growth
import ledger
import single
from report import CANDIDATES, Report
from server import fdatasync_us, psql, query, say

QUICK = bool(os.environ.get("BENCH_QUICK"))
LONG = len(sys.argv) > 1 and sys.argv[1] == "bench-long"
ROUNDS = int(os.environ.get("BENCH_ROUNDS") or (1 if QUICK else 5))
SECONDS = int(os.environ.get("BENCH_SECONDS") or (1 if QUICK else 10 if LONG else 2))
ROWS = int(os.environ.get("BENCH_ROWS") or (20000 if QUICK else 200000))
BUNDLE_ROWS = int(os.environ.get("BENCH_BUNDLE_ROWS") or (1000000 if LONG else ROWS))
MINUTES = float(os.environ.get("BENCH_MINUTES") or (24 * 60 if LONG else 57))
GROUPS = ["single", "clients", "txn", "bulk", "wal", "ledger", "tag", "shapes", "tpcb", "replay"]
LONGER = ["growth", "bundle"]       # bench-long; of bench only if they are asked for
ONLY = (os.environ.get("BENCH_ONLY") or " ".join(LONGER if LONG else GROUPS)).split()


def estimates(n):
    """Seconds that each group takes with n candidates, on two cores at 2.6 GHz."""
    run = SECONDS + 0.4                 # pgbench and what is between two runs
    many = ROWS / 200000
    few, some = min(3, n), min(4, n)
    return {
        "prepare": n * 6 * many + 3,
        "single": n * run + ROUNDS * ((4 * n + 2 * some + 2 * few) * run + 10 * many),
        "clients": ROUNDS * 4 * few * (2 * max(1, SECONDS // 2) + max(1, SECONDS * 3 // 2) + 3),
        "txn": ROUNDS * (2 * n * run + 10 * many),
        "bulk": ROUNDS * n * (19 * many + 1),
        "wal": ROUNDS * (2 * n * 1.2 * many + 6 * many),
        "ledger": (40 + ROUNDS * 35) * many + ROUNDS * (max(SECONDS, 5) + 7),
        "tag": ROUNDS * 9 * many,
        "shapes": n * 8 * many + ROUNDS * ((3 * n + 3 * some) * run + 10 * many),
        "tpcb": n * 8 * many + ROUNDS * (2 * n * run + 8 * many),
        "replay": n + ROUNDS * n * 2.6,
        "bundle": (100 + min(ROUNDS, 2 if LONG else 3) * 50) * BUNDLE_ROWS / 200000,
        "growth": 1.2 * 3600,
    }


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
    print("- %s" % ", ".join("%s = %s" % (name, version or "not there") for name, version in (
        (name, query("postgres", "SELECT default_version FROM pg_available_extensions WHERE name = '%s'" % name))
        for name in ("provenance", "pgcrypto", "table_log", "periods"))))
    print("- %s" % ", ".join("%s = %s" % (s, query("postgres", "SHOW " + s)) for s in settings))
    print("- data on %s; an 8 kB write with fdatasync takes %.0f µs%s" % (
        system, fdatasync_us(), "; NOT durable: \"durable\" means nothing here" if system == "tmpfs" else ""))
    load = os.getloadavg()
    print("- load of the machine before: %s%s" % (
        " ".join("%.1f" % l for l in load), "; NOT quiet: the figures are worth little" if load[0] > 1.5 else ""))
    print("- %d rounds, interleaved; %d rows; pgbench runs of %d s%s" % (
        ROUNDS, ROWS, SECONDS, "; a smoke run: its figures are noise" if QUICK else ""), flush=True)


def run_all(report, started):
    """The groups in their order; one that would not end within the time is left out, and said so."""
    ready, file = [], None

    def left():
        return MINUTES * 60 - (time.monotonic() - started)

    def ledger_group():
        report.section("The ledger")
        ledger.sealing_keys(report, ROUNDS, ROWS)
        ledger.lag(report, ROUNDS, ROWS, SECONDS)
        ledger.storage(report)
        ledger.freezing(report, ROUNDS, ROWS)
        spread = ledger.database(ROWS)
        ledger.verifying(report, ROUNDS, at=" of a log written in bulk", bars=True)
        ledger.proving(report, ROUNDS)
        ledger.history(report, spread=spread)
        with report.attempt("a log of single-row transactions"):
            ledger.singles(ROWS)
            ledger.verifying(report, ROUNDS, name="singles", at=" of a log of single-row transactions")

    def tag_group():
        report.section("Tagging")
        ledger.tagging(report, ROUNDS, ROWS)

    def growth_group():
        with report.attempt("growth, from here on"):
            growth.measure(report, ROWS, SECONDS, ROUNDS)
        if "bundle" in ONLY:            # the disk is for what comes
            for name in (growth.SMALL, "provenance"):
                psql("postgres", "DROP DATABASE IF EXISTS %s WITH (FORCE)" % name)
            psql("postgres", "CHECKPOINT")

    def bundle_group():
        report.section("Bundles: rates by CPU of the one backend or program")
        bundle.measure(report, BUNDLE_ROWS, 8 if LONG else 4, min(ROUNDS, 2 if LONG else 3))

    groups = {
        "single": lambda: single.contacts(report, ready, ROUNDS, SECONDS, ROWS, "clients" in ONLY),
        "txn": lambda: single.txn(report, ready, ROUNDS, SECONDS, ROWS),
        "bulk": lambda: bulk.statements(report, ready, ROUNDS, ROWS, file),
        "wal": lambda: single.wal(report, ready, ROUNDS, ROWS),
        "ledger": ledger_group, "tag": tag_group,
        "shapes": lambda: single.shapes(report, ready, ROUNDS, SECONDS, ROWS),
        "tpcb": lambda: single.tpcb(report, ready, ROUNDS, SECONDS, max(1, ROWS // 40000)),
        "replay": lambda: single.replay(report, ready, ROUNDS),
        "growth": growth_group, "bundle": bundle_group,
    }
    if "clients" in ONLY and "single" not in ONLY:
        ONLY.insert(0, "single")
    if ONLY != ["bundle"]:
        ready, file = own.create(report, ROWS)
    pace, spent, expected = 1, 0, 0
    for name, group in groups.items():
        if name not in ONLY:
            continue
        need = estimates(len(ready))[name] + (estimates(len(ready))["clients"] if name == "single" and "clients" in ONLY else 0)
        need *= pace
        if need > left():
            report.leave_out("group %s: it needs about %.0f minutes, and %.0f of %.0f are left (BENCH_MINUTES)."
                             % (name, need / 60, max(0, left()) / 60, MINUTES))
            continue
        if "provenance" not in ready and name in ("ledger", "tag", "growth", "bundle") and ONLY != ["bundle"]:
            report.leave_out("group %s: there is no provenance." % name)
            continue
        began = time.monotonic()
        with report.attempt("group %s, from here on" % name):
            group()
        took = time.monotonic() - began
        say("%s: %.0f s (estimate %.0f)" % (name, took, need))
        spent, expected = spent + took, expected + need / pace
        pace = max(1, spent / expected)     # of a slower machine


def stop(number_, _):
    """What is measured is printed, and the group under way is not waited for."""
    sys.exit(128 + number_)


def main():
    started = time.monotonic()
    unknown = [g for g in ONLY if g not in GROUPS + LONGER]
    if unknown:
        sys.exit("bench: there is no group %s; there are: %s" % (" ".join(unknown), " ".join(GROUPS + LONGER)))
    print("## Measurements\n")
    machine()
    guess = estimates(len(CANDIDATES))
    total = guess["prepare"] + sum(guess[g] for g in ONLY)
    text = "estimate: %.0f minutes (%s)" % (total / 60, ", ".join("%s %.1f" % (g, guess[g] / 60) for g in ["prepare"] + ONLY))
    print("- " + text, flush=True)
    say(text)
    report = Report(os.environ["BENCH_CSV"])
    for number_ in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number_, stop)
    try:
        run_all(report, started)
    except SystemExit:
        report.leave_out("what was to come: a signal ended it.")
        raise
    finally:
        for number_ in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
            signal.signal(number_, signal.SIG_IGN)
        report.write()
        report.print()
        print("\nThe table as CSV: %s; every round: %s. Load at the end: %s. Took %.0f s." % (
            report.table_path, report.rounds_path, " ".join("%.1f" % l for l in os.getloadavg()),
            time.monotonic() - started), flush=True)


main()
