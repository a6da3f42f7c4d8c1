"""What only the ledger does: sealing, lag, tagging, storage, verification, proofs."""
import bisect
import re
import time
from statistics import median, quantiles

from candidates import log_size, seal, sealing_of
from report import amount
from server import Failed, Watch, number, pgbench, psql, run_file, say, timed, timed_with_output

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


def database(rows):
    """A log for reading: contacts inserted by one statement, then updated one by one, each row once."""
    psql("postgres", "CREATE DATABASE reading")
    run_file("reading", "tables/contact.sql", {"rows": rows})
    run_file("reading", "candidate/provenance.sql")
    psql("reading", "SELECT provenance.tag('crm.contact'); UPDATE crm.contact SET score = score + 1; "
                    "SELECT provenance.seal(); VACUUM ANALYZE; CHECKPOINT")


def memory(entries):
    """work_mem and maintenance_work_mem in MB, as doc/operations.md advises: 2 bytes for each entry and row, 32 for
    each entry; at most 2 GB."""
    return (int(min(2047, max(4, entries * 3 / 1e6))), int(min(2047, max(64, entries * 32 / 1e6))))


def findings(name, call, workers, settings):
    """Seconds, CPU seconds of the backend, findings: of a verification with so many parallel workers."""
    seconds, cpu, out = timed_with_output(
        name, "SELECT 'FOUND ' || count(*) FROM provenance.%s;" % call,
        "SET max_parallel_maintenance_workers = %d; SET work_mem = '%d MB'; SET maintenance_work_mem = '%d MB';"
        % ((workers,) + settings))
    return seconds, cpu, int(re.search(r"^FOUND (\d+)", out, re.M).group(1))


@guarded
def verifying(report, rounds, name="reading", at=""):
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
                                                     ("" if warm else "; not warmed up", found)), None if at else bar)
        both = [r for r in rates["two processes"] if r in rates["verify"]]
        if both:
            report.value("verify%s, two processes: by that of one, by the clock" % at,
                         [rates["two processes"][r] / rates["verify"][r] for r in both], "times",
                         "%s entries/s" % amount(median(rates["two processes"].values())), None if at else 1.8)


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
		IF i > 20 THEN
			INSERT INTO took VALUES (extract(epoch FROM clock_timestamp() - start) * 1e6);
		END IF;
	END LOOP;
END $$;
SELECT us FROM took;
"""


def server_times(name, statements):
    """Microseconds in the server of each statement that a query returns, planning included, without the first 20."""
    return [float(s) for s in psql(name, SERVER_TIMES.format(statements=statements)).split()]


def ten_million(size, bar):
    """A bar that is meant for a log of ten million entries, and what to say of it elsewhere."""
    if 9.5e6 <= size < 1.5e7:
        return bar, ""
    return None, "; the bar is for 10 million entries: bench-long" if size < 9.5e6 else ""


@guarded
def history(report, name="reading", at=""):
    key = number(name, "SELECT max(id) + 1 FROM crm.contact")
    psql(name, "INSERT INTO crm.contact SELECT * FROM crm.contacts(%d, %d);\n" % (key, key) +
         "".join("UPDATE crm.contact SET score = %d WHERE id = %d;\n" % (i, key) for i in range(1, 101)))
    psql(name, "SELECT provenance.seal()")
    n = int(number(name, "SELECT count(*) FROM provenance.history('crm.contact', %d)" % key))
    times = server_times(name, "SELECT 'SELECT count(h) FROM provenance.history(''crm.contact'', %d) h' "
                               "FROM generate_series(1, 120)" % key)
    bar, remark = ten_million(log_size(name), 10)
    report.value("history of a row%s" % at, [t / 1000 for t in times], "ms", "%d entries, all sealed%s" % (n, remark),
                 bar, False)


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
    took = [timed(name, "SELECT count(provenance.prove(seq)) FROM crm.asked;") for _ in range(rounds)]
    bar, remark = ten_million(size, 100000)
    report.value("inclusion proofs in bulk%s: per second of CPU" % at, [n / cpu for _, cpu in took], "proofs/s",
                 "%d in one statement; by the clock %s%s" % (n, amount(median(n / wall for wall, _ in took)), remark), bar)
