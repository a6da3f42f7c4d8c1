"""One row per transaction, with pgbench: tables, clients, commits, think time; and a replay.

The load "UPDATE" changes a column of a secondary index, so that each index gets
an entry: some 650 bytes of WAL untagged. "UPDATE, HOT" changes none.
"""
import contextlib
import os
import random
import time
from statistics import median

from candidates import log_size, order, record, seal, tidy
from report import CANDIDATES, Figure, amount
from server import (Failed, lsn, number, pgbench, pgbench_init, process_cpu, psql, query, run_file, say,
                    timed)

FEW = ["untagged", "provenance", "floor"]
SOME = FEW + ["jsonb"]


def await_worker():
    """Until the standing worker has sealed all there is; it is not asked to."""
    give_up = time.monotonic() + 20
    while number("provenance", "SELECT pending FROM provenance.unsealed()") > 0:
        if time.monotonic() > give_up:
            return False
        time.sleep(0.1)
    return True


class Load:
    """One line of the table: a script, run by some candidates with some clients."""

    def __init__(self, name, script, durable, whose=CANDIDATES, clients=4, bar=None, builtin=False, detail=False,
                 seconds=None):
        """detail: are CPU and WAL shown, too? seconds: if not those of the others."""
        self.name, self.script, self.durable, self.whose = name, script, durable, whose
        self.clients, self.builtin, self.detail, self.seconds = clients, builtin, detail, seconds
        self.tps = Figure(name, "tps", True, bar)
        self.cpu = Figure(name + ": CPU added", "µs", False, kind="added")
        self.wal = Figure(name + ": WAL until sealed", "bytes", False)
        self.failures = []

    def run(self, candidate, round_, seconds, rows, worker=None):
        """worker: what the standing worker needs for what this load records is added there."""
        pid = query(candidate, "SELECT provenance.worker_pid()") if worker is not None and candidate == "provenance" else ""
        size, cpu, at = log_size() if pid else 0, process_cpu(pid) if pid else None, lsn()
        try:
            tps, us, n = pgbench(candidate, self.script, seconds, rows, self.durable, self.clients, builtin=self.builtin)
        except Failed as e:
            self.failures.append("%s, %s: %s" % (self.name, candidate, e))
            return
        if candidate == "provenance":
            if cpu is not None and await_worker():
                after, n_sealed = process_cpu(pid), log_size() - size
                if after is not None and n_sealed > 0:
                    worker.append(((after - cpu) / n_sealed * 1e6, (after - cpu) / seconds * 100))
            seal()
        self.tps.add(candidate, round_, tps)
        self.cpu.add(candidate, round_, us)
        self.wal.add(candidate, round_, (lsn() - at) / n)

    def report(self, report):
        report.add(self.tps)
        for failure in self.failures:
            report.leave_out(failure)


def loads(with_clients, seconds):
    """UPDATE and INSERT of contacts. The bars are those of 4 clients; there is none for HOT."""
    all_ = []
    for durable, commit, bars in ((True, "durable", (0.88, None, 0.90)), (False, "asynchronous", (0.79, None, 0.80))):
        for i, (what, script, whose) in enumerate((("UPDATE", "update", CANDIDATES), ("UPDATE, HOT", "update_hot", SOME),
                                                   ("INSERT", "insert", CANDIDATES))):
            all_.append(Load("%s, %s" % (what, commit), script, durable, whose, bar=bars[i], detail=True))
            if with_clients and i != 1:
                all_ += [Load("%s, %s, %d client%s" % (what, commit, n, "s" if n > 1 else ""), script, durable, FEW, n,
                              seconds=max(1, seconds // 2 if n < 64 else seconds * 3 // 2))   # 64 of them have to start
                         for n in (1, 16, 64)]
        all_.append(Load("UPDATE, %s, actor in each transaction" % commit, "update_actor", durable, FEW))
    return all_


def warm_up(candidates, seconds, rows):
    """Touches pages for the first time since the checkpoint, so that their images are not in a round."""
    for c in candidates:
        say("before the rounds: %s" % c)
        try:
            pgbench(c, "update", seconds, rows, False)
        except Failed:
            pass                # as it will in the rounds, and is said there
        if c == "provenance":
            seal()


def rounds_of(loads_, candidates, rounds, seconds, rows, table, workers=None):
    """workers: of which loads the worker is watched; what it needed."""
    for r in range(rounds):
        tidy(candidates, table)
        for load in loads_:
            say("round %d: %s" % (r + 1, load.name))
            for c in order([c for c in load.whose if c in candidates], r):
                load.run(c, r, load.seconds or seconds, rows, (workers or {}).get(load.name))


def first_change(figure, candidates, r, rows):
    """CPU of a session's first UPDATE, which loads libraries and reads catalogs; the median of five sessions."""
    say("round %d: %s" % (r + 1, figure.name))
    for c in order(candidates, r):
        with contextlib.suppress(Failed):       # of periods, as in the runs
            took = [timed(c, "UPDATE crm.contact SET status = 'customer' WHERE id = %d;" % random.randint(1, rows),
                          "SET synchronous_commit = off;")[1] for _ in range(5)]
            figure.add(c, r, median(took) * 1e6)


def contacts(report, candidates, rounds, seconds, rows, with_clients):
    all_, workers = loads(with_clients, seconds), {"UPDATE, asynchronous": [], "INSERT, asynchronous": []}
    first = Figure("a session's first UPDATE: CPU", "µs", False, kind="added")
    psql("postgres", "CHECKPOINT")
    warm_up(candidates, seconds, rows)
    try:
        rounds_of(all_, candidates, rounds, seconds, rows, "crm.contact", workers)
        for r in range(rounds):
            first_change(first, candidates, r, rows)
    finally:
        report_contacts(report, all_, first, workers, with_clients)


def report_contacts(report, all_, first, workers, with_clients):
    report.section("One row per transaction, contacts, 4 clients unless it says otherwise: tps, ratio to untagged")
    for load in all_:
        load.report(report)
    if with_clients:
        for at4 in [load for load in all_ if load.clients == 4]:
            for at64 in [load for load in all_ if load.name == at4.name + ", 64 clients"]:
                figure = Figure("%s: ratio at 64 clients by that at 4" % at4.name, "", True, 0.9, "given")
                for c in FEW[1:]:
                    few, many = at4.tps.by_round(c), at64.tps.by_round(c)
                    for r in [r for r in many if r in few]:
                        figure.add(c, r, many[r] / few[r])
                report.add(figure)
    report.section("… CPU of the backends per transaction, added to untagged (asynchronous, 4 clients)")
    for load in all_:
        if load.detail and not load.durable:
            load.cpu.bar = 8 if load.name == "UPDATE, asynchronous" else None
            report.add(load.cpu)
    report.add(first)
    for name, needed in workers.items():
        if needed:
            report.value("%s: CPU of the worker per change, until the last one is sealed" % name, [us for us, _ in needed],
                         "µs", "not in the figures above; by the time of the run %s %% of a core"
                         % amount(median(percent for _, percent in needed)), None, False)
    report.section("… WAL per transaction until sealed, page images on, ratio to untagged")
    for load in all_:
        if load.detail and load.durable:
            report.add(load.wal)


def txn(report, candidates, rounds, seconds, rows):
    all_ = [Load("txn, durable", "txn", True, clients=16, bar=0.96),
            Load("txn, asynchronous", "txn", False, clients=16)]
    try:
        rounds_of(all_, candidates, rounds, seconds, rows, "crm.contact")
    finally:
        report.section("txn: 16 clients: update, 2 ms think time, select, commit: tps, ratio to untagged")
        for load in all_:
            load.report(report)


def wal(report, candidates, rounds, rows):
    """Without page images; each run does as many transactions as the others."""
    figures = [Figure("UPDATE: WAL, page images off", "bytes", False, 2.2),
               Figure("UPDATE, HOT: WAL, page images off", "bytes", False)]
    psql("postgres", "ALTER SYSTEM SET full_page_writes = off; SELECT pg_reload_conf(); CHECKPOINT")
    try:
        for r in range(rounds):
            tidy(candidates, "crm.contact")
            for figure, script in zip(figures, ("update", "update_hot")):
                say("round %d: %s" % (r + 1, figure.name))
                for c in order(candidates, r):
                    at = lsn()
                    with report.attempt("%s, %s" % (figure.name, c)):
                        n = pgbench(c, script, None, rows, False, each=rows // 80)[2]
                        if c == "provenance":
                            seal()
                        figure.add(c, r, (lsn() - at) / n)
    finally:
        report.section("WAL per transaction, until sealed: ratio to untagged")
        if figures[0].rounds["provenance"] and figures[0].rounds["untagged"]:
            figures[0].note = "%.0f bytes, where untagged has %.0f; the bar was set where untagged has 672" % tuple(
                median(figures[0].rounds[c].values()) for c in ("provenance", "untagged"))
        for figure in figures:
            report.add(figure)
        psql("postgres", "ALTER SYSTEM RESET full_page_writes; SELECT pg_reload_conf()")
    psql("postgres", "CHECKPOINT")


def shapes(report, candidates, rounds, seconds, rows):
    say("preparing tables of other shapes")
    names = ("narrow", "wide", "document")
    for c in candidates:
        run_file(c, "tables/shapes.sql", {"rows": rows // 2})
    for name in names:
        record(candidates, "crm." + name)
    all_ = []
    for title, script in (("narrow (3 columns)", "narrow"), ("wide (60 columns)", "wide"), ("10 kB of text", "text")):
        all_.append(Load("%s: UPDATE, asynchronous" % title, script + "_update", False))
        all_.append(Load("%s: INSERT, asynchronous" % title, script + "_insert", False, SOME))
    try:
        for r in range(rounds):
            for name in names:
                tidy(candidates, "crm." + name)
            for load in all_:
                say("round %d: %s" % (r + 1, load.name))
                for c in order([c for c in load.whose if c in candidates], r):
                    load.run(c, r, seconds, rows // 2)
    finally:
        report.section("Tables of other shapes, one row per transaction, 4 clients: tps, ratio to untagged")
        for load in all_:
            load.report(report)
    for c in candidates:        # the disk is not for what is over
        for name in names:
            if c not in ("periods", "provenance"):
                psql(c, "TRUNCATE crm.%s" % name)


def tpcb(report, candidates, rounds, seconds, scale):
    """pgbench's own transaction: three UPDATEs, a SELECT, an INSERT; all four tables recorded."""
    say("preparing TPC-B")
    tables = ["pgbench_accounts", "pgbench_branches", "pgbench_tellers", "pgbench_history"]
    for c in candidates:
        pgbench_init(c, scale)
        # tag() wants a key of every table
        psql(c, "ALTER TABLE pgbench_history ADD id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY; "
                "INSERT INTO pgbench_history (tid, bid, aid, delta, mtime) VALUES (1, 1, 1, 1, now())")
    for table in tables:
        record(candidates, "public." + table)
    all_ = [Load("TPC-B, durable", "tpcb-like", True, builtin=True),
            Load("TPC-B, asynchronous", "tpcb-like", False, builtin=True)]
    try:
        for r in range(rounds):
            for table in tables[:3]:
                tidy(candidates, table)
            for load in all_:
                say("round %d: %s" % (r + 1, load.name))
                for c in order(candidates, r):
                    load.run(c, r, seconds, 0)
    finally:
        report.section("pgbench's TPC-B, scale %d, all four tables recorded, 4 clients: tps, ratio to untagged" % scale)
        for load in all_:
            load.report(report)


def replay(report, candidates, rounds):
    """The events of a real sales pipeline, each a transaction, in one session."""
    folder = os.environ.get("CRM_DATA")
    if not folder or not os.path.isfile(os.path.join(folder, "sales_pipeline.csv")):
        report.leave_out("the replay of crm-sales-opportunities: CRM_DATA names no folder with sales_pipeline.csv.")
        return
    say("preparing the replay")
    for c in candidates:
        run_file(c, "tables/replay.sql")
    record(candidates, "crm.account")
    record(candidates, "crm.agent")
    record(candidates, "crm.opportunity", like="crm.account")
    events = number("untagged", "SELECT count(*) FROM crm.event")
    figure = Figure("crm-sales-opportunities, asynchronous", "transactions/s", True)
    try:
        for r in range(rounds):
            say("round %d: replay" % (r + 1))
            for c in order(candidates, r):
                with report.attempt("replay, %s" % c):
                    psql(c, "TRUNCATE crm.opportunity; VACUUM crm.opportunity")
                    seconds, _ = timed(c, "CALL crm.replay();", "SET synchronous_commit = off;")
                    if c == "provenance":
                        seal()
                    figure.add(c, r, events / seconds)
    finally:
        report.section("Replay of %d events of a sales pipeline, one session, actor in each transaction: "
                       "ratio to untagged" % events)
        report.add(figure)
