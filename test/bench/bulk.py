"""Many rows in one statement, and what follows it: the time until all is sealed."""
import re

from candidates import log_size, order, seal
from report import Figure
from server import Failed, lsn, psql, say, timed_with_output

COLUMNS = ("id, account_id, first_name, last_name, email, phone, title, street, city, country, status, score, "
           "consent, updated_at")
STATEMENTS = [      # name, statement, what to do before, bar
    ("bulk INSERT … SELECT", "INSERT INTO crm.bulk (%s) SELECT * FROM crm.source;" % COLUMNS, "TRUNCATE crm.bulk;", 1.9),
    ("bulk UPDATE", "UPDATE crm.bulk SET phone = '+49 30 7654321', status = 'dormant', score = score / 2;", "", 1.8),
    ("COPY", "COPY crm.bulk (%s) FROM :'file';" % COLUMNS, "TRUNCATE crm.bulk;", 1.8),
]


# In the session of the statement, when it is over: waits for the standing worker, as it is in production.
AWAIT = """
DO $$
BEGIN
	FOR i IN 1 .. 12000 LOOP
		EXIT WHEN (SELECT log_size FROM provenance.seal_state) >= %d;
		PERFORM pg_sleep(0.005);
	END LOOP;
END $$;
SELECT 'SEALED ' || log_size || ' ' || extract(epoch FROM clock_timestamp() - timestamptz :'bench_ended') FROM provenance.seal_state;
"""


def run(candidate, statement, rows, file):
    """Seconds, CPU seconds; of provenance also the seconds from its end until its last entry is sealed."""
    target = log_size() + rows if candidate == "provenance" else None
    seconds, cpu, out = timed_with_output(
        candidate, statement + "\n\\timing off\nSELECT clock_timestamp() AS bench_ended \\gset",
        "\\set file %s\n" % file, AWAIT % target if target else "")
    if target is None:
        return seconds, cpu, None
    size, after = re.search(r"^SEALED (\d+) ([0-9.]+)$", out, re.M).groups()
    if int(size) < target:
        raise Failed("not sealed a minute after its end")
    return seconds, cpu, float(after)


def statements(report, candidates, rounds, rows, file):
    times = [Figure(name + ": time", "s", False, bar) for name, _, _, bar in STATEMENTS]
    cpu = [Figure(name + ": CPU", "s", False) for name, *_ in STATEMENTS]
    wal = [Figure(name + ": WAL until sealed", "MB", False) for name, *_ in STATEMENTS]
    try:
        for r in range(rounds):
            psql("postgres", "CHECKPOINT")
            for i, (name, statement, before, _) in enumerate(STATEMENTS):
                say("round %d: %s" % (r + 1, name))
                for c in order(candidates, r):
                    with report.attempt("%s, %s" % (name, c)):
                        if before:
                            psql(c, before)
                        if c == "provenance":
                            seal()
                        at = lsn()
                        seconds, busy, after = run(c, statement, rows, file)
                        if after is not None:
                            times[i].sealed_after.append(after)
                        times[i].add(c, r, seconds)
                        cpu[i].add(c, r, busy)
                        wal[i].add(c, r, (lsn() - at) / 1e6)
                        psql(c, "VACUUM crm.bulk")
    finally:
        report.section("%d rows in one statement: time of the statement with its commit, ratio to untagged" % rows)
        for figure in times + cpu + wal:
            report.add(figure)
