"""What only the ledger does: sealing, lag, tagging, storage, verification, proofs."""
import bisect
import re
import time
from statistics import median, quantiles

from candidates import log_size, seal, sealing_of
from report import amount
from server import (Failed, Watch, children, children_cpu, await_end, lsn, number, pgbench, psql, run_file, say, timed,
                    timed_with_output)

LEDGER = """
SELECT c.relname, pg_total_relation_size(c.oid), pg_relation_size(c.oid)
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE n.nspname = 'provenance' AND c.relkind = 'r' ORDER BY 1
"""


def guarded(function):
    """A part that is missing or fails is said so, and the rest goes on."""
    def call(report, *args, **named):
        with report.attempt(function.__name__.replace("_", " ") + named.get("at", "")):
            function(report, *args, **named)
    return call


def sealing(report, found, keys, bar, at=""):
    """found: (entries, seconds, seconds of CPU) of seal() after each of some bulk statements."""
    if not found:
        return
    name = "sealing, %s keys in random order%s" % (keys, at)
    by_clock = [n / seconds for n, seconds, _ in found]
    report.value(name + ", by CPU", [n / cpu for n, _, cpu in found if cpu > 0], "entries per second of CPU",
                 "by the clock %s; one core to itself; seal() after a bulk statement of %s rows, with signature and sync"
                 % (amount(median(by_clock)), amount(median(n for n, _, _ in found))), bar)
    report.value(name + ", by the clock", by_clock, "entries/s")


@guarded
def sealing_keys(report, rounds, rows):
    """Of a bulk UPDATE of a table whose rows were inserted in random order of their keys."""
    if number("provenance", "SELECT count(*) FROM crm.bulk") != rows:
        psql("provenance", "TRUNCATE crm.bulk; INSERT INTO crm.bulk SELECT * FROM crm.source")
    found = []
    try:
        for r in range(rounds):
            say("round %d: sealing" % (r + 1))
            psql("provenance", "VACUUM crm.bulk; VACUUM provenance.head")
            found.append(sealing_of("provenance", "UPDATE crm.bulk SET score = score % 1000 + 1"))
    finally:
        sealing(report, found, "{:,}".format(rows), 250000)


@guarded
def lag(report, rounds, rows, seconds):
    """From a change's capture to the time at which it is seen to be in the log, under UPDATE by 4 clients."""
    interval = number("provenance", "LOAD 'provenance'; SELECT extract(epoch FROM "
                                    "current_setting('provenance.seal_interval')::interval)")
    percentiles, middles = [], []
    for r in range(rounds):
        say("round %d: lag" % (r + 1))
        first = number("provenance", "SELECT coalesce(max(seq), 0) FROM provenance.entry")
        with Watch("provenance", "SELECT extract(epoch FROM clock_timestamp()), log_size FROM provenance.seal_state",
                   0.02) as watch:
            pgbench("provenance", "update", max(seconds, round(5 * interval)), rows, False)
            time.sleep(3 * interval)
        seal()
        sizes = [size for _, size in watch.answers]
        lags = []
        for line in psql("provenance", """
                SELECT extract(epoch FROM changed_at), substring(provenance.prove(seq)::text FROM 'index ([0-9]+)')
                FROM (SELECT seq, changed_at FROM provenance.entry WHERE seq > %d ORDER BY random() LIMIT 2000) e
                """ % first).splitlines():
            changed_at, leaf = line.split("|")          # no leaf: it is not sealed yet
            seen = bisect.bisect_right(sizes, float(leaf)) if leaf else len(sizes)  # the first size greater than it
            lags.append((watch.answers[seen][0] if seen < len(sizes) else time.time()) - float(changed_at))
        if len(lags) < 2:
            raise Failed("nothing was recorded")
        percentiles.append(quantiles(lags, n=100)[98] / interval)
        middles.append(median(lags) / interval)
    report.value("lag under UPDATE, asynchronous, 4 clients: 99th percentile", percentiles, "seal intervals",
                 "interval %g s; median %.2g intervals" % (interval, median(middles)), 2, False)


@guarded
def tagging(report, rounds, rows):
    rates, busy, plain = [], [], []
    for r in range(rounds):
        say("round %d: tagging" % (r + 1))
        psql("provenance", "TRUNCATE crm.existing; INSERT INTO crm.existing SELECT * FROM crm.source; "
                           "VACUUM crm.existing")
        seconds, cpu = timed("provenance", "SELECT provenance.tag('crm.existing');")
        rates.append(rows / seconds)
        busy.append(rows / cpu)
        plain.append(rows / timed("provenance", "CREATE TABLE crm.copied AS SELECT * FROM crm.existing; ")[0])
        psql("provenance", "SELECT provenance.untag('crm.existing'); DROP TABLE crm.copied")
        seal()
    report.value("tagging a table with rows", rates, "rows/s",
                 "per second of CPU %s; %.2f of CREATE TABLE AS of the same rows"
                 % (amount(median(busy)), median(a / b for a, b in zip(rates, plain))), 150000)


@guarded
def storage(report):
    psql("provenance", "VACUUM provenance.entry; VACUUM provenance.head")
    psql("provenance", "SELECT provenance.seal()")
    entries = number("provenance", "SELECT count(*) FROM provenance.entry")
    if not entries:
        raise Failed("there are no entries")
    image = number("provenance", "SELECT sum(octet_length(image)) FROM provenance.entry") / entries
    sizes = {}
    for line in psql("provenance", LEDGER).splitlines():
        name, total, heap = line.split("|")
        sizes[name] = (int(total), int(heap))
    per = {name: total / entries for name, (total, _) in sizes.items()}
    rest = sum(size for name, size in per.items() if name not in
               ("entry", "leaf_run", "seq_block", "tree_node", "context", "checkpoint_note", "head"))
    heads = number("provenance", "SELECT count(DISTINCT row_id) FROM provenance.entry")
    report.value("bytes per change beyond the image, heads apart",
                 sum(per.values()) - per["head"] - image, "bytes",
                 "entry: heap %.1f, index %.1f; leaf_run %.1f, seq_block %.1f, tree_node %.1f, context %.1f, "
                 "checkpoint_note %.1f, all others %.1f; an image has %.1f; %d entries"
                 % (sizes["entry"][1] / entries - image, (sizes["entry"][0] - sizes["entry"][1]) / entries,
                    per["leaf_run"], per["seq_block"], per["tree_node"], per["context"], per["checkpoint_note"], rest,
                    image, entries), 225, False)
    if heads:
        report.value("head", sizes["head"][0] / heads, "bytes per row ever recorded")
    report.value("contexts and checkpoints", per.get("context", 0) + per.get("checkpoint_note", 0), "bytes per change",
                 "%d contexts, %d checkpoints" % tuple(number("provenance", "SELECT count(*) FROM provenance." + t)
                                                       for t in ("context", "checkpoint_note")))


@guarded
def freezing(report, rounds, rows):
    """VACUUM (FREEZE) of as many entries as the table that was changed has rows, and of that table. A plain VACUUM
    came before, as autovacuum does it, and a CHECKPOINT, so that each page costs its image too."""
    what = {"entry": "provenance.entry", "table": "crm.bulk"}
    got = {name: ([], [], [], []) for name in what}

    def page_images():
        time.sleep(0.1)             # for the session that has just ended, which tells then
        return number("postgres", "SELECT wal_fpi FROM pg_stat_wal")

    if number("provenance", "SELECT count(*) FROM crm.bulk") != rows:
        psql("provenance", "TRUNCATE crm.bulk; INSERT INTO crm.bulk SELECT * FROM crm.source")
    seal()
    psql("provenance", "VACUUM (FREEZE) provenance.entry")
    try:
        for r in range(rounds):
            say("round %d: freezing" % (r + 1))
            psql("provenance", "UPDATE crm.bulk SET score = score % 1000 + 1")
            seal()
            psql("provenance", "VACUUM provenance.entry; VACUUM crm.bulk; CHECKPOINT")
            for name, table in what.items():
                images, at = page_images(), lsn()
                seconds, cpu = timed("provenance", "VACUUM (FREEZE) %s;" % table)
                wal = (lsn() - at) / 1e6
                for values, value in zip(got[name], (seconds, cpu, wal, page_images() - images)):
                    values.append(value * 1e6 / rows)
    finally:
        for name, title in (("entry", "VACUUM (FREEZE) of `entry`, a million entries"),
                            ("table", "… of the table itself, a million rows")):
            seconds, cpu, wal, images = got[name]
            if cpu:
                report.value(title + ": CPU", cpu, "s", "by the clock %s s; measured with %s of them"
                             % (amount(median(seconds)), "{:,}".format(rows)), None, False)
                report.value(title + ": WAL", wal, "MB", "of which %s images of pages" % amount(median(images)), None, False)


CHANGES = 100       # of a row whose history is asked for


def new_row(name):
    """The key of a new row of crm.contact, that nothing else changes."""
    key = number(name, "SELECT max(id) + 1 FROM crm.contact")
    psql(name, "INSERT INTO crm.contact SELECT * FROM crm.contacts(%d, %d)" % (key, key))
    return key


def change(key, n):
    """The n-th change of that row."""
    return "UPDATE crm.contact SET score = %d WHERE id = %d;\n" % (n, key)


def database(rows):
    """A log for reading: contacts recorded by one statement; then each of them updated once, by a hundred statements
    with a change of one more row after each. The key of that row."""
    psql("postgres", "CREATE DATABASE reading")
    run_file("reading", "tables/contact.sql", {"rows": rows})
    run_file("reading", "candidate/provenance.sql")
    psql("reading", "SELECT provenance.tag('crm.contact')")
    spread = new_row("reading")
    psql("reading", "".join("UPDATE crm.contact SET score = score + 1 WHERE id > %d AND id <= %d;\n"
                            % (rows * i // CHANGES, rows * (i + 1) // CHANGES) + change(spread, i + 1)
                            for i in range(CHANGES)))
    psql("reading", "SELECT provenance.seal(); VACUUM ANALYZE; CHECKPOINT")
    return spread


def singles(rows):
    """Another one, nearly all of whose entries come of transactions of one row: INSERTs of a tenth of the rows, then
    UPDATEs of these, ten times as many, by 4 clients, sealed meanwhile."""
    say("preparing a log of single-row transactions")
    psql("postgres", "CREATE DATABASE singles")
    run_file("singles", "tables/contact.sql", {"rows": 1})
    run_file("singles", "candidate/provenance.sql")
    psql("singles", "ALTER SEQUENCE crm.contact_id_seq RESTART 2; SELECT provenance.tag('crm.contact')")
    pgbench("singles", "insert", None, rows, False, each=rows // 40)
    pgbench("singles", "update", None, rows // 10, False, each=rows // 4)
    psql("singles", "SELECT provenance.seal(); VACUUM ANALYZE; CHECKPOINT")


def memory(entries):
    """work_mem and maintenance_work_mem in MB, as doc/operations.md advises: 2 bytes for each entry and row, 32 for
    each entry; at most 2 GB."""
    return (int(min(2047, max(4, entries * 3 / 1e6))), int(min(2047, max(64, entries * 32 / 1e6))))


def findings(name, call, workers, settings):
    """Seconds, CPU seconds of the backend with its workers, findings: of a verification with so many of them."""
    time.sleep(0.2)             # for the session before, whose time must not be counted with theirs
    there, others = children(), children_cpu()
    seconds, cpu, out = timed_with_output(
        name, "SELECT 'FOUND ' || count(*) FROM provenance.%s;" % call,
        "SET max_parallel_maintenance_workers = %d; SET work_mem = '%d MB'; SET maintenance_work_mem = '%d MB';"
        % ((workers,) + settings))
    if workers > 0:
        await_end(there)
        cpu = children_cpu() - others
    return seconds, cpu, int(re.search(r"^FOUND (\d+)", out, re.M).group(1))


@guarded
def verifying(report, rounds, name="reading", at="", bars=False):
    """Warm: each is run once before, unless that takes too long. The rounds are interleaved."""
    entries = log_size(name)
    settings, warm = memory(entries), entries < 2e7
    say("verifying %d entries%s" % (entries, at))
    cases = [("verify", "verify()", 0), ("verify_log", "verify_log()", 0), ("two processes", "verify()", 1)]
    rates, busy, found = {what: {} for what, *_ in cases}, {what: {} for what, *_ in cases}, 0
    try:
        for r in range(-1 if warm else 0, rounds):
            for what, call, workers in cases:
                with report.attempt("%s%s" % (what, at)):
                    seconds, cpu, n = findings(name, call, workers, settings)
                    found += n
                    if r >= 0:
                        rates[what][r], busy[what][r] = entries / seconds, entries / cpu
    finally:
        for what, bar in (("verify", 350000), ("verify_log", None)):
            if rates[what]:
                report.value("%s%s, one process: entries per second of CPU" % (what, at), list(busy[what].values()),
                             "entries/s", "%d entries; by the clock %s; work_mem %d MB, maintenance_work_mem %d MB%s; "
                             "%d findings in all" % ((entries, amount(median(rates[what].values()))) + settings +
                                                     ("" if warm else "; not warmed up", found)), bar if bars else None)
        both = [r for r in rates["two processes"] if r in rates["verify"]]
        if both:
            report.value("verify%s, two processes: by that of one, by the clock" % at,
                         [rates["two processes"][r] / rates["verify"][r] for r in both], "times",
                         "%s entries/s; CPU of both %.2f times that of one"
                         % (amount(median(rates["two processes"].values())),
                            median(busy["verify"][r] / busy["two processes"][r] for r in both)), 1.8 if bars else None)


SERVER_TIMES = """
CREATE TEMP TABLE took (us float8);
DO $$
DECLARE
	statement text;
	start timestamptz;
	i int := 0;
BEGIN
	FOR statement IN {statements} LOOP
		i := i + 1;
		start := clock_timestamp();
		EXECUTE statement;
		IF i > {without} THEN
			INSERT INTO took VALUES (extract(epoch FROM clock_timestamp() - start) * 1e6);
		END IF;
	END LOOP;
END $$;
SELECT us FROM took;
"""


def server_times(name, statements, without=20):
    """Microseconds in the server of each statement that a query returns, planning included, without the first ones."""
    return [float(s) for s in psql(name, SERVER_TIMES.format(statements=statements, without=without)).split()]


def ten_million(size, bar):
    """A bar that is meant for a log of ten million entries, and what to say of it elsewhere."""
    if 9.5e6 <= size < 1.5e7:
        return bar, ""
    return None, "; the bar is for 10 million entries: bench-long" if size < 9.5e6 else ""


def history_of(report, name, key, title):
    """One row, asked for again and again: what it needs is in memory."""
    times = [t / 1000 for t in server_times(name, "SELECT 'SELECT count(h) FROM provenance.history(''crm.contact'', %d) h' "
                                                  "FROM generate_series(1, 120)" % key, 0)]
    first, last, n = psql(name, "SELECT min(seq), max(seq), count(*) FROM provenance.history('crm.contact', %d)"
                          % key).strip().split("|")
    bar, remark = ten_million(log_size(name), 10)
    report.value(title, times[20:], "ms", "%s entries within %s of the log, all sealed; the first call %s ms, the median is "
                 "of the 21st to 120th%s" % (n, "{:,}".format(int(last) - int(first) + 1), amount(times[0]), remark), bar, False)


@guarded
def history(report, name="reading", at="", spread=None):
    """Of a row whose changes lie side by side, and of one whose changes others lie between (spread: its key)."""
    if spread is not None:
        history_of(report, name, spread, "history of a row, 100 changes spread over the log%s" % at)
    key = new_row(name)
    psql(name, "".join(change(key, i) for i in range(1, CHANGES + 1)))
    psql(name, "SELECT provenance.seal()")
    history_of(report, name, key, "history of a row, 100 changes side by side%s" % at)


@guarded
def proving(report, rounds, name="reading", at=""):
    """Of entries at random, each statement planned anew; and many in one statement. After a checkpoint, so that no
    page that was written before has to leave first."""
    size = log_size(name)
    psql(name, "CREATE TABLE IF NOT EXISTS crm.asked (seq bigint); TRUNCATE crm.asked; "
               "INSERT INTO crm.asked SELECT seq FROM provenance.entry TABLESAMPLE BERNOULLI (%f) LIMIT 200000; "
               "ANALYZE crm.asked; CHECKPOINT" % min(100, 200000 / size * 110))
    times = server_times(name, "SELECT 'SELECT provenance.prove(' || seq || ')' FROM "
                               "(SELECT seq FROM crm.asked ORDER BY random() LIMIT 1020) a")
    bar, remark = ten_million(size, 0.3)
    report.value("inclusion proof%s: server time" % at, [t / 1000 for t in times], "ms",
                 "random entries of %s%s" % ("{:,.0f}".format(size), remark), bar, False)
    n = number(name, "SELECT count(*) FROM crm.asked")
    psql(name, "DROP TABLE IF EXISTS crm.shuffled; "
               "CREATE TABLE crm.shuffled AS SELECT seq FROM crm.asked ORDER BY random(); ANALYZE crm.shuffled")
    took = {"asked": [], "shuffled": []}
    for _ in range(rounds):
        for table in took:
            took[table].append(timed(name, "SELECT count(provenance.prove(seq)) FROM crm.%s;" % table))
    bar, remark = ten_million(size, 100000)
    for table, title in (("asked", "in about the order of the log"), ("shuffled", "in random order")):
        report.value("inclusion proofs in bulk, %s%s: per second of CPU" % (title, at), [n / cpu for _, cpu in took[table]],
                     "proofs/s", "%d in one statement, the same in both orders; by the clock %s%s"
                     % (n, amount(median(n / wall for wall, _ in took[table])), remark if table == "asked" else ""),
                     bar if table == "asked" else None)
